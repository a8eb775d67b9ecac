"""Virtual fields: one column feeds several, of other types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.kinds import KEY, found, rows_of, view_of
from support.stored_segments import Shelf

from lutra.fields.virtual import as_decimal, as_string, as_whole
from lutra.index.definitions.schema import check_schema, validate_schema
from lutra.index.definitions.stored import StoredColumns
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, TextOptions, VectorOptions
from lutra.model.queries import Exists, FieldSort, Match, Range, Term
from lutra.model.rows import Row
from lutra.model.schema import DefinedColumn, TableSchema
from lutra.model.values import ColumnType


def virtual(name: str, kind: FieldType, source: str, **options: Any) -> FieldSchema:
    return FieldSchema(name, kind, is_virtual=True, sources=(source,), **options)


FIELDS = (
    FieldSchema("s", FieldType.KEYWORD),
    virtual("s_text", FieldType.TEXT, "s"),
    virtual("s_split", FieldType.TEXT, "s", text=TextOptions("split")),
    virtual("s_long", FieldType.LONG, "s"),
    virtual("s_double", FieldType.DOUBLE, "s"),
    virtual("s_date", FieldType.DATE, "s", date_formats=("yyyy-MM-dd",)),
    virtual("s_ip", FieldType.IP, "s"),
    virtual("s_point", FieldType.GEO_POINT, "s"),
    virtual("n_keyword", FieldType.KEYWORD, "n"),
    virtual("n_date", FieldType.DATE, "n", date_formats=("epoch_second",)),
    virtual("d_keyword", FieldType.FUZZY_KEYWORD, "d"),
    virtual("id_keyword", FieldType.KEYWORD, "id"),
    virtual("longs", FieldType.LONG, "a", is_array=True),
    virtual("keywords", FieldType.KEYWORD, "a", is_array=True),
)
WHOLE = ("1", "-7", "+3", "007", "9" * 18)
STRINGS = st.sampled_from([*WHOLE, "1.5", "1e400", "nan", "", "x y", "2024-02-29", "10.0.0.1", "10,20", "9" * 19])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "s": st.none() | STRINGS | st.integers(0, 9),
            "n": st.none() | st.integers(-3, 3),
            "d": st.none() | st.sampled_from([1.5, -0.25, 1e22, 3.0]),
            "a": st.none() | st.sampled_from(["[]", '[1, "2", null]', '["x"]', "[1.5]", '["1", "1"]', "{}"]),
        }
    ),
    max_size=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.integers(0, 99))
def test_searches(shelf: Shelf, rows: list[dict[str, Any]], seed: int) -> None:
    view = view_of(FIELDS, rows, seed, shelf)

    def rows_with(name: str, test: Any) -> list[int]:
        return [at for at, row in enumerate(rows) if row[name] is not None and test(row[name])]

    assert found(view, Term("s", "1.5")) == rows_with("s", lambda s: s == "1.5")
    assert found(view, Term("s_long", 7)) == rows_with("s", lambda s: s in ("007", 7))
    assert found(view, Exists("s_long")) == rows_with("s", lambda s: s in WHOLE or type(s) is int)
    assert found(view, Term("s_double", 1.5)) == rows_with("s", lambda s: s == "1.5")
    assert found(view, Term("s_ip", "10.0.0.0/8")) == rows_with("s", lambda s: s == "10.0.0.1")
    assert found(view, Exists("s_point")) == rows_with("s", lambda s: s == "10,20")
    assert found(view, Range("s_date", "2024-02-29", "2024-02-29")) == rows_with("s", lambda s: s == "2024-02-29")
    assert found(view, Match("s_text", "y")) == rows_with("s", lambda s: s == "x y")
    assert found(view, Match("s_split", "2024-02-29")) == rows_with("s", lambda s: s == "2024-02-29")
    assert found(view, Term("n_keyword", "-3")) == rows_with("n", lambda n: n == -3)
    assert found(view, Range("n_date", 0, None)) == rows_with("n", lambda n: n >= 0)
    assert found(view, Term("d_keyword", "1e+22")) == rows_with("d", lambda d: d == 1e22)
    assert found(view, Term("d_keyword", "3.0")) == rows_with("d", lambda d: d == 3.0)
    assert found(view, Term("id_keyword", "2")) == ([2] if len(rows) > 2 else [])
    assert found(view, Term("longs", 2)) == rows_with("a", lambda a: "2" in a)
    assert found(view, Exists("longs")) == rows_with("a", lambda a: a in ('[1, "2", null]', '["1", "1"]'))
    assert found(view, Term("keywords", "1")) == rows_with("a", lambda a: "1" in a and "1.5" not in a)
    with_long = [(int(row["s"]), at) for at, row in enumerate(rows) if at in found(view, Exists("s_long"))]
    assert found(view, Exists("s_long"), FieldSort("s_long")) == [at for _, at in sorted(with_long)]


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_from_their_text(whole: int, decimal: float) -> None:
    assert as_whole(as_string(whole)) == whole
    assert as_decimal(as_string(decimal)) == decimal


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1_0", "0x1", "١", "1e1000", "nan", "inf", "1" * 500])
def test_what_is_no_number_stays_text(text: str) -> None:
    assert type(as_decimal(text)) is str
    assert type(as_whole(text)) is str


def test_virtual_fields_are_no_columns_to_give_back() -> None:
    stored = StoredColumns(IndexSchema(FIELDS))
    assert stored.names == {"s"}
    row = Row((("id", 1),), [("n", 1, 1), ("s", "x", 1), ("s_long", 5, 1)])
    assert stored.cells(row) == [("s", "x", 1)]


def test_each_value_left_out_is_counted_for_its_field() -> None:
    index = memory_index(IndexSchema(FIELDS[:4]), KEY)
    index.apply(rows_of([{"s": "x"}, {"s": "1"}, {"s": 2}]))
    assert {name: count for name, count in index.unindexed.items() if count} == {"s": 1, "s_long": 1}


TABLE = TableSchema("t", KEY, (DefinedColumn("s", ColumnType.STRING), DefinedColumn("n", ColumnType.INTEGER)))


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (FieldSchema("f", FieldType.LONG, is_virtual=True), "has one source field, not 0"),
        (FieldSchema("f", FieldType.LONG, is_virtual=True, sources=("a", "b")), "has one source field, not 2"),
        (FieldSchema("f", FieldType.LONG, sources=("a",)), "is not virtual: it has no source field"),
        (virtual("f", FieldType.LONG, "#"), r"source field \[#\] of field \[f\] is no name"),
        (virtual("f", FieldType.VECTOR, "s", vector=VectorOptions(2)), "it cannot be virtual"),
        (virtual("n", FieldType.LONG, "s"), "has the name of a column of the table"),
        (virtual("f", FieldType.BOOLEAN, "s"), r"does not go with a column of type STRING, allow \[BOOLEAN\]"),
        (virtual("f", FieldType.KEYWORD, "n", is_array=True), r"column of type INTEGER, allow \[STRING\]"),
        (virtual("f", FieldType.IP, "n"), r"column of type INTEGER, allow \[STRING\]"),
    ],
)
def test_what_cannot_be_declared(field: FieldSchema, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        validate_schema(IndexSchema((field,)), TABLE)


def test_fields_of_one_column_are_declared() -> None:
    check_schema(IndexSchema(FIELDS))
    validate_schema(IndexSchema((virtual("f", FieldType.LONG, "s"), virtual("g", FieldType.TEXT, "n"))), TABLE)
