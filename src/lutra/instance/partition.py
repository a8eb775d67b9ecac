"""A share of a store that stands by itself: its rows, what follows their changes, and the place of its objects."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from lutra.feed.consumer import ChangeConsumer
from lutra.feed.feed import Feed
from lutra.feed.feeder import Feeder
from lutra.feed.keeper import Keeper
from lutra.feed.secondary import SecondaryConsumer, consumer_of
from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import sweep
from lutra.instance.place import Place
from lutra.instance.rows_place import RowsPlace
from lutra.instance.scan_sessions import ScanSessions
from lutra.instance.shard_search import ShardSearches
from lutra.kv.opening import MEMORY_BYTES_DEFAULT
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock
from lutra.model.errors import LutraError
from lutra.model.schema import SecondaryIndex, TableDescription
from lutra.objects.owner import Owner
from lutra.objects.store import ObjectStore
from lutra.tables.bounds import EVERYWHERE, KeyBounds
from lutra.tables.history import History
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

_log = logging.getLogger(__name__)

SecondaryFeed = Feed[SecondaryConsumer]
Follower = TypeVar("Follower", bound=ChangeConsumer)
Examine = Callable[[ObjectStore], Owner | None]


class Partition:
    """A key-value store with its tables, their search indexes, and the threads that keep these current.

    What it shares with others of the process, memory, builders and the store of objects, it is handed.
    """

    is_read_only: ClassVar[bool] = False
    _feed_type: ClassVar[type[IndexFeed]] = IndexFeed

    def __init__(
        self, store: KeyValueStore, directory: Path, resources: Resources, clock: Clock, bounds: KeyBounds = EVERYWHERE
    ) -> None:
        """``store`` becomes its own. Raises ForeignObjects, Corruption, Fenced; ``store`` is then left open.

        ``bounds``: which rows of it are meant, where it has others (`lutra.tables.bounds`).
        """
        self.store = store
        """Its key-value store."""
        self._clock = clock
        self._is_closed = False
        self.space = TableSpace(store, clock, bounds=bounds)
        self.indexes = IndexCatalog(store, clock)
        self._resources = self._claimed(directory, resources)
        self.scans = ScanSessions()
        """Of all its indexes."""
        self.shard_searches = ShardSearches()
        """Of all its indexes, where it has a share of a table's rows."""
        self.feeder = self._new_keeper()

    def _claimed(self, directory: Path, resources: Resources) -> Resources:
        """Begins to write: to the store, and to the place of its objects."""
        self.space.changelog.begin()
        for index_id in self.space.index_writer.dropped():  # nobody writes yet
            self.space.index_writer.sweep(index_id)
        history = self.space.changelog.history
        place = Place(resources.address, directory, history, self.indexes, self._clock, resources.place)
        return replace(resources, claim=place.taken(resources.store))

    def _new_keeper(self) -> Keeper:
        policy = self._resources.policy
        feeder = Feeder(self.space.changelog, policy.trim_changes, policy.trim_period_s, self._resources.crews)
        feeder.regularly(self.space.streams.trim)
        feeder.regularly(self.space.transactions.drop_expired)
        return feeder

    @classmethod
    def open(
        cls,
        rows: RowsPlace,
        objects: str,
        directory: Path,
        share: Callable[[Examine], Resources],
        clock: Clock,
        rows_bytes: int = MEMORY_BYTES_DEFAULT,
    ) -> Self:
        """Opens the key-value store at ``rows``, and makes it where there is none.

        :param objects: where its objects are (`lutra.objects.opening`).
        :param directory: what errors call it.
        :param rows_bytes: what that store may take of memory.
        :param share: gives what all partitions share, once its argument has passed the store of objects.
        :raises ParameterInvalid, ForeignObjects, Corruption, DirectoryInUse, StorageFailure, Fenced: nothing is open.
        """
        store = rows.open(memory_bytes=rows_bytes)
        try:
            place = Place(objects, directory, History(store), IndexCatalog(store, clock), clock)
            resources = share(place.examine)
            try:
                return cls(store, directory, resources, clock)
            except BaseException:
                resources.close()
                raise
        except BaseException:
            store.close()
            raise

    @property
    def resources(self) -> Resources:
        """What it was handed, with its own claim on the place of its objects."""
        return self._resources

    def follow(
        self, definition: IndexDefinition, tables: Tables, on_current: Callable[[IndexFeed], None] | None = None
    ) -> IndexFeed:
        """Begins to open or fill an index. Raises ObjectNotExist where its table is gone.

        ``on_current``: called with it, by a thread that must not be held up, whenever it has all of the table.
        """
        feed = self._feed_type(definition, tables, self.space.changelog, self.store, self._resources, self._clock)
        if on_current is not None:
            feed.on_current = partial(on_current, feed)
        self.feeder.add(feed)
        return feed

    def follow_secondary(
        self, table: TableDescription, index: SecondaryIndex, tables: Tables, on_filled: Callable[[], None]
    ) -> SecondaryFeed:
        """Begins to fill a secondary index, or goes on keeping a global one current.

        ``on_filled``: called when it has all of the table for the first time, by a thread that must not be held up.
        """
        consumer = consumer_of(table, index, self.space.index_writer)
        consumer.on_filled = on_filled
        feed = Feed(consumer, tables, self.space.changelog, self.store, self._clock)
        self.feeder.add(feed)
        return feed

    def follow_changes(self, consumer: Follower, tables: Tables) -> Feed[Follower]:
        """Begins to keep a consumer current that this room knows nothing of."""
        feed = Feed(consumer, tables, self.space.changelog, self.store, self._clock)
        self.feeder.add(feed)
        return feed

    def sweep(self, deleted: list[IndexDefinition]) -> None:
        """Has what an earlier run left of indexes that it ``deleted`` removed soon, by a thread of its own."""
        self.feeder.tidy(lambda: self._sweep(deleted))

    def _sweep(self, deleted: list[IndexDefinition]) -> None:
        try:
            resources = self._resources
            gone = sweep(resources.store, deleted, self.space.changelog, resources.claim, resources.place)
            if gone:
                self.indexes.forget_deleted(gone)
        except LutraError as error:  # they cost room, no more
            if not self._is_closed:
                _log.warning("objects of deleted indexes could not be deleted: %s", error)

    def stop(self) -> None:
        """Ends its threads."""
        self._is_closed = True
        self.scans.close()
        self.shard_searches.close()
        self.feeder.stop()

    def close(self) -> None:
        """Lets go of its key-value store, once it has stopped."""
        self.store.close()
