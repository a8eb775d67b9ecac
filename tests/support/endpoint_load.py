"""Threads of load on several endpoints: each asks one until that fails, then the next."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import tablestore as ots
from support.waiting import wait_until
from urllib3.exceptions import HTTPError

LOST: Final = (ots.OTSClientError, HTTPError, OSError)
"""What the SDK raises where a request was not answered."""

Connect = Callable[[], ots.OTSClient]
Act = Callable[[ots.OTSClient, random.Random], None]


class Unavailable(Exception):
    """The endpoint cannot do it now: another may."""


class EndpointLoad:
    """What goes wrong in a thread, but for an endpoint that fails, is raised by `stop` and by who waits."""

    pause_s = 0.02
    """After a failure."""

    def __init__(self, connects: Sequence[Connect], seed: int) -> None:
        self._connects = connects
        self._seed = seed
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def begin(self, act: Act, number: int) -> None:
        """A thread that does it again and again, from the endpoint of that number on."""
        thread = threading.Thread(target=self._run, args=(act, number), name=f"load-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, within_s: float = 120) -> None:
        """Ends the threads, each after what it does; raises what went wrong in one."""
        self._stop.set()
        for thread in self._threads:
            thread.join(within_s)
            assert not thread.is_alive(), "a request is not answered"
        self._require_no_failure()

    def note(self, error: Exception) -> None:
        """An endpoint failed."""

    def wait_for_more(self, count_of: Callable[[], int], count: int, within_s: float, told: Callable[[], str]) -> float:
        """Returns once it has grown by ``count``: the seconds it took. Raises AssertionError, with what is told."""
        began_s, before = time.monotonic(), count_of()
        wait_until(lambda: bool(self._failures) or count_of() >= before + count, within_s, told)
        self._require_no_failure()
        return time.monotonic() - began_s

    def _require_no_failure(self) -> None:
        if self._failures:
            raise self._failures[0]

    def _run(self, act: Act, number: int) -> None:
        rng = random.Random(self._seed * 1_000 + number)
        at = number % len(self._connects)
        client = self._connects[at]()
        try:
            while not self._stop.is_set():
                try:
                    act(client, rng)
                except (*LOST, ots.OTSServiceError, Unavailable) as error:
                    self.note(error)
                    at = (at + 1) % len(self._connects)
                    client = self._connects[at]()
                    time.sleep(self.pause_s)
        except BaseException as error:
            self._failures.append(error)
