"""A table as a form says it: key, columns, options, stream, secondary indexes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from lutra.console.define.entered import Entered
from lutra.console.define.index_form import days_text, ttl_of
from lutra.instance.instance import Instance
from lutra.model import limits
from lutra.model.schema import (
    DefinedColumn,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    StreamSpec,
    TableOptions,
    TableSchema,
    TableUpdate,
)
from lutra.model.values import INT64_MAX, ColumnType
from lutra.tables import schemas
from lutra.tables.indexschemas import check_index

AUTO: Final = "AUTO_INCREMENT"
KEY_TYPES: Final = ("STRING", "INTEGER", "BINARY", AUTO)
COLUMN_TYPES: Final = ("STRING", "INTEGER", "DOUBLE", "BOOLEAN", "BINARY")
NEW_ROWS: Final = {
    "key": {"name": "", "type": "STRING"},
    "defined": {"name": "", "type": "STRING"},
    "secondary": {"name": "", "key": "", "columns": "", "kind": IndexKind.GLOBAL.name},
}
"""What a row that is added to a list begins with."""
NEW_TABLE: Final = {"key.0.name": "id", "key.0.type": "STRING", "max_versions": "1", "allow_update": "on"}
"""What the form of a new table begins with."""
_DEVIATION_S_MAX: Final = INT64_MAX // 1_000_000
_DEVIATION_S_DEFAULT: Final = TableOptions().max_deviation_s


def table_of(entered: Entered, instance: Instance) -> TableSchema | None:
    """The table that a form means; None where something is wrong, which the form then says."""
    name = entered.value("name")
    if limits.NAME_PATTERN.fullmatch(name) is None:
        entered.note("name", entered.text("Letters, digits and _, beginning with no digit."))
    if name in instance.tables.names():
        entered.note("name", entered.text("There is a table of this name already."))
    options, stream = options_of(entered), _stream(entered)
    schema = TableSchema(
        name or "_",
        _key(entered),
        _defined(entered),
        options or TableOptions(),
        stream=stream,
        indexes=tuple(secondary_of(row) for row in entered.rows("secondary")),
    )
    if not entered.problems:
        _check(entered, schema)
    return None if entered.problems else schema


def options_of(entered: Entered) -> TableOptions | None:
    """The options of a new table, or those that it is to have."""
    ttl_s = ttl_of(entered)
    versions = entered.whole("max_versions", 1, limits.VERSIONS_MAX, 1)
    deviation_s = entered.whole("max_deviation_s", 0, _DEVIATION_S_MAX, _DEVIATION_S_DEFAULT)
    if ttl_s is None or versions is None or deviation_s is None:
        return None
    options = TableOptions(
        ttl_s, versions, deviation_s, entered.is_on("allow_update"), entered.is_on("update_full_row")
    )
    return options if entered.check("max_versions", lambda: schemas.check_options(options)) else None


def entered_options(schema: TableSchema) -> dict[str, str]:
    """What the form of a table's options begins with."""
    options, stream = schema.options, schema.stream
    return {
        "ttl_days": days_text(options.ttl_s),
        "max_versions": str(options.max_versions),
        "max_deviation_s": str(options.max_deviation_s),
        "allow_update": "on" if options.allow_update else "",
        "update_full_row": "on" if options.update_full_row else "",
        "stream_h": "" if stream is None else str(stream.expiration_h),
        "stream_columns": "" if stream is None else ", ".join(stream.original_columns),
    }


def update_of(entered: Entered, schema: TableSchema) -> TableUpdate | None:
    """What is to be changed of a table; nothing, where the form says what there is."""
    options, stream = options_of(entered), _stream(entered)
    if options is None or entered.problems:
        return None
    there = schema.options
    changed_stream: StreamSpec | Literal[False] | None = stream or False
    if stream == schema.stream:
        changed_stream = None  # which leaves it as it is
    return TableUpdate(
        ttl_s=None if options.ttl_s == there.ttl_s else options.ttl_s,
        max_versions=None if options.max_versions == there.max_versions else options.max_versions,
        max_deviation_s=None if options.max_deviation_s == there.max_deviation_s else options.max_deviation_s,
        allow_update=None if options.allow_update == there.allow_update else options.allow_update,
        update_full_row=None if options.update_full_row == there.update_full_row else options.update_full_row,
        stream=changed_stream,
    )


def secondary_of(row: Entered) -> SecondaryIndex:
    """The secondary index of a row; what is wrong with it is said there."""
    kind = IndexKind.LOCAL if row.value("kind") == IndexKind.LOCAL.name else IndexKind.GLOBAL
    index = SecondaryIndex(row.value("name"), row.names("key"), row.names("columns"), kind)
    row.check("name", lambda: check_index(index))
    return index


def _key(entered: Entered) -> tuple[KeyColumn, ...]:
    rows = entered.rows("key")
    if not 1 <= len(rows) <= limits.KEY_COLUMNS_MAX:
        entered.note("key", entered.text("A key has 1 to {most} columns.", most=limits.KEY_COLUMNS_MAX))
    columns = []
    for row in rows:
        name, type_ = row.value("name"), row.value("type")
        if limits.NAME_PATTERN.fullmatch(name) is None:
            row.note("name", row.text("Letters, digits and _, beginning with no digit."))
        if type_ not in KEY_TYPES:
            row.note("type", row.text("There is no such type of key column."))
            continue
        columns.append(KeyColumn(name, ColumnType.INTEGER if type_ == AUTO else ColumnType(type_), type_ == AUTO))
    _check_repeated(rows, entered)
    return tuple(columns)


def _defined(entered: Entered) -> tuple[DefinedColumn, ...]:
    rows = [row for row in entered.rows("defined") if row.value("name")]
    columns = []
    for row in rows:
        if row.value("type") not in COLUMN_TYPES:
            row.note("type", row.text("There is no such type of column."))
            continue
        columns.append(DefinedColumn(row.value("name"), ColumnType(row.value("type"))))
    _check_repeated([*entered.rows("key"), *rows], entered)
    return tuple(columns)


def _check_repeated(rows: list[Entered], entered: Entered) -> None:
    names = [row.value("name") for row in rows]
    for row, name in zip(rows, names, strict=True):
        if name and names.count(name) > 1:
            row.note("name", entered.text("Two columns have this name."))


def _stream(entered: Entered) -> StreamSpec | None:
    hours = entered.whole("stream_h", 1, limits.STREAM_EXPIRATION_HOURS_MAX, 0)
    return StreamSpec(hours, entered.names("stream_columns")) if hours else None


def _check(entered: Entered, schema: TableSchema) -> None:
    """Each part at its input; then the whole."""
    plain = TableSchema(schema.name, schema.key)
    entered.check("key", lambda: schemas.check_schema(plain))
    entered.check("defined", lambda: schemas.check_defined(schema.key, schema.defined))
    if schema.stream is not None:
        entered.check("stream_h", lambda: schemas.check_schema(replace(plain, stream=schema.stream)))
    for row, index in zip(entered.rows("secondary"), schema.indexes, strict=True):
        row.check("name", lambda index=index: schemas.check_schema(replace(schema, indexes=(index,))))  # type: ignore[misc]
    if not entered.problems:
        entered.check("", lambda: schemas.check_schema(schema))
