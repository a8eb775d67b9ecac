"""Calls that wait for a store far away are made beside each other."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from lutra.model.deadline import Deadline, current_deadline, working_for
from lutra.search.far import at_once

WITHIN_S = 60.0


def test_all_are_under_way_at_once_and_answer_in_order() -> None:
    together = threading.Barrier(5)

    def call(number: int) -> int:
        together.wait(WITHIN_S)
        return number

    assert at_once([partial(call, number) for number in range(5)]) == list(range(5))
    assert at_once([]) == []


def test_they_work_for_the_deadline_of_who_asks() -> None:
    with working_for(Deadline(WITHIN_S)) as deadline:
        assert at_once([current_deadline] * 3) == [deadline] * 3


@pytest.mark.parametrize("failing", [0, 2])
def test_all_are_over_when_one_has_failed(failing: int) -> None:
    ended: list[int] = []

    def call(number: int) -> None:
        if number == failing:
            raise ValueError(str(number))
        ended.append(number)

    with pytest.raises(ValueError, match=str(failing)):
        at_once([partial(call, number) for number in range(4)])
    assert sorted(ended) == [number for number in range(4) if number != failing]
