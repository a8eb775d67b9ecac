"""How far an index has got: what it has taken in, what of that manifests hold, and what of that is built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lutra.feed.progress import NO_PROGRESS, Progress


@dataclass(slots=True)
class Marks:
    """The watermarks of one index. Its owner sees to locks.

    ``settled`` never goes back, and ``indexed`` only where the index is filled anew.
    """

    progress: Progress = NO_PROGRESS
    """Of what has been applied."""
    written: Progress = NO_PROGRESS
    """Of what is in segments, those included that no manifest names yet."""
    durable: Progress = NO_PROGRESS
    """As the last manifest has it."""
    active_since: int = 0
    """All rows of the buffer that takes rows in came by changes after this sequence."""
    _awaited_since: int | None = None
    _settled: int = 0
    _indexed: int = 0

    def reach(self, progress: Progress, *, is_empty: bool) -> None:
        """What was applied so far brings the index to ``progress``. ``is_empty``: no row of it is in the buffer."""
        self.progress = progress
        if not progress.filled:  # rows are to come that no change after ``position`` brings
            self.active_since = self._indexed = 0
        elif is_empty:
            self.active_since = progress.position

    def commit(self, covered: Progress, awaited_since: int | None) -> None:
        """A manifest holds ``covered``; of its segments that are yet to be built see `Manifest.awaited_since`."""
        self.durable = self.written = covered
        self._awaited_since = awaited_since

    def settled(self, *, is_clean: bool) -> int:
        """Changes up to this sequence are not needed any more, not even after a crash.

        ``is_clean``: the last manifest holds all that was applied.
        """
        position = (self.progress if is_clean and self._is_filled else self.durable).position
        self._settled = max(self._settled, position)
        return self._settled

    def indexed(self, *, is_clean: bool, since: Iterable[int]) -> int:
        """Changes up to this sequence are in segments of the kind that their size calls for, and in a manifest.

        0 before all rows are taken in and in a manifest. ``since``: of the buffers that hold rows, each as
        ``active_since``.
        """
        if not self._is_filled:
            return 0
        awaited = [] if self._awaited_since is None else [self._awaited_since]
        self._indexed = max(self._indexed, min([self.settled(is_clean=is_clean), *since, *awaited]))
        return self._indexed

    @property
    def _is_filled(self) -> bool:
        return self.progress.filled and self.durable.filled
