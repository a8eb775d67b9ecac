"""A data directory that is only read, at one moment after the other, whoever writes it meanwhile (design note 0027).

A moment, or point, is a state of the tables' store, whose files are kept open, and of each search index segments that
go with it: newer than its forgotten changes, and no newer than itself. What these lack is read into memory.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from lutra.backup.record import Backup
from lutra.feed.keeper import Keeper
from lutra.feed.on_demand import OnDemandFeeder
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.feed.reading import ReadFeed
from lutra.index.lsm.memory import MemoryBudget
from lutra.index.lsm.read_storage import Look
from lutra.index.lsm.resources import Resources
from lutra.instance import registry
from lutra.instance.backing_up import back_up
from lutra.instance.instance import Instance
from lutra.instance.partition import Partition
from lutra.instance.place import Place
from lutra.instance.rows_place import RowsPlace
from lutra.instance.traces import require_data_dir, require_objects
from lutra.kv.copied import HeldStore, StoreState
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import LutraError, ObjectNotExist, Outdated, StorageFailure
from lutra.model.forks import OfProcess, follow
from lutra.tables.tables import Tables

if TYPE_CHECKING:
    from lutra.kv.slatedb.reader import SlateReader

    HeldRows = HeldStore | SlateReader

_log = logging.getLogger(__name__)

_TRIES: Final = 8
"""To find segments and tables of one moment, beside a process that writes."""


class ReadPartition(Partition):
    """A `Partition` at one moment. It has no threads, and nothing of it is changed."""

    is_read_only: ClassVar[bool] = True
    _feed_type: ClassVar[type[IndexFeed]] = ReadFeed

    def __init__(self, store: HeldRows, directory: Path, resources: Resources, clock: Clock, look: Look) -> None:
        """As `Partition`; ``look``: of `store` and of the segments of its indexes."""
        self.held = store
        self.feeds: list[ReadFeed] = []
        self._look = look
        super().__init__(store, directory, resources, clock)

    def _claimed(self, directory: Path, resources: Resources) -> Resources:
        """Takes no place, but looks whose it is."""
        history = self.space.changelog.history
        Place(resources.address, directory, history, self.indexes, self._clock).examine(resources.store)
        return resources

    def _new_keeper(self) -> Keeper:
        return OnDemandFeeder(self.space.changelog)

    def follow(
        self, definition: IndexDefinition, tables: Tables, on_current: Callable[[IndexFeed], None] | None = None
    ) -> IndexFeed:
        """Opens an index. What keeps it from being opened, searches tell.

        Raises Outdated where its segments are of a later time than the tables, and both are to be looked at again.
        """
        feed = super().follow(definition, tables, on_current)
        assert isinstance(feed, ReadFeed)
        self.feeds.append(feed)
        try:
            feed.open(self._look)
        except LutraError as error:
            if isinstance(error, Outdated) and self._look is Look.FIRST:
                raise
            _log.warning("%s cannot be searched: %s", feed.consumer.title, error)
        return feed

    def sweep(self, deleted: list[IndexDefinition]) -> None:
        """Nothing: what is left of deleted indexes is another's to remove."""

    @property
    def is_newest(self) -> bool:
        """Whether nothing has come since, and nothing of it was deleted. Raises StorageFailure."""
        return self.held.is_newest and all(feed.is_newest for feed in self.feeds)

    def let_go(self) -> None:
        """Ends all use of it."""
        self.stop()
        self.close()


@dataclass(frozen=True, slots=True)
class _Point:
    """What is read now. Who is in the middle of something has a hold of ``instance``, and that keeps the rest."""

    partition: ReadPartition
    instance: Instance


