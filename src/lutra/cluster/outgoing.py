"""The global secondary indexes of one partition's table: followed here, stored as partitioned tables of their own."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from lutra.feed.feed import Feed
from lutra.feed.secondary import GlobalIndex
from lutra.instance.partition import Partition
from lutra.model.errors import LutraError
from lutra.model.schema import IndexKind, SecondaryIndex, TableSchema
from lutra.tables.incomingindex import IndexRow, stamp_of
from lutra.tables.indexprogress import IndexProgress
from lutra.tables.tables import Tables

SendRows = Callable[[int, Sequence[IndexRow]], None]
"""Has rows of the index of that uid stored where they belong. Raises what stands in the way."""

_log = logging.getLogger(__name__)


class OutgoingIndexes:
    """Of one owned partition. Thread-safe; `reconcile` is called by one thread at a time."""

    def __init__(self, partition: Partition, tables: Tables, send: SendRows | None) -> None:
        """``send`` None: no index is followed."""
        self._partition = partition
        self._tables = tables
        self._send = send
        self._lock = threading.Lock()
        self._feeds: dict[int, Feed[GlobalIndex]] = {}
        """By the index's uid."""
        self._numbers = itertools.count()

    def reconcile(self, schema: TableSchema) -> None:
        """Follows the global indexes of ``schema``, and no others. Raises StorageFailure, Corruption."""
        if self._send is None:
            return
        wanted = {index.index_id: index for index in schema.indexes if index.kind is IndexKind.GLOBAL}
        with self._lock:
            gone = {uid: self._feeds.pop(uid) for uid in list(self._feeds) if uid not in wanted}
            followed = set(self._feeds)
        for feed in gone.values():
            self._partition.feeder.remove(feed)  # which has removed what is stored here of it
        for uid in set(self._partition.space.outgoing_ids()) - wanted.keys() - gone.keys():
            self._partition.feeder.tidy(partial(self._sweep, uid))
        for uid in wanted.keys() - followed:
            self._follow(schema, wanted[uid])

    def is_filled(self, name: str) -> bool | None:
        """Whether all rows here are in an index; None where there is none of that name."""
        with self._lock:
            feeds = list(self._feeds.values())
        return next((feed.consumer.is_shown for feed in feeds if feed.consumer.index.name == name), None)

    @contextmanager
    def still(self) -> Iterator[list[GlobalIndex]]:
        """Nothing is sent within, and nothing of what was sent is stored here."""
        with self._lock:
            consumers = [feed.consumer for feed in self._feeds.values()]
        with ExitStack() as held:
            for consumer in consumers:
                held.enter_context(consumer.still())
            yield consumers

    def _follow(self, schema: TableSchema, index: SecondaryIndex) -> None:
        space = self._partition.space
        # With the id that the table has here, and with columns that the index needs.
        table = replace(self._tables.describe(schema.name), schema=schema)
        assert self._send is not None
        outgoing = space.outgoing_index(table, index, partial(self._send, index.index_id), self._next_stamp)
        with self._partition.feeder.keeping():
            if not index.includes_base:
                position, ttl_s = space.changelog.last_sequence, schema.options.ttl_s
                outgoing.begin(IndexProgress(position, is_filled=True, is_shown=True, ttl_s=ttl_s))
            feed = self._partition.follow_changes(GlobalIndex(table, index, outgoing), self._tables)
        with self._lock:
            self._feeds[index.index_id] = feed

    def _next_stamp(self) -> bytes:
        """Larger than all that any owner of these rows gave before: each has opened the store anew."""
        return stamp_of(self._partition.space.changelog.history.openings[-1].number, next(self._numbers))

    def _sweep(self, uid: int) -> None:
        try:
            self._partition.space.sweep_outgoing(uid)
        except LutraError:  # what is left is removed when the partition is next opened
            _log.warning("what is stored of the dropped index %d could not be removed", uid, exc_info=True)
