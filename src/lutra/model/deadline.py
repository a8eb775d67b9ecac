"""When what is under way on this thread has to be done.

One deadline belongs to one request, from its head to its answer, on a clock that nobody sets. It goes with the thread
(a context variable) rather than through every signature: whoever waits or loops, in whichever room, looks at it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from lutra.model.errors import RequestTimeout

_LOOK_S: Final = 0.1
"""Who waits looks so often whether that is still wanted."""


class Deadline:
    """``limit_s`` seconds after ``began_s`` (`time.monotonic`; None: now); ``what`` is the subject of the error.

    ``grace_s`` of these are for what was to be done before, and are not told of. Whoever wanted what is under way may
    give it up before: then the time is up at once, for this and for all that were made `within` it.
    """

    __slots__ = ("_given_up", "_grace_s", "_reads_end_s", "began_s", "end_s", "what")

    def __init__(
        self, limit_s: float, began_s: float | None = None, what: str = "request", grace_s: float = 0.0
    ) -> None:
        self.began_s = time.monotonic() if began_s is None else began_s
        self.end_s = self.began_s + limit_s
        self.what = what
        self._grace_s = grace_s
        self._reads_end_s = math.inf
        self._given_up = bytearray(1)

    def within(self, limit_s: float, began_s: float | None, what: str, grace_s: float = 0.0) -> Deadline:
        """One for a part of this, which is given up with it."""
        part = Deadline(limit_s, began_s, what, grace_s)
        part._given_up = self._given_up
        return part

    @contextmanager
    def ending(self, end_s: float) -> Iterator[None]:
        """Until the block ends this ends at ``end_s`` (`time.monotonic`), where that is sooner: for a part of what is
        under way, which must not use all the time. Not for `NEVER`."""
        assert self is not NEVER
        before_s, self.end_s = self.end_s, min(self.end_s, end_s)
        try:
            yield
        finally:
            self.end_s = before_s

    @property
    def is_limited(self) -> bool:
        """Whether there is an end to it, but that it may be given up."""
        return self.end_s < math.inf

    @property
    def left_s(self) -> float:
        """Seconds; 0 where the time is up."""
        return 0.0 if self._given_up[0] else max(0.0, self.end_s - time.monotonic())

    @property
    def is_over(self) -> bool:
        return self._given_up[0] != 0 or time.monotonic() >= self.end_s

    @property
    def as_native(self) -> tuple[float, bytearray]:
        """For native code: the end, and a byte that is not 0 once it is given up, which may be at any time."""
        return min(self.end_s, self._reads_end_s), self._given_up

    def give_up(self) -> None:
        """Nobody wants it any more. By any thread; not for `NEVER`, which is everybody's."""
        assert self is not NEVER
        self._given_up[0] = 1

    def shorten(self, limit_s: float, what: str, grace_s: float = 0.0) -> None:
        """Has it end ``limit_s`` after its beginning, where that is sooner. Not for `NEVER`, which is everybody's."""
        assert self is not NEVER
        end_s = self.began_s + limit_s
        if end_s < self.end_s:
            self.end_s, self.what, self._grace_s = end_s, what, grace_s

    def hasten_reads(self, end_s: float) -> None:
        """Has native code wait no longer than that for what a store does not answer. Not for `NEVER`."""
        assert self is not NEVER
        self._reads_end_s = min(self._reads_end_s, end_s)

    def error(self) -> RequestTimeout:
        """What to raise where the time is up."""
        if self._given_up[0]:
            return RequestTimeout(f"The {self.what} was given up.")
        limit_s = self.end_s - self.began_s - self._grace_s
        limit = f"{limit_s:.0f} s" if limit_s >= 10 else f"{1_000 * limit_s:.0f} ms"
        return RequestTimeout(f"The {self.what} took longer than {limit}.")

    def check(self) -> None:
        """Raises RequestTimeout where the time is up."""
        if self._given_up[0] or time.monotonic() >= self.end_s:
            raise self.error()

    def wait_for(self, changed: threading.Condition, is_done: Callable[[], bool], timeout_s: float) -> bool:
        """As ``changed.wait_for``, whose lock is held. Raises RequestTimeout where the time is up before that."""
        if self is NEVER:
            return changed.wait_for(is_done, timeout_s)
        until_s = time.monotonic() + timeout_s
        while not is_done():
            self.check()
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return False
            changed.wait(min(left_s, self.left_s, _LOOK_S))
        return True


NEVER: Final = Deadline(math.inf, 0.0)

_current: ContextVar[Deadline] = ContextVar("deadline", default=NEVER)


def current_deadline() -> Deadline:
    """Of what this thread does; `NEVER` where nothing was said."""
    return _current.get()


class working_for:  # noqa: N801  # used as a function is: `with working_for(deadline):`
    """Until the block ends this thread works for ``deadline``."""

    __slots__ = ("_before", "_deadline")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._before = _current.get()

    def __enter__(self) -> Deadline:
        _current.set(self._deadline)
        return self._deadline

    def __exit__(self, *error: object) -> None:
        """Comes to the same when it is done again."""
        _current.set(self._before)