class ReadEngine:
    """One instance of a data directory, to be read. Thread-safe.

    It writes nothing, takes no lock, and needs only that the files can be read: there may be others that read, and one
    that writes. In a process forked from its own every method raises ForkedProcess, but ``close``, which does nothing.
    """

    def __init__(
        self,
        data_dir: Path,
        name: str,
        objects: str | os.PathLike[str] | None,
        memory_bytes: int,
        clock: Clock | None = None,
        rows: str | os.PathLike[str] | None = None,
    ) -> None:
        """
        :param name: of the instance.
        :param objects, memory_bytes, rows: as `lutra.instance.engine.Engine.open` takes them.
        :raises ObjectNotExist: there is no such instance.
        :raises ParameterInvalid: objects cannot be there; ForeignObjects: there are another store's.
        :raises Corruption: the directory is damaged, or not all of it is there.
        :raises StorageFailure: there is no such directory, or it cannot be read.
        """
        require_data_dir(data_dir)
        self._rows = RowsPlace(data_dir, rows)
        address = os.fspath(data_dir / "objects" if objects is None else objects)
        require_objects(address)
        self._data_dir = data_dir
        self._name = name
        self._clock: Clock = clock or SystemClock()
        self._process = OfProcess()
        self._moving = threading.Lock()
        self._is_closed = False
        self._require_instance()
        self._resources = Resources.to_read(address, memory_bytes)
        try:
            self._point = self._newest_point()
        except BaseException:
            self._resources.close()
            raise
        follow(self)

    def instance(self, name: str) -> Instance:
        """Its tables and search indexes at the moment that is read.

        Raises StorageFailure once it is closed, ObjectNotExist for another than that which it reads.
        """
        self._process.check()
        if name != self._name:
            raise ObjectNotExist(f"what is read is instance {self._name!r}, not {name!r}")
        if self._is_closed:
            raise StorageFailure(f"the data directory {self._data_dir} is closed")
        return self._point.instance

    def refresh(self) -> None:
        """Goes on to what there is now; what is under way ends with what it began with.

        For a while it takes as much memory again. Raises as when it was made; then it reads what it read before.
        """
        self._process.check()
        with self._moving:
            before = self.instance(self._name)
            partition = self._point.partition
            if partition.is_newest:
                return
            self._require_instance()
            self._point = self._newest_point()
            weakref.finalize(before, partition.let_go).atexit = False

    def back_up(self, place: str | os.PathLike[str]) -> Backup:
        """As `lutra.instance.backing_up.back_up`: of what there is now, not of what is read."""
        self._process.check()
        return back_up(self._data_dir, place, objects=self._resources.address)

    def close(self) -> None:
        """Ends all use; a second close does nothing."""
        if not self._process.is_this:
            return
        with self._moving:
            if self._is_closed:
                return
            self._is_closed = True
            self._point.partition.let_go()
            self._resources.close()

    def forked(self) -> None:
        """In a child all that belongs to it is the parent's: it is never freed there."""

    def _require_instance(self) -> None:
        if not registry.instance_exists(self._data_dir, self._name):
            there = ", ".join(registry.instance_names(self._data_dir)) or "none"
            raise ObjectNotExist(f"{self._data_dir} has no instance {self._name!r}: instances there are: {there}")

    def _newest_point(self) -> _Point:
        """Tables are read first and segments then, which may be of a later time: then both are looked at again."""
        before: StoreState | None = None
        for tries_left in reversed(range(_TRIES)):
            store = self._rows.held()
            look = Look.FIRST if tries_left else Look.LAST
            if store.state is not None and store.state == before:
                look = Look.STILL
            before = store.state
            try:
                return self._point_of(store, look)
            except Outdated:
                store.close()
            except BaseException:
                store.close()
                raise
        raise AssertionError("the last try returns or raises")

    def _point_of(self, store: HeldRows, look: Look) -> _Point:
        """Raises Outdated where segments are of a later time; ``store`` is left open where it raises."""
        resources = replace(self._resources, memory=MemoryBudget(self._resources.memory.total_bytes))
        partition = ReadPartition(store, self._data_dir, resources, self._clock, look)
        try:
            instance = Instance(self._name, partition)
            for definition in partition.indexes.all():
                if definition.instance == self._name:
                    instance.reopen_index(replace(definition, next=None))
            return _Point(partition, instance)
        except BaseException:
            partition.stop()
            raise
