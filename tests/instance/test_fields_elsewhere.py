"""Tables whose index was made elsewhere, of kinds of fields that no declaration makes: searches and scans alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import lutra
from lutra import col
from lutra.instance.engine import Engine
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType, Value

SCHEMA = IndexSchema(
    (
        FieldSchema("flat", FieldType.FLATTENED),
        FieldSchema("host", FieldType.IP),
        FieldSchema("name", FieldType.FUZZY_KEYWORD),
        FieldSchema("words", FieldType.TEXT, is_virtual=True, sources=("name",)),
        FieldSchema("size", FieldType.LONG, is_virtual=True, sources=("digits",)),
        FieldSchema(
            "meta",
            FieldType.JSON,
            json_type=JsonType.OBJECT,
            fields=(FieldSchema("n", FieldType.LONG), FieldSchema("tag", FieldType.KEYWORD)),
        ),
        FieldSchema("parts", FieldType.NESTED, index=False, fields=(FieldSchema("n", FieldType.LONG),)),
    )
)
ROWS: list[dict[str, Value]] = [
    {"flat": '{"a": {"b": "x", "c": 5}}', "host": "10.1.2.3", "name": "red fox", "digits": "12"},
    {"flat": '{"a": {"b": ["y", "z"]}}', "host": "::1", "name": "fox", "meta": '[{"n": 1}, {"n": 7, "tag": "t"}]'},
    {"meta": '{"n": 3}', "parts": '[{"n": 1}, {"n": 2}]', "digits": "-3"},
    {"flat": '"no object"', "parts": '{"n": 2}', "name": "oxen"},
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lutra.Table]:
    folder = tmp_path_factory.mktemp("elsewhere") / "data"
    _make(folder)
    with lutra.connect(folder) as db:
        yield db.table("t")


def _make(folder: Path, schema: IndexSchema = SCHEMA, rows: Sequence[dict[str, Value]] = ROWS) -> None:
    with closing(Engine.open(folder)) as engine:
        engine.create_instance("default")
        instance = engine.instance("default")
        instance.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
        instance.create_search_index("t", "i", schema)
        for number, row in enumerate(rows):
            cells = [(name, value, None, CellOperation.PUT) for name, value in row.items()]
            instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), cells))


def both(table: lutra.Table, where: lutra.Expression) -> list[int]:
    found = [row["id"] for row in table.search(where=where)]
    assert found == [row["id"] for row in table.scan(where=where)]
    return found


def test_conditions(table: lutra.Table) -> None:
    assert both(table, col("flat.a.b") == "x") == [0]
    assert both(table, col("flat.a.b").is_in(["z", "q"])) == [1]
    assert both(table, col("flat.a.c") == "5") == [0]
    assert both(table, col("flat.a").exists()) == [0, 1]
    assert both(table, col("host") == "10.1.2.3") == [0]
    assert both(table, col("name").starts_with("fo")) == [1]
    assert both(table, col("size") > 0) == [0]
    assert both(table, col("size").is_missing()) == [1, 3]
    assert both(table, col("meta.n") > 2) == [1, 2]
    assert both(table, (col("meta.tag") == "t") & (col("meta.n") == 1)) == [1]
    assert both(table, col("parts").any(col("n") == 2)) == [2, 3]
    assert [row["id"] for row in table.search(text="fox", text_field="words")] == [1, 0]


def test_values(table: lutra.Table) -> None:
    rows = list(table.scan())
    assert [row.get("flat") for row in rows] == [
        {"a": {"b": "x", "c": 5}},
        {"a": {"b": ["y", "z"]}},
        None,
        '"no object"',
    ]
    assert rows[1]["meta"] == [{"n": 1}, {"n": 7, "tag": "t"}]
    assert [rows[2]["parts"], rows[3]["parts"]] == [[{"n": 1}, {"n": 2}], [{"n": 2}]]
    assert "words" not in table.fields
    table.put({"id": 9, "flat": {"k": [1, {"z": True}]}, "meta": {"n": 5}, "host": "10.0.0.9"})
    assert dict(table.get(9) or {}) == {"id": 9, "flat": {"k": [1, {"z": True}]}, "meta": {"n": 5}, "host": "10.0.0.9"}
    assert both(table, col("flat.k.z") == "true") == [9]
    table.delete(9)


def test_frames(table: lutra.Table) -> None:
    found = table.search(columns=["meta", "name"])
    assert found.to_pandas()["name"].tolist()[3] == "oxen"
    assert table.search(columns=["name"]).to_arrow().column_names == ["id", "name"]
    with pytest.raises(lutra.ParameterInvalid, match="'meta' holds values that no one Arrow type takes"):
        found.to_arrow()


@pytest.mark.parametrize(
    ("date_format", "first", "second"),
    [
        ("epoch_nanos", 1_704_067_200_000_000_000, 1_704_153_600_000_000_000),
        ("epoch_second", 1_704_067_200, 1_704_153_600),
        ("yyyy-MM-dd", "2024-01-01", "2024-01-02"),
    ],
)
def test_aggregates_of_dates_are_datetimes(tmp_path: Path, date_format: str, first: Value, second: Value) -> None:
    """Whatever unit the column counts in, or where it holds text."""
    schema = IndexSchema((FieldSchema("at", FieldType.DATE, date_formats=(date_format,)),))
    _make(tmp_path / "data", schema, [{"at": first}, {"at": second}, {"at": second}])
    days = [dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (1, 2)]
    with lutra.connect(tmp_path / "data") as db:
        table = db.table("t")
        assert table.aggregate(first=col("at").min(), last=col("at").max()) == {
            "count": 3,
            "first": days[0],
            "last": days[1],
        }
        each = [{"at": days[0], "count": 1}, {"at": days[1], "count": 2}]
        assert table.group_by("at").to_list() == table.group_by(col("at").every("day")).to_list() == each


@pytest.mark.parametrize(
    ("refused", "complaint"),
    [
        (lambda t: t.put({"id": 1, "words": "x"}), "no column 'words'"),
        (lambda t: t.search(where=col("meta.x") == 1), "no column 'meta.x'"),
        (lambda t: t.put({"id": 1, "flat": {"x": object()}}), "field 'flat'"),
        (lambda t: t.put({"id": 1, "flat": [1]}), "expected a record"),
    ],
)
def test_what_makes_no_sense_is_refused(table: lutra.Table, refused: Any, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        refused(table)
