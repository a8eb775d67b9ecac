"""Whose turn it is: one thread for each at a time, in order, and past those that are stuck."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.feed import crew as crew_module
from lutra.feed.crew import Crew

WAIT_S = 30.0


class Gate:
    """Work that waits to be let through; counts who is at it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.begun: list[int] = []
        self.at_work: Counter[int] = Counter()
        self.most: Counter[int] = Counter()
        self.shut: set[int] = set()
        self.again: Counter[int] = Counter()

    def work(self, member: int) -> bool:
        with self.changed:
            self.begun.append(member)
            self.at_work[member] += 1
            self.most[member] = max(self.most[member], self.at_work[member])
            self.changed.notify_all()
            self.changed.wait_for(lambda: member not in self.shut, WAIT_S)
            self.at_work[member] -= 1
            self.changed.notify_all()
            self.again[member] -= 1
            return self.again[member] >= 0

    def open(self, *members: int) -> None:
        with self.changed:
            self.shut -= set(members)
            self.changed.notify_all()

    def wait_begun(self, member: int, times: int = 1) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.begun.count(member) >= times, WAIT_S), self.begun


def ended(crew: Crew[int]) -> set[int]:
    return crew.stop(time.monotonic() + WAIT_S)


def test_many_stuck_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "PATIENCE_S", 0.05)
    gate, stuck = Gate(), range(20)
    gate.shut = set(stuck)
    crew = Crew("test", gate.work, threads=2)
    assert crew.threads == 0
    for member in (*stuck, 100):
        crew.due(member)
    for times in range(1, 20):
        gate.wait_begun(100, times)
        crew.due(100)
    gate.wait_begun(100, 20)
    assert set(gate.begun) == {*stuck, 100}
    assert crew.threads <= len(stuck) + 2 + 1
    assert crew.stop(time.monotonic()) - {100} == set(stuck), "told, and not waited for"
    gate.open(*stuck)
    assert ended(crew) == set()
    assert set(gate.most.values()) == {1}


def test_no_thread_is_added_where_all_get_on() -> None:
    gate = Gate()
    gate.again = Counter(dict.fromkeys(range(10), 40))
    crew = Crew("test", gate.work, threads=3)
    for member in range(10):
        crew.due(member)
    for member in range(10):
        gate.wait_begun(member, 41)
    assert crew.threads <= 3 + 1
    assert ended(crew) == set()


def test_who_found_no_thread_gets_one_when_due_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine had no room for a thread, and nobody else is due."""
    start, refusals = threading.Thread.start, [1]

    def refused_once(thread: threading.Thread) -> None:
        if thread.name == "test" and refusals:
            refusals.pop()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused_once)
    gate = Gate()
    crew = Crew("test", gate.work)
    crew.due(1)
    assert (crew.threads, gate.begun) == (0, [])
    crew.due(1)
    gate.wait_begun(1)
    assert ended(crew) == set()


def test_who_takes_long_but_gets_on_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two that are at work is stuck: in its place another begins, and no more."""
    monkeypatch.setattr(crew_module, "PATIENCE_S", 0.2)
    gate = Gate()
    gate.shut = {0, 1, 2, 3, 4}
    crew = Crew("test", gate.work, threads=2)
    ended_telling = threading.Event()

    def tell() -> None:
        while not ended_telling.wait(0.005):
            for member in (1, 2):
                crew.gets_on(member)

    telling = threading.Thread(target=tell)
    telling.start()
    try:
        for member in range(5):
            crew.due(member)
        gate.wait_begun(2)
        time.sleep(1.0)
        assert gate.begun == [0, 1, 2]
    finally:
        ended_telling.set()
        telling.join(WAIT_S)
    gate.wait_begun(4)
    gate.open(*range(5))
    assert ended(crew) == set()


def test_who_is_due_again_comes_after_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "PATIENCE_S", WAIT_S)
    gate = Gate()
    gate.shut, gate.again = {0}, Counter({1: 3, 2: 3, 3: 3})
    crew = Crew("test", gate.work, threads=1)
    for member in range(4):
        crew.due(member)
        gate.wait_begun(0)
        crew.due(member)
    gate.open(0)
    for member in (1, 2, 3):
        gate.wait_begun(member, 4)
    assert ended(crew) == set()
    assert gate.begun == [0, 1, 2, 3, 0, 1, 2, 3, 1, 2, 3, 1, 2, 3]


def test_threads_end_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "_IDLE_S", 0.02)
    gate = Gate()
    crew = Crew("test", gate.work)
    for times in (1, 2):
        crew.due(1)
        gate.wait_begun(1, times)
        until_s = time.monotonic() + WAIT_S
        while crew.threads:
            assert time.monotonic() < until_s
            time.sleep(0.01)
    assert ended(crew) == set()


def test_work_that_raises_is_told_and_the_crew_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def work(member: int) -> bool:
        if member == 1:
            raise ValueError("of our own making")
        done.set()
        return False

    crew = Crew("test", work, threads=1)
    crew.due(1)
    crew.due(2)
    assert done.wait(WAIT_S)
    assert ended(crew) == set()
    assert "of our own making" in caplog.text
    crew.due(2)
    assert crew.threads == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30), st.integers(1, 3))
def test_nobody_is_forgotten_and_none_is_at_it_twice(told: list[tuple[int, bool]], threads: int) -> None:
    """After the last time a member became due, its work begins once more at least."""
    at_work: Counter[int] = Counter()
    seen: dict[int, int] = {}
    wanted: dict[int, int] = {}
    lock, settled = threading.Lock(), threading.Condition()
    faults: list[str] = []

    def work(member: int) -> bool:
        with lock:
            at_work[member] += 1
            if at_work[member] > 1:
                faults.append(f"{member} twice at once")
            version = wanted[member]
        time.sleep(0)
        with settled:
            seen[member] = version
            settled.notify_all()
        with lock:
            at_work[member] -= 1
        return False

    crew = Crew("test", work, threads=threads)
    for number, (member, yields) in enumerate(told):
        with lock:
            wanted[member] = number
        crew.due(member)
        if yields:
            time.sleep(0)
    with settled:
        assert settled.wait_for(lambda: seen == wanted, WAIT_S)
    assert ended(crew) == set()
    assert not faults
