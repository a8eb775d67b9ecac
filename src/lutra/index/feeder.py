"""One thread that keeps all search indexes of a process current."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final

from lutra.index.definition import IndexDefinition
from lutra.index.feed import Feed
from lutra.index.housekeeper import Housekeeper
from lutra.index.resources import Resources
from lutra.index.trimmer import Trimmer
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import Corruption, LutraError, ObjectMissing, StorageFailure
from lutra.tables.changelog import Changelog
from lutra.tables.tables import Tables

LINGER_S: Final = 0.02
"""After a change, so long is waited for more: many small commits then cost one round."""
_PAUSE_S: Final = 0.01
"""So long the thread rests where all that is left waits for builds."""
_TICK_S: Final = 1.0
"""So often every index is looked at, changed or not: watermarks move on, rows expire, the changelog is trimmed."""

_log = logging.getLogger(__name__)


class Feeder:
    """Fills new indexes and follows the changelog for all, a chunk of each in turn, so that none starves another.

    An index that fails is tried again later, longer apart each time, and does not hold up the others; its ``Feed``
    tells. The changes of a table are trimmed once all its indexes have them in manifests. Stop it before the stores
    are closed.
    """

    def __init__(
        self, changelog: Changelog, store: KeyValueStore, resources: Resources, clock: Clock | None = None
    ) -> None:
        self._changelog = changelog
        self._store = store
        self._resources = resources
        self._housekeeper = Housekeeper()
        self._clock: Clock = clock or SystemClock()
        self._trimmer = Trimmer(changelog, resources.policy.trim_changes, resources.policy.trim_period_s)
        self._mutex = threading.Lock()
        self._feeds: list[Feed] = []
        self._removed: list[Feed] = []
        self._dirty: set[int] = set()
        self._wake = threading.Event()
        self._urgent = threading.Event()
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
        with self._mutex:
            feed = Feed(definition, tables, self._changelog, self._store, self._resources, self._clock)
            feed.on_due = self._housekeeper.due
            self._feeds.append(feed)
        self.hurry([definition.table_id])
        return feed

    def remove(self, feed: Feed) -> None:
        """Ends the following of an index, and deletes its objects."""
        with self._mutex:
            if feed in self._feeds:
                self._feeds.remove(feed)
                self._removed.append(feed)
        self._wake.set()

    def hurry(self, table_ids: Iterable[int]) -> None:
        """Looks at these tables' changes at once, and sees that they are trimmed, also where no index is."""
        with self._mutex:
            self._dirty.update(table_ids)
        self._urgent.set()
        self._wake.set()

    def wait_searchable(self, feed: Feed, timeout_s: float, sequence: int | None = None) -> None:
        """Returns when every change up to ``sequence`` (None: all acknowledged by now) is searchable.

        Raises RequestTimeout.
        """
        target = self._changelog.last_sequence if sequence is None else sequence
        self.hurry([feed.definition.table_id])
        feed.wait(target, timeout_s)

    def stop(self) -> None:
        """Ends the thread and lets go of the store. A second stop does nothing."""
        self._stopping = True
        self._urgent.set()
        self._wake.set()
        self._thread.join()
        self._housekeeper.stop()

    def _on_commit(self, table_ids: set[int]) -> None:
        """Between commits, on a writer's thread: brief."""
        with self._mutex:
            self._dirty |= table_ids
        self._wake.set()

    def _run(self) -> None:
        next_tick_s = time.monotonic() + _TICK_S
        try:
            while not self._stopping:
                if self._wake.wait(max(0.0, next_tick_s - time.monotonic())):
                    self._urgent.wait(LINGER_S)
                self._wake.clear()
                self._urgent.clear()
                now_s = time.monotonic()
                ticked = now_s >= next_tick_s
                if ticked:
                    next_tick_s = now_s + _TICK_S
                try:
                    self._work(ticked)
                except Exception:  # of the thread's own making: it goes on, or all indexes would stand still
                    _log.exception("a round of the feeder failed")
        finally:
            with self._mutex:
                feeds = [*self._feeds, *self._removed]
            for feed in feeds:
                feed.close()

    def _work(self, ticked: bool) -> None:
        """Lets every index that has something to do take in a chunk, round after round until none has."""
        with self._mutex:
            dirty, self._dirty = self._dirty, set()
            removed, self._removed = self._removed, []
            feeds = list(self._feeds)
        for feed in removed:
            feed.close()
            try:
                feed.delete_objects()
            except StorageFailure:  # found by the sweep at the next start
                _log.warning("objects of index [%s] could not be deleted", feed.definition.name, exc_info=True)
        now_s = time.monotonic()
        self._trimmer.changed(dirty, now_s)
        due = [feed for feed in feeds if ticked or feed.definition.table_id in dirty]
        unfinished = [feed for feed in due if self._step(feed, now_s)]
        if ticked:
            self._trimmer.run(now_s, self._needed_after)
        if unfinished:
            if all(time.monotonic() < feed.paused_until_s for feed in unfinished):
                time.sleep(_PAUSE_S)
            with self._mutex:
                self._dirty.update(feed.definition.table_id for feed in unfinished)
            self._urgent.set()
            self._wake.set()

    def _step(self, feed: Feed, now_s: float) -> bool:
        """Whether the index has more to do at once."""
        if now_s < feed.retry_at_s:
            return False
        if now_s < feed.paused_until_s:
            return True
        try:
            return feed.step()
        except Exception as error:
            with self._mutex:
                is_removed = feed not in self._feeds
            if is_removed:  # and its table perhaps, too
                return False
            self._tell(feed, error)
            feed.failed(error)
            return False

    def _tell(self, feed: Feed, error: Exception) -> None:
        """What comes from outside has said all there is to say; anything else is told with where it came from."""
        name, table = feed.definition.name, feed.definition.table
        if isinstance(error, Corruption | ObjectMissing):
            _log.error("%s", feed.damage(error))
        elif isinstance(error, LutraError):
            _log.error("search index [%s] of table [%s] failed: %s", name, table, error)
        else:
            _log.error("search index [%s] of table [%s] failed", name, table, exc_info=error)

    def _needed_after(self, table_id: int) -> int:
        """The last sequence of a table's changes that no index needs any more."""
        last = self._changelog.last_sequence
        with self._mutex:
            positions = [feed.needed_after for feed in self._feeds if feed.definition.table_id == table_id]
        return min(positions, default=last)
