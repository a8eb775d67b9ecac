"""Search indexes that come, change and go: each step is one change of the catalog, which a crash leaves whole.

An index under another schema is a new generation of it: filled from the table, beside the one that goes on answering
searches, and in its place from the moment on that it has all that the other one has (design note 0021).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from lutra.index.definitions.definition import IndexDefinition
from lutra.index.definitions.schema import (
    check_recall_target,
    check_table_update,
    validate_schema,
    validate_ttl,
)
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.lifetime import least
from lutra.instance.open_indexes import OpenIndex, OpenIndexes
from lutra.instance.partition import Partition
from lutra.model.deadline import current_deadline
from lutra.model.errors import LutraError, ParameterInvalid, RequestTimeout, ServerBusy
from lutra.model.indexes import IndexSchema, IndexUpdate, SyncPhase
from lutra.model.schema import TableUpdate
from lutra.tables.tables import Tables

_CATCH_UP_S: Final = 5.0
"""A new generation waits so long to have what the one before it has, before it is looked at again later."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WantedIndex:
    """An index as somebody else says it is to be. ``uid``: it is the same index as long as this is the same, not 0.

    ``weight``: of a hundred searches of ``source`` by its name, so many are answered by this one.
    """

    name: str
    uid: int
    schema: IndexSchema
    source: str | None = None
    weight: int = 0


