"""What views keep in memory: a view that is kept keeps all its parts, also those that its index has done with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lutra.index.lsm.open_segment import SegmentView
from lutra.index.lsm.view import IndexView, PartView


class Held(NamedTuple):
    """Bytes, whether or not indexes hold the same."""

    buffers: int
    segments: int
    """Beside the cache of blocks."""


def held_by(views: Iterable[IndexView]) -> Held:
    """By all together: what several of them hold counts once. Buffers as they were when the views were taken."""
    buffers: dict[int, int] = {}
    segments: dict[int, int] = {}
    for view in views:
        for part in view.parts:
            if isinstance(part, PartView):
                kept = id(part.keys.strings)  # of one buffer it is the same in all views
                buffers[kept] = max(part.size_bytes, buffers.get(kept, 0))
            elif isinstance(part, SegmentView):
                segments[id(part.opened)] = part.opened.granted_bytes
    return Held(sum(buffers.values()), sum(segments.values()))
