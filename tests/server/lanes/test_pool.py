"""Threads for the event loop: results and errors come back, queues are bounded, nothing is kept."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lutra.model.deadline import Deadline
from lutra.model.errors import RequestTimeout, ServerBusy
from lutra.server.lanes.later import Later
from lutra.server.lanes.pool import WorkerPool


@asynccontextmanager
async def pool(threads: int = 2, queue_max: int = 100) -> AsyncIterator[WorkerPool]:
    made = WorkerPool("test", threads, queue_max)
    try:
        yield made
    finally:
        made.close()


def test_results_and_errors_come_back_to_their_callers() -> None:
    def work(number: int) -> int:
        if number % 7 == 0:
            raise ValueError(number)
        return number * number

    async def main() -> None:
        async with pool(threads=4, queue_max=1_000) as workers:
            calls = [workers.submit(lambda n=n: work(n)) for n in range(1, 500)]
            for number, call in enumerate(calls, 1):
                if number % 7 == 0:
                    with pytest.raises(ValueError, match=str(number)):
                        await call
                else:
                    assert await call == number * number
            assert workers.pending == 0

    asyncio.run(main())


def test_too_many_calls_are_refused_and_room_comes_back() -> None:
    async def main() -> None:
        gate = threading.Event()
        async with pool(threads=1, queue_max=2) as workers:
            calls = [workers.submit(gate.wait) for _ in range(3)]
            await asyncio.sleep(0.02)
            assert (workers.pending, workers.waiting) == (3, 2)
            with pytest.raises(ServerBusy):
                workers.submit(gate.wait)
            gate.set()
            assert await asyncio.gather(*calls) == [True] * 3
            assert await workers.submit(lambda: 5) == 5

    asyncio.run(main())


def test_calls_run_on_as_many_threads_as_there_are() -> None:
    async def main() -> None:
        barrier = threading.Barrier(4, timeout=5)
        async with pool(threads=4) as workers:
            places = await asyncio.gather(*(workers.submit(barrier.wait) for _ in range(4)))
        assert sorted(places) == [0, 1, 2, 3]

    asyncio.run(main())


def test_a_call_is_answered_for_when_its_time_is_up() -> None:
    """Whether it runs or waits; its thread goes on, and takes others up when it comes back."""

    async def main() -> None:
        gate = threading.Event()
        async with pool(threads=1) as workers:
            calls = [workers.submit(gate.wait, Deadline(0.02)), workers.submit(lambda: 1, Deadline(0.02))]
            patient = workers.submit(lambda: 2, Deadline(600))
            for call in calls:
                with pytest.raises(RequestTimeout, match="The request took longer than 20 ms"):
                    await call
            assert (workers.pending, workers.waiting) == (3, 2)
            gate.set()
            assert await patient == 2
            assert workers.pending == 0

    asyncio.run(main())


def test_what_comes_to_wait_when_its_time_is_up_keeps_no_turn() -> None:
    async def main() -> None:
        gate = threading.Event()
        cancelled: list[int] = []

        def call() -> Later[int]:
            gate.wait()
            later = Later(lambda: 1)
            later.cancel = lambda: cancelled.append(1)
            return later

        async with pool(threads=1) as workers:
            late = workers.submit(call, Deadline(0.02))
            with pytest.raises(RequestTimeout):
                await late
            left = workers.submit(call)
            left.cancel()
            gate.set()
            assert await workers.submit(lambda: 2) == 2
            assert cancelled == [1, 1]

    asyncio.run(main())


def test_threads_are_started_while_all_are_stuck_and_no_more() -> None:
    async def main() -> None:
        gate = threading.Event()
        workers = WorkerPool("test", 1, 100, threads_max=3)
        try:
            stuck = [workers.submit(gate.wait) for _ in range(2)]
            assert await workers.submit(lambda: 1) == 1
            assert workers.threads == 3
            stuck.append(workers.submit(gate.wait))
            more = workers.submit(lambda: 2, Deadline(0.5))
            with pytest.raises(RequestTimeout):
                await more
            assert workers.threads == 3
            gate.set()
            assert await asyncio.gather(*stuck) == [True] * 3
            await workers.submit(lambda: None)
            assert workers.pending == 0
        finally:
            workers.close()

    asyncio.run(main())


def test_brief_calls_leave_the_reserve_alone() -> None:
    async def main() -> None:
        workers = WorkerPool("test", 4, 1_000, reserve=3)
        try:
            for _ in range(20):
                names = await asyncio.gather(
                    *(workers.submit(lambda: threading.current_thread().name) for _ in range(8))
                )
                if len(set(names)) == 1:  # else the machine held that thread up for a moment
                    return
            raise AssertionError("the reserve took part each time")
        finally:
            workers.close()

    asyncio.run(main())


def test_the_reserve_steps_in_where_calls_wait_for_each_other() -> None:
    async def main() -> None:
        workers = WorkerPool("test", 4, 100, reserve=3)
        try:
            barrier = threading.Barrier(4, timeout=60)
            for _ in range(3):
                places = await asyncio.gather(*(workers.submit(barrier.wait) for _ in range(4)))
                assert sorted(places) == [0, 1, 2, 3]
            gate = threading.Event()
            held = [workers.submit(gate.wait) for _ in range(3)]
            assert await workers.submit(lambda: 1) == 1
            assert workers.threads == 4
            gate.set()
            assert await asyncio.gather(*held) == [True] * 3
        finally:
            workers.close()

    asyncio.run(main())


def test_calls_that_wait_for_something_else_all_have_the_reserve() -> None:
    """Also where each waits so briefly that the first threads take one again and again."""

    async def main() -> None:
        workers = WorkerPool("test", 4, 1_000, reserve=3)
        under_way, most, mutex = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal under_way, most
            with mutex:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.001)
            with mutex:
                under_way -= 1

        try:
            await asyncio.gather(*(workers.submit(work) for _ in range(500)))
            assert most == 4
        finally:
            workers.close()

    asyncio.run(main())


def test_a_reserve_closes_with_calls_left_over() -> None:
    """Whoever of the threads comes across the word to end, all end."""

    async def main() -> None:
        gate = threading.Event()
        workers = WorkerPool("test", 4, 100, reserve=3)
        left = [workers.submit(gate.wait) for _ in range(6)]
        await asyncio.sleep(0.02)
        gate.set()
        await asyncio.gather(*left)
        workers.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("lutra-test-")]

    asyncio.run(main())


def test_a_caller_that_left_harms_nobody() -> None:
    async def main() -> None:
        gate = threading.Event()
        async with pool(threads=1) as workers:
            left = workers.submit(gate.wait)
            left.cancel()
            gate.set()
            assert await workers.submit(lambda: 1) == 1
            assert workers.pending == 0

    asyncio.run(main())


def test_idle_threads_keep_nothing_alive() -> None:
    class Payload:
        pass

    async def main() -> None:
        async with pool(threads=2) as workers:
            payload = Payload()
            alive = weakref.ref(payload)
            assert await workers.submit(lambda kept=payload: kept is not None)
            del payload
            deadline = time.monotonic() + 5
            while alive() is not None and time.monotonic() < deadline:
                gc.collect()
                await asyncio.sleep(0.01)
            assert alive() is None

    asyncio.run(main())


def test_closing_waits_for_the_call_under_way() -> None:
    async def main() -> None:
        started, ended = threading.Event(), []

        def work() -> None:
            started.set()
            time.sleep(0.05)
            ended.append(True)

        workers = WorkerPool("test", 1, 1)
        workers.submit(work)
        started.wait(5)
        workers.close()
        assert ended == [True]
        await asyncio.sleep(0)

    asyncio.run(main())
