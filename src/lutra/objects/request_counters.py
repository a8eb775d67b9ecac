"""How often a store was asked for what, and how many bytes went each way."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class RequestCounters:
    """Requests of one store since it was opened, by kind, those that failed included.

    A request is what a remote store bills: a page of a list, a part of an upload, a range or several that are read as
    one. Repetitions by the client below (`S3Store`) are not seen and not counted.
    """

    puts: int = 0
    """Conditional ones included."""
    gets: int = 0
    """Of whole objects."""
    ranged_reads: int = 0
    heads: int = 0
    """Sizes asked for."""
    lists: int = 0
    deletes: int = 0
    written_bytes: int = 0
    read_bytes: int = 0

    @property
    def round_trips(self) -> int:
        """All requests together."""
        return self.puts + self.gets + self.ranged_reads + self.heads + self.lists + self.deletes

    def __sub__(self, earlier: RequestCounters) -> RequestCounters:
        """What came since ``earlier``."""
        before = asdict(earlier)
        return RequestCounters(**{name: count - before[name] for name, count in asdict(self).items()})


class RequestCounter:
    """Counts for one store; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    @property
    def counters(self) -> RequestCounters:
        """As of now."""
        with self._lock:
            return RequestCounters(**self._counts)

    def add(self, **counts: int) -> None:
        """Adds to the fields named."""
        with self._lock:
            for name, count in counts.items():
                self._counts[name] = self._counts.get(name, 0) + count
