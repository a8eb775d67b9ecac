"""A search index as a form says it: fields of every kind with their options."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from lutra.console.define.entered import Entered
from lutra.index.definitions.schema import validate_schema
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import (
    AnalyzerParameters,
    FieldSchema,
    FieldType,
    FuzzyParameters,
    IndexSchema,
    JsonType,
    Metric,
    SingleWordParameters,
    SplitParameters,
    TextOptions,
    VectorOptions,
)
from lutra.model.queries import FieldSort, PrimaryKeySort, Sorter
from lutra.model.schema import TableSchema

DAY_S: Final = 86_400
ANALYZERS: Final = ("single_word", "max_word", "min_word", "split", "fuzzy")
NEW_FIELD: Final = {"name": "", "type": FieldType.KEYWORD.name}
"""What a row that is added to the fields begins with."""
HOLDERS: Final = (FieldType.NESTED, FieldType.JSON)
_PLAIN: Final = frozenset(FieldType) - {*HOLDERS, FieldType.VECTOR, FieldType.FLATTENED}
"""Types whose columns may hold several values."""
_TTL_S_MAX: Final = 2**31 - 1


def index_of(entered: Entered, table: TableSchema) -> IndexSchema | None:
    """The index that a form means on a table; None where something is wrong, which the form then says."""
    fields = fields_of(entered, table)
    sort = tuple(_sorter(row) for row in entered.rows("sort") if row.value("field"))
    ttl_s = ttl_of(entered)
    if fields is None or ttl_s is None:
        return None
    schema = IndexSchema(fields, (*sort, PrimaryKeySort()) if sort else (), entered.names("routing"), ttl_s)
    return schema if entered.check("", lambda: validate_schema(schema, table)) else None


def fields_of(entered: Entered, table: TableSchema) -> tuple[FieldSchema, ...] | None:
    """The fields of the form, each checked by itself against the table."""
    rows = entered.rows("fields")
    if not rows:
        entered.note("fields", entered.text("A search index has at least one field."))
        return None
    fields = [_field(row, 1) for row in rows]
    for row, field in zip(rows, fields, strict=True):
        if field is not None:
            _check(row, field, table)
    names = [row.value("name") for row in rows]
    for row, name in zip(rows, names, strict=True):
        if name and names.count(name) > 1:
            row.note("name", entered.text("Two fields have this name."))
    is_whole = all(field is not None for field in fields) and not entered.problems
    return tuple(field for field in fields if field is not None) if is_whole else None


def _check(row: Entered, field: FieldSchema, table: TableSchema) -> None:
    """What the index would say of a field, at the field."""
    try:
        validate_schema(IndexSchema((replace(field, name=field.name or "_"),)), table)
    except ParameterInvalid as error:
        row.note("name", str(error))


def ttl_of(entered: Entered) -> int | None:
    """Seconds, of days; -1 where none are entered. What lives shorter than a day, or for ever, is refused by others."""
    given = entered.value("ttl_days")
    if not given:
        return -1
    try:
        days = float(given)
    except ValueError:
        days = math.nan
    if days >= 1 and days * DAY_S <= _TTL_S_MAX + 0.5:
        return round(days * DAY_S)
    entered.note("ttl_days", entered.text("A number of days, 1 at least; nothing means for ever."))
    return None


def days_text(ttl_s: int) -> str:
    """What a form begins with: read again, it is the same time."""
    return "" if ttl_s == -1 else f"{ttl_s / DAY_S:.12g}"


def _sorter(row: Entered) -> Sorter:
    return FieldSort(row.value("field"), descending=row.is_on("descending"))


def _field(row: Entered, level: int) -> FieldSchema | None:
    """The field of a row; None where a part of it is wrong."""
    name = row.value("name")
    if not name:
        row.note("name", row.text("A field has a name."))
    type_ = _type(row)
    if type_ is None:
        return None
    vector = _vector(row) if type_ is FieldType.VECTOR else None
    text = _text(row) if type_ is FieldType.TEXT else None
    below = _below(row, level) if type_ in HOLDERS else ()
    source = row.value("source") if level == 1 else ""
    is_wrong = not name or below is None or (type_ is FieldType.VECTOR and vector is None)
    if is_wrong or (type_ is FieldType.TEXT and text is None):
        return None
    return FieldSchema(
        name,
        type_,
        index=False if row.is_on("unindexed") else None,
        sort_and_aggregate=False if row.is_on("unsorted") else None,
        is_array=type_ in _PLAIN and row.is_on("array"),
        vector=vector,
        text=text,
        date_formats=row.lines("formats") if type_ is FieldType.DATE else (),
        is_virtual=True if source else None,
        sources=(source,) if source else (),
        fields=below or (),
        json_type=_json_type(row) if type_ is FieldType.JSON else None,
    )


def _type(row: Entered) -> FieldType | None:
    try:
        return FieldType[row.value("type")]
    except KeyError:
        row.note("type", row.text("There is no such type of field."))
        return None


def _json_type(row: Entered) -> JsonType:
    return JsonType.NESTED if row.value("json_type") == JsonType.NESTED.name else JsonType.OBJECT


def _vector(row: Entered) -> VectorOptions | None:
    dimension = row.whole("dimension", 1, limits.VECTOR_DIMENSION_MAX)
    try:
        metric = Metric[row.value("metric")]
    except KeyError:
        row.note("metric", row.text("There is no such metric."))
        return None
    return None if dimension is None else VectorOptions(dimension, metric)


def _text(row: Entered) -> TextOptions | None:
    analyzer = row.value("analyzer") or ANALYZERS[0]
    if analyzer not in ANALYZERS:
        row.note("analyzer", row.text("There is no such analyzer."))
        return None
    parameters = _parameters(row, analyzer)
    return TextOptions(analyzer, parameters, highlighting=True if row.is_on("highlighting") else None)


def _parameters(row: Entered, analyzer: str) -> AnalyzerParameters | None:
    """None where all are as they are by default."""
    case_sensitive = True if row.is_on("case_sensitive") else None
    parameters: AnalyzerParameters
    match analyzer:
        case "single_word":
            parameters = SingleWordParameters(case_sensitive, True if row.is_on("delimit_word") else None)
        case "split":
            parameters = SplitParameters(row.raw("delimiter") or None, case_sensitive)
        case "fuzzy":
            most = limits.FUZZY_CHARS_MAX
            least, longest = (
                row.whole(name, 1, most) if row.value(name) else None for name in ("min_chars", "max_chars")
            )
            parameters = FuzzyParameters(least, longest, case_sensitive)
        case _:
            return None
    return None if parameters == type(parameters)() else parameters


def _below(row: Entered, level: int) -> tuple[FieldSchema, ...] | None:
    rows = row.rows("fields")
    if level >= limits.NESTED_LEVELS_MAX and rows:
        row.note(
            "type", row.text("Objects lie within each other on {count} levels at most.", count=limits.NESTED_LEVELS_MAX)
        )
        return None
    if not rows:
        row.note("type", row.text("Objects have at least one field: add one below."))
        return None
    fields = [_field(one, level + 1) for one in rows]
    return None if None in fields else tuple(field for field in fields if field is not None)
