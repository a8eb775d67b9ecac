"""What a table's definition must satisfy. Texts are the service's own where its documentation gives them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.schema import CapacityUnits, DefinedColumn, KeyColumn, TableOptions, TableSchema, TableUpdate
from lutra.model.values import INT64_MAX, KEY_TYPES, ColumnType

_TTL_SECONDS_MAX: Final = 2**31 - 1
_DEVIATION_SECONDS_MAX: Final = INT64_MAX // 1_000_000


def check_schema(schema: TableSchema) -> None:
    """Raises ParameterInvalid where a table cannot be so."""
    if limits.NAME_PATTERN.fullmatch(schema.name) is None:
        raise ParameterInvalid(f"Invalid table name: '{schema.name}'.")
    _check_key(schema.name, schema.key)
    check_defined(schema.key, schema.defined)
    check_options(schema.options)
    _check_reserved(schema.reserved)


def check_defined(key: tuple[KeyColumn, ...], defined: tuple[DefinedColumn, ...]) -> None:
    """Raises ParameterInvalid where these cannot be the defined columns beside this key."""
    if len(defined) > limits.DEFINED_COLUMNS_MAX:
        raise ParameterInvalid(f"The number of defined columns must be in range: [0, {limits.DEFINED_COLUMNS_MAX}].")
    key_names = {column.name for column in key}
    for column in defined:
        _check_column_name(column.name)
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
    if not 0 <= options.max_deviation_s <= _DEVIATION_SECONDS_MAX:
        raise ParameterInvalid("The maximum deviation must be in range [0, INT64_MAX/1000000].")


def apply_update(schema: TableSchema, update: TableUpdate) -> TableSchema:
    """The schema after ``update``. Raises ParameterInvalid where it changes nothing or to what cannot be."""
    old = schema.options
    options = TableOptions(
        ttl_s=old.ttl_s if update.ttl_s is None else update.ttl_s,
        max_versions=old.max_versions if update.max_versions is None else update.max_versions,
        max_deviation_s=old.max_deviation_s if update.max_deviation_s is None else update.max_deviation_s,
        allow_update=old.allow_update if update.allow_update is None else update.allow_update,
    )
    if update == TableUpdate():
        raise ParameterInvalid("No parameter is specified in table options.")
    check_options(options)
    reserved = schema.reserved if update.reserved is None else update.reserved
    _check_reserved(reserved)
    return TableSchema(schema.name, schema.key, schema.defined, options, reserved)


def _check_key(table: str, key: tuple[KeyColumn, ...]) -> None:
    if not 1 <= len(key) <= limits.KEY_COLUMNS_MAX:
        raise ParameterInvalid(f"The number of primary key columns must be in range: [1, {limits.KEY_COLUMNS_MAX}].")
    for column in key:
        _check_column_name(column.name)
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


def _check_column_name(name: str) -> None:
    if limits.NAME_PATTERN.fullmatch(name) is None:
        raise ParameterInvalid(f"Invalid column name: '{name}'.")


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
