"""Keeps all search indexes of a process current: who is to be looked at when, and by which thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Final

from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.crew import Crew
from lutra.index.feed.feed import Feed
from lutra.index.feed.housekeeper import Housekeeper
from lutra.index.feed.trimmer import Trimmer
from lutra.index.lsm.resources import Resources
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import IndexDamaged, LutraError, StorageFailure
from lutra.tables.changelog import Changelog
from lutra.tables.tables import Tables

LINGER_S: Final = 0.02
"""After a change, so long is waited for more: many small commits then cost one round."""
_TICK_S: Final = 1.0
"""So often every index is looked at, changed or not: watermarks move on, rows expire, the changelog is trimmed."""
_STOP_WAIT_S: Final = 20.0
"""What waits for a store longer than that is left behind."""

_log = logging.getLogger(__name__)


class Feeder:
    """Fills new indexes and follows the changelog for all, a chunk of each in turn, so that none starves another.

    Its own thread says whose turn it is, and reads and writes nothing; all else is done by crews, for each index by one
    thread at a time (design note 0008): feeding, which includes opening and looking up keys; maintenance; and what is
    nobody's turn, such as deleting the objects of removed indexes and trimming the changelog. So an index whose store
    does not answer holds up itself.

    An index that fails is tried again later, longer apart each time; its ``Feed`` tells. The changes of a table are
    trimmed once all its indexes have them in manifests. Stop it before the stores are closed.
    """

    def __init__(
        self, changelog: Changelog, store: KeyValueStore, resources: Resources, clock: Clock | None = None
    ) -> None:
        self._changelog = changelog
        self._store = store
        self._resources = resources
        self._housekeeper = Housekeeper()
        self._feeding: Crew[Feed] = Crew("lutra-feed", self._step)
        self._tidying: Crew[Callable[[], bool]] = Crew("lutra-tidy", lambda task: task())
        self._clock: Clock = clock or SystemClock()
        self._trimmer = Trimmer(changelog, resources.policy.trim_changes, resources.policy.trim_period_s)
        # Held by itself, not through the condition, whose own `__enter__` an interrupt could leave with the lock held.
        self._mutex = threading.Lock()
        self._feeds: list[Feed] = []
        self._removed: list[Feed] = []
        """That are yet to let go of what they hold."""
        self._dirty: set[int] = set()
        self._later: dict[Feed, float] = {}
        """When to look at these next: they were put off."""
        self._changed = threading.Condition(self._mutex)
        self._is_called = self._is_urgent = False
        """Whether the thread is to look round, and at once."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="lutra-feeder", daemon=True)
        changelog.subscribe(self._on_commit)
        self._thread.start()

    def __enter__(self) -> Feeder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def add(self, definition: IndexDefinition, tables: Tables) -> Feed:
        """Begins to open or fill an index. Raises ObjectNotExist where its table is gone."""
        feed = Feed(definition, tables, self._changelog, self._store, self._resources, self._clock)
        feed.on_due = self._housekeeper.due
        feed.on_progress = partial(self._feeding.gets_on, feed)
        with self._mutex:
            self._feeds.append(feed)
        self.hurry([definition.table_id])
        return feed

    def remove(self, feed: Feed) -> None:
        """Ends the following of an index, and has its objects deleted. Returns at once."""
        with self._mutex:
            if feed not in self._feeds:
                return
            self._feeds.remove(feed)
            self._removed.append(feed)
            self._later.pop(feed, None)
        feed.end()
        self._feeding.due(feed)  # whose turn it is may be under way: after it, the rest is for others

    def tidy(self, task: Callable[[], object]) -> None:
        """Has something done soon that may wait for the store, and that no index waits for. It tells what failed."""

        def once() -> bool:
            task()
            return False

        self._tidying.due(once)

    def hurry(self, table_ids: Iterable[int]) -> None:
        """Looks at these tables' changes at once, and sees that they are trimmed, also where no index is."""
        with self._mutex:
            self._dirty.update(table_ids)
            self._call(urgently=True)

    def wait_searchable(self, feed: Feed, timeout_s: float, sequence: int | None = None) -> None:
        """Returns when every change up to ``sequence`` (None: all acknowledged by now) is searchable.

        Raises RequestTimeout.
        """
        target = self._changelog.last_sequence if sequence is None else sequence
        self.hurry([feed.definition.table_id])
        feed.wait(target, timeout_s)

    def call_when_searchable(self, feed: Feed, sequence: int, call: Callable[[], None]) -> Callable[[], None]:
        """As ``wait_searchable``, without a thread that waits (`Feed.call_when`)."""
        self.hurry([feed.definition.table_id])
        return feed.call_when(sequence, call)

    def stop(self) -> None:
        """Ends the threads and lets go of the stores. A second stop does nothing.

        What is under way is waited for, but no longer than 20 s for all together: an index that waits for its store so
        long is left as a crash would leave it.
        """
        with self._mutex:
            self._stopping = True
            self._call(urgently=True)
        self._thread.join()
        until_s = time.monotonic() + _STOP_WAIT_S
        with self._mutex:
            feeds = [*self._feeds, *self._removed]
        for feed in feeds:
            feed.end()
        stuck = self._feeding.stop(until_s)
        maintained = self._housekeeper.stop(until_s)
        self._tidying.stop(until_s)
        for feed in feeds:
            if feed in stuck or feed.index in maintained:
                _log.warning("search index [%s] waits for its store and is left as it is", feed.definition.name)
            else:
                feed.close(max(0.0, until_s - time.monotonic()))

    def _on_commit(self, table_ids: set[int]) -> None:
        """Between commits, on a writer's thread: brief."""
        with self._mutex:
            self._dirty |= table_ids
            self._call()

    def _call(self, *, urgently: bool = False) -> None:
        """Within the lock: has the thread look round soon, or at once."""
        if not self._is_called or (urgently and not self._is_urgent):
            self._is_called, self._is_urgent = True, self._is_urgent or urgently
            self._changed.notify()

    # --- the thread that says whose turn it is ----------------------------------------------------------------------

    def _run(self) -> None:
        next_tick_s = time.monotonic() + _TICK_S
        while not self._stopping:
            with self._mutex:
                until_s = min([next_tick_s, *self._later.values()])
                if self._changed.wait_for(lambda: self._is_called, max(0.0, until_s - time.monotonic())):
                    self._changed.wait_for(lambda: self._is_urgent, LINGER_S)
                self._is_called = self._is_urgent = False
            now_s = time.monotonic()
            ticked = now_s >= next_tick_s
            if ticked:
                next_tick_s = now_s + _TICK_S
            try:
                self._look_round(now_s, ticked)
            except Exception:  # of the thread's own making: it goes on, or all indexes would stand still
                _log.exception("a round of the feeder failed")

    def _look_round(self, now_s: float, ticked: bool) -> None:
        """Every index that may have something to do gets its turn."""
        with self._mutex:
            dirty, self._dirty = self._dirty, set()
            put_off = {feed for feed, at_s in self._later.items() if at_s <= now_s}
            for feed in put_off:
                del self._later[feed]
            due = [f for f in self._feeds if ticked or f.definition.table_id in dirty or f in put_off]
        self._trimmer.changed(dirty, now_s)
        for feed in due:
            self._feeding.due(feed)
        if ticked:
            self._tidying.due(self._trim)

    # --- the crews' threads -----------------------------------------------------------------------------------------

    def _step(self, feed: Feed) -> bool:
        """An index has its turn. Whether it has more to do at once."""
        if feed.has_ended():
            self._let_go(feed)
            return False
        at_s = max(feed.retry_at_s, feed.paused_until_s)
        if time.monotonic() < at_s:
            return self._put_off(feed, at_s)
        try:
            is_unfinished = feed.step()
        except Exception as error:
            if feed.has_ended():  # and its table is gone, perhaps
                return True
            feed.failed(error)
            self._tell(feed, error)
            return self._put_off(feed, feed.retry_at_s)
        if is_unfinished and time.monotonic() < feed.paused_until_s:
            return self._put_off(feed, feed.paused_until_s)
        return is_unfinished

    def _put_off(self, feed: Feed, until_s: float) -> bool:
        """False: it is not due now."""
        with self._mutex:
            if feed in self._feeds:
                self._later[feed] = until_s
            self._call()
        return False

    def _let_go(self, feed: Feed) -> None:
        with self._mutex:
            if feed not in self._removed:
                return
        self._tidying.due(partial(self._delete, feed))

    def _delete(self, feed: Feed) -> bool:
        """Whether to try again: maintenance of the index is still waiting for the store."""
        if not feed.close():
            return not self._stopping
        with self._mutex:
            if feed not in self._removed:
                return False
            self._removed.remove(feed)
        try:
            feed.delete_objects()
        except StorageFailure:  # found by the sweep at the next start
            _log.warning("objects of index [%s] could not be deleted", feed.definition.name, exc_info=True)
        return False

    def _trim(self) -> bool:
        self._trimmer.run(time.monotonic(), self._needed_after)
        return False

    def _tell(self, feed: Feed, error: Exception) -> None:
        """What comes from outside has said all there is to say; anything else is told with where it came from."""
        name, table = feed.definition.name, feed.definition.table
        if isinstance(error, IndexDamaged):
            _log.error("%s", error)
        elif isinstance(error, LutraError):
            _log.error("search index [%s] of table [%s] failed: %s", name, table, error)
        else:
            _log.error("search index [%s] of table [%s] failed", name, table, exc_info=error)

    def _needed_after(self, table_id: int) -> int:
        """The last sequence of a table's changes that no index needs any more."""
        last = self._changelog.last_sequence
        with self._mutex:  # which commits wait for: no longer than it takes to copy
            feeds = [feed for feed in self._feeds if feed.definition.table_id == table_id]
        return min((feed.needed_after for feed in feeds), default=last)
