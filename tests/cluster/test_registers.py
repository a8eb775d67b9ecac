"""The check of histories that tests of kills rely on finds what it is there to find."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from support.histories import Unit, serial_order
from support.registers import first_unexplained


def unit(began: float, ended: float, sees: object = ..., writes: object = ..., certain: bool = True) -> Unit:
    reads = {} if sees is ... else {"r": sees}
    wrote = {} if writes is ... else {"r": writes}
    return Unit(f"{began} to {ended}", began, ended if certain else math.inf, reads, wrote, certain)


def test_what_is_wrong_is_found() -> None:
    lost = [unit(0, 1, writes=1), unit(2, 3, sees=None)]
    assert first_unexplained(lost, "r", None) is lost[1]
    stale = [unit(0, 1, writes=1), unit(2, 3, writes=2), unit(4, 5, sees=1)]
    assert first_unexplained(stale, "r", None) is stale[2]
    back = [unit(0, 9, writes=1), unit(1, 2, sees=1), unit(3, 4, sees=None)]
    assert first_unexplained(back, "r", None) is back[2]
    twice = [unit(0, 1, writes=1), unit(2, 3, sees=1, writes=2), unit(2, 3, sees=1, writes=3)]
    assert first_unexplained(twice, "r", None) is not None
    undone = [unit(0, 1, writes=1, certain=False), unit(2, 3, sees=1), unit(4, 5, sees=None)]
    assert first_unexplained(undone, "r", None) is undone[2]


def test_what_is_right_is_not() -> None:
    assert first_unexplained([], "r", 7) is None
    late = [unit(0, 1, writes=1, certain=False), unit(2, 3, writes=2), unit(4, 5, sees=2), unit(6, 7, sees=1)]
    assert first_unexplained(late, "r", None) is None
    never = [unit(0, 1, writes=1, certain=False), unit(2, 3, sees=None)]
    assert first_unexplained(never, "r", None) is None
    overlapping = [unit(0, 9, writes=1), unit(0, 9, writes=2), unit(1, 2, sees=2), unit(3, 4, sees=1)]
    assert first_unexplained(overlapping, "r", None) is None


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 5), st.integers(0, 3), st.booleans()), max_size=6))
def test_it_agrees_with_the_search_of_all_orders(drawn: list[tuple[int, int, int, bool]]) -> None:
    units = []
    for number, (began, lasts, kind, certain) in enumerate(drawn):
        sees = {0: ..., 1: None, 2: 0, 3: 1}[kind]
        writes = number if kind == 0 or not certain else ...
        units.append(unit(began + number / 100, began + lasts + number / 100, sees, writes, certain))
    assert (first_unexplained(units, "r", None) is None) == (serial_order(units) is not None)
