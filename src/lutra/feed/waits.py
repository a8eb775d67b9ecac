"""Waiting for a consumer without a thread: for those who have an event loop, and many that wait.

Whoever works on a thread of a pool says so (`waiting_elsewhere`). Where a consumer has to be waited for, `NotYet` is
raised: the thread is given back, and the call made again once the consumer is there. So it is for calls that do nothing
before they wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that who catches NotYet need not load what raises it
    from lutra.feed.keeper import AnyFeed, Keeper


class NotYet(Exception):
    """A consumer has to be waited for, ``timeout_s`` at most."""

    def __init__(self, call_when: Callable[[Callable[[], None]], Callable[[], None]], timeout_s: float) -> None:
        """``call_when``: has its argument called once, by any thread, when the waiting is over; gives what takes that
        back."""
        super().__init__("a search index has to be waited for")
        self.call_when = call_when
        self.timeout_s = timeout_s


class Waits:
    """Of one call, however often it is made: what it has waited for."""

    def __init__(self) -> None:
        self._sequences: dict[AnyFeed, int] = {}

    def wait(self, keeper: Keeper, feed: AnyFeed, timeout_s: float, sequence: int | None) -> None:
        """As `Keeper.wait_searchable`, but raises NotYet in place of waiting."""
        if not keeper.follows:
            keeper.wait_searchable(feed, timeout_s, sequence)
            return
        wanted = self._sequences.get(feed)
        if wanted is not None:  # it is there, or says what is wrong
            keeper.wait_searchable(feed, 0.0, wanted)
            return
        wanted = keeper.last_sequence if sequence is None else sequence
        self._sequences[feed] = wanted
        if not feed.has_reached(wanted):
            raise NotYet(lambda call: keeper.call_when_searchable(feed, wanted, call), timeout_s)


_current: ContextVar[Waits | None] = ContextVar("waits", default=None)


@contextmanager
def waiting_elsewhere(waits: Waits) -> Iterator[None]:
    """Until the block ends this thread does not wait for consumers."""
    token = _current.set(waits)
    try:
        yield
    finally:
        _current.reset(token)


def wait_searchable(keeper: Keeper, feed: AnyFeed, timeout_s: float, sequence: int | None = None) -> None:
    """As `Keeper.wait_searchable`; raises NotYet where this thread does not wait."""
    waits = _current.get()
    if waits is None:
        keeper.wait_searchable(feed, timeout_s, sequence)
    else:
        waits.wait(keeper, feed, timeout_s, sequence)
