"""Ranges of bytes of one object: checked, and joined into few requests."""

from __future__ import annotations

from collections.abc import Sequence

from lutra.model.errors import ParameterInvalid

Range = tuple[int, int]
"""``(offset, length)`` in bytes."""


def require_ranges(name: str, ranges: Sequence[Range]) -> None:
    """Raises ParameterInvalid where one is no range of bytes."""
    for offset, length in ranges:
        if offset < 0 or length < 0:
            raise ParameterInvalid(f"{name}: not a range: {length} bytes from {offset}")


def join_ranges(ranges: Sequence[Range], gap_bytes: int, joined_bytes_max: int) -> list[Range]:
    """What to ask for to have all of ``ranges``, ascending: those at most ``gap_bytes`` apart are asked for as one.

    What is longer than ``joined_bytes_max`` is asked for in pieces of that, so that they can come beside each other.
    """
    joined: list[Range] = []
    for offset, length in sorted(ranges):
        if not length:
            continue
        begin, end = offset, offset + length
        if joined and begin <= joined[-1][1] + gap_bytes:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return [
        (at, min(joined_bytes_max, end - at)) for begin, end in joined for at in range(begin, end, joined_bytes_max)
    ]


def pick_range(pieces: Sequence[tuple[int, memoryview]], wanted: Range) -> bytes:
    """The bytes ``wanted`` of ``pieces``: what was asked for, each with its offset, ascending."""
    offset, length = wanted
    end = offset + length
    return b"".join(
        data[max(offset - at, 0) : max(end - at, 0)] for at, data in pieces if at < end and at + len(data) > offset
    )
