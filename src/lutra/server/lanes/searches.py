"""Which searches may go on: none holds a thread while it waits for its index, and no index holds all the threads.

An index that is being opened is waited for without a thread. Of an index that is open so many searches run at once, the
others of it wait in its own line: an index that is damaged, or whose store does not answer, holds up no other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from lutra.instance.doors import InstanceDoor
from lutra.model.errors import ServerBusy
from lutra.server.lanes.later import Later
from lutra.server.lanes.reply import Reply

IndexName = tuple[str, str, str]
"""Instance, table, index."""


@dataclass(frozen=True, slots=True)
class Asides:
    """What Lutra's own headers, which nobody signs, say of a search beside its body."""

    explains: bool = False
    """Whether it is to tell what it did."""
    is_fresh: bool = False
    """Whether it is to see every write acknowledged before it."""
    recall_target: float | None = None
    """As `lutra.model.queries.SearchRequest` has it."""


@dataclass(frozen=True, slots=True)
class IndexSearch:
    """A search that is ready to be made."""

    table: str
    index: str
    make: Callable[[Asides], Reply]
    asides: Asides = Asides()

    def call(self) -> Reply:
        """Makes it."""
        return self.make(self.asides)


@dataclass(slots=True)
class _Line:
    running: int = 0
    waiting: deque[Later[Reply]] = field(default_factory=deque)


class Searches:
    """All searches of one server. Thread-safe."""

    def __init__(self, at_once: int) -> None:
        """``at_once``: so many of one index have threads at one time."""
        self._at_once = at_once
        self._mutex = threading.Lock()
        self._lines: dict[IndexName, _Line] = {}

    def begin(self, instance: InstanceDoor, search: IndexSearch) -> Reply | Later[Reply]:
        """Makes the search, or says what it waits for. Raises as the search, and where there is no such index."""
        later = Later(
            partial(self._after_opening, instance, search),
            ServerBusy(f"search index [{search.index}] is being opened after a restart, try again"),
        )
        cancel = instance.when_opened(search.table, search.index, later.ready)
        if cancel is None:
            return self._in_turn(instance, search)
        later.cancel = cancel
        return later

    def _after_opening(self, instance: InstanceDoor, search: IndexSearch) -> Reply | Later[Reply]:
        instance.check_opened(search.table, search.index)
        return self._in_turn(instance, search)

    def _in_turn(self, instance: InstanceDoor, search: IndexSearch) -> Reply | Later[Reply]:
        name = (instance.name, search.table, search.index)
        with self._mutex:
            line = self._lines.setdefault(name, _Line())
            if line.running < self._at_once:
                line.running += 1
                later = None
            else:
                later = Later(partial(self._make, name, search.call))
                later.cancel = partial(self._withdraw, name, later)
                line.waiting.append(later)
        return self._make(name, search.call) if later is None else later

    def _make(self, name: IndexName, call: Callable[[], Reply]) -> Reply:
        try:
            return call()
        finally:
            self._end(name)

    def _end(self, name: IndexName) -> None:
        """A turn is over: it goes on to the first who waits."""
        with self._mutex:
            line = self._lines[name]
            heir = line.waiting.popleft() if line.waiting else None
            if heir is None:
                line.running -= 1
                if not line.running:
                    del self._lines[name]
        if heir is not None:
            heir.ready()

    def _withdraw(self, name: IndexName, later: Later[Reply]) -> None:
        with self._mutex:
            waiting = self._lines[name].waiting
            was_waiting = later in waiting
            if was_waiting:
                waiting.remove(later)
        if not was_waiting:  # it has its turn already
            self._end(name)
