"""Crews that many have in common: so many in one process cost no threads of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from lutra.feed.crew import Crew

HOUSEKEEPERS: Final = 2
_STOP_WAIT_S: Final = 20.0
Member = TypeVar("Member", bound=Hashable)


class Works(Protocol[Member]):
    """As a `Crew` is seen by who has work for it."""

    def due(self, member: Member) -> None: ...

    def gets_on(self, member: Member) -> None: ...

    def stop(self, until_s: float) -> set[Member]: ...


@dataclass(frozen=True, slots=True)
class Turn:
    share: Share[Any]
    member: Hashable

    def take(self) -> bool:
        return self.share.take(self.member)


class Share(Generic[Member]):
    """What one of several has done by a crew that they have in common: as a crew of its own, and stopped alone."""

    def __init__(self, crew: Crew[Turn], work: Callable[[Member], bool]) -> None:
        self._crew = crew
        self._work = work
        self._stopping = False

    def due(self, member: Member) -> None:
        """As `Crew.due`."""
        if not self._stopping:
            self._crew.due(Turn(self, member))

    def gets_on(self, member: Member) -> None:
        """As `Crew.gets_on`."""
        self._crew.gets_on(Turn(self, member))

    def take(self, member: Member) -> bool:
        """A turn, by a thread of the crew."""
        return not self._stopping and self._work(member)

    def stop(self, until_s: float) -> set[Member]:
        """As `Crew.stop`; others that share the crew notice nothing."""
        self._stopping = True
        left: set[Any] = {turn.member for turn in self._crew.drop(self._is_own, until_s)}
        return left

    def _is_own(self, turn: Turn) -> bool:
        return turn.share is self


@dataclass(frozen=True, slots=True)
class Crews:
    """Those that feeders of one process share (`lutra.feed.feeder.Feeder`)."""

    feeding: Crew[Turn] = field(default_factory=lambda: Crew("lutra-feed", Turn.take))
    maintenance: Crew[Turn] = field(default_factory=lambda: Crew("lutra-housekeeper", Turn.take, HOUSEKEEPERS))
    tidying: Crew[Turn] = field(default_factory=lambda: Crew("lutra-tidy", Turn.take))

    def stop(self) -> None:
        """Ends their threads, once all that share them have stopped."""
        until_s = time.monotonic() + _STOP_WAIT_S
        for crew in (self.feeding, self.maintenance, self.tidying):
            crew.stop(until_s)
