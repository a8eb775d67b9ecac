"""Threads that serve many consumers, each by one thread at a time, so that none waits for another's store."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

THREADS: Final = 4
"""That work side by side, as far as they get on: what they do is Python's for the most part."""
PATIENCE_S: Final = 0.5
"""Where some wait and nobody has begun for so long, those at work are stuck. Longer than a chunk of rows takes."""
_IDLE_S: Final = 10.0
"""A thread that had nothing to do for so long ends."""

_log = logging.getLogger(__name__)
Member = TypeVar("Member", bound=Hashable)


class Crew(Generic[Member]):
    """Does ``work(member)`` for members that are due: in the order they came, each by one thread at a time.

    ``work`` says whether its member is due again at once; it then comes after all others that are.

    Work that waits for a store that does not answer holds its thread, and nobody else: where members wait and none was
    begun for `PATIENCE_S`, those at work count as stuck that have not told for so long that they get on, and others
    begin beside them. So there are never more threads than members that are stuck, and ``threads`` and one more; none
    is there before the first member is due.

    Thread-safe. One lock, held for moments, and never while something is done.
    """

    def __init__(self, name: str, work: Callable[[Member], bool], threads: int = THREADS) -> None:
        """``name``: of the threads."""
        self._name = name
        self._work = work
        self._threads_max = threads
        # Held by itself, not through the condition, whose own `__enter__` an interrupt could leave with the lock held.
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._ended = threading.Condition(self._mutex)
        """For who waits for work to come to its end: it takes no call that is meant for a thread of the crew."""
        self._waiting: OrderedDict[Member, None] = OrderedDict()
        self._working: set[Member] = set()
        self._moving: dict[Member, float] = {}
        """Those at work that are not stuck, and when they last began or got on."""
        self._again: set[Member] = set()
        """Those at work that became due meanwhile."""
        self._begun_s = 0.0
        """When work was last begun."""
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._stopping = False

    @property
    def threads(self) -> int:
        """There are at this moment."""
        return len(self._threads)

    def due(self, member: Member) -> None:
        """Has work done for ``member`` soon, and once more where some is under way. Returns at once."""
        with self._mutex:
            if self._stopping:
                return
            if member in self._working:
                self._again.add(member)
            elif member not in self._waiting:
                self._waiting[member] = None
                self._call_one()
            elif not self._idle:  # no thread could be started when it began to wait
                self._call_one()

    def gets_on(self, member: Member) -> None:
        """What is under way for ``member``, if anything, takes long and is not stuck. From any thread."""
        with self._mutex:
            if member in self._moving:
                self._moving[member] = time.monotonic()

    def stop(self, until_s: float) -> set[Member]:
        """Begins nothing more and waits for what is under way, up to ``until_s`` (``time.monotonic``).

        Returns those whose work has not come to an end; their threads do not keep the process from ending.
        """
        with self._mutex:
            self._stopping = True
            self._waiting.clear()
            self._again.clear()
            threads = set(self._threads)
            self._changed.notify_all()
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        with self._mutex:
            return set(self._working)

    def drop(self, is_meant: Callable[[Member], bool], until_s: float) -> set[Member]:
        """Does nothing more for those that are meant, and waits for what is under way, up to ``until_s``.

        Returns those whose work has not come to an end. None of them may become due any more.
        """
        with self._mutex:
            for member in [member for member in self._waiting if is_meant(member)]:
                del self._waiting[member]
            self._again = {member for member in self._again if not is_meant(member)}

            def have_ended() -> bool:
                return not any(is_meant(member) for member in self._working)

            self._ended.wait_for(have_ended, max(0.0, until_s - time.monotonic()))
            return {member for member in self._working if is_meant(member)}

    def _call_one(self) -> None:
        """Within the lock: sees to it that a thread looks at who waits, now and when patience ends."""
        if self._idle:
            self._changed.notify()
            return
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no room for one: who is at work goes on with those that wait
            _log.warning("no thread could be started: %d consumers wait for %d", len(self._waiting), len(self._threads))
        else:
            self._threads.add(thread)
            self._idle += 1

    def _run(self) -> None:
        while (member := self._next()) is not None:
            is_due = False
            try:
                is_due = self._work(member)
            except Exception:  # of our own making: the thread goes on, or others would stand still
                _log.exception("%s failed", self._name)
            with self._mutex:
                self._working.discard(member)
                self._moving.pop(member, None)
                if (is_due or member in self._again) and not self._stopping:
                    self._waiting[member] = None
                self._again.discard(member)
                self._idle += 1
                self._ended.notify_all()

    def _next(self) -> Member | None:
        """Whom to work for; None: the thread is to end."""
        with self._mutex:
            while not self._stopping:
                now_s = time.monotonic()
                patience_s = _IDLE_S
                if self._waiting:
                    if now_s >= self._begun_s + PATIENCE_S:
                        self._moving = {one: at_s for one, at_s in self._moving.items() if now_s < at_s + PATIENCE_S}
                    if len(self._moving) < self._threads_max:
                        return self._begin(now_s)
                    patience_s = max(self._begun_s, min(self._moving.values())) + PATIENCE_S - now_s
                if not self._changed.wait(patience_s) and not self._waiting:
                    break
            self._idle -= 1
            self._threads.discard(threading.current_thread())
            return None

    def _begin(self, now_s: float) -> Member:
        member, _ = self._waiting.popitem(last=False)
        self._working.add(member)
        self._moving[member] = now_s
        self._begun_s = now_s
        self._idle -= 1
        if self._waiting:
            self._call_one()
        return member
