"""A table as the rest of the room uses it: its description, and what follows from it, worked out once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutra.model.schema import TableDescription, TableSchema
from lutra.model.values import ColumnType
from lutra.tables import keyspace
from lutra.tables.gate import Gate
from lutra.tables.indexrows import IndexRows
from lutra.tables.keys import KeyCodec

if TYPE_CHECKING:
    from lutra.tables.effects import Follower


class Table:
    """One table at one time: never changed, replaced when its definition changes.

    ``versions_ever`` is the largest ``max_versions`` the table has had: where that is 1, no row holds a second version.
    ``version_bytes`` is what a version's timestamp counts in capacity units.
    """

    __slots__ = (
        "allow_update",
        "auto_increment",
        "defined",
        "description",
        "followers",
        "gate",
        "index_key_names",
        "indexes",
        "instance",
        "is_index",
        "key_names",
        "keys",
        "max_deviation_ms",
        "max_versions",
        "name",
        "needs_old",
        "one_version",
        "table_id",
        "ttl_ms",
        "update_full_row",
        "version_bytes",
        "versions_ever",
    )

    def __init__(
        self, instance: str, description: TableDescription, versions_ever: int, gate: Gate, *, is_index: bool = False
    ) -> None:
        """``is_index``: it is a secondary index, to be read as a table."""
        schema = description.schema
        options = schema.options
        self.instance = instance
        self.description = description
        self.versions_ever = versions_ever
        self.gate = gate
        self.is_index = is_index
        self.name = schema.name
        self.table_id = description.table_id
        self.keys = KeyCodec(keyspace.rows_prefix(self.table_id), schema.key)
        self.key_names = frozenset(column.name for column in schema.key)
        self.auto_increment: int | None = next(
            (position for position, column in enumerate(schema.key) if column.auto_increment), None
        )
        self.defined: dict[str, ColumnType] = {column.name: column.type for column in schema.defined}
        self.ttl_ms: int | None = None if options.ttl_s < 0 else options.ttl_s * 1_000
        self.max_versions = options.max_versions
        self.one_version = versions_ever == 1
        self.max_deviation_ms = options.max_deviation_s * 1_000
        self.allow_update = options.allow_update
        self.update_full_row = options.update_full_row
        self.indexes = tuple(IndexRows(schema, index) for index in schema.indexes)
        self.index_key_names = frozenset(name for index in schema.indexes for name in index.key) - self.key_names
        """Columns whose values are parts of keys of indexes."""
        self.followers: tuple[Follower, ...] = ()
        """What is kept beside the rows, in their commits."""
        self.needs_old = False
        self.version_bytes = 8 if self.max_versions > 1 or self.ttl_ms is not None else 0

    @property
    def schema(self) -> TableSchema:
        return self.description.schema
