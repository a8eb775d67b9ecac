"""How long a search has, and that its deadline ends with it."""

from __future__ import annotations

import contextlib

import pytest
from support.interrupts import InterruptAt, Interrupted

from lutra.model.deadline import NEVER, Deadline, current_deadline, working_for
from lutra.model.errors import ParameterInvalid
from lutra.search.deadline import in_time

WITHIN = {"lutra.search.deadline", "lutra.model.deadline", "lutra.tables.surely"}


def test_no_interrupt_leaves_a_deadline_behind() -> None:
    """Else every later search of the thread would be out of time."""
    for place in range(1, 1_000):
        interrupt = InterruptAt(place, WITHIN.__contains__)
        with contextlib.suppress(Interrupted):
            interrupt.run(lambda: in_time(50, lambda deadline: deadline.check()))
        assert current_deadline() is NEVER
        if not interrupt.has_come:
            assert place > 10
            return
    raise AssertionError("it does not end")


def test_a_search_is_held_to_what_comes_first() -> None:
    assert in_time(50, lambda deadline: round(1_000 * (deadline.end_s - deadline.began_s))) == 50
    assert in_time(None, lambda deadline: current_deadline() is deadline)
    for limit_s, timeout_ms, expected_ms in ((5.0, 50, 50), (0.02, 50, 20), (60.0, None, 10_000)):
        own = Deadline(limit_s)
        with working_for(own):
            assert in_time(timeout_ms, lambda deadline: deadline) is own
        assert round(1_000 * (own.end_s - own.began_s)) == expected_ms
    with pytest.raises(ParameterInvalid, match="timeout_ms"):
        in_time(0, lambda deadline: None)
