"""Who waits for whom at the async door, and what becomes of calls that are cancelled."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.asynchronous import VECTORS, WAIT_S, Held, make, row, run, until

import lutra
from lutra.instance.table import Table
from lutra.kv.rocksdb import RocksStore
from lutra.model.deadline import Deadline
from lutra.model.errors import (
    ParameterInvalid,
    RequestTimeout,
    StorageFailure,
)
from lutra.tables.locks import RowLocks

# --- who waits for whom ---------------------------------------------------------------------------------------------


def test_no_kind_of_call_waits_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of the long ones than there are threads for them, and the brief ones go on."""

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 20)
            held = Held(monkeypatch, Table, "search_many")
            long = [asyncio.ensure_future(docs.search_many([VECTORS[0]], limit=1)) for _ in range(12)]
            await held.begun()
            assert len(await docs.search(VECTORS[1], limit=2)) == 2
            assert await docs.get(1) is not None
            assert await docs.put(row(30)) == (30,)
            assert await docs.put_many([row(31)]) == 1
            assert not any(one.done() for one in long)
            held.let_go()
            assert [results[0][0]["id"] for results in await asyncio.gather(*long)] == [0] * 12

    run(work)


def test_calls_have_their_turn_in_the_order_they_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a scan is one call: of a scan and a get that came later, the get does not wait for all pages."""

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await db.create_table("plain", {"id": int})
            await docs.put_many([{"id": number} for number in range(4_500)])
            order: list[int] = []
            get = Table.get
            monkeypatch.setattr(Table, "get", lambda table, *key, **how: (order.append(key[0]), get(table, *key))[1])
            await asyncio.gather(*(docs.get(number) for number in range(200)))
            assert sorted(order) == list(range(200))
            assert all(abs(number - place) < 20 for place, number in enumerate(order))
            pages = docs.scan()
            read = [await anext(pages)]
            while len(read) < 4_500:  # between any two pages another has its turn
                assert await docs.get(read[-1]["id"]) is not None
                read += [await anext(pages) for _ in range(min(500, 4_500 - len(read)))]
            assert [one["id"] for one in read] == list(range(4_500))

    run(work)


def test_waiting_for_an_index_takes_no_thread(tmp_path: Path) -> None:
    """Of one that does not get on, however many wait: another's are searched meanwhile."""

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            slow, other = await make(db, 10), await make(db, 10, "other")
            await slow.count()
            await other.count()
            feeds = db._database._engine.partition.feeder._feeds
            (index,) = [feed.index for feed in feeds if feed.definition.table == "t"]
            with index._writer:  # it can take in nothing
                await slow.put(row(100))
                waiting = [asyncio.ensure_future(slow.search(limit=20)) for _ in range(30)]
                waiting += [asyncio.ensure_future(slow.count())]
                await until(lambda: len(db._lanes._waiting) == 31)
                assert len(db._lanes._under_way) == 0
                assert len(await slow.search(limit=20, fresh=False)) == 10
                assert await other.count() == 10
                assert not any(one.done() for one in waiting)
                waiting[0].cancel()
                await until(lambda: len(db._lanes._waiting) == 30)
                with pytest.raises(ParameterInvalid):  # before it waits
                    await slow.search(limit=0)
            found = await asyncio.gather(*waiting[1:])
            assert [len(results) for results in found[:-1]] == [11] * 29
            assert found[-1] == 11

    run(work)


def test_an_index_that_does_not_come_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutra.instance.timely.WAIT_S", 0.05)

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 10)
            await docs.count()
            (feed,) = db._database._engine.partition.feeder._feeds
            with feed.index._writer:
                await docs.put(row(100))
                with pytest.raises(RequestTimeout, match="is not up to date: it is at 10 of 11"):
                    await docs.search()
            assert await docs.count() == 11

    run(work)


def test_writes_share_an_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db)
            held = Held(monkeypatch, RocksStore, "commit")
            writing = [asyncio.ensure_future(docs.put(row(number))) for number in range(16)]
            await held.begun()
            committer = db._database._open().tables._writer._committer
            await until(lambda: len(committer._queue) == 15)
            held.let_go()
            await asyncio.gather(*writing)
            assert held.calls == 2

    run(work)


# --- cancellation ---------------------------------------------------------------------------------------------------