class IndexChanges:
    """Of one instance. Thread-safe: changes take turns, by ``defining``, which changes of tables take, too."""

    def __init__(self, instance: str, partition: Partition, tables: Tables, indexes: OpenIndexes) -> None:
        self.defining = threading.Lock()
        self._changed = threading.Condition(self.defining)
        self._instance = instance
        self._partition = partition
        self._catalog = partition.indexes
        self._tables = tables
        self._indexes = indexes
        self._due: set[IndexFeed] = set()
        """Generations that somebody is about to have take their places."""

    def reopen(self, definition: IndexDefinition) -> None:
        """Begins to open an index of an earlier run of the engine. Raises ObjectNotExist where its table is gone."""
        self._begin(definition)
        self._indexes.await_opening(self._indexes.opened(definition.table, definition.name).feed)

    def create(self, table: str, index: str, schema: IndexSchema, source: str | None = None) -> None:
        """As `Instance.create_search_index`."""
        self._catalog.check(index, schema)
        with self.defining:
            self._indexes.check_table(table)
            self._begin(self._catalog.create(self._instance, self._tables.describe(table), index, schema, source))

    def reconcile(self, table: str, wanted: Sequence[WantedIndex]) -> None:
        """Has a table exactly these indexes, known by their uids. Done again, it changes nothing.

        What they are has been checked before, and which of two answers by a name has been decided elsewhere: here one
        takes another's place also where it is not filled yet, and its searches wait for that.
        Raises StorageFailure, and what `Instance.create_search_index` says where the table does not go with them.
        """
        with self.defining:
            by_uid = {one.uid: one for one in wanted}
            for one in self._catalog.of_table(self._instance, table):
                to_be = by_uid.get(one.uid)
                pair = self._catalog.pair(one)
                if to_be is not None and pair is not None and one is pair[1] and to_be.name == pair[0].name:
                    self._exchange(*pair)
            there = self._catalog.of_table(self._instance, table)
            for one in sorted(there, key=lambda one: one.source is None):  # a source goes after what may replace it
                if one.uid not in by_uid or by_uid[one.uid].name != one.name:
                    self._delete(table, one.name)
            there_are = {one.uid for one in self._catalog.of_table(self._instance, table)}
            for to_be in sorted(wanted, key=lambda to_be: to_be.source is not None):
                if to_be.uid not in there_are:
                    described = self._tables.describe(table)
                    self._begin(
                        self._catalog.create(
                            self._instance, described, to_be.name, to_be.schema, to_be.source, to_be.uid
                        )
                    )
                else:
                    self._become(table, to_be)

    def check_table_update(self, table: str, update: TableUpdate) -> None:
        """Within ``defining``: raises ParameterInvalid where an index of the table would not go with it."""
        for index in self._catalog.of_table(self._instance, table):
            options = self._tables.describe(table).schema.options
            for one in index.generations:
                check_table_update(index.name, one.schema.ttl_s, options, update)

    def delete(self, table: str, index: str) -> None:
        """As `Instance.delete_search_index`."""
        with self.defining:
            self._delete(table, index)

    def update(self, table: str, index: str, update: IndexUpdate) -> None:
        """As `Instance.update_search_index`."""
        check_update(index, update)
        with self.defining:
            opened = self._indexes.opened(table, index)
            if update.switch_with is not None:
                self._switch(table, index, update.switch_with)
            elif update.weights:
                self._weigh(table, index, dict(update.weights))
            else:
                self._remake(opened, update)

    def wait_updated(self, table: str, index: str, timeout_s: float) -> None:
        """Returns when searches go by the newest schema of an index, or it is gone. Raises RequestTimeout."""

        def is_updated() -> bool:
            return (table, index) not in self._indexes.names() or self._indexes.opened(table, index).next is None

        with self.defining:
            if not current_deadline().wait_for(self._changed, is_updated, timeout_s):
                raise RequestTimeout(f"search index [{index}] of table [{table}] is not filled anew yet")

    # --- within the lock --------------------------------------------------------------------------------------------

    def _delete(self, table: str, index: str) -> None:
        self._indexes.opened(table, index)
        self._catalog.delete(self._instance, table, index)
        for feed in self._indexes.remove(table, index).feeds:
            self._indexes.forget(feed)
        self._changed.notify_all()

    def _become(self, table: str, to_be: WantedIndex) -> None:
        """Gives an index the fields, the time to live and the weight that it is to have."""
        opened = self._indexes.opened(table, to_be.name)
        newest = opened.feed.definition.generations[-1].schema
        before, after = ({field.name: field for field in schema.fields} for schema in (newest, to_be.schema))
        update = IndexUpdate(
            ttl_s=to_be.schema.ttl_s,
            added=tuple(field for field in to_be.schema.fields if before.get(field.name) != field),
            dropped=tuple(name for name, field in before.items() if after.get(name) != field),
            recall_target=to_be.schema.recall_target,
        )
        self._remake(opened, update)
        opened = self._indexes.opened(table, to_be.name)
        if opened.feed.definition.weight != to_be.weight:
            self._redefine(opened, self._catalog.set_weight(opened.feed.definition, to_be.weight))

    def _begin(self, definition: IndexDefinition) -> None:
        feed = self._partition.follow(definition, self._tables)
        following = None if definition.next is None else self._follow_next(definition.next)
        self._indexes.put(definition.table, definition.name, OpenIndex.of(feed, following))

    def _follow_next(self, definition: IndexDefinition) -> IndexFeed:
        return self._partition.follow(definition, self._tables, self._on_current)

    def _remake(self, opened: OpenIndex, update: IndexUpdate) -> None:
        """Changes time to live, recall target and fields."""
        definition = opened.feed.definition
        newest = definition.generations[-1].schema
        table = self._tables.describe(definition.table).schema
        ttl_s = newest.ttl_s if update.ttl_s is None else update.ttl_s
        validate_ttl(ttl_s, table)
        schema = remade(newest, update)
        check_recall_target(update.recall_target, schema)
        if replace(schema, ttl_s=ttl_s) == newest:
            return
        if schema.fields == newest.fields and all(
            least(ttl_s, one.schema.ttl_s) == ttl_s for one in definition.generations
        ):
            # Rows that lived so long are not seen from now on: none has to come back. What is asked for touches none.
            self._redefine(opened, self._catalog.set_options(definition, ttl_s, schema.recall_target))
            return
        schema = replace(schema, ttl_s=ttl_s)
        validate_schema(schema, table)
        changed = self._catalog.begin_generation(definition, schema)
        opened.feed.redefine(changed)
        if opened.next is not None:
            self._indexes.forget(opened.next)
        assert changed.next is not None
        following = self._follow_next(changed.next)
        self._indexes.put(changed.table, changed.name, OpenIndex.of(opened.feed, following))

    def _redefine(self, opened: OpenIndex, definition: IndexDefinition) -> None:
        for feed, one in zip(opened.feeds, definition.generations, strict=True):
            feed.redefine(one)
        self._indexes.put(definition.table, definition.name, OpenIndex.of(opened.feed, opened.next))

    def _pair(self, table: str, index: str, other: str) -> tuple[IndexDefinition, IndexDefinition]:
        """The two indexes of a re-indexing. Raises MetaNotMatch, ParameterInvalid where they are none."""
        pair = self._catalog.pair(self._catalog.get(self._instance, table, index))
        self._catalog.get(self._instance, table, other)
        if pair is None or {one.name for one in pair} != {index, other}:
            raise ParameterInvalid(f"search indexes [{index}] and [{other}] are not re-indexed, one as the other")
        return pair

    def _weigh(self, table: str, index: str, weights: dict[str, int]) -> None:
        check_weights(index, weights)
        _, other = self._pair(table, index, next(name for name in weights if name != index))
        if weights[other.name]:
            self._require_current(table, other.name)
        changed = self._catalog.set_weight(other, weights[other.name])
        self._redefine(self._indexes.opened(table, other.name), changed)

    def _switch(self, table: str, index: str, name: str) -> None:
        source, other = self._pair(table, index, name)
        self._require_current(table, other.name)
        self._exchange(source, other)

    def _exchange(self, source: IndexDefinition, other: IndexDefinition) -> None:
        table = source.table
        was_source, was_other = (self._indexes.opened(table, one.name) for one in (source, other))
        new, old = self._catalog.switch(source, other)
        self._redefine(was_other, new)
        self._redefine(was_source, old)
        self._changed.notify_all()

    def _require_current(self, table: str, index: str) -> None:
        """Raises ServerBusy where an index has not all rows yet: clients try again."""
        if self._indexes.opened(table, index).feed.phase is not SyncPhase.INCR:
            raise not_current(index)

    # --- when a generation is filled --------------------------------------------------------------------------------

    def _on_current(self, feed: IndexFeed) -> None:
        """By whose turn it is to feed it: another thread does the rest."""
        if feed not in self._due:
            self._due.add(feed)
            self._partition.feeder.tidy(partial(self._take_place, feed))

    def _take_place(self, feed: IndexFeed) -> None:
        """Has a generation that is filled answer searches, if it is that yet; else its next step calls again."""
        try:
            opened = self._whose_next(feed)
            if opened is not None:
                self._partition.feeder.wait_searchable(feed, _CATCH_UP_S, opened.feed.consumer.progress.position)
            with self.defining:
                self._change_places(feed)
        except LutraError as error:
            if not feed.has_ended():
                _log.warning("%s is not under its newest schema yet: %s", feed.consumer.title, error)
        finally:
            self._due.discard(feed)

    def _whose_next(self, feed: IndexFeed) -> OpenIndex | None:
        """The index that ``feed`` is to take the place of; None where that is gone, or another is to take it."""
        for table, index in self._indexes.names():
            opened = self._indexes.opened(table, index)
            if opened.next is feed:
                return opened
        return None

    def _change_places(self, feed: IndexFeed) -> None:
        opened = self._whose_next(feed)
        # Who saw a row by the old one is to see it by the new one.
        if opened is None or feed.consumer.progress.position < opened.feed.consumer.progress.position:
            return
        changed = self._catalog.end_generation(opened.feed.definition)
        feed.on_current = None
        feed.redefine(changed)
        self._indexes.put(changed.table, changed.name, OpenIndex.of(feed))
        self._indexes.forget(opened.feed)
        self._changed.notify_all()


