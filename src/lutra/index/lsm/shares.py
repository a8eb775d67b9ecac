"""How memory is shared out among segments: those that are searched most come first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """What one segment could do with. ``heat``: how much it is searched. ``least_bytes``: its shortest codes,
    ``wanted_bytes``: all codes and the graph."""

    heat: float
    least_bytes: int
    wanted_bytes: int


def shares_of(segments: Sequence[Share], total_bytes: int) -> list[int]:
    """Bytes for each of ``segments``, ``total_bytes`` at most together.

    First each gets its shortest codes, the hottest first: a segment without any reads vectors to tell rows apart, which
    costs hundreds of times as much. Then each gets all it wants, the hottest first, as far as that goes. Heat counts
    by powers of two, and of those that are as hot the first comes first, so that nothing goes to and fro.
    """
    order = sorted(range(len(segments)), key=lambda at: (-_level(segments[at].heat), at))
    given = [0] * len(segments)
    left_bytes = total_bytes
    for at in order:
        if segments[at].least_bytes <= left_bytes:
            given[at] = segments[at].least_bytes
            left_bytes -= given[at]
    for at in order:
        more = min(segments[at].wanted_bytes - given[at], left_bytes)
        if more > 0 and (given[at] or not segments[at].least_bytes):
            given[at] += more
            left_bytes -= more
    return given


def _level(heat: float) -> int:
    return math.floor(math.log2(heat)) if heat >= 1 else -1
