"""How long what failed waits."""

from __future__ import annotations

from lutra.model.pauses import Pauses


def test_pauses_grow_within_bounds_until_it_succeeds() -> None:
    pauses = Pauses(0.5, 3.0)
    assert [pauses.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    pauses.succeeded()
    assert pauses.next_s() == 0.5


def test_what_failed_is_put_off_and_may_be_tried_sooner() -> None:
    pauses = Pauses(1.0, 8.0)
    assert pauses.is_over(0.0)
    pauses.put_off(100.0)
    assert not pauses.is_over(100.9)
    assert pauses.is_over(101.0)
    pauses.put_off(200.0)
    assert not pauses.is_over(201.9)
    pauses.end()
    assert pauses.is_over(200.0)
    pauses.put_off(200.0)
    assert not pauses.is_over(203.9)
    pauses.succeeded()
    assert pauses.is_over(200.0)
