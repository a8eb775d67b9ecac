"""What a secondary index has of a row of its table: under which key, with which cells.

The index is a function of what the table stores: it lists a row where the row has all columns of the index's key, of
their types and short enough for a key. What expires of a row expires of its entry by the same times.
"""

from __future__ import annotations

from dataclasses import replace

from lutra.model import limits
from lutra.model.rows import Cell, PrimaryKey
from lutra.model.schema import DefinedColumn, KeyColumn, SecondaryIndex, TableDescription, TableSchema
from lutra.model.values import KeyValue, Value
from lutra.tables import keyspace, storedrow
from lutra.tables.keys import PYTHON_TYPES, KeyCodec

Entry = tuple[bytes, bytes]
"""Stored key and stored value."""


class IndexRows:
    """Of one secondary index of one table."""

    __slots__ = ("_attributes", "_columns", "_key_columns", "_positions", "index", "keys", "schema")

    def __init__(self, main: TableSchema, index: SecondaryIndex) -> None:
        self.index = index
        self.schema = schema_of(main, index)
        """As of a table, to be read."""
        self.keys = KeyCodec(keyspace.rows_prefix(index.index_id), self.schema.key)
        positions = {column.name: position for position, column in enumerate(main.key)}
        self._key_columns = [
            (column.name, PYTHON_TYPES[column.type], positions.get(column.name)) for column in self.schema.key
        ]
        names = [column.name for column in self.schema.key]
        self._positions = [names.index(column.name) for column in main.key]
        self._columns = {column.name for column in self.schema.defined}
        self._attributes = {name for name, _, position in self._key_columns if position is None} | self._columns

    @property
    def prefix(self) -> bytes:
        return self.keys.prefix

    def entry(self, key: PrimaryKey, cells: list[Cell], row_ms: int) -> Entry | None:
        """What is stored of a row with these cells, of which the newest was written at ``row_ms``; None: nothing."""
        newest: dict[str, Cell] = {}
        for cell in cells:
            if cell[0] in self._attributes and cell[0] not in newest:
                newest[cell[0]] = cell
        own_key: list[tuple[str, KeyValue]] = []
        key_ms = storedrow.NO_KEY_TIME
        for name, kind, position in self._key_columns:
            if position is not None:
                own_key.append(key[position])
                continue
            found = newest.get(name)
            if found is None or type(found[1]) is not kind or is_too_long(found[1]):
                return None
            own_key.append((name, found[1]))  # type: ignore[arg-type]
            key_ms = min(key_ms, found[2])
        kept = [cell for name, cell in newest.items() if name in self._columns]
        return self.keys.encode(tuple(own_key)), storedrow.encode_entry(key_ms, row_ms, kept)

    def main_key(self, key: PrimaryKey) -> PrimaryKey:
        """The table's key of the row that stands under ``key`` in the index."""
        return tuple(key[position] for position in self._positions)


def is_too_long(value: Value) -> bool:
    """Whether a value of a column is longer than one of a key may be."""
    if type(value) is str:
        if len(value) * 4 <= limits.KEY_VALUE_BYTES_MAX:
            return False
        return len(value.encode()) > limits.KEY_VALUE_BYTES_MAX
    return type(value) is bytes and len(value) > limits.KEY_VALUE_BYTES_MAX


def schema_of(main: TableSchema, index: SecondaryIndex) -> TableSchema:
    """The index as a table: its key with what is appended to it, and the columns that come with it."""
    types = {column.name: column.type for column in main.key} | {one.name: one.type for one in main.defined}
    names = (*index.key, *(column.name for column in main.key if column.name not in index.key))
    return replace(
        main,
        name=index.name,
        key=tuple(KeyColumn(name, types[name]) for name in names),
        defined=tuple(DefinedColumn(name, types[name]) for name in index.columns if name not in names),
        splits=(),
        stream=None,
        declared=(),
        indexes=(),
    )


def description_of(main: TableDescription, rows: IndexRows) -> TableDescription:
    """The index as a table, as DescribeTable shows it."""
    return replace(main, schema=rows.schema, table_id=rows.index.index_id, stream_created_us=0)
