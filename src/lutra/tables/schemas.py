"""What a table's definition must satisfy. Texts are the service's own where its documentation gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.names import check_column_name, invalid_name
from lutra.model.schema import (
    CapacityUnits,
    DefinedColumn,
    KeyColumn,
    StreamSpec,
    TableDescription,
    TableOptions,
    TableSchema,
    TableUpdate,
)
from lutra.model.values import INT64_MAX, INT64_MIN, KEY_TYPES, ColumnType, type_of
from lutra.tables.indexschemas import check_indexes, check_unused
from lutra.tables.indexschemas import check_options as check_index_options

_INDEX_KEY_COLUMNS_MAX: Final = limits.INDEX_KEY_COLUMNS_MAX + limits.KEY_COLUMNS_MAX
"""Those that it was given, and those of its table's key."""
_TTL_SECONDS_MAX: Final = 2**31 - 1
_DEVIATION_SECONDS_MAX: Final = INT64_MAX // 1_000_000


def check_schema(schema: TableSchema, *, may_be_index: bool = False) -> None:
    """Raises ParameterInvalid where a table cannot be so, or an index as a table."""
    check_table_name(schema.name)
    _check_key(schema.name, schema.key, _INDEX_KEY_COLUMNS_MAX if may_be_index else limits.KEY_COLUMNS_MAX)
    check_defined(schema.key, schema.defined)
    check_options(schema.options)
    _check_reserved(schema.reserved)
    _check_splits(schema.key[0], schema.splits)
    if schema.stream is not None:
        check_stream(schema.stream, schema.key)
    check_indexes(schema)


def check_table_name(name: str) -> None:
    """Raises ParameterInvalid for what can be no table's name."""
    if limits.NAME_PATTERN.fullmatch(name) is None:
        raise ParameterInvalid(f"Invalid table name: '{name}'.")


def check_defined(key: tuple[KeyColumn, ...], defined: tuple[DefinedColumn, ...]) -> None:
    """Raises ParameterInvalid where these cannot be the defined columns beside this key."""
    if len(defined) > limits.DEFINED_COLUMNS_MAX:
        raise ParameterInvalid(f"The number of defined columns must be in range: [0, {limits.DEFINED_COLUMNS_MAX}].")
    key_names = {column.name for column in key}
    for column in defined:
        check_column_name(column.name)
        if column.name in key_names:
            raise ParameterInvalid(f"Duplicated attribute column name with primary key column: '{column.name}'.")
        if not isinstance(column.type, ColumnType):
            raise ParameterInvalid(f"{column.type} is an invalid type for the attribute column.")
    repeated = _repeated(column.name for column in defined)
    if repeated is not None:
        raise ParameterInvalid(f"Duplicated defined column name: '{repeated}'.")


def check_options(options: TableOptions) -> None:
    """Raises ParameterInvalid."""
    ttl_s = options.ttl_s
    if ttl_s == 0 or ttl_s < -1:
        raise ParameterInvalid("TimeToLive cannot be 0 or less than -1.")
    if ttl_s != -1 and not limits.TTL_SECONDS_MIN <= ttl_s <= _TTL_SECONDS_MAX:
        raise ParameterInvalid(
            f"TimeToLive must be -1 or in range [{limits.TTL_SECONDS_MIN}, {_TTL_SECONDS_MAX}], not {ttl_s}."
        )
    if options.max_versions <= 0:
        raise ParameterInvalid("The maximum versions cannot be less than or equal to 0.")
    if options.max_versions > limits.VERSIONS_MAX:
        raise ParameterInvalid(f"The maximum versions cannot be more than {limits.VERSIONS_MAX}.")
    if options.update_full_row and options.max_versions != 1:
        raise ParameterInvalid("A table with update_full_row keeps one version of its columns: max_versions is 1.")
    if not 0 <= options.max_deviation_s <= _DEVIATION_SECONDS_MAX:
        raise ParameterInvalid("The maximum deviation must be in range [0, INT64_MAX/1000000].")


def check_stream(spec: StreamSpec, key: Sequence[KeyColumn]) -> None:
    """Raises ParameterInvalid where the stream of a table of this key cannot be kept so."""
    if not 1 <= spec.expiration_h <= limits.STREAM_EXPIRATION_HOURS_MAX:
        raise ParameterInvalid(
            f"The expiration time of a stream must be in range: [1, {limits.STREAM_EXPIRATION_HOURS_MAX}] hours, "
            f"not {spec.expiration_h}."
        )
    if len(spec.original_columns) > limits.ORIGINAL_COLUMNS_MAX:
        raise ParameterInvalid(
            f"The number of a stream's columns must be in range: [0, {limits.ORIGINAL_COLUMNS_MAX}]."
        )
    key_names = {column.name for column in key}
    for name in spec.original_columns:
        check_column_name(name)
        if name in key_names:
            raise ParameterInvalid(f"A stream has all primary key columns, '{name}' among them: leave it out.")
    repeated = _repeated(spec.original_columns)
    if repeated is not None:
        raise ParameterInvalid(f"Duplicated column of a stream: '{repeated}'.")


def check_update(update: TableUpdate) -> None:
    """Raises ParameterInvalid where an update changes nothing, or to what no table can have."""
    if update == TableUpdate():
        raise ParameterInvalid("No parameter is specified in table options.")
    apply_update(TableSchema("", ()), update)


