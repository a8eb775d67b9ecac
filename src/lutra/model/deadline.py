"""When what is under way on this thread has to be done.

One deadline belongs to one request, from its head to its answer, on a clock that nobody sets. It goes with the thread
(a context variable) rather than through every signature: whoever waits or loops, in whichever room, looks at it.
"""

from __future__ import annotations

import math
import time
from contextvars import ContextVar
from typing import Final

from lutra.model.errors import RequestTimeout


class Deadline:
    """``limit_s`` seconds after ``began_s`` (`time.monotonic`; None: now); ``what`` is the subject of the error.

    ``grace_s`` of these are for what was to be done before, and are not told of.
    """

    __slots__ = ("_grace_s", "began_s", "end_s", "what")

    def __init__(
        self, limit_s: float, began_s: float | None = None, what: str = "request", grace_s: float = 0.0
    ) -> None:
        self.began_s = time.monotonic() if began_s is None else began_s
        self.end_s = self.began_s + limit_s
        self.what = what
        self._grace_s = grace_s

    @property
    def left_s(self) -> float:
        """Seconds; 0 where the time is up."""
        return max(0.0, self.end_s - time.monotonic())

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.end_s

    def shorten(self, limit_s: float, what: str, grace_s: float = 0.0) -> None:
        """Has it end ``limit_s`` after its beginning, where that is sooner. Not for `NEVER`, which is everybody's."""
        assert self is not NEVER
        end_s = self.began_s + limit_s
        if end_s < self.end_s:
            self.end_s, self.what, self._grace_s = end_s, what, grace_s

    def error(self) -> RequestTimeout:
        """What to raise where the time is up."""
        limit_s = self.end_s - self.began_s - self._grace_s
        limit = f"{limit_s:.0f} s" if limit_s >= 10 else f"{1_000 * limit_s:.0f} ms"
        return RequestTimeout(f"The {self.what} took longer than {limit}.")

    def check(self) -> None:
        """Raises RequestTimeout where the time is up."""
        if time.monotonic() >= self.end_s:
            raise self.error()


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
