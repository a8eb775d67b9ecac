"""Which operations of different threads do not commute, as sets in the bits of integers."""

from __future__ import annotations

from typing import NamedTuple

from support.simulation.operations import CLOCK, LIST, WRITES, Operation


class Happening(NamedTuple):
    """A kind of step: of two that are equal it does not matter which it was.

    ``thread``: who did it; ``can_tick``: a clock that was looked at while time might go on.
    """

    thread: tuple[int, ...]
    kind: str
    name: str
    is_visible: bool
    can_tick: bool


class Conflicts:
    """All happenings that were come upon, each with a bit, and with which others it does not commute."""

    def __init__(self) -> None:
        self._numbers: dict[Happening, int] = {}
        self._happenings: list[Happening] = []
        self._with: list[int] = []
        self._threads: dict[tuple[int, ...], int] = {}

    def number(self, thread: tuple[int, ...], operation: Operation, *, is_visible: bool, can_tick: bool) -> int:
        """Of a happening: its bit is ``1 << number``."""
        happening = Happening(thread, operation.kind, operation.name, is_visible, can_tick)
        known = self._numbers.get(happening)
        if known is not None:
            return known
        number = self._numbers[happening] = len(self._happenings)
        conflicts = 0
        for other, before in enumerate(self._happenings):
            if _conflict(happening, before):
                conflicts |= 1 << other
                self._with[other] |= 1 << number
        self._happenings.append(happening)
        self._with.append(conflicts)
        self._threads[thread] = self._threads.get(thread, 0) | 1 << number
        return number

    def among(self, happenings: int, number: int) -> list[tuple[int, ...]]:
        """The threads of those among ``happenings`` that do not commute with one."""
        hits = happenings & self._with[number]
        return [thread for thread, bits in self._threads.items() if hits & bits] if hits else []


def _conflict(one: Happening, other: Happening) -> bool:
    if one.thread == other.thread:
        return False
    if one.thread[0] == other.thread[0] >= 0:  # of one process, which share its memory
        return True
    if one.is_visible and other.is_visible:
        return True
    if one.kind == CLOCK or other.kind == CLOCK:
        return one.kind == other.kind and (one.can_tick or other.can_tick)
    if one.kind not in WRITES and other.kind not in WRITES:
        return False
    return one.name == other.name or _lists(one, other) or _lists(other, one)


def _lists(one: Happening, other: Happening) -> bool:
    return one.kind == LIST and (not one.name or other.name.startswith(f"{one.name.rstrip('/')}/"))
