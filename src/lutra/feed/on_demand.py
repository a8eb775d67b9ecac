"""Consumers of tables that do not change: whoever waits for one brings it up to date."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lutra.feed.feed import Feed
from lutra.model.deadline import current_deadline
from lutra.model.errors import RequestTimeout, StorageFailure
from lutra.tables.changelog import Changelog

AnyFeed = Feed[Any]


class OnDemandFeeder:
    """A `lutra.feed.keeper.Keeper` without threads of its own, for a store that is read only.

    Those who wait take in what a consumer lacks, a chunk at a time, in turn.
    """

    def __init__(self, changelog: Changelog) -> None:
        self._changelog = changelog
        self._mutex = threading.Lock()
        self._turns: dict[AnyFeed, threading.Lock] = {}
        """By consumer: who feeds it."""
        self._is_stopped = False

    @property
    def follows(self) -> bool:
        return False

    @property
    def last_sequence(self) -> int:
        return self._changelog.last_sequence

    def add(self, feed: AnyFeed) -> None:
        with self._mutex:
            self._turns[feed] = threading.Lock()

    def remove(self, feed: AnyFeed) -> None:
        """Raises StorageFailure: nothing is deleted of what is read only."""
        raise StorageFailure(f"{feed.consumer.title} is read only")

    def regularly(self, chore: Callable[[], object]) -> None:
        """Nothing: nothing changes by itself."""

    def tidy(self, task: Callable[[], object]) -> None:
        """Nothing: there is nothing to tidy up where nothing is written."""

    def hurry(self, table_ids: Iterable[int]) -> None:
        """Nothing: nobody is waited for."""

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Nothing is trimmed ever."""
        yield

    def wait_searchable(self, feed: AnyFeed, timeout_s: float, sequence: int | None = None) -> None:
        """Brings it up to date, whatever ``sequence``. Raises RequestTimeout, and what keeps it from that."""
        until_s = time.monotonic() + timeout_s
        while True:
            with self._turns[feed]:
                is_unfinished = self._step(feed)
            if not is_unfinished:
                return
            current_deadline().check()
            if time.monotonic() >= until_s:
                at, of = feed.consumer.progress.position, feed.opened_at
                raise RequestTimeout(f"{feed.consumer.title} is not up to date: it is at {at} of {of}")

    def _step(self, feed: AnyFeed) -> bool:
        if self._is_stopped:
            raise StorageFailure(f"{feed.consumer.title} was closed")
        try:
            return feed.step()
        except BaseException as error:  # an interrupt, too
            feed.failed(error)  # what it was in the middle of is begun again by the next who waits
            raise

    def call_when_searchable(self, feed: AnyFeed, sequence: int, call: Callable[[], None]) -> Callable[[], None]:
        """At once: who comes next brings it up to date."""
        call()
        return lambda: None

    def stop(self) -> None:
        with self._mutex:
            feeds, self._is_stopped = list(self._turns), True
        for feed in feeds:
            feed.end()
            with self._turns[feed]:
                feed.close()
