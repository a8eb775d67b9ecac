"""Reads of a store that does not answer are given up when the time is up."""

from __future__ import annotations

import threading

import pytest

from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import RequestTimeout, StorageFailure
from lutra.objects.waiting import in_time

WITHIN_S = 60.0


def test_what_is_read_in_time_is_returned() -> None:
    assert in_time(lambda: 7) == 7
    with working_for(Deadline(WITHIN_S)):
        assert in_time(lambda: 7) == 7


def test_what_a_read_raises_is_raised() -> None:
    def fails() -> int:
        raise StorageFailure("broken")

    with pytest.raises(StorageFailure, match="broken"):
        in_time(fails)
    with working_for(Deadline(WITHIN_S)), pytest.raises(StorageFailure, match="broken"):
        in_time(fails)


@pytest.mark.parametrize("is_given_up", [False, True])
def test_a_read_without_an_answer_is_given_up(is_given_up: bool) -> None:
    release = threading.Event()
    deadline = Deadline(WITHIN_S if is_given_up else 0.05)
    if is_given_up:
        threading.Timer(0.05, deadline.give_up).start()
    with working_for(deadline), pytest.raises(RequestTimeout):
        in_time(lambda: release.wait(WITHIN_S))
    release.set()
