"""A crew that several share: each is stopped alone, and waits for its own."""

from __future__ import annotations

import threading
import time

from support.waiting import wait_until

from lutra.feed.crew import Crew
from lutra.feed.crews import Crews, Share, Turn

WITHIN_S = 30.0


class Work:
    """That of one who shares a crew: it is done while the gate is open."""

    def __init__(self, crew: Crew[Turn]) -> None:
        self.gate = threading.Event()
        self.begun: list[str] = []
        self.done: list[str] = []
        self.share: Share[str] = Share(crew, self._do)

    def _do(self, member: str) -> bool:
        self.begun.append(member)
        assert self.gate.wait(WITHIN_S)
        self.done.append(member)
        return False


def now() -> float:
    return time.monotonic()


def test_the_same_member_of_two_is_two() -> None:
    crews = Crews()
    first, second = Work(crews.feeding), Work(crews.feeding)
    for work in (first, second):
        work.share.due("a")
    wait_until(lambda: first.begun == second.begun == ["a"])
    for work in (first, second):
        work.gate.set()
    wait_until(lambda: first.done == second.done == ["a"])
    crews.stop()


def test_one_that_stops_waits_for_its_own_alone_and_others_go_on() -> None:
    crew: Crew[Turn] = Crew("test", Turn.take, threads=1)
    first, second = Work(crew), Work(crew)
    first.share.due("a")
    wait_until(lambda: first.begun == ["a"])
    first.share.due("b")
    second.share.due("a")
    assert first.share.stop(now()) == {"a"}, "it is under way yet"
    assert second.share.stop(now()) == set(), "none of it has begun"
    third = Work(crew)
    third.gate.set()
    third.share.due("c")
    stopped = threading.Event()
    waiter = threading.Thread(target=lambda: (first.share.stop(now() + WITHIN_S), stopped.set()))
    waiter.start()
    assert not stopped.wait(0.05)
    first.gate.set()
    waiter.join()
    wait_until(lambda: third.done == ["c"])
    assert (first.begun, second.begun) == (["a"], []), "what was due of those that stopped is done no more"
    for work in (first, second):
        work.share.due("late")
        work.share.gets_on("late")
    third.share.due("d")
    wait_until(lambda: third.done == ["c", "d"])
    assert (first.begun, second.begun) == (["a"], [])
    assert crew.stop(now() + WITHIN_S) == set()


def test_what_is_due_again_while_it_is_under_way_ends_with_its_share() -> None:
    crew: Crew[Turn] = Crew("test", Turn.take)
    work = Work(crew)
    work.share.due("a")
    wait_until(lambda: work.begun == ["a"])
    work.share.due("a")
    assert work.share.stop(now()) == {"a"}
    work.gate.set()
    assert work.share.stop(now() + WITHIN_S) == set()
    assert work.begun == ["a"]
    assert crew.stop(now() + WITHIN_S) == set()
