"""Threads that do for indexes what takes long: writing out, taking in what was built, tidying up."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from lutra.index.index import SearchIndex

_THREADS: Final = 2
"""While one index waits for its store, another goes on."""


class Housekeeper:
    """Maintains indexes that have something due, each by one thread at a time. No thread is there before the first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: deque[SearchIndex] = deque()
        self._busy: list[SearchIndex] = []
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def due(self, index: SearchIndex) -> None:
        """Has ``index`` maintained soon. Returns at once."""
        with self._changed:
            if self._stopping or index in self._due:
                return
            self._due.append(index)
            if len(self._threads) < _THREADS:
                thread = threading.Thread(target=self._run, name="lutra-housekeeper", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Ends the threads; what is under way is waited for."""
        with self._changed:
            self._stopping = True
            self._due.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (index := self._next()) is not None:
            if index.is_due(time.monotonic()):
                index.maintain()
            with self._changed:
                self._busy.remove(index)
                self._changed.notify_all()

    def _next(self) -> SearchIndex | None:
        with self._changed:
            while not self._stopping:
                for index in self._due:
                    if index not in self._busy:
                        self._due.remove(index)
                        self._busy.append(index)
                        return index
                self._changed.wait()
            return None
