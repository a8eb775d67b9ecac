"""The seam: who keeps consumers current, as those who wait for them see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from lutra.feed.feed import Feed

AnyFeed = Feed[Any]


class Keeper(Protocol):
    """Thread-safe. `lutra.feed.feeder.Feeder` follows what is written; `lutra.feed.on_demand` what is only read."""

    @property
    def follows(self) -> bool:
        """Whether it keeps consumers current by itself; else whoever waits for one does the work."""

    @property
    def last_sequence(self) -> int:
        """Of the changelog: every change acknowledged by now is at most that."""

    def add(self, feed: AnyFeed) -> None:
        """Begins to keep a consumer current."""

    def remove(self, feed: AnyFeed) -> None:
        """Ends that, and has the consumer's objects deleted. Returns at once."""

    def tidy(self, task: Callable[[], object]) -> None:
        """Has something done soon that nobody waits for."""

    def regularly(self, chore: Callable[[], object]) -> None:
        """Has something brief done about once a second, by one thread at a time, that no consumer waits for."""

    def hurry(self, table_ids: Iterable[int]) -> None:
        """Looks at the changes of these tables at once."""

    def keeping(self) -> AbstractContextManager[None]:
        """No change is trimmed meanwhile: for a consumer that counts from now on, and is added before this ends."""

    def wait_searchable(self, feed: AnyFeed, timeout_s: float, sequence: int | None = None) -> None:
        """Returns when every change up to ``sequence`` (None: all acknowledged by now) is searchable.

        Raises RequestTimeout, and what keeps the consumer from that for good.
        """

    def call_when_searchable(self, feed: AnyFeed, sequence: int, call: Callable[[], None]) -> Callable[[], None]:
        """Has ``call`` called once when `wait_searchable` would return or raise. What is returned takes that back."""

    def stop(self) -> None:
        """Lets go of all. A second stop does nothing."""
