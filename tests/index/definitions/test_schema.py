"""Which search indexes are refused, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lutra.index.definitions.schema import check_schema, check_table_update, validate_schema
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoDistanceSort, GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType, TextOptions, VectorOptions
from lutra.model.queries import DocSort, FieldSort, PrimaryKeySort, ScoreSort, Sorter, SortMode
from lutra.model.schema import DefinedColumn, KeyColumn, TableOptions, TableSchema, TableUpdate
from lutra.model.values import ColumnType

TABLE = TableSchema(
    "t",
    (KeyColumn("pk", ColumnType.STRING), KeyColumn("id", ColumnType.INTEGER), KeyColumn("raw", ColumnType.BINARY)),
    (DefinedColumn("flag", ColumnType.BOOLEAN), DefinedColumn("blob", ColumnType.BINARY)),
    TableOptions(ttl_s=1_000_000, allow_update=False),
)
VECTOR = FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(4))
GOOD = IndexSchema(
    (
        FieldSchema("pk", FieldType.KEYWORD),
        FieldSchema("id", FieldType.LONG),
        FieldSchema("flag", FieldType.BOOLEAN),
        FieldSchema("blob", FieldType.VECTOR, vector=VectorOptions(limits.VECTOR_DIMENSION_MAX)),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("day", FieldType.DATE, date_formats=("yyyy-MM-dd", "epoch_millis")),
        VECTOR,
    ),
    sort=(FieldSort("day"), PrimaryKeySort()),
    routing_fields=("pk",),
    ttl_s=limits.TTL_SECONDS_MIN,
)


def test_accepts() -> None:
    validate_schema(GOOD, TABLE)
    validate_schema(replace(GOOD, ttl_s=-1), TABLE)
    validate_schema(replace(GOOD, fields=(FieldSchema("pk", FieldType.DATE), *GOOD.fields[1:])), TABLE)
    many = tuple(FieldSchema(f"f{n}", FieldType.LONG) for n in range(limits.INDEX_FIELDS_MAX))
    validate_schema(IndexSchema(many), TABLE)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((), "1 to 1000 fields, but 0"),
        (tuple(FieldSchema(f"f{n}", FieldType.LONG) for n in range(1001)), "1001"),
        ((FieldSchema("a", FieldType.LONG), FieldSchema("a", FieldType.KEYWORD)), r"\[a\] is given twice"),
        ((FieldSchema("", FieldType.LONG),), "invalid"),
        ((FieldSchema("#a", FieldType.LONG),), "invalid"),
        ((FieldSchema("a" * 256, FieldType.LONG),), "invalid"),
        ((FieldSchema("v", FieldType.VECTOR),), "options are missing"),
        ((replace(VECTOR, vector=VectorOptions(0)),), "1 to 4096 dimensions, not 0"),
        ((replace(VECTOR, vector=VectorOptions(4097)),), "4097"),
        ((replace(VECTOR, is_array=True),), "no array"),
        (tuple(replace(VECTOR, name=f"v{n}") for n in range(6)), "at most 5 VECTOR fields, not 6"),
        ((FieldSchema("a", FieldType.LONG, vector=VectorOptions(2)),), "VECTOR only"),
        ((FieldSchema("a", FieldType.LONG, text=TextOptions()),), "TEXT only"),
        ((FieldSchema("a", FieldType.TEXT, text=TextOptions("klingon")),), "klingon"),
        ((FieldSchema("a", FieldType.DATE, date_formats=("yyyy-QQ",)),), r"field \[a\]: date format \[yyyy-QQ\]"),
        ((FieldSchema("a", FieldType.LONG, date_formats=("yyyy",)),), "DATE only"),
        (
            (FieldSchema("id", FieldType.KEYWORD),),
            r"type KEYWORD does not go with a column of type INTEGER, allow \[STR",
        ),
        ((FieldSchema("pk", FieldType.LONG),), "STRING"),
        ((FieldSchema("raw", FieldType.KEYWORD),), "BINARY"),
        ((replace(VECTOR, name="raw"),), "primary key column"),
        ((FieldSchema("id", FieldType.LONG, is_array=True),), "array of LONG"),
        ((FieldSchema("raw", FieldType.KEYWORD, is_array=True),), "array of KEYWORD"),
        ((FieldSchema("flag", FieldType.LONG),), "BOOLEAN"),
        ((FieldSchema("flag", FieldType.BOOLEAN, is_array=True),), "array of BOOLEAN"),
    ],
)
def test_refuses_fields(fields: tuple[FieldSchema, ...], says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        validate_schema(IndexSchema(fields), TABLE)


K = FieldSchema("k", FieldType.KEYWORD)


def nested(name: str, *fields: FieldSchema, json_type: JsonType | None = None) -> FieldSchema:
    kind = FieldType.NESTED if json_type is None else FieldType.JSON
    return FieldSchema(name, kind, fields=fields, json_type=json_type)


def levels(count: int) -> FieldSchema:
    """A field with so many levels below it."""
    field = K
    for _ in range(count):
        field = nested("n", field)
    return field


def test_accepts_fields_below_fields() -> None:
    flat = nested("j", K, VECTOR, nested("docs", K), json_type=JsonType.OBJECT)
    validate_schema(IndexSchema((nested("n", K, VECTOR), flat, nested("jn", K, json_type=JsonType.NESTED))), TABLE)
    validate_schema(IndexSchema((levels(limits.NESTED_LEVELS_MAX),)), TABLE)
    many = tuple(FieldSchema(f"f{n}", FieldType.LONG) for n in range(limits.SUB_FIELDS_MAX))
    validate_schema(IndexSchema((nested("n", *many),)), TABLE)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((nested("n"),), r"\[n\] is of type NESTED: it has no sub-fields"),
        ((nested("j", K, nested("in")),), r"\[j.in\] is of type NESTED: it has no sub-fields"),
        ((levels(6),), r"\[n\] has sub-fields on more than 5 levels"),
        ((nested("n", *[FieldSchema(f"f{n}", FieldType.LONG) for n in range(101)]),), "101 sub-fields: at most 100"),
        ((nested("n", nested("m", K), *[FieldSchema(f"f{n}", FieldType.LONG) for n in range(99)]),), "101 sub-fields"),
        ((nested("n", K, K),), r"\[n.k\] is given twice"),
        ((nested("n", K), FieldSchema("n.k", FieldType.LONG)), r"\[n.k\] is given twice"),
        ((nested("n", FieldSchema("a.b", FieldType.LONG)),), r"\[a.b\] of field \[n\] is invalid"),
        ((nested("n", FieldSchema("", FieldType.LONG)),), r"\[\] of field \[n\] is invalid"),
        ((nested("n", FieldSchema("v", FieldType.VECTOR)),), r"\[n.v\] is of type VECTOR: vector options are missing"),
        ((nested("n", *[replace(VECTOR, name=f"v{n}") for n in range(5)]), VECTOR), "at most 5 VECTOR fields, not 6"),
        (
            tuple(nested(f"n{n}", *[FieldSchema(f"f{m}", FieldType.LONG) for m in range(100)]) for n in range(10)),
            "1010",
        ),
        ((FieldSchema("j", FieldType.JSON, fields=(K,)),), "json_type is missing"),
        ((FieldSchema("a", FieldType.LONG, fields=(K,)),), "sub-fields go with NESTED and JSON only"),
        ((replace(nested("n", K), json_type=JsonType.OBJECT),), "json_type goes with JSON only"),
        ((FieldSchema("a", FieldType.LONG, json_type=JsonType.NESTED),), "json_type goes with JSON only"),
        ((nested("pk", K),), r"\[pk\] is a primary key column: it can be no NESTED"),
        ((nested("flag", K, json_type=JsonType.OBJECT),), r"type JSON does not go with a column of type BOOLEAN"),
    ],
)
def test_refuses_fields_below_fields(fields: tuple[FieldSchema, ...], says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        validate_schema(IndexSchema(fields), TABLE)


def test_an_index_with_nested_fields_has_no_sort() -> None:
    for kind in (nested("n", K), nested("j", nested("n", K), json_type=JsonType.OBJECT)):
        with pytest.raises(ParameterInvalid, match=r"nested field cannot be sorted: \[(n|j.n)\]"):
            validate_schema(IndexSchema((kind,), sort=(PrimaryKeySort(),)), TABLE)
    flat = nested("j", K, json_type=JsonType.OBJECT)
    validate_schema(IndexSchema((flat,), sort=(FieldSort("j.k", mode=SortMode.MIN),)), TABLE)


@pytest.mark.parametrize("kind", [FieldType.KEYWORD, FieldType.LONG, FieldType.DATE])
def test_accepts_arrays_over_key_columns_of_text(kind: FieldType) -> None:
    validate_schema(IndexSchema((FieldSchema("pk", kind, is_array=True),)), TABLE)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sort": (ScoreSort(),)}, "by score"),
        ({"sort": (FieldSort("nothing"),)}, "nothing does not exist"),
        ({"sort": (FieldSort("v"),)}, "VECTOR"),
        ({"sort": (FieldSort("day", missing=b"x"),)}, r"\[day\] is of type DATE: b'x' is no value"),
        ({"sort": (FieldSort("id", missing="last"),)}, r"\[id\] is of type LONG: 'last' is no value"),
        ({"sort": (FieldSort("tags", mode=SortMode.AVG),)}, "no AVG"),
        ({"sort": (PrimaryKeySort(),) * 17}, "at most 16"),
        ({"routing_fields": ("tags",)}, r"\[tags\] is no primary key column"),
        ({"ttl_s": 0}, "at least 86400"),
        ({"ttl_s": 1_000_001}, "longer than the table's"),
    ],
)
def test_refuses_settings(change: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        validate_schema(replace(GOOD, **change), TABLE)  # type: ignore[arg-type]


def test_a_time_to_live_goes_with_a_table_without_updates() -> None:
    updated = replace(TABLE, options=TableOptions(ttl_s=1_000_000))
    with pytest.raises(ParameterInvalid, match=r"\[t\] may have no UpdateRow: set its option allow_update to false"):
        validate_schema(GOOD, updated)
    validate_schema(replace(GOOD, ttl_s=-1), updated)
    validate_schema(GOOD, replace(TABLE, options=TableOptions(allow_update=False)))
    validate_schema(GOOD, replace(TABLE, options=TableOptions(update_full_row=True)))


def test_a_table_stays_as_its_index_needs_it() -> None:
    without = TableOptions(allow_update=False)
    shorter = (
        r"^\[table ttl\] must be bigger than or equal search index ttl, but table ttl is 86401 and .* \[x:86402\]$"
    )
    for update, says in (
        (TableUpdate(allow_update=True), r"\[x\] has a time_to_live"),
        (TableUpdate(ttl_s=86_401), shorter),
        (TableUpdate(allow_update=True, ttl_s=-1), r"\[x\] has a time_to_live"),
    ):
        with pytest.raises(ParameterInvalid, match=says):
            check_table_update("x", 86_402, without, update)
        check_table_update("x", -1, without, update)
    for update in (
        TableUpdate(ttl_s=-1),
        TableUpdate(ttl_s=86_402),
        TableUpdate(allow_update=False, max_versions=2),
        TableUpdate(allow_update=True, update_full_row=True),
    ):
        check_table_update("x", 86_402, without, update)
    full = TableOptions(update_full_row=True)
    check_table_update("x", 86_402, full, TableUpdate(allow_update=True))
    check_table_update("x", 86_402, full, TableUpdate(allow_update=False, update_full_row=False))
    with pytest.raises(ParameterInvalid, match=r"\[x\] has a time_to_live"):
        check_table_update("x", 86_402, full, TableUpdate(update_full_row=False))


def test_refuses_a_sort_by_an_unsortable_field() -> None:
    fields = (FieldSchema("n", FieldType.LONG, sort_and_aggregate=False),)
    with pytest.raises(ParameterInvalid, match="sort_and_agg"):
        validate_schema(IndexSchema(fields, sort=(FieldSort("n"),)), TABLE)


def test_indexes_are_sorted_by_what_rows_are() -> None:
    """Not by what a search asks about them."""
    fields = (FieldSchema("n", FieldType.LONG), FieldSchema("at", FieldType.GEO_POINT))
    wrong: tuple[Sorter, ...] = (ScoreSort(), GeoDistanceSort("at", (GeoPoint(1, 2),)))
    for sorter in wrong:
        with pytest.raises(ParameterInvalid, match="an index cannot be sorted by score or distance"):
            check_schema(IndexSchema(fields, sort=(FieldSort("n"), sorter)))
    right: tuple[Sorter, ...] = (PrimaryKeySort(), DocSort(), FieldSort("n"))
    for sorter in right:
        check_schema(IndexSchema(fields, sort=(sorter,)))
