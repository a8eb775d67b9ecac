"""Whether the history of one row is linearizable: quickly, however long it is.

The events of a history are gone through in their order. Kept are all states that the row may be in: its value, and
which of the operations under way have taken effect already. Their number grows with what is under way at one time, and
not with the length of the history (just-in-time linearization; Lowe, "Testing for linearizability", 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from support.histories import Unit

Value = int | None
_State = tuple[Value, frozenset[int]]


def first_unexplained(units: Sequence[Unit], row: str, begin: Value) -> Unit | None:
    """The operation at whose end no order explains what was seen of ``row`` so far; None where one explains all.

    ``begin``: its value at first. No two operations write the same value, but for None. What is not certain may take
    effect at any time after it began, or never.
    """
    seen = {unit.reads[row] for unit in units if row in unit.reads}
    kept = [unit for unit in units if unit.is_certain or unit.writes.get(row) in seen]
    events = [(unit.began_s, 0, place) for place, unit in enumerate(kept)]
    events += [(unit.ended_s, 1, place) for place, unit in enumerate(kept) if unit.is_certain]
    states: set[_State] = {(begin, frozenset())}
    under_way: set[int] = set()
    for _, is_end, place in sorted(events):
        if not is_end:
            under_way.add(place)
            continue
        states = {(value, done - {place}) for value, done in _after(states, kept, row, under_way) if place in done}
        under_way.discard(place)
        if not states:
            return kept[place]
    return None


def _after(states: set[_State], units: Sequence[Unit], row: str, under_way: set[int]) -> set[_State]:
    """All states to which operations under way may lead."""
    found, new = set(states), list(states)
    while new:
        value, done = new.pop()
        for place in under_way - done:
            unit = units[place]
            if row in unit.reads and unit.reads[row] != value:
                continue
            state = unit.writes.get(row, value), done | {place}
            if state not in found:
                found.add(state)
                new.append(state)
    return found


def told(units: Sequence[Unit], at: Unit, count: int = 40) -> str:
    """Those before and about an operation, a line each."""
    first_s = min((unit.began_s for unit in units), default=0.0)
    lines = []
    about = [unit for unit in sorted(units, key=lambda unit: unit.began_s) if unit.began_s <= at.ended_s]
    for unit in about[-count:]:
        end = "never known" if math.isinf(unit.ended_s) or not unit.is_certain else f"{unit.ended_s - first_s:.3f}"
        mark = "  <- here" if unit is at else ""
        lines.append(
            f"{unit.began_s - first_s:8.3f} to {end}: {unit.name}, saw {unit.reads}, wrote {unit.writes}{mark}"
        )
    return "\n".join(lines)
