"""The bytes of an export that is handed on piece by piece are those of the file that it would have written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import lutra
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.transfer.exporter import Export

ROWS = 2_500


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with lutra.connect(tmp_path_factory.mktemp("export") / "data") as db:
        articles = db.create_table(
            "articles", {"id": int}, {"title": str, "tags": list[str], "embedding": lutra.Vector(3)}
        )
        articles.put_many(
            {"id": number, "title": f'a "{number}",\n', "tags": ["x"], "embedding": np.full(3, number, np.float32)}
            for number in range(ROWS)
        )
        anything = db.create_table("anything", {"id": str})
        anything.put_many([{"id": "a", "n": 1}, {"id": "b", "text": "x", "raw": b"\x00\xff"}])
        db.create_table("empty", {"id": str}, {"n": int})
        yield db


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("table", ["articles", "anything", "empty"])
def test_the_same_bytes(database: lutra.Database, tmp_path: Path, table: str, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    Export(database.table(table), str(path)).run()
    pieces = list(Export(database.table(table), f"rows.{ending}").pieces())
    assert b"".join(pieces) == path.read_bytes()
    assert all(pieces)


def test_a_piece_has_some_rows_and_not_all(database: lutra.Database) -> None:
    pieces = Export(database.table("articles"), "rows.jsonl").pieces()
    assert next(pieces).count(b"\n") == 1_000
    assert sum(piece.count(b"\n") for piece in pieces) == ROWS - 1_000


def test_some_rows_and_columns(database: lutra.Database) -> None:
    export = Export(database.table("articles"), "x.csv", where=lutra.col("id") < 2, columns=["tags"])
    assert b"".join(export.pieces()) == b'id,tags\n0,"[""x""]"\n1,"[""x""]"\n'


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_of_an_sdk_keep_what_no_index_describes(database: lutra.Database, ending: str) -> None:
    instance = database._open()
    instance.tables.create(TableSchema("events", (KeyColumn("id", ColumnType.STRING),)))
    instance.create_search_index("events", "any", IndexSchema((FieldSchema("n", FieldType.LONG),)))
    change = RowChange(ChangeKind.PUT, (("id", "a"),), [("n", 1, None, 0), ("note", "kept", None, 0)])
    instance.tables.write("events", change)
    try:
        content = b"".join(Export(database.table("events"), f"events.{ending}").pieces())
        if ending == "csv":
            assert content == b"id,n,note\na,1,kept\n"
        else:
            assert pq.read_table(io.BytesIO(content)).to_pylist() == [{"id": "a", "n": 1, "note": "kept"}]
        some = Export(database.table("events"), "events.csv", columns=["n"])
        assert b"".join(some.pieces()) == b"id,n\na,1\n"
    finally:
        database.delete_table("events")


def test_what_is_asked_for_wrongly_is_refused_at_once(database: lutra.Database) -> None:
    with pytest.raises(ParameterInvalid, match="nowhere"):
        Export(database.table("articles"), "rows.csv", columns=["nowhere"]).pieces()
    with pytest.raises(ParameterInvalid, match="year"):
        Export(database.table("articles"), "rows.csv", where=lutra.col("year") < 2).pieces()
