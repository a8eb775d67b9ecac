"""Threads that do for consumers what takes long: writing out, taking in what was built, tidying up."""

from __future__ import annotations

import time
from typing import Final

from lutra.feed.consumer import ChangeConsumer
from lutra.feed.crew import Crew
from lutra.feed.crews import HOUSEKEEPERS, Share, Turn, Works

_STOP_WAIT_S: Final = 20.0


class Housekeeper:
    """Maintains consumers that have something due, each by one thread at a time (`lutra.feed.crew.Crew`)."""

    def __init__(self, crew: Crew[Turn] | None = None) -> None:
        """``crew``: that it shares with others; None: one of its own."""
        self._crew: Works[ChangeConsumer]
        if crew is None:
            self._crew = Crew("lutra-housekeeper", _maintain, HOUSEKEEPERS)
        else:
            self._crew = Share(crew, _maintain)

    def due(self, consumer: ChangeConsumer) -> None:
        """Has ``consumer`` maintained soon. Returns at once."""
        self._crew.due(consumer)

    def stop(self, until_s: float | None = None) -> set[ChangeConsumer]:
        """Ends the threads; what is under way is waited for, up to ``until_s`` (``time.monotonic``; None: for 20 s).

        Returns those whose maintenance has not come to an end.
        """
        return self._crew.stop(time.monotonic() + _STOP_WAIT_S if until_s is None else until_s)


def _maintain(consumer: ChangeConsumer) -> bool:
    if consumer.is_due(time.monotonic()):
        consumer.maintain()
    return False
