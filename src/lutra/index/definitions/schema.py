"""Whether a search index makes sense on a table."""

from __future__ import annotations

from dataclasses import replace

from lutra.fields.kinds import kind_of
from lutra.index.definitions.sorters import check_index_sort
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, IndexSchema
from lutra.model.names import is_column_name
from lutra.model.recall_target import require_recall_target
from lutra.model.schema import TableOptions, TableSchema, TableUpdate


def check_schema(schema: IndexSchema) -> None:
    """Raises ParameterInvalid where no table can have an index of ``schema``. Limits are in `lutra.model.limits`."""
    for column in schema.fields:
        _check_name(column)
    fields = [field for column in schema.fields for field in (column, *_fields_below(column))]
    if not 1 <= len(fields) <= limits.INDEX_FIELDS_MAX:
        raise ParameterInvalid(f"a search index has 1 to {limits.INDEX_FIELDS_MAX} fields, but {len(fields)} are given")
    seen: set[str] = set()
    for field in fields:
        kind_of(field).check(field)
        if field.name in seen:
            raise ParameterInvalid(f"field [{field.name}] is given twice")
        seen.add(field.name)
    for kind in set(map(kind_of, fields)):
        count = sum(kind_of(field) is kind for field in fields)
        if count > kind.fields_max:
            raise ParameterInvalid(f"a search index has at most {kind.fields_max} {kind.type.name} fields, not {count}")
    _validate_sort(schema)
    if schema.recall_target is not None:
        require_recall_target(schema.recall_target)


def check_recall_target(target: float | None, schema: IndexSchema) -> None:
    """Raises ParameterInvalid where an index of ``schema`` is to be given a target that it cannot have."""
    if target is None:
        return
    require_recall_target(target)
    if all(field.vector is None for space in schema.spaces.values() for field in space.values()):
        raise ParameterInvalid("[recall_target] goes with an index of vectors: this one has no vector field")


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
    validate_ttl(schema.ttl_s, table)


def _check_name(field: FieldSchema) -> None:
    if not is_column_name(field.name):
        raise ParameterInvalid(
            f"field name [{field.name}] is invalid: 1 to {limits.COLUMN_NAME_BYTES_MAX} bytes that do not begin with #"
        )
    for name in field.sources:
        if not is_column_name(name):
            raise ParameterInvalid(f"source field [{name}] of field [{field.name}] is no name of a column")


def _fields_below(column: FieldSchema) -> list[FieldSchema]:
    """All fields below ``column``, level by level, by full path and as they were declared.

    Raises ParameterInvalid where they are too many, or too deep, or have names that cannot be told apart in a path.
    """
    found: list[FieldSchema] = []
    level = [column]
    for depth in range(limits.NESTED_LEVELS_MAX + 1):
        if depth == limits.NESTED_LEVELS_MAX and any(field.fields for field in level):
            raise ParameterInvalid(
                f"field [{column.name}] has sub-fields on more than {limits.NESTED_LEVELS_MAX} levels"
            )
        level = [_below(field, sub) for field in level for sub in field.fields]
        found += level
    if len(found) > limits.SUB_FIELDS_MAX:
        raise ParameterInvalid(
            f"field [{column.name}] has {len(found)} sub-fields: at most {limits.SUB_FIELDS_MAX} are allowed"
        )
    return found


def _below(field: FieldSchema, sub: FieldSchema) -> FieldSchema:
    if "." in sub.name or not is_column_name(sub.name):
        raise ParameterInvalid(
            f"sub-field name [{sub.name}] of field [{field.name}] is invalid: "
            f"1 to {limits.COLUMN_NAME_BYTES_MAX} bytes without a dot that do not begin with #"
        )
    if sub.is_virtual:
        raise ParameterInvalid(f"sub-field [{sub.name}] of field [{field.name}] cannot be virtual")
    return replace(sub, name=f"{field.name}.{sub.name}")


def _validate_sort(schema: IndexSchema) -> None:
    nested = next((path for path in schema.spaces if path), None)
    if schema.sort and nested is not None:
        raise ParameterInvalid(f"[index_sort] an index with a nested field cannot be sorted: [{nested}]")
    check_index_sort(schema)


def validate_ttl(ttl_s: int, table: TableSchema) -> None:
    """Raises ParameterInvalid where an index of ``table`` cannot live so long, or so short."""
    if ttl_s == -1:
        return
    if ttl_s < limits.TTL_SECONDS_MIN:
        raise ParameterInvalid(f"time_to_live is -1 or at least {limits.TTL_SECONDS_MIN} seconds, not {ttl_s}")
    table_ttl_s = table.options.ttl_s
    if table_ttl_s != -1 and ttl_s > table_ttl_s:
        raise ParameterInvalid(f"time_to_live of {ttl_s} s is longer than the table's of {table_ttl_s} s")
    if table.options.allow_update and not table.options.update_full_row:
        raise ParameterInvalid(
            f"an index with a time_to_live loses rows as a whole, so table [{table.name}] may have no UpdateRow: "
            "set its option allow_update to false first, or update_full_row to true (UpdateTable)"
        )


def check_table_update(name: str, ttl_s: int, options: TableOptions, update: TableUpdate) -> None:
    """Raises ParameterInvalid where index ``name``, whose time to live is ``ttl_s``, would not go with the table then.

    -1: for ever. ``options`` are those that the table has.
    """
    if ttl_s == -1:
        return
    allow_update = options.allow_update if update.allow_update is None else update.allow_update
    update_full_row = options.update_full_row if update.update_full_row is None else update.update_full_row
    if allow_update and not update_full_row:
        raise ParameterInvalid(
            f"search index [{name}] has a time_to_live: until it is deleted, allow_update stays false, or "
            "update_full_row true"
        )
    if update.ttl_s is not None and limits.TTL_SECONDS_MIN <= update.ttl_s < ttl_s:
        raise ParameterInvalid(
            "[table ttl] must be bigger than or equal search index ttl, but table ttl is "
            f"{update.ttl_s} and search index ttl is [{name}:{ttl_s}]"
        )
