"""A full buffer."""

from __future__ import annotations

from dataclasses import dataclass

from lutra.feed.progress import Progress
from lutra.index.lsm.buffer import Buffer


@dataclass(slots=True)
class Sealed:
    """A full buffer, which serves until what is built from it does."""

    buffer: Buffer
    since: int
    """All its rows came by changes after this sequence."""
    progress: Progress
    segment: str | None = None
    """Its rows as a flat segment, where it has any."""
    written: bool = False