def check_update(index: str, update: IndexUpdate) -> None:
    """Raises ParameterInvalid for what is no update of any index."""
    if update == IndexUpdate():
        raise ParameterInvalid(f"nothing of search index [{index}] is to be changed")
    is_alone = update in (IndexUpdate(weights=update.weights), IndexUpdate(switch_with=update.switch_with))
    if (update.weights or update.switch_with is not None) and not is_alone:
        raise ParameterInvalid("[switch_index_name] and [query_flow_weight] go without anything else")


def check_weights(index: str, weights: Mapping[str, int]) -> None:
    """Raises ParameterInvalid for what are no weights of an index and another one."""
    if len(weights) != 2 or index not in weights:
        raise ParameterInvalid(f"[query_flow_weight] has two entries: for [{index}], and for the other index")
    if sum(weights.values()) != 100 or not all(0 <= weight <= 100 for weight in weights.values()):
        raise ParameterInvalid(f"[query_flow_weight] are in [0, 100] and 100 together, not {[*weights.values()]}")


def being_filled(index: str) -> ServerBusy:
    """What to raise of a request that makes sense only under the schema that an index is being filled for."""
    return ServerBusy(f"search index [{index}] is being filled for its new fields, try again")


def not_current(index: str) -> ServerBusy:
    """What to raise where an index has not all rows yet: clients try again."""
    return ServerBusy(f"search index [{index}] does not have all rows of its table yet, try again")


def remade(schema: IndexSchema, update: IndexUpdate) -> IndexSchema:
    """With the fields that are to be added and without those that are to go, and the recall target that is to be.

    Raises ParameterInvalid.
    """
    names = {field.name for field in schema.fields}
    for name in update.dropped:
        if name not in names:
            raise ParameterInvalid(f"field [{name}] does not exist")
    for field in update.added:
        if field.name in names and field.name not in update.dropped:
            raise ParameterInvalid(f"field [{field.name}] already exists")
    kept = tuple(field for field in schema.fields if field.name not in update.dropped)
    target = schema.recall_target if update.recall_target is None else update.recall_target
    return replace(schema, fields=(*kept, *update.added), recall_target=target)
