"""Row locks: exclusive, all at once, fair, and given up cleanly."""

from __future__ import annotations

import random
import threading
import time

import pytest

from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import OperationConflict, RequestTimeout
from lutra.tables.gate import Gate
from lutra.tables.locks import RowLocks


def test_a_held_key_is_waited_for_no_longer_than_asked() -> None:
    locks = RowLocks()
    held = {b"a", b"b"}
    locks.acquire(held)
    with pytest.raises(OperationConflict, match=r"^Data is being modified by the other request\.$"):
        locks.acquire({b"b", b"c"}, wait_s=0.01)
    locks.acquire({b"c"}, wait_s=0.01)
    locks.release(held)
    locks.release(held)
    locks.acquire({b"b", b"a"}, wait_s=0.01)


def test_only_who_holds_a_key_lets_go_of_it() -> None:
    locks = RowLocks()
    locks.acquire({b"a"})
    locks.release({b"a"})
    with pytest.raises(OperationConflict):
        locks.acquire({b"a"}, wait_s=0.01)


def test_a_request_waits_no_longer_than_its_deadline() -> None:
    locks = RowLocks()
    locks.acquire({b"a"})
    with working_for(Deadline(1, time.monotonic() - 2)), pytest.raises(RequestTimeout):
        locks.acquire({b"a"}, wait_s=3_600)
    locks.acquire({b"b"})


def test_overlapping_batches_neither_meet_nor_deadlock() -> None:
    locks = RowLocks()
    inside: dict[bytes, int] = {}
    failures: list[str] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(150):
            keys = {b"%d" % rng.randrange(12) for _ in range(rng.randrange(1, 6))}
            locks.acquire(keys)
            for key in keys:
                if key in inside:
                    failures.append(f"{key!r} is held twice")
                inside[key] = seed
            if rng.random() < 0.1:
                time.sleep(0)
            for key in keys:
                del inside[key]
            locks.release(keys)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    locks.acquire({b"%d" % i for i in range(12)}, wait_s=0.01)


def test_a_large_batch_is_not_starved_by_small_ones() -> None:
    locks = RowLocks()
    keys = [b"%d" % i for i in range(8)]
    stop = threading.Event()

    def small(key: bytes) -> None:
        while not stop.is_set():
            own = {key}
            locks.acquire(own)
            time.sleep(0.001)
            locks.release(own)

    threads = [threading.Thread(target=small, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    for _ in range(5):
        all_keys = set(keys)
        locks.acquire(all_keys, wait_s=5)
        locks.release(all_keys)
    stop.set()
    for thread in threads:
        thread.join()


def test_who_gives_up_waiting_lets_those_behind_pass() -> None:
    locks = RowLocks()
    locks.acquire({b"a"})
    passed = threading.Event()

    def behind() -> None:
        locks.acquire({b"b"}, wait_s=10)
        passed.set()

    def ahead() -> None:
        with pytest.raises(OperationConflict):
            locks.acquire({b"a", b"b"}, wait_s=0.1)

    first = threading.Thread(target=ahead)
    first.start()
    time.sleep(0.02)
    second = threading.Thread(target=behind)
    second.start()
    assert not passed.wait(0.02)
    assert passed.wait(5)
    first.join()
    second.join()


def test_a_gate_closes_behind_those_inside() -> None:
    gate = Gate()
    first, second = object(), object()
    assert gate.enter(first)
    assert not gate.close(0.01)
    assert gate.enter(second)
    gate.leave(second)
    gate.leave(second)
    leaver = threading.Timer(0.05, gate.leave, [first])
    leaver.start()
    assert gate.close(5)
    assert not gate.enter(second)
    gate.reopen()
    assert gate.enter(second)
    leaver.join()
