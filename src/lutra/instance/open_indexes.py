"""The search indexes of an instance that are followed: found by name, waited for, and shared out searches to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lutra.feed.feed import Watermarks
from lutra.feed.waits import wait_searchable
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.stats import IndexStats
from lutra.instance.hits import HitColumns
from lutra.instance.index_turns import Turns, gone, mark_of, which_of, without_mark
from lutra.instance.partition import Partition
from lutra.model.errors import ObjectNotExist, ParameterInvalid, RequestTimeout, ServerBusy
from lutra.model.indexes import IndexDescription, SyncPhase
from lutra.model.queries import SearchRequest
from lutra.model.shards import schema_mark_of
from lutra.tables.tables import Tables


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """An index: the generation that answers searches, and the one that is being filled to take its place."""

    feed: IndexFeed
    columns: HitColumns
    schema_mark: int
    next: IndexFeed | None = None

    @classmethod
    def of(cls, feed: IndexFeed, following: IndexFeed | None = None) -> OpenIndex:
        schema = feed.definition.schema
        return cls(feed, HitColumns(schema), schema_mark_of(schema), following)

    @property
    def feeds(self) -> list[IndexFeed]:
        return [self.feed] if self.next is None else [self.feed, self.next]


@dataclass(frozen=True, slots=True)
class GenerationStats:
    """An index under one schema, at one moment."""

    definition: IndexDefinition
    phase: SyncPhase
    watermarks: Watermarks
    stats: IndexStats
    is_answering: bool
    """Else it is being filled to answer."""
    error: str | None = None
    """What went wrong last in following the table or in building, until that succeeds."""


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a search by a name, and what its tokens begin with so that the next page comes from there, too."""

    opened: OpenIndex
    mark: bytes = b""