def test_a_search_is_given_up_between_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks after each step whether it is still wanted: the first look after the cancellation is the last one."""

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 1_000)
            await docs.count()
            counted = Held(monkeypatch, Deadline, "check")
            counted.let_go()
            asked = docs.aggregate(**{f"a{number}": lutra.col("n").sum() for number in range(5)})
            await asked
            looks = counted.calls
            assert looks > 10
            for after in (2, looks // 2, looks - 3):
                held = Held(monkeypatch, Deadline, "check", after=after)
                asked = docs.aggregate(**{f"a{number}": lutra.col("n").sum() for number in range(5)})
                task = asyncio.ensure_future(asked)
                await held.begun()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert len(db._lanes._under_way) == 1
                held.let_go()
                await until(lambda: len(db._lanes._under_way) == 0)
                assert held.calls == after + 1
            assert await docs.count() == 1_000

    run(work)


def test_many_searches_are_given_up_between_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lutra.instance.instance import Instance

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 100)
            await docs.count()
            held = Held(monkeypatch, Instance, "search_many", after=1)
            task = asyncio.ensure_future(docs.search_many(np.tile(VECTORS[:512], (4, 1)), limit=1))
            await held.begun()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            held.let_go()
            await until(lambda: len(db._lanes._under_way) == 0)
            assert held.calls == 2, "of eight"

    run(work)


def test_a_timeout_ends_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 10)
            held = Held(monkeypatch, Table, "search")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await docs.search()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(docs.search(), 0.05)
            held.let_go()
            assert len(await docs.search(limit=20)) == 10
            await until(lambda: len(db._lanes._under_way) == 0)

    run(work)


def test_a_call_that_waits_for_a_thread_is_not_made_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 10)
            await docs.count()
            held = Held(monkeypatch, Table, "search_many")
            tasks = [asyncio.ensure_future(docs.search_many([VECTORS[0]])) for _ in range(10)]
            await until(lambda: held.calls == 2)  # there are no more threads for it
            for task in tasks[2:]:
                task.cancel()
            await asyncio.wait(tasks[2:])
            assert len(db._lanes._under_way) == 2
            held.let_go()
            await asyncio.gather(*tasks[:2])
            assert held.calls == 2

    run(work)


def test_a_write_that_was_cancelled_does_not_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its row by then, and who writes that next waits for it; or it is not done."""
    is_first, go, acquire = threading.Event(), threading.Event(), RowLocks.acquire

    def acquired(locks: RowLocks, keys: set[bytes], *how: Any) -> None:
        if not is_first.is_set():
            is_first.set()
            assert go.wait(WAIT_S)
        acquire(locks, keys, *how)

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 10)
            monkeypatch.setattr(RowLocks, "acquire", acquired)
            late = asyncio.ensure_future(docs.put(row(1, n=100)))
            await until(is_first.is_set)
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await late
            await docs.put(row(1, n=200))
            go.set()
            await until(lambda: len(db._lanes._under_way) == 0)
            assert [one["n"] for one in await docs.get_many([1]) if one] == [200]

    run(work)


def test_a_load_is_given_up_between_commits(tmp_path: Path) -> None:
    """The commits before stay, and no row of the iterable is asked for after the next one."""
    given = 0
    written, go = threading.Event(), threading.Event()

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal given
        for number in range(1_900):
            if number == 450:
                written.set()
                assert go.wait(WAIT_S)
            given += 1
            yield row(number)

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db)
            task = asyncio.ensure_future(docs.put_many(rows()))
            await until(written.is_set)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go.set()
            await until(lambda: len(db._lanes._under_way) == 0)
            assert given <= 602
            assert await docs.count() == 400

    run(work)


def test_a_scan_goes_on_after_a_cancellation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever instant it came at: no row is lost, and none comes twice. Several tasks may share one scan."""

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await db.create_table("plain", {"id": int})
            await docs.put_many([{"id": number} for number in range(3_300)])
            for after in range(3):
                held = Held(monkeypatch, type(docs._table), "_read_page", after=after)
                rows = docs.scan()
                seen = [(await anext(rows))["id"] for _ in range(1_000 * after)]
                task = asyncio.ensure_future(anext(rows))
                await held.begun()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                held.let_go()
                seen += [one["id"] async for one in rows]
                assert seen == list(range(3_300))
                with pytest.raises(StopAsyncIteration):
                    await anext(rows)
            shared = docs.scan()

            async def some() -> list[int]:
                return [one["id"] async for one in shared]

            parts = await asyncio.gather(some(), some(), some())
            assert sorted(itertools.chain(*parts)) == list(range(3_300))

    run(work)


def test_a_scan_may_be_left(tmp_path: Path) -> None:
    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 300)
            async for one in docs.scan():
                if one["id"] == 3:
                    break
            rows = docs.scan()
            assert isinstance(rows, AsyncIterator)
            assert (await anext(rows))["id"] == 0
        with pytest.raises(StorageFailure, match="is closed"):
            _ = [one async for one in docs.scan()]

    run(work)
