"""Threads that do for indexes what takes long: writing out, taking in what was built, tidying up."""

from __future__ import annotations

import time
from typing import Final

from lutra.index.feed.crew import Crew
from lutra.index.lsm.index import SearchIndex

_THREADS: Final = 2
_STOP_WAIT_S: Final = 20.0


class Housekeeper:
    """Maintains indexes that have something due, each by one thread at a time (`lutra.index.feed.crew.Crew`)."""

    def __init__(self) -> None:
        self._crew = Crew("lutra-housekeeper", _maintain, _THREADS)

    def due(self, index: SearchIndex) -> None:
        """Has ``index`` maintained soon. Returns at once."""
        self._crew.due(index)

    def stop(self, until_s: float | None = None) -> set[SearchIndex]:
        """Ends the threads; what is under way is waited for, up to ``until_s`` (``time.monotonic``; None: for 20 s).

        Returns the indexes whose maintenance has not come to an end.
        """
        return self._crew.stop(time.monotonic() + _STOP_WAIT_S if until_s is None else until_s)


def _maintain(index: SearchIndex) -> bool:
    if index.is_due(time.monotonic()):
        index.maintain()
    return False
