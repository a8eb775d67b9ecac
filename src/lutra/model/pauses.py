"""How long what failed waits before it is tried again: twice as long each time, within bounds."""

from __future__ import annotations


class Pauses:
    """Of one thing that is tried over and over."""

    def __init__(self, first_s: float, last_s: float) -> None:
        """From ``first_s`` to ``last_s`` at most."""
        self._first_s, self._last_s = first_s, last_s
        self._pause_s, self._until_s = first_s, 0.0

    def is_over(self, now_s: float) -> bool:
        """Whether it may be tried at ``now_s``, by the clock that `put_off` goes by."""
        return now_s >= self._until_s

    def next_s(self) -> float:
        """How long to wait after a failure; after the next it is longer."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, self._last_s)
        return pause_s

    def put_off(self, now_s: float) -> None:
        """It has failed."""
        self._until_s = now_s + self.next_s()

    def end(self) -> None:
        """It may be tried at once; where it fails, the next pause is as long as it would have been."""
        self._until_s = 0.0

    def succeeded(self) -> None:
        """The next pause is the first again."""
        self._pause_s, self._until_s = self._first_s, 0.0