def apply_update(schema: TableSchema, update: TableUpdate) -> TableSchema:
    """The schema after ``update``. Raises ParameterInvalid where it cannot be so."""
    options, reserved = schema.options, schema.reserved
    options = TableOptions(
        ttl_s=options.ttl_s if update.ttl_s is None else update.ttl_s,
        max_versions=options.max_versions if update.max_versions is None else update.max_versions,
        max_deviation_s=options.max_deviation_s if update.max_deviation_s is None else update.max_deviation_s,
        allow_update=options.allow_update if update.allow_update is None else update.allow_update,
        update_full_row=options.update_full_row if update.update_full_row is None else update.update_full_row,
    )
    reserved = CapacityUnits(
        read=reserved.read if update.reserved_read is None else update.reserved_read,
        write=reserved.write if update.reserved_write is None else update.reserved_write,
    )
    stream = schema.stream if update.stream is None else update.stream or None
    check_options(options)
    _check_reserved(reserved)
    if stream is not None:
        check_stream(stream, schema.key)
    if schema.indexes:
        check_index_options(options)
    return replace(schema, options=options, reserved=reserved, stream=stream)


def with_defined(schema: TableSchema, columns: Sequence[DefinedColumn]) -> TableSchema:
    """The schema with more defined columns. Raises ParameterInvalid where it cannot be so."""
    defined = (*schema.defined, *columns)
    check_defined(schema.key, defined)
    return replace(schema, defined=defined)


def without_defined(schema: TableSchema, names: Sequence[str]) -> TableSchema:
    """The schema without these defined columns. Raises ParameterInvalid where one is not there, or is in use."""
    known = {column.name for column in schema.defined}
    for unknown in (column for column in names if column not in known):
        raise ParameterInvalid(f"Column does not exist:'{unknown}'.")
    check_unused(schema, set(names))
    return replace(schema, defined=tuple(column for column in schema.defined if column.name not in set(names)))


def with_schema(
    description: TableDescription, schema: TableSchema, now_us: Callable[[], int], stream_created_us: int | None = None
) -> TableDescription:
    """A table's description when it has another schema. A stream that begins was made now where nobody says when."""
    old = description.schema
    description = replace(description, schema=schema)
    if schema.reserved != old.reserved:
        description = replace(description, reserved_changed_us=now_us())
    if schema.stream is None or old.stream is not None:
        return description
    if stream_created_us is None:  # another time than any of the streams before, whatever the clock says
        stream_created_us = max(now_us(), description.stream_created_us + 1)
    return replace(description, stream_created_us=stream_created_us)


def _check_key(table: str, key: tuple[KeyColumn, ...], columns_max: int) -> None:
    if not 1 <= len(key) <= columns_max:
        raise ParameterInvalid(f"The number of primary key columns must be in range: [1, {columns_max}].")
    for column in key:
        _check_key_name(column.name)
        if column.type not in KEY_TYPES:
            raise ParameterInvalid(
                f"{getattr(column.type, 'name', column.type)} is an invalid type for the primary key."
            )
    repeated = _repeated(column.name for column in key)
    if repeated is not None:
        raise ParameterInvalid(f"Duplicated primary key name: '{repeated}'.")
    automatic = [column for column in key if column.auto_increment]
    if len(automatic) > 1:
        raise ParameterInvalid("AUTO_INCREMENT primary key count must <= 1.")
    if key[0].auto_increment:
        raise ParameterInvalid(f"First primary key can't be auto increment, table: {table}.")
    if automatic and automatic[0].type is not ColumnType.INTEGER:
        raise ParameterInvalid("AUTO_INCREMENT primary key must be integer.")


def _check_reserved(reserved: CapacityUnits) -> None:
    if reserved.read < 0 or reserved.write < 0:
        raise ParameterInvalid(
            f"Invalid Capacity Unit: read({reserved.read}), write({reserved.write}). Capacity Unit must be nonnegative."
        )


def _check_splits(partition_key: KeyColumn, splits: Sequence[object]) -> None:
    if len(splits) > limits.SPLITS_MAX:
        raise ParameterInvalid(f"The count of partitions cannot be greater than {limits.SPLITS_MAX}")
    for value in splits:
        if type_of(value) is not partition_key.type:
            raise ParameterInvalid("The value type of partition does not match with primary key.")
        if value in (INT64_MIN, INT64_MAX):
            raise ParameterInvalid("The value of partition range can not be INT64_MIN or INT64_MAX.")
        if isinstance(value, str | bytes):
            size_bytes = len(value.encode() if isinstance(value, str) else value)
            if not size_bytes:
                kind = "string" if isinstance(value, str) else "binary"
                raise ParameterInvalid(f"The value of partition range can not be empty {kind}.")
            if size_bytes > limits.SPLIT_VALUE_BYTES_MAX:
                raise ParameterInvalid(
                    f"The value of partition range exceeds the MaxLength:{limits.SPLIT_VALUE_BYTES_MAX} "
                    f"with CurrentLength:{size_bytes}."
                )
    # Keys of one type; strings stand as their bytes do in UTF-8, as they do here by code points.
    if any(not low < high for low, high in pairwise(splits)):  # type: ignore[operator]
        raise ParameterInvalid("The partition ranges must be ascending.")


def _check_key_name(name: str) -> None:
    if limits.NAME_PATTERN.fullmatch(name) is None:
        raise invalid_name(name)


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
