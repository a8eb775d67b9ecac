"""Filters on a table whose index an SDK made: of all types and formats, and with values that are not of their type.

A search, a scan and exact arithmetic in Python agree.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filters import holds

import lutra
from lutra.instance.engine import Engine
from lutra.instance.expression import Between, Comparison, Expression, OneOf, Operator, Present, StartsWith
from lutra.instance.fsck import check_directory
from lutra.instance.rebuild import rebuild_index
from lutra.instance.stopped import StoppedDirectory
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.transfer.where import parse_where

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
UNITS_NS = {"epoch_second": 10**9, "epoch_millis": 10**6, "epoch_micros": 10**3, "epoch_nanos": 1}
TEXT_FORMAT = "yyyy-MM-dd HH:mm:ss"


def schema(name: str, kind: FieldType, *formats: str, is_array: bool = False) -> FieldSchema:
    return FieldSchema(name, kind, is_array=is_array, date_formats=formats)


FIELDS = {
    field.name: field
    for field in (
        schema("long", FieldType.LONG),
        schema("double", FieldType.DOUBLE),
        schema("flag", FieldType.BOOLEAN),
        schema("word", FieldType.KEYWORD),
        schema("second", FieldType.DATE, "epoch_second"),
        schema("milli", FieldType.DATE),
        schema("micro", FieldType.DATE, "epoch_micros"),
        schema("nano", FieldType.DATE, "epoch_nanos"),
        schema("text", FieldType.DATE, TEXT_FORMAT, "epoch_millis"),
        schema("longs", FieldType.LONG, is_array=True),
        schema("doubles", FieldType.DOUBLE, is_array=True),
        schema("words", FieldType.KEYWORD, is_array=True),
        schema("millis", FieldType.DATE, "epoch_millis", is_array=True),
        schema("tags", FieldType.KEYWORD, is_array=True),  # over key columns
        schema("at", FieldType.DATE, "epoch_millis"),
    )
}
KEY = (KeyColumn("tags", ColumnType.STRING), KeyColumn("at", ColumnType.INTEGER))
LONG_WORD = "x" * 4_097
# As they lie in the table; some are not of their field's type.
STORED: dict[str, list[Any]] = {
    "long": [-(2**63), -1, 0, 1, 2**53 + 1, 2**63 - 1, 1.0, True, "1"],
    "double": [-1.5, -0.0, 0.5, 1, 2.0**53, 1e308, "0.5"],
    "flag": [True, False, 1, "true"],
    "word": ["", "a", "ab", "é", "\ud7ff", "\U0010ffff", LONG_WORD, 5],
    "second": [-2, -1, 0, 1, 2, 10**10, 1.5],
    "milli": [-1_001, -1_000, -1, 0, 1, 1_000, 1_001, 2**63 - 1, "0"],
    "micro": [-1_000_001, -1, 0, 1, 1_000_000],
    "nano": [-1_500, -1, 0, 1, 999, 1_000, 1_000_000_000],
    "text": ["1970-01-01 00:00:01", "1969-12-31 23:59:59", "1970-01-01 00:00:00", "1970-1-1", 1_000, 1.0],
    "longs": [
        "[]",
        "[null]",
        "[1, 2]",
        "[1, null]",
        "[1, 1.5]",
        "[1, true]",
        "[9223372036854775808, 1]",
        "[[1]]",
        "1",
        1,
    ],
    "doubles": ["[]", "[1, 0.5]", "[1, NaN]", "[1, Infinity]", "[1, 1e400]", "[1, 18446744073709551617]", "[2]", "{}"],
    "words": [
        "[]",
        '["a", "b"]',
        f'["a", "{LONG_WORD}"]',
        '["a", "\\ud800"]',
        '["a", 1]',
        '["é", null]',
        "a",
        "[" * 900,
    ],
    "millis": ["[]", "[0, 1000]", "[1, 1.5]", f"[0, {2**63 - 1}]", "[-1000]"],
    "tags": ["[]", '["a", "b"]', '["a"]', "a", '["é", null]', f"[{'0,' * 300}0]"],
    "at": [-1_000, 0, 1, 1_000, 2**63 - 1],
}
MOMENTS = [EPOCH + dt.timedelta(microseconds=us) for us in (-1_000_001, -1_000_000, -999_500, -1, 0, 1, 999_999)]
MOMENTS += [*(moment + dt.timedelta(seconds=2) for moment in MOMENTS), dt.datetime(3000, 1, 1, tzinfo=UTC)]
OPERANDS: dict[str, list[Any]] = {
    "long": [-(2**63), -1, 0, 1, 0.5, -0.5, 2.0**53, 2**53 + 1, 2**63, 2.0**64, -math.inf],
    "double": [-1.5, 0, 0.5, 1, 2**53, 2**53 + 1, math.inf, 10**400],
    "flag": [True, False],
    "word": ["", "a", "ab", "é", "\ue000"],
    "longs": [0, 1, 1.5, 2, 2**63],
    "doubles": [0.5, 0.9, 1, 2, math.inf],
    "words": ["a", "b", "é", ""],
    "tags": ["a", "b", "é", ""],
    "nano": [*MOMENTS, 1, 999, 0.5],
    "text": [*MOMENTS, "1970-01-01 00:00:01"],
    "at": [*MOMENTS, 0, 1_000, 0.5],
    **dict.fromkeys(["second", "milli", "micro", "millis"], MOMENTS),
}


def elements(field: FieldSchema, stored: Any) -> list[Any]:
    """The elements of a stored value, as what compares exactly: dates as nanoseconds."""
    if not field.is_array:
        one = element(field, stored)
        return [] if one is None else [one]
    try:
        parsed = json.loads(stored) if isinstance(stored, str) else None
    except (ValueError, RecursionError):
        return []
    if not isinstance(parsed, list) or len(parsed) > 256:
        return []
    if field.type is FieldType.KEYWORD:  # a text that is too long, or no Unicode, is left out alone
        parsed = [one for one in parsed if not isinstance(one, str) or element(field, one) is not None]
    found = [element(field, one) for one in parsed if one is not None]
    return [] if any(one is None or one in (math.inf, -math.inf) for one in found) else found


def element(field: FieldSchema, value: Any) -> Any:
    fits = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    match field.type:
        case FieldType.LONG:
            return value if fits else None
        case FieldType.DOUBLE:
            number = float(value) if fits else value
            return number if isinstance(number, float) and not math.isnan(number) else None
        case FieldType.BOOLEAN:
            return value if isinstance(value, bool) else None
        case FieldType.KEYWORD:
            known = isinstance(value, str) and len(value.encode(errors="surrogatepass")) <= 4_096
            return value if known and "\ud800" not in value else None
    if isinstance(value, str) and TEXT_FORMAT in field.date_formats and len(value) == 19:
        return nanoseconds(dt.datetime.fromisoformat(value).replace(tzinfo=UTC))
    unit_ns = UNITS_NS[(field.date_formats or ("epoch_millis",))[-1]]
    return value * unit_ns if fits and -(2**63) <= value * unit_ns < 2**63 else None


def nanoseconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1) * 1_000


def meant(field: FieldSchema, operand: Any) -> Any:
    """An operand, as what compares exactly."""
    if field.type is not FieldType.DATE:
        return operand
    if isinstance(operand, str):
        return element(field, operand)
    if isinstance(operand, dt.datetime):
        return nanoseconds(operand)
    return Fraction(operand) * UNITS_NS[field.date_formats[-1]]


def made_rows() -> dict[tuple[str, int], dict[str, Any]]:
    chance = random.Random(9)
    rows = {}
    for tags in STORED["tags"]:
        for at in STORED["at"]:
            columns = [name for name in STORED if name not in ("tags", "at") and chance.random() < 0.9]
            rows[tags, at] = {name: chance.choice(STORED[name]) for name in columns} | {"tags": tags, "at": at}
    return rows


ROWS = made_rows()
MODEL = {key: {name: elements(FIELDS[name], value) for name, value in row.items()} for key, row in ROWS.items()}


@pytest.fixture(scope="module", params=["buffer", "segments"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lutra.Table]:
    """Its index is in memory, or in segments, which fsck has compared with the rows."""
    path = tmp_path_factory.mktemp("elsewhere")
    engine = Engine.open(path)
    try:
        engine.create_instance("default")
        instance = engine.instance("default")
        instance.tables.create(TableSchema("t", KEY))
        vector = FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2))
        instance.create_search_index("t", "x", IndexSchema((*FIELDS.values(), vector)))
        for (tags, at), row in ROWS.items():
            cells = [
                (name, value, None, CellOperation.PUT) for name, value in row.items() if name not in ("tags", "at")
            ]
            cells.append(("v", "[1, 2]" if at > 0 else "[1, NaN]", None, CellOperation.PUT))
            instance.tables.write("t", RowChange(ChangeKind.PUT, (("tags", tags), ("at", at)), cells))
    finally:
        engine.close()
    if request.param == "segments":
        with StoppedDirectory(path, is_to_be_mended=True) as directory:
            assert rebuild_index(directory, "default", "t", "x").rows == len(ROWS)
        assert check_directory(path) == []
    with lutra.connect(path) as database:
        yield database.table("t")


Pair = tuple[Expression, Expression]
"""A filter, and the same for the model."""


def comparisons() -> st.SearchStrategy[Pair]:
    def of_column(name: str) -> st.SearchStrategy[Pair]:
        values = st.sampled_from(OPERANDS[name]).map(lambda operand: (operand, meant(FIELDS[name], operand)))

        def both(make: Any, *operands: tuple[Any, Any]) -> Pair:
            return make(*(real for real, _ in operands)), make(*(model for _, model in operands))

        equal = values.map(lambda one: both(lambda v: Comparison(name, Operator.EQUAL, v), one))
        one_of = st.lists(values, max_size=3).map(lambda many: both(lambda *vs: OneOf(name, vs), *many))
        choices = [equal, one_of, st.just((Present(name), Present(name)))]
        if name != "flag":
            operators = st.sampled_from(Operator)
            choices.append(st.tuples(operators, values).map(lambda a: both(lambda v: Comparison(name, a[0], v), a[1])))
            choices.append(
                st.tuples(values, values).map(lambda a: both(lambda low, high: Between(name, low, high), *a))
            )
        if name in ("word", "words", "tags"):
            choices.append(values.map(lambda one: both(lambda v: StartsWith(name, v), one)))
        return st.one_of(choices)

    return st.sampled_from(sorted(OPERANDS)).flatmap(of_column)


PAIRS = st.recursive(
    comparisons(),
    lambda parts: st.one_of(
        parts.map(lambda a: (~a[0], ~a[1])),
        st.tuples(parts, parts).map(lambda ab: (ab[0][0] & ab[1][0], ab[0][1] & ab[1][1])),
        st.tuples(parts, parts).map(lambda ab: (ab[0][0] | ab[1][0], ab[0][1] | ab[1][1])),
    ),
    max_leaves=3,
)


def searched(table: lutra.Table, where: Expression) -> list[Any]:
    return sorted(row.key for row in table.search(where=where, limit=1_000, columns=[], fresh=False))


def scanned(table: lutra.Table, where: Expression) -> list[Any]:
    return sorted(row.key for row in table.scan(where=where, columns=[]))


@given(PAIRS)
@settings(deadline=None, max_examples=150)
def test_a_search_a_scan_and_python_agree(table: lutra.Table, pair: Pair) -> None:
    where, model = pair
    if table.count() == len(ROWS):  # which waits until searches see them
        expected = sorted(key for key, row in MODEL.items() if holds(model, row))
        assert searched(table, where) == expected
        assert scanned(table, where) == expected


def test_each_value_is_found_by_what_it_says(table: lutra.Table) -> None:
    """Of each field alone, and of those that hold no value."""
    for name in FIELDS:
        missing = sorted(key for key, row in MODEL.items() if not row.get(name))
        assert searched(table, lutra.col(name).is_missing()) == scanned(table, lutra.col(name).is_missing()) == missing
        assert missing or name == "micro"
    present = sorted(key for key in ROWS if key[1] > 0)
    assert searched(table, lutra.col("v").exists()) == scanned(table, lutra.col("v").exists()) == present


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("long >= 0.5", lutra.col("long") >= 0.5),
        ("long in (1, 0.5)", lutra.col("long").is_in([1, 0.5])),
        ("longs missing and not doubles exists", lutra.col("longs").is_missing() & ~lutra.col("doubles").exists()),
        ("milli > '1970-01-01 00:00:00.0005'", lutra.col("milli") > EPOCH + dt.timedelta(microseconds=500)),
        ("text <= '1970-01-01 00:00:00'", lutra.col("text") <= EPOCH),
    ],
)
def test_a_typed_filter_means_the_same(table: lutra.Table, text: str, where: Expression) -> None:
    columns = {"at": int, "tags": str} | table.fields
    assert searched(table, parse_where(text, columns)) == scanned(table, where)


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        (lutra.col("milli") == 5, "expected datetime.datetime, got int"),
        (lutra.col("text") == "soon", "'soon' is no value of that type in one of the formats"),
        (lutra.col("text") == 5, "expected str, got int"),
        (lutra.col("nano") == "5", "expected int, got str"),
        (lutra.col("text") == dt.datetime(1970, 1, 1), "no time zone"),
        (lutra.col("text").starts_with("19"), "'text', which holds dates"),
    ],
)
def test_what_no_date_compares_with(table: lutra.Table, where: Expression, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        searched(table, where)
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        scanned(table, where)


def test_dates_are_written_as_they_are_or_not_at_all(table: lutra.Table) -> None:
    key = ('["dates"]', 5)
    moment = EPOCH + dt.timedelta(milliseconds=1_000, microseconds=500)
    whole = EPOCH + dt.timedelta(seconds=1)
    table.put({"tags": key[0], "at": key[1], "milli": whole, "nano": 7, "text": "1970-01-01 00:00:01"})
    for name, value, complaint in (
        ("milli", moment, "cannot be stored: the column holds whole milliseconds"),
        ("second", moment, "cannot be stored: the column holds whole seconds"),
        ("text", "soon", r"expected a date in one of the formats \['yyyy"),
        ("text", moment, "expected a date in one of the formats"),
        ("nano", "7", "expected int"),
        ("millis", [whole, moment], "whole milliseconds"),
    ):
        with pytest.raises(lutra.ParameterInvalid, match=complaint):
            table.update(*key, set={name: value})
    table.update(*key, set={"micro": moment, "nano": moment, "millis": [whole]})
    row = table.get(*key)
    assert row is not None
    assert {name: row[name] for name in ("milli", "micro", "nano", "text", "millis")} == {
        "milli": whole,
        "micro": moment,
        "nano": 1_000_500_000,
        "text": "1970-01-01 00:00:01",
        "millis": [whole],
    }
    table.delete(*key)
