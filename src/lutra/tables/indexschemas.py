"""What secondary indexes of a table must satisfy. Texts are the service's own where tests of its SDKs give them."""

from __future__ import annotations

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.schema import IndexKind, SecondaryIndex, TableOptions, TableSchema
from lutra.model.values import KEY_TYPES


def check_index(index: SecondaryIndex) -> None:
    """Raises ParameterInvalid where no table can have it."""
    if limits.NAME_PATTERN.fullmatch(index.name) is None:
        raise ParameterInvalid(f"Invalid index name: '{index.name}'.")
    if not 1 <= len(index.key) <= limits.INDEX_KEY_COLUMNS_MAX:
        raise ParameterInvalid(
            f"The number of primary key columns must be in range: [1, {limits.INDEX_KEY_COLUMNS_MAX}] in index."
        )
    if len(index.columns) > limits.INDEX_COLUMNS_MAX:
        raise ParameterInvalid(
            f"The number of attribute columns must be in range: [0, {limits.INDEX_COLUMNS_MAX}] in index."
        )
    names = (*index.key, *index.columns)
    for name in names:
        if names.count(name) > 1:
            raise ParameterInvalid(f"Duplicated column name in index '{index.name}': '{name}'.")


def check_indexes(schema: TableSchema) -> None:
    """Raises ParameterInvalid where the table cannot have these indexes."""
    if len(schema.indexes) > limits.SECONDARY_INDEXES_MAX:
        raise ParameterInvalid(f"Number of index per table exceeds the quota:{limits.SECONDARY_INDEXES_MAX}.")
    for index in schema.indexes:
        check_index(index)
        _check_columns(schema, index)
    if schema.indexes:
        check_options(schema.options)


def check_options(options: TableOptions) -> None:
    """Raises ParameterInvalid where a table with a secondary index cannot be so."""
    if options.max_versions != 1:
        raise ParameterInvalid("The max_versions of a table with a secondary index must be 1.")
    if options.ttl_s != -1 and options.allow_update:
        raise ParameterInvalid(
            "A table with a secondary index can have a time_to_live only where its allow_update is false."
        )


def check_unused(schema: TableSchema, names: set[str]) -> None:
    """Raises ParameterInvalid where an index uses one of these defined columns."""
    for index in schema.indexes:
        used = names.intersection((*index.key, *index.columns))
        if used:
            raise ParameterInvalid(f"Column '{min(used)}' is used by index '{index.name}': drop that first.")


def _check_columns(schema: TableSchema, index: SecondaryIndex) -> None:
    key = {column.name: column for column in schema.key}
    types = {column.name: column.type for column in schema.key} | {one.name: one.type for one in schema.defined}
    for name in (*index.key, *index.columns):
        if name not in types:
            raise ParameterInvalid(
                f"Column '{name}' of index '{index.name}' is neither a primary key column nor a defined column."
            )
    for name in index.key:
        if types[name] not in KEY_TYPES:
            raise ParameterInvalid(
                f"{types[name].name} is an invalid type for the primary key of index '{index.name}'."
            )
    first = index.key[0]
    if first in key and key[first].auto_increment:
        raise ParameterInvalid(f"First primary key can't be auto increment, index: {index.name}.")
    if index.kind is IndexKind.LOCAL and first != schema.key[0].name:
        raise ParameterInvalid(
            f"The first primary key column of local index '{index.name}' must be that of its table,"
            f" '{schema.key[0].name}'."
        )
