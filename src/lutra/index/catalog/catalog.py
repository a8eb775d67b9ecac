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
        self._others: dict[tuple[str, str, str], IndexDefinition] = {}
        """By the index whose place they may take."""
        self._show(*(definition.from_json(data) for _, data in store.scan(_PREFIX, prefix_end(_PREFIX))))
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

    def create(
        self,
        instance: str,
        table: TableDescription,
        name: str,
        schema: IndexSchema,
        source: str | None = None,
        uid: int = 0,
    ) -> IndexDefinition:
        """Adds an index to a table, one that may take the place of the index ``source``.

        Raises ParameterInvalid, MetaNotMatch, ObjectAlreadyExist, QuotaExhausted, StorageFailure.
        """
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
            if source is not None:
                self._require_unpaired(self.get(instance, table.schema.name, source))
            new = IndexDefinition(instance, table.schema.name, table.table_id, name, schema, 0, source=source, uid=uid)
            return self._put(self._dated(new))

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
            pair = self.pair(removed)
            if pair is not None and pair[0] is removed:
                raise ParameterInvalid(
                    f"search index [{name}] is re-indexed as [{pair[1].name}]: delete that one first"
                )
            batch = WriteBatch()
            batch.delete(_key(removed))
            self._commit(batch, removed.generations)
            del self._definitions[instance, table, name]
            self._note_pairs()
            return removed

    def pair(self, of: IndexDefinition) -> tuple[IndexDefinition, IndexDefinition] | None:
        """The two indexes of a re-indexing that ``of`` is one of: the source, and what may take its place."""
        other = of if of.source is not None else self._others.get((of.instance, of.table, of.name))
        return None if other is None else (self.get(of.instance, of.table, other.source or ""), other)

    def _require_unpaired(self, source: IndexDefinition) -> None:
        pair = self.pair(source)
        if pair is not None:
            raise ParameterInvalid(f"search index [{pair[0].name}] is re-indexed as [{pair[1].name}] already")

    def set_options(self, of: IndexDefinition, ttl_s: int, recall_target: float | None) -> IndexDefinition:
        """Has an index, and what is to take its place, live so long, and find so much.

        Raises MetaNotMatch, StorageFailure.
        """
        with self._changing:
            current = self.get(of.instance, of.table, of.name)
            return self._put(_with_options(current, ttl_s, recall_target))

    def begin_generation(self, of: IndexDefinition, schema: IndexSchema) -> IndexDefinition:
        """Adds a generation under ``schema`` that is to take the index's place, and not another one there may be.

        Raises MetaNotMatch, StorageFailure.
        """
        with self._changing:
            current = self.get(of.instance, of.table, of.name)
            new = IndexDefinition(
                of.instance, of.table, of.table_id, of.name, schema, 0, current.made_us, uid=current.uid
            )
            gone = () if current.next is None else (current.next,)
            return self._put(replace(current, next=self._dated(new)), gone)

    def end_generation(self, of: IndexDefinition) -> IndexDefinition:
        """The generation to come takes the place of an index. Raises MetaNotMatch, StorageFailure."""
        with self._changing:
            current = self.get(of.instance, of.table, of.name)
            assert current.next is not None
            # Which place it has beside another index is not its own, but its name's.
            return self._put(
                replace(current.next, source=current.source, weight=current.weight), (replace(current, next=None),)
            )

    def set_weight(self, of: IndexDefinition, weight: int) -> IndexDefinition:
        """Of an index that may take another's place: how many of a hundred searches it answers."""
        with self._changing:
            return self._put(replace(self.get(of.instance, of.table, of.name), weight=weight))

    def switch(self, source: IndexDefinition, other: IndexDefinition) -> tuple[IndexDefinition, IndexDefinition]:
        """Two indexes exchange their names; all searches by the first one's name go to what was the other.

        Raises MetaNotMatch, StorageFailure.
        """
        with self._changing:
            source, other = (self.get(one.instance, one.table, one.name) for one in (source, other))
            new = replace(other.named(source.name), source=None, weight=0)
            old = replace(source.named(other.name), source=source.name, weight=0)
            batch = WriteBatch()
            for one in (new, old):
                batch.put(_key(one), definition.to_json(one))
            self._store.commit(batch)
            self._show(new, old)
            return new, old

    def _dated(self, new: IndexDefinition) -> IndexDefinition:
        """With the time at which it is made: another than that of any index of its table, or of objects there."""
        others = [one for of in self.all() for one in of.generations]
        prefixes = self._deleted.keys() | {prefix_of(one) for one in others}
        times = {us for one in others if one.table_id == new.table_id for us in (one.created_us, one.made_us)}
        new = replace(new, created_us=self._clock.now_us())
        while prefix_of(new) in prefixes or new.created_us in times:
            new = replace(new, created_us=new.created_us + 1)
        return new

    def _put(self, shown: IndexDefinition, gone: Iterable[IndexDefinition] = ()) -> IndexDefinition:
        """Within the lock: puts a definition in place of that of its name, as one with the end of those ``gone``."""
        batch = WriteBatch()
        batch.put(_key(shown), definition.to_json(shown))
        self._commit(batch, gone)
        self._show(shown)
        return shown

    def _commit(self, batch: WriteBatch, gone: Iterable[IndexDefinition]) -> None:
        """With what says that the objects of those ``gone`` are to go."""
        ended = {prefix_of(one): replace(one, next=None) for one in gone}
        for prefix, one in ended.items():
            batch.put(_DELETED + prefix.encode(), definition.to_json(one))
        self._store.commit(batch)
        self._deleted |= ended

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

    def _show(self, *shown: IndexDefinition) -> None:
        self._definitions |= {(one.instance, one.table, one.name): one for one in shown}
        self._note_pairs()

    def _note_pairs(self) -> None:
        self._others = {(one.instance, one.table, one.source): one for one in self.all() if one.source is not None}


def _key(of: IndexDefinition) -> bytes:
    return _PREFIX + keyspace.pack(of.table_id) + of.name.encode()


def _with_options(of: IndexDefinition, ttl_s: int, recall_target: float | None) -> IndexDefinition:
    following = None if of.next is None else _with_options(of.next, ttl_s, recall_target)
    return replace(of, schema=replace(of.schema, ttl_s=ttl_s, recall_target=recall_target), next=following)
