"""Threads for what may wait for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import CancelledError, wait

import pytest

from lutra.kernels import daemons
from lutra.kernels.daemons import DaemonExecutor

WAIT_S = 30.0


def test_results_come_in_order_and_errors_are_raised() -> None:
    with DaemonExecutor("test", 3) as threads:
        assert list(threads.map(lambda n: n * n, range(50))) == [n * n for n in range(50)]
        failed = threads.submit(int, "x")
        with pytest.raises(ValueError, match="x"):
            failed.result(WAIT_S)
        assert threads.submit(int, "12", base=3).result(WAIT_S) == 5
    with pytest.raises(RuntimeError, match="shut down"):
        threads.submit(int)
    assert not any(thread.name == "test" for thread in threading.enumerate())


def test_each_end_is_told_before_its_result() -> None:
    done: list[int] = []
    with DaemonExecutor("test", 2, lambda: done.append(1)) as threads:
        for number in range(1, 20):
            assert threads.submit(int, number).result(WAIT_S) == number
            assert len(done) == number


def test_as_many_at_once_as_are_asked_for() -> None:
    most = threading.Barrier(4)
    with DaemonExecutor("test", 4) as threads:
        for _ in range(3):
            wait([threads.submit(most.wait, WAIT_S) for _ in range(4)])
        assert len(threads._threads) == 4
    unbounded = DaemonExecutor("test")
    released = threading.Event()
    stuck = [unbounded.submit(released.wait, WAIT_S) for _ in range(40)]
    assert unbounded.submit(int, "7").result(WAIT_S) == 7, "those that are stuck hold up nobody"
    released.set()
    assert all(future.result(WAIT_S) for future in stuck)
    unbounded.shutdown()


def test_what_has_not_begun_can_be_cancelled() -> None:
    begun, released = threading.Event(), threading.Event()
    threads = DaemonExecutor("test", 1)
    threads.submit(begun.set)
    assert begun.wait(WAIT_S)
    begun.clear()
    first, second = threads.submit(lambda: (begun.set(), released.wait(WAIT_S))[1]), threads.submit(int)
    assert begun.wait(WAIT_S)
    threads.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(CancelledError):
        second.result(WAIT_S)
    released.set()
    assert first.result(WAIT_S)
    threads.shutdown()


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons, "_IDLE_S", 0.01)
    threads = DaemonExecutor("test")
    for _ in range(2):
        assert threads.submit(int, "7").result(WAIT_S) == 7
        for thread in list(threads._threads):
            thread.join(WAIT_S)
        assert not threads._threads
    threads.shutdown()


def test_a_process_ends_whatever_is_under_way() -> None:
    program = (
        "import threading\n"
        "from lutra.kernels.daemons import DaemonExecutor\n"
        "threads = DaemonExecutor('test')\n"
        "begun = threading.Event()\n"
        "threads.submit(lambda: (begun.set(), threading.Event().wait()))\n"
        "begun.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, check=True)
    assert done.stderr == b""
