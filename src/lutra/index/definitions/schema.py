"""Whether a search index makes sense on a table."""

from __future__ import annotations

from lutra.fields.kinds import kind_of
from lutra.index.definitions.sorters import check_sort
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.model.names import is_column_name
from lutra.model.queries import ScoreSort
from lutra.model.schema import TableSchema, TableUpdate


def check_schema(schema: IndexSchema) -> None:
    """Raises ParameterInvalid where no table can have an index of ``schema``. Limits are in `lutra.model.limits`."""
    if not 1 <= len(schema.fields) <= limits.INDEX_FIELDS_MAX:
        raise ParameterInvalid(
            f"a search index has 1 to {limits.INDEX_FIELDS_MAX} fields, but {len(schema.fields)} are given"
        )
    seen: set[str] = set()
    for field in schema.fields:
        _validate_field(field)
        if field.name in seen:
            raise ParameterInvalid(f"field [{field.name}] is given twice")
        seen.add(field.name)
    for kind in set(map(kind_of, schema.fields)):
        count = sum(kind_of(field) is kind for field in schema.fields)
        if count > kind.fields_max:
            raise ParameterInvalid(f"a search index has at most {kind.fields_max} {kind.type.name} fields, not {count}")
    _validate_sort(schema)


def validate_schema(schema: IndexSchema, table: TableSchema) -> None:
    """Raises ParameterInvalid where ``table`` can have no index of ``schema``."""
    check_schema(schema)
    columns = {column.name: column.type for column in table.key} | {c.name: c.type for c in table.defined}
    key_names = {column.name for column in table.key}
    for field in schema.fields:
        if field.is_virtual and field.name in columns:
            raise ParameterInvalid(f"virtual field [{field.name}] has the name of a column of the table")
        if field.column in key_names and not kind_of(field).may_be_key:
            raise ParameterInvalid(f"field [{field.name}] is a primary key column: it can be no {field.type.name}")
        if field.column in columns:
            kind_of(field).check_column(field, columns[field.column])
    for name in schema.routing_fields:
        if name not in key_names:
            raise ParameterInvalid(f"routing field [{name}] is no primary key column")
    _validate_ttl(schema.ttl_s, table)


def _validate_field(field: FieldSchema) -> None:
    if not is_column_name(field.name):
        raise ParameterInvalid(
            f"field name [{field.name}] is invalid: 1 to {limits.COLUMN_NAME_BYTES_MAX} bytes that do not begin with #"
        )
    kind_of(field).check(field)
    for name in field.sources:
        if not is_column_name(name):
            raise ParameterInvalid(f"source field [{name}] of field [{field.name}] is no name of a column")


def _validate_sort(schema: IndexSchema) -> None:
    if any(isinstance(sorter, ScoreSort) for sorter in schema.sort):
        raise ParameterInvalid("an index cannot be sorted by score: use PrimaryKeySort or FieldSort")
    check_sort(schema, schema.sort)


def _validate_ttl(ttl_s: int, table: TableSchema) -> None:
    if ttl_s == -1:
        return
    if ttl_s < limits.TTL_SECONDS_MIN:
        raise ParameterInvalid(f"time_to_live is -1 or at least {limits.TTL_SECONDS_MIN} seconds, not {ttl_s}")
    table_ttl_s = table.options.ttl_s
    if table_ttl_s != -1 and ttl_s > table_ttl_s:
        raise ParameterInvalid(f"time_to_live of {ttl_s} s is longer than the table's of {table_ttl_s} s")
    if table.options.allow_update:
        raise ParameterInvalid(
            f"an index with a time_to_live loses rows as a whole, so table [{table.name}] may have no UpdateRow: "
            "set its option allow_update to false first (UpdateTable)"
        )


def check_table_update(name: str, ttl_s: int, update: TableUpdate) -> None:
    """Raises ParameterInvalid where index ``name``, whose time to live is ``ttl_s``, would not go with the table then.

    -1: for ever.
    """
    if ttl_s == -1:
        return
    if update.allow_update:
        raise ParameterInvalid(
            f"search index [{name}] has a time_to_live: allow_update stays false until it is deleted"
        )
    if update.ttl_s is not None and limits.TTL_SECONDS_MIN <= update.ttl_s < ttl_s:
        raise ParameterInvalid(
            f"search index [{name}] has a time_to_live of {ttl_s} s: the table's can be no shorter until it is deleted"
        )
