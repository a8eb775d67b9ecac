"""Which search indexes there are: in memory to look up, in the store to last."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from lutra.index.definitions import definition
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.definitions.schema import check_schema, validate_schema
from lutra.index.lsm.storage import prefix_of
from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore, prefix_end
from lutra.model import limits
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import MetaNotMatch, ObjectAlreadyExist, ParameterInvalid, QuotaExhausted
from lutra.model.indexes import IndexSchema
from lutra.model.schema import TableDescription
from lutra.tables import keyspace

_PREFIX: Final = b"i"
"""``i <table id> <index name>`` → the definition, JSON (`lutra.tables.keyspace` has the other prefixes)."""
_DELETED: Final = b"x"
"""``x <prefix>`` → its definition: the index that had its objects there was deleted, and they are to go."""


class IndexCatalog:
    """The definitions of all search indexes of a store. Thread-safe; changes are durable before they show."""

    def __init__(self, store: KeyValueStore, clock: Clock | None = None) -> None:
        """Reads all definitions. Raises StorageFailure, Corruption."""
        self._store = store
        self._clock: Clock = clock or SystemClock()
        self._changing = threading.Lock()
        self._definitions: dict[tuple[str, str, str], IndexDefinition] = {}
        for _, data in store.scan(_PREFIX, prefix_end(_PREFIX)):
            self._show(definition.from_json(data))
        self._deleted = {
            key[len(_DELETED) :].decode(): definition.from_json(data)
            for key, data in store.scan(_DELETED, prefix_end(_DELETED))
        }

    def all(self) -> list[IndexDefinition]:
        """Of all instances and tables."""
        return list(self._definitions.values())

    def of_table(self, instance: str, table: str) -> list[IndexDefinition]:
        """The indexes of a table, by name."""
        found = [d for d in self.all() if (d.instance, d.table) == (instance, table)]
        return sorted(found, key=lambda d: d.name)

    def get(self, instance: str, table: str, name: str) -> IndexDefinition:
        """Raises MetaNotMatch."""
        found = self._definitions.get((instance, table, name))
        if found is None:
            raise MetaNotMatch(f"search index [{name}] does not exist")
        return found

    def create(self, instance: str, table: TableDescription, name: str, schema: IndexSchema) -> IndexDefinition:
        """Adds an index to a table. Raises ParameterInvalid, ObjectAlreadyExist, QuotaExhausted, StorageFailure."""
        self.check(name, schema)
        validate_schema(schema, table.schema)
        with self._changing:
            others = self.of_table(instance, table.schema.name)
            if any(other.name == name for other in others):
                raise ObjectAlreadyExist(f"search index [{name}] already exists")
            if len(others) >= limits.INDEXES_PER_TABLE_MAX:
                raise QuotaExhausted(
                    f"table [{table.schema.name}] has {len(others)} search indexes, no more are allowed"
                )
            added = IndexDefinition(instance, table.schema.name, table.table_id, name, schema, self._clock.now_us())
            while prefix_of(added) in self._deleted:  # its objects are not to be taken for those of that one
                added = replace(added, created_us=added.created_us + 1)
            batch = WriteBatch()
            batch.put(_key(added), definition.to_json(added))
            self._store.commit(batch)
            self._show(added)
            return added

    @staticmethod
    def check(name: str, schema: IndexSchema) -> None:
        """Raises ParameterInvalid for what can be an index of no table."""
        if limits.NAME_PATTERN.fullmatch(name) is None:
            raise ParameterInvalid(f"search index name [{name}] is invalid: letters, digits and _, not a digit first")
        check_schema(schema)

    def delete(self, instance: str, table: str, name: str) -> IndexDefinition:
        """Removes an index and returns what it was. Raises MetaNotMatch, StorageFailure."""
        with self._changing:
            removed = self.get(instance, table, name)
            batch = WriteBatch()
            batch.delete(_key(removed))
            batch.put(_DELETED + prefix_of(removed).encode(), definition.to_json(removed))
            self._store.commit(batch)
            del self._definitions[instance, table, name]
            self._deleted[prefix_of(removed)] = removed
            return removed

    def deleted(self) -> list[IndexDefinition]:
        """Indexes that were deleted, and may still have objects."""
        with self._changing:
            return list(self._deleted.values())

    def forget_deleted(self, gone: Iterable[IndexDefinition]) -> None:
        """Their objects need no more be looked for. Raises StorageFailure."""
        prefixes = [prefix_of(one) for one in gone]
        with self._changing:
            batch = WriteBatch()
            for prefix in prefixes:
                batch.delete(_DELETED + prefix.encode())
            self._store.commit(batch)
            for prefix in prefixes:
                self._deleted.pop(prefix, None)

    def _show(self, shown: IndexDefinition) -> None:
        self._definitions[shown.instance, shown.table, shown.name] = shown


def _key(of: IndexDefinition) -> bytes:
    return _PREFIX + keyspace.pack(of.table_id) + of.name.encode()
