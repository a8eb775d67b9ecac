"""Histories of concurrent work on a few rows, and whether some serial order explains them.

A unit is what was to happen at one instant: a transaction, an atomic batch, a write, a read. It says what it saw of
rows before its own writes, and what it wrote. An order explains a history where each unit stands within the time it
took, sees what those before it left, and where all that is known to have been written is in it (strict
serialisability).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

State = Mapping[str, int]
"""Rows by name; those that are not there are missing."""


@dataclass
class Unit:
    """``reads``: what it saw, None where there was no row. ``writes``: what it left, None where it deleted the row.

    ``is_certain`` False: it may have happened or not. Times are seconds.
    """

    name: str
    began_s: float = 0.0
    ended_s: float = math.inf
    reads: dict[str, int | None] = field(default_factory=dict)
    writes: dict[str, int | None] = field(default_factory=dict)
    is_certain: bool = True

    def saw(self, row: str, value: int | None) -> None:
        """Notes a read, but for what the unit itself wrote; what it sees twice has to be the same."""
        if row in self.writes:
            assert value == self.writes[row], f"{self.name} wrote {self.writes[row]} to {row} and read {value}"
            return
        assert self.reads.setdefault(row, value) == value, f"{self.name} read {self.reads[row]}, then {value} in {row}"


class History:
    """What threads did, in no order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.units: list[Unit] = []

    def begin(self, name: str) -> Unit:
        return Unit(name, began_s=time.monotonic())

    def end(self, unit: Unit, *, is_certain: bool = True) -> None:
        """``unit`` is over; of one that is not certain the end is not known either."""
        unit.is_certain = is_certain
        unit.ended_s = time.monotonic() if is_certain else math.inf
        with self._lock:
            self.units.append(unit)

    def settle(self) -> None:
        """What is not over now never happens any more."""
        now_s = time.monotonic()
        for unit in self.units:
            unit.ended_s = min(unit.ended_s, now_s)


def serial_order(units: Sequence[Unit], begin: State | None = None) -> list[str] | None:
    """Names of the units in an order that explains them, from the state ``begin`` on; None where there is none."""
    ordered = sorted(units, key=lambda unit: unit.began_s)
    seen: set[tuple[frozenset[int], frozenset[tuple[str, int]]]] = set()
    # Depth first, without recursion: what is left, the state, and the order so far.
    stack: list[tuple[frozenset[int], dict[str, int], tuple[str, ...]]] = [
        (frozenset(range(len(ordered))), dict(begin or {}), ())
    ]
    while stack:
        left, state, order = stack.pop()
        if not any(ordered[place].is_certain for place in left):
            return list(order)
        known = (left, frozenset(state.items()))
        if known in seen:
            continue
        seen.add(known)
        first_end_s = min(ordered[place].ended_s for place in left)
        for place in sorted(left, reverse=True):
            unit = ordered[place]
            if unit.began_s > first_end_s:
                continue
            if not unit.is_certain:
                stack.insert(0, (left - {place}, state, order))  # as if it had never been: tried last
            if all(state.get(row) == value for row, value in unit.reads.items()):
                after = dict(state)
                for row, value in unit.writes.items():
                    if value is None:
                        after.pop(row, None)
                    else:
                        after[row] = value
                stack.append((left - {place}, after, (*order, unit.name)))
    return None
