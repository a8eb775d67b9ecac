"""How long a search has, and that its deadline ends with it."""

from __future__ import annotations

import contextlib
import math

import pytest
from support.interrupts import InterruptAt, Interrupted

from lutra.model.deadline import NEVER, Deadline, current_deadline, working_for
from lutra.model.errors import ParameterInvalid
from lutra.search.deadline import in_time, shorten_request

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
    """What it has found it may finish, within a second more."""

    def limits_ms(timeout_ms: int | None) -> tuple[int, int]:
        return in_time(timeout_ms, lambda deadline: (limit_ms(deadline), limit_ms(current_deadline())))

    def limit_ms(deadline: Deadline) -> int:
        return round(1_000 * (deadline.end_s - deadline.began_s))

    assert limits_ms(50) == (50, 1_050)
    assert limits_ms(None) == (10_000, 11_000)
    for limit_s, timeout_ms, expected_ms in (
        (5.0, 50, (50, 1_050)),
        (0.02, 50, (20, 20)),
        (0.5, 50, (50, 500)),
        (60.0, None, (10_000, 11_000)),
    ):
        own = Deadline(limit_s)
        with working_for(own):
            assert limits_ms(timeout_ms) == expected_ms
            assert limits_ms(timeout_ms) == expected_ms  # as a search within that of an instance
        assert limit_ms(own) == expected_ms[1]
    with pytest.raises(ParameterInvalid, match="timeout_ms"):
        in_time(0, lambda deadline: None)


def test_a_request_ends_with_its_search_before_that_begins() -> None:
    for timeout_ms, expected_s in ((50, 1.05), (None, 45.0), (0, 45.0)):
        with working_for(Deadline(45.0)) as request:
            shorten_request(timeout_ms)
        assert request.end_s - request.began_s == pytest.approx(expected_s)
        assert str(request.error()).endswith("50 ms." if timeout_ms == 50 else "45 s.")
    shorten_request(50)
    assert NEVER.left_s == math.inf
