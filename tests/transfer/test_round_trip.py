"""What is exported and imported again is what it was."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support.tables_of_files import FIELDS, KEY, all_of, rows

import lutra
from lutra.transfer.checkpoint import CheckpointFile, ImportIdentity
from lutra.transfer.data_file import DataFile
from lutra.transfer.exporter import Export
from lutra.transfer.importer import ImportRun, Outcome
from lutra.transfer.mapping import ColumnMapping
from lutra.transfer.planner import plan_import
from lutra.transfer.table_schema import TableDeclaration

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lutra.Database]:
    with lutra.connect(tmp_path_factory.mktemp("round") / "data") as database:
        yield database


def imported(db: lutra.Database, path: Path, table: str, declared: TableDeclaration | None = None) -> Outcome:
    mapping = ColumnMapping()
    files = [DataFile.at(path)]
    plan = plan_import(db, table, files, mapping, declared=declared)
    checkpoints = CheckpointFile(path.parent, ImportIdentity.of("default", table, files, mapping))
    return ImportRun(db, plan, checkpoints, path.with_suffix(".rejected")).run()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@given(rows=rows)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_back(db: lutra.Database, tmp_path: Path, ending: str, rows: list[dict[str, Any]]) -> None:
    """All kinds of fields, with gaps, empty texts, quotes, ends of lines; and no row is rejected."""
    number = next(NUMBERS)
    path = tmp_path / f"rows{number}.{ending}"
    source = db.create_table(f"source{number}", KEY, FIELDS)
    try:
        source.put_many(rows)
        assert Export(source, str(path)).run() == len(rows)
        if not rows and ending.startswith("jsonl"):
            assert not _content(path)
            return
        declared = TableDeclaration(KEY, FIELDS)
        outcome = imported(db, path, f"target{number}", declared)
        assert (outcome.written, outcome.rejected) == (len(rows), 0)
        target = db.table(f"target{number}")
        assert (target.key, target.fields) == (source.key, source.fields)
        assert all_of(target) == all_of(source)
    finally:
        for name in (f"source{number}", f"target{number}"):
            db.delete_table(name, missing_ok=True)


@pytest.mark.parametrize("ending", ["tsv", "csv.gz", "jsonl.zst", "tsv.xz", "jsonl.bz2"])
def test_compressed_and_with_tabs(db: lutra.Database, tmp_path: Path, ending: str) -> None:
    source = db.create_table(f"source_{ending.replace('.', '_')}", {"id": int}, {"x": str})
    source.put_many({"id": n, "x": f"tab\t{n}" * (n % 3)} for n in range(50))
    path = tmp_path / f"rows.{ending}"
    Export(source, str(path)).run()
    outcome = imported(db, path, f"{source.name}_again", TableDeclaration(source.key, source.fields))
    assert (outcome.written, outcome.rejected) == (50, 0)
    assert all_of(db.table(f"{source.name}_again")) == all_of(source)


def _content(path: Path) -> bytes:
    with DataFile.at(path).open() as file:
        return file.read_line(1_000)


def test_parquet_says_which_table_it_is_of(db: lutra.Database, tmp_path: Path) -> None:
    """Key, metrics, analyzers, and what is not indexed come back without a word."""
    source = db.create_table("said", KEY, FIELDS)
    source.put({"id": "a", "n": 1, "word": "x" * 500, "vector": [1, 2, 3]})
    Export(source, str(tmp_path / "said.parquet")).run()
    imported(db, tmp_path / "said.parquet", "said_again")
    again = db.table("said_again")
    assert (again.key, again.fields) == (source.key, source.fields)
    assert all_of(again) == all_of(source)


def test_part_of_a_table(db: lutra.Database, tmp_path: Path) -> None:
    source = db.create_table("part", {"id": int}, {"x": int, "word": str})
    source.put_many({"id": n, "x": n % 3, "word": f"w{n}"} for n in range(2_500))
    path = tmp_path / "part.csv"
    where = lutra.col("x") == 1
    seen: list[int] = []
    assert Export(source, str(path), where=where, columns=["word"], limit=1_200, on_progress=seen.append).run() == 833
    assert path.read_text().splitlines()[:3] == ["id,word", "1,w1", "4,w4"]
    assert seen == [833]
    assert Export(source, str(path), limit=1_500, overwrites=True, on_progress=seen.append).run() == 1_500
    assert seen[1:] == [1_000, 1_500]


def test_a_table_that_takes_any_column(db: lutra.Database, tmp_path: Path) -> None:
    source = db.create_table("any", {"id": int})
    source.put_many([{"id": 1, "a": 1, "b": "x"}, {"id": 2, "a": 2.5, "c": True}, {"id": 3, "d": b"\x00\xff"}])
    Export(source, str(tmp_path / "any.csv")).run()
    assert (tmp_path / "any.csv").read_text() == "id,a,b,c,d\n1,1,x,,\n2,2.5,,true,\n3,,,,AP8=\n"
    with pytest.raises(
        lutra.ParameterInvalid, match="column 'a' holds int and float, which no column of Parquet takes"
    ):
        Export(source, str(tmp_path / "any.parquet")).run()
    assert not (tmp_path / "any.parquet").exists()
    db.create_table("any_again", {"id": int})
    imported(db, tmp_path / "any.csv", "any_again")
    rows = all_of(db.table("any_again"))
    assert rows[:2] == [{"id": 1, "a": 1.0, "b": "x"}, {"id": 2, "a": 2.5, "c": True}]


def test_an_export_is_whole_or_not_there(db: lutra.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = db.create_table("whole", {"id": int}, {"x": int})
    source.put_many({"id": n, "x": n} for n in range(2_100))
    path = tmp_path / "whole.jsonl"

    def fail(rows: int) -> None:
        raise RuntimeError(rows)

    with pytest.raises(RuntimeError):
        Export(source, str(path), on_progress=fail).run()
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine")
    with pytest.raises(lutra.ObjectAlreadyExist, match="--force"):
        Export(source, str(path)).run()
    with pytest.raises(RuntimeError):
        Export(source, str(path), overwrites=True, on_progress=fail).run()
    assert path.read_text() == "mine"
    assert Export(source, str(path), overwrites=True).run() == 2_100
    assert [file.name for file in tmp_path.iterdir()] == ["whole.jsonl"]