class OpenIndexes:
    """Thread-safe; who changes what there is takes turns."""

    def __init__(self, instance: str, partition: Partition, tables: Tables) -> None:
        self._instance = instance
        self._catalog = partition.indexes
        self._feeder = partition.feeder
        self._scans = partition.scans
        self._shard_searches = partition.shard_searches
        self._tables = tables
        self._open: dict[tuple[str, str], OpenIndex] = {}
        self._opening: set[IndexFeed] = set()
        """Of an earlier run of the engine: what was complete before a restart does not answer with less after it."""
        self._turns = Turns()

    def put(self, table: str, index: str, opened: OpenIndex) -> None:
        self._open[table, index] = opened

    def remove(self, table: str, index: str) -> OpenIndex:
        return self._open.pop((table, index))

    def await_opening(self, feed: IndexFeed) -> None:
        """Searches wait until it is as far as it was."""
        self._opening.add(feed)

    def names(self) -> list[tuple[str, str]]:
        """``(table, index)`` of all, sorted."""
        return sorted(self._open)

    def feeds(self) -> list[IndexFeed]:
        """Of all generations of all indexes."""
        return [feed for opened in list(self._open.values()) for feed in opened.feeds]

    def opened(self, table: str, index: str) -> OpenIndex:
        """Raises ParameterInvalid where there is no such table, MetaNotMatch where there is no such index."""
        opened = self._open.get((table, index))
        if opened is None:
            self.check_table(table)
            self._catalog.get(self._instance, table, index)
            # Defined, but not open yet: it is being created or deleted at this moment.
            raise ServerBusy(f"search index [{index}] is being changed, try again")
        return opened

    def check_table(self, table: str) -> None:
        """Raises ParameterInvalid where there is no such table."""
        try:
            self._tables.describe(table)
        except ObjectNotExist:
            raise ParameterInvalid(f"table [{table}] does not exist") from None

    # --- what is told of one ----------------------------------------------------------------------------------------

    def description(self, table: str, index: str) -> IndexDescription:
        """The newest schema; until searches go by that, the index is not filled. Raises as `opened`."""
        opened = self.opened(table, index)
        told = opened.feed.description()
        if opened.next is not None:
            told = replace(told, schema=opened.next.definition.schema, phase=SyncPhase.FULL, synced_us=0)
        pair = self._catalog.pair(opened.feed.definition)
        if pair is None:
            return told
        source, other = pair
        brother = other.name if index == source.name else source.name
        weights = ((source.name, 100 - other.weight), (other.name, other.weight))
        return replace(told, brother=brother, weights=weights)

    def stats(self, table: str, index: str) -> tuple[Watermarks, IndexStats]:
        """Of the generation that answers searches. Raises as `opened`."""
        feed = self.opened(table, index).feed
        return feed.watermarks(), feed.index.stats()

    def generations(self, table: str, index: str) -> list[GenerationStats]:
        """The generation that answers searches, and the one that is being filled, where there is one. Raises as
        `opened`."""
        opened = self.opened(table, index)
        found = []
        for feed in opened.feeds:
            stats = feed.index.stats()
            error = feed.error or stats.error
            is_answering = feed is opened.feed
            found.append(GenerationStats(feed.definition, feed.phase, feed.watermarks(), stats, is_answering, error))
        return found

    # --- who answers ------------------------------------------------------------------------------------------------

    def routed(self, table: str, index: str, requests: Sequence[SearchRequest]) -> tuple[Route, list[SearchRequest]]:
        """Who answers these requests by the name of an index, and the requests as it takes them.

        Of an index that is re-indexed, the weights say how many go to which of the two; pages go on where they began.
        Raises as `opened`, and ParameterInvalid where that is gone.
        """
        opened = self.opened(table, index)
        token = requests[0].token
        which = which_of(token)
        if which is not None:
            return self._marked(table, which), [without_mark(request) for request in requests]
        pair = self._catalog.pair(opened.feed.definition)
        if pair is None or pair[0].name != index or not pair[1].weight or token is not None:
            return Route(opened), [*requests]
        other = self._open.get((table, pair[1].name))
        is_others = self._turns.is_others((table, index), pair[1].weight)
        if not is_others or other is None or other.feed.phase is SyncPhase.FULL or other.feed in self._opening:
            return Route(opened), [*requests]
        return Route(other, mark_of(other.feed.definition.made_us)), [*requests]

    def _marked(self, table: str, which: int) -> Route:
        for (of, _), opened in list(self._open.items()):
            if of == table and opened.feed.definition.made_us == which:
                return Route(opened, mark_of(which))
        raise gone()

    # --- who waits --------------------------------------------------------------------------------------------------

    def when_opened(self, table: str, index: str, call: Callable[[], None]) -> Callable[[], None] | None:
        """None where the index is open, or failed to be; else ``call`` is called once, by any thread, when it is so.

        What is returned then takes that back. Raises as `opened`.
        """
        feed = self.opened(table, index).feed
        if feed not in self._opening:
            return None
        return self._feeder.call_when_searchable(feed, feed.opened_at, call)

    def wait_for_opening(self, table: str, index: str, timeout_s: float) -> None:
        """Raises ServerBusy where it is not open in that time, IndexDamaged where that is why."""
        feed = self.opened(table, index).feed
        if feed not in self._opening:
            return
        try:
            wait_searchable(self._feeder, feed, timeout_s, feed.opened_at)
        except RequestTimeout as error:
            if not self.is_current(feed):  # what is in its place is not being opened
                return
            raise ServerBusy(f"search index [{index}] is being opened after a restart, try again: {error}") from None
        self._opening.discard(feed)

    def wait_searchable(self, table: str, index: str, timeout_s: float) -> None:
        """Returns when every write acknowledged so far can be found. Raises RequestTimeout, and as `opened`."""
        until_s = time.monotonic() + timeout_s
        while True:
            feed = self.opened(table, index).feed
            try:
                wait_searchable(self._feeder, feed, max(0.0, until_s - time.monotonic()))
                return
            except RequestTimeout:
                if self.is_current(feed) or time.monotonic() >= until_s:
                    raise  # else another generation has taken its place meanwhile

    def is_current(self, feed: IndexFeed) -> bool:
        """Whether it answers searches by some name: it has been replaced by no other, and not been deleted."""
        return any(opened.feed is feed for opened in list(self._open.values()))

    def forget(self, feed: IndexFeed) -> None:
        """It is followed no more, and its objects are to go."""
        self._opening.discard(feed)
        self._scans.drop(feed)
        self._shard_searches.drop(feed)
        self._feeder.remove(feed)
