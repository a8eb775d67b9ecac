"""Keeps all consumers of a process current: who is to be looked at when, and by which thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Final

from lutra.feed.crew import Crew
from lutra.feed.crews import Crews, Share, Works
from lutra.feed.feed import Feed
from lutra.feed.housekeeper import Housekeeper
from lutra.feed.trimmer import Trimmer
from lutra.model.errors import IndexDamaged, LutraError, StorageFailure
from lutra.tables.changelog import Changelog

LINGER_S: Final = 0.02
"""After a change, so long is waited for more: many small commits then cost one round."""
_TICK_S: Final = 1.0
"""So often every consumer is looked at, changed or not: watermarks move on, rows expire, the changelog is trimmed."""
_STOP_WAIT_S: Final = 20.0
"""What waits for a store longer than that is left behind."""

_log = logging.getLogger(__name__)
AnyFeed = Feed[Any]


class Feeder:
    """Fills new consumers and follows the changelog for all, a chunk of each in turn, so that none starves another.

    Its own thread says whose turn it is, and reads and writes nothing; all else is done by crews, for each consumer by
    one thread at a time (design note 0008): feeding, which includes opening and looking up keys; maintenance; and what
    is nobody's turn, such as deleting the objects of removed ones and trimming the changelog. So one whose store does
    not answer holds up itself.

    A consumer that fails is tried again later, longer apart each time; its ``Feed`` tells. The changes of a table are
    trimmed once all its consumers have them for good. Stop it before the stores are closed.
    """

    def __init__(
        self, changelog: Changelog, trim_changes: int, trim_period_s: float, crews: Crews | None = None
    ) -> None:
        """Trims ``trim_changes`` changes or more at once, or what there is after ``trim_period_s``.

        ``crews``: that it shares with other feeders of the process; None: it has its own.
        """
        self._changelog = changelog
        self._feeding: Works[AnyFeed]
        self._tidying: Works[Callable[[], bool]]
        if crews is None:
            self._housekeeper = Housekeeper()
            self._feeding = Crew("lutra-feed", self._step)
            self._tidying = Crew("lutra-tidy", _do)
        else:
            self._housekeeper = Housekeeper(crews.maintenance)
            self._feeding = Share(crews.feeding, self._step)
            self._tidying = Share(crews.tidying, _do)
        self._trimmer = Trimmer(changelog, trim_changes, trim_period_s)
        self._chores: tuple[Callable[[], object], ...] = ()
        # Held by itself, not through the condition, whose own `__enter__` an interrupt could leave with the lock held.
        self._mutex = threading.Lock()
        self._feeds: list[AnyFeed] = []
        self._removed: list[AnyFeed] = []
        """That are yet to let go of what they hold."""
        self._dirty: set[int] = set()
        self._later: dict[AnyFeed, float] = {}
        """When to look at these next: they were put off."""
        self._changed = threading.Condition(self._mutex)
        self._is_called = self._is_urgent = False
        """Whether the thread is to look round, and at once."""
        self._stopping = False
        self._keeping = 0
        self._thread = threading.Thread(target=self._run, name="lutra-feeder", daemon=True)
        changelog.subscribe(self._on_commit)
        self._thread.start()

    def __enter__(self) -> Feeder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def follows(self) -> bool:
        """As `lutra.feed.keeper.Keeper` says, as the next does."""
        return True

    @property
    def last_sequence(self) -> int:
        return self._changelog.last_sequence

    def add(self, feed: AnyFeed) -> None:
        """Begins to open or fill a consumer."""
        feed.on_due = self._housekeeper.due
        feed.on_progress = partial(self._feeding.gets_on, feed)
        with self._mutex:
            self._feeds.append(feed)
        self.hurry([feed.consumer.table_id])

    def remove(self, feed: AnyFeed) -> None:
        """Ends the following of a consumer, and has its objects deleted. Returns at once."""
        with self._mutex:
            if feed not in self._feeds:
                return
            self._feeds.remove(feed)
            self._removed.append(feed)
            self._later.pop(feed, None)
        feed.end()
        self._feeding.due(feed)  # whose turn it is may be under way: after it, the rest is for others

    def tidy(self, task: Callable[[], object]) -> None:
        """Has something done soon that may wait for the store, and that no consumer waits for. It tells what failed."""

        def once() -> bool:
            task()
            return False

        self._tidying.due(once)

    def regularly(self, chore: Callable[[], object]) -> None:
        """Has something brief done about once a second, by one thread at a time, that no consumer waits for. It tells
        what failed."""
        with self._mutex:
            self._chores = (*self._chores, chore)

    def hurry(self, table_ids: Iterable[int]) -> None:
        """Looks at these tables' changes at once, and sees that they are trimmed, also where nothing follows them."""
        with self._mutex:
            self._dirty.update(table_ids)
            self._call(urgently=True)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """No change is trimmed meanwhile: for a consumer that counts from now on, and is added before this ends."""
        with self._mutex:
            self._keeping += 1
        try:
            yield
        finally:
            with self._mutex:
                self._keeping -= 1

    def wait_searchable(self, feed: AnyFeed, timeout_s: float, sequence: int | None = None) -> None:
        """Returns when every change up to ``sequence`` (None: all acknowledged by now) is searchable.

        Raises RequestTimeout.
        """
        target = self._changelog.last_sequence if sequence is None else sequence
        self.hurry([feed.consumer.table_id])
        feed.wait(target, timeout_s)

    def call_when_searchable(self, feed: AnyFeed, sequence: int, call: Callable[[], None]) -> Callable[[], None]:
        """As ``wait_searchable``, without a thread that waits (`Feed.call_when`)."""
        self.hurry([feed.consumer.table_id])
        return feed.call_when(sequence, call)

    def stop(self) -> None:
        """Ends the threads and lets go of the stores. A second stop does nothing.

        What is under way is waited for, but no longer than 20 s for all together: one that waits for its store so
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
            if feed in stuck or feed.consumer in maintained:
                _log.warning("%s waits for its store and is left as it is", feed.consumer.title)
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
            except Exception:  # of the thread's own making: it goes on, or all would stand still
                _log.exception("a round of the feeder failed")

    def _look_round(self, now_s: float, ticked: bool) -> None:
        """Every consumer that may have something to do gets its turn."""
        with self._mutex:
            dirty, self._dirty = self._dirty, set()
            put_off = {feed for feed, at_s in self._later.items() if at_s <= now_s}
            for feed in put_off:
                del self._later[feed]
            due = [f for f in self._feeds if ticked or f.consumer.table_id in dirty or f in put_off]
        self._trimmer.changed(dirty, now_s)
        for feed in due:
            self._feeding.due(feed)
        if ticked:
            self._tidying.due(self._trim)

    # --- the crews' threads -----------------------------------------------------------------------------------------

    def _step(self, feed: AnyFeed) -> bool:
        """A consumer has its turn. Whether it has more to do at once."""
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

    def _put_off(self, feed: AnyFeed, until_s: float) -> bool:
        """False: it is not due now."""
        with self._mutex:
            if feed in self._feeds:
                self._later[feed] = until_s
            self._call()
        return False

    def _let_go(self, feed: AnyFeed) -> None:
        with self._mutex:
            if feed not in self._removed:
                return
        self._tidying.due(partial(self._delete, feed))

    def _delete(self, feed: AnyFeed) -> bool:
        """Whether to try again: its maintenance is still waiting for the store."""
        if not feed.close():
            return not self._stopping
        with self._mutex:
            if feed not in self._removed:
                return False
            self._removed.remove(feed)
        try:
            feed.consumer.delete()
        except StorageFailure as error:  # found by the sweep at the next start
            _log.warning("objects of %s could not be deleted: %s", feed.consumer.title, error)
        return False

    def _trim(self) -> bool:
        self._trimmer.run(time.monotonic(), self._needed_after)
        for chore in self._chores:
            chore()
        return False

    def _tell(self, feed: AnyFeed, error: Exception) -> None:
        """What comes from outside has said all there is to say; anything else is told with where it came from."""
        if isinstance(error, IndexDamaged):
            _log.error("%s", error)
        elif isinstance(error, LutraError):
            _log.error("%s failed: %s", feed.consumer.title, error)
        else:
            _log.error("%s failed", feed.consumer.title, exc_info=error)

    def _needed_after(self, table_id: int) -> int:
        """The last sequence of a table's changes that no consumer needs any more."""
        last = self._changelog.last_sequence
        with self._mutex:  # which commits wait for: no longer than it takes to copy
            feeds = [feed for feed in self._feeds if feed.consumer.table_id == table_id]
            if self._keeping:
                return 0
        return min((feed.needed_after for feed in feeds), default=last)


def _do(task: Callable[[], bool]) -> bool:
    return task()
