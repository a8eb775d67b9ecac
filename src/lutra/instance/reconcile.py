"""A table becomes what somebody else says it is, step by step, each of them whole: started again, it goes on."""

from __future__ import annotations

from typing import Final, TypeVar

from lutra.instance.secondary import SecondaryIndexes
from lutra.model.errors import ObjectNotExist
from lutra.model.schema import SecondaryIndex, TableDescription, TableSchema, TableUpdate
from lutra.tables.tables import Tables

_NOTHING: Final = TableUpdate()
_Value = TypeVar("_Value")


def reconciled(tables: Tables, secondary: SecondaryIndexes, wanted: TableDescription) -> TableDescription:
    """Within the lock of those who change tables. Raises as `lutra.instance.instance.Instance.reconcile`."""
    to_be = wanted.schema
    stream_created_us = wanted.stream_created_us if to_be.stream else None
    try:
        table = tables.describe(to_be.name)
    except ObjectNotExist:
        # In a cluster the rows of a global index are a table of their own.
        return secondary.create_table(to_be, wanted.created_us, stream_created_us, may_be_index=True)
    kept = {index.name: index for index in to_be.indexes}
    for index in table.schema.indexes:
        if index.name not in kept or not _is_same(index, kept[index.name]):
            secondary.drop(to_be.name, index.name)
    _reconcile_columns(tables, table.schema, to_be)
    if to_be.stream and table.schema.stream and table.stream_created_us != stream_created_us:
        table = tables.update(to_be.name, TableUpdate(stream=False))  # it was disabled meanwhile, and enabled again
    update = _update(table.schema, to_be)
    if update != _NOTHING:
        tables.update(to_be.name, update, stream_created_us)
    if table.schema.declared != to_be.declared:
        tables.declare(to_be.name, to_be.declared)
    there_are = {index.name for index in tables.describe(to_be.name).schema.indexes}
    for name, index in kept.items():
        if name not in there_are:
            secondary.create(to_be.name, index)
    return tables.describe(to_be.name)


def _is_same(one: SecondaryIndex, other: SecondaryIndex) -> bool:
    """But for the ids, and for whether what was there is in it, which counts once."""
    return (one.key, one.columns, one.kind) == (other.key, other.columns, other.kind)


def _reconcile_columns(tables: Tables, table: TableSchema, to_be: TableSchema) -> None:
    gone = [column.name for column in table.defined if column not in to_be.defined]
    new = [column for column in to_be.defined if column not in table.defined]
    if gone:
        tables.delete_defined_columns(to_be.name, gone)
    if new:
        tables.add_defined_columns(to_be.name, new)


def _update(table: TableSchema, to_be: TableSchema) -> TableUpdate:
    """What makes a table's options and stream those that are to be; nothing where they are."""
    before, after = table.options, to_be.options

    return TableUpdate(
        ttl_s=_changed(before.ttl_s, after.ttl_s),
        max_versions=_changed(before.max_versions, after.max_versions),
        max_deviation_s=_changed(before.max_deviation_s, after.max_deviation_s),
        allow_update=_changed(before.allow_update, after.allow_update),
        update_full_row=_changed(before.update_full_row, after.update_full_row),
        reserved_read=_changed(table.reserved.read, to_be.reserved.read),
        reserved_write=_changed(table.reserved.write, to_be.reserved.write),
        stream=None if table.stream == to_be.stream else (to_be.stream or False),
    )


def _changed(was: _Value, to_be: _Value) -> _Value | None:
    return None if was == to_be else to_be
