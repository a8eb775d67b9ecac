"""The secondary indexes of all tables, found by name; and which of them are yet to be filled."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from lutra.kv.batch import PUT, Operation
from lutra.kv.store import KeyValueStore, prefix_end
from lutra.model.errors import ParameterInvalid, ServerBusy
from lutra.model.schema import IndexKind, SecondaryIndex
from lutra.tables import keyspace
from lutra.tables.gate import Gate
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.indexrows import description_of
from lutra.tables.table import Table

UNFILLED: Final = "Disallow read index table in building base state"
"""The service's own words, which a test of an SDK waits by."""


class IndexNames:
    """Changed by the catalog alone. Looking up takes no lock."""

    def __init__(self, store: KeyValueStore) -> None:
        """Raises StorageFailure, Corruption."""
        self._by_name: dict[tuple[str, str], Table] = {}
        self._unfilled: set[int] = set()
        for key, data in store.scan(keyspace.PROGRESS_PREFIX, prefix_end(keyspace.PROGRESS_PREFIX)):
            if not IndexProgress.from_json(data).is_shown:
                self._unfilled.add(keyspace.unpack(key[len(keyspace.PROGRESS_PREFIX) :]))

    def has(self, instance: str, name: str) -> bool:
        return (instance, name) in self._by_name

    def get(self, instance: str, name: str) -> Table | None:
        """The index as a table."""
        return self._by_name.get((instance, name))

    def readable(self, instance: str, name: str) -> Table | None:
        """The index as a table, None where there is none. Raises ServerBusy where it is yet to be filled."""
        index = self._by_name.get((instance, name))
        if index is not None and index.table_id in self._unfilled:
            raise ServerBusy(UNFILLED)
        return index

    def refuse(self, instance: str, name: str) -> None:
        """Raises ParameterInvalid where that is an index."""
        if self.has(instance, name):
            raise refusal(name)

    def is_filled(self, index_id: int) -> bool:
        """Whether it can be read."""
        return index_id not in self._unfilled

    def filled(self, index_id: int) -> None:
        """It can be read from now on."""
        self._unfilled.discard(index_id)

    def beginning(self, index: SecondaryIndex, progress: IndexProgress) -> list[Operation]:
        """What the commit that makes an index has to store of its progress."""
        if not progress.is_shown:
            self._unfilled.add(index.index_id)
        elif index.kind is IndexKind.LOCAL:
            return []
        return [(PUT, keyspace.progress_key(index.index_id), progress.to_json())]

    def show(self, table: Table) -> None:
        """The table's indexes are as it has them."""
        for rows in table.indexes:
            as_table = Table(table.instance, description_of(table.description, rows), 1, Gate(), is_index=True)
            self._by_name[table.instance, rows.index.name] = as_table

    def hide(self, table: Table, but_for: Collection[SecondaryIndex] = ()) -> None:
        """Those of a state of a table that is no more."""
        for index in table.schema.indexes:
            if index not in but_for:
                self._by_name.pop((table.instance, index.name), None)


def refusal(name: str) -> ParameterInvalid:
    """What to tell who would change an index as if it were a table."""
    return ParameterInvalid(f"'{name}' is a secondary index, which can be read only: use its table.")
