"""Opening and closing the async door, on one event loop or several, carefully or not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.asynchronous import WAIT_S, Held, make, row, run, until

import lutra
from lutra.instance.async_lanes import Lane
from lutra.instance.database import Database
from lutra.instance.table import Table
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import (
    StorageFailure,
)

# --- opening and closing --------------------------------------------------------------------------------------------


def test_closing_ends_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes are done, searches and what waits are not; all are told in a way that fits, and so are later calls."""

    async def work() -> None:
        db = await lutra.connect_async(tmp_path)
        docs = await make(db, 10)
        await docs.count()
        (feed,) = db._database._engine.partition.feeder._feeds
        searching, writing = Held(monkeypatch, Table, "search"), Held(monkeypatch, RocksStore, "commit")
        search = asyncio.ensure_future(docs.search())
        write = asyncio.ensure_future(docs.put(row(11)))
        await searching.begun()
        await writing.begun()
        load = asyncio.ensure_future(docs.put_many([row(number) for number in range(20, 900)]))
        committer = db._database._open().tables._writer._committer
        await until(lambda: len(committer._queue) == 1)
        with feed.index._writer:
            closing = asyncio.ensure_future(db.close())
            await until(lambda: db._lanes._closed is not None)
            with pytest.raises(StorageFailure, match="is closed"):
                await docs.get(1)
            searching.let_go()
            writing.let_go()
            with pytest.raises(StorageFailure, match="is closed"):
                await search
            assert await write == (11,)
            with pytest.raises(StorageFailure, match="is closed"):
                await load
        await closing
        await db.close()
        for call in (docs.get(1), docs.put(row(1)), docs.search(), db.table_names(), db.refresh()):
            with pytest.raises(StorageFailure, match=f"{tmp_path} is closed"):
                await call
        async with lutra.connect_async(tmp_path) as again:
            assert await (await again.table("t")).get(11) is not None

    run(work)


def test_closing_while_an_index_is_waited_for(tmp_path: Path) -> None:
    async def work() -> None:
        db = await lutra.connect_async(tmp_path)
        keeps_it_open = lutra.connect(tmp_path)
        docs = await make(db, 10)
        await docs.count()
        (feed,) = db._database._engine.partition.feeder._feeds
        with feed.index._writer:
            await docs.put(row(11))
            search = asyncio.ensure_future(docs.search())
            await until(lambda: len(db._lanes._waiting) == 1)
            await db.close()
            with pytest.raises(StorageFailure, match="is closed"):
                await search
        assert keeps_it_open.table("t").count() == 11
        keeps_it_open.close()

    run(work)


def test_a_close_that_is_cancelled_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        db = await lutra.connect_async(tmp_path)
        docs = await make(db, 10)
        held = Held(monkeypatch, Table, "get")
        reading = asyncio.ensure_future(docs.get(1))
        await held.begun()
        closing = asyncio.ensure_future(db.close())
        await until(lambda: db._lanes._closed is not None)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        held.let_go()
        await asyncio.wait([reading])
        reading.exception()
        await until(lambda: db._database._is_closed)

    run(work)


def test_a_connection_that_nobody_waits_for_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Database] = []
    close = Database.close
    monkeypatch.setattr(Database, "close", lambda database: (close(database), closed.append(database))[0])

    async def work() -> None:
        held = Held(monkeypatch, Database, "__init__")
        task = asyncio.ensure_future(lutra.connect_async(tmp_path)._open())
        await held.begun()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.let_go()
        await until(lambda: len(closed) == 1)

    run(work)
    assert lutra.connect_async(tmp_path) is not None, "one that is never awaited opens nothing"


def test_closing_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For rows that do not come: who goes on then is told."""
    monkeypatch.setattr("lutra.instance.async_lanes._CLOSE_S", 0.1)
    asked, go = threading.Event(), threading.Event()

    def rows() -> Iterator[dict[str, Any]]:
        asked.set()
        assert go.wait(WAIT_S)
        yield row(1)

    async def work() -> None:
        db = await lutra.connect_async(tmp_path)
        loading = asyncio.ensure_future((await make(db)).put_many(rows()))
        await until(asked.is_set)
        await db.close()
        go.set()
        with pytest.raises(StorageFailure, match="is closed"):
            await loading

    run(work)


def test_several_event_loops(tmp_path: Path) -> None:
    """One after the other, and at the same time in several threads: a database belongs to none."""

    async def opened() -> lutra.AsyncDatabase:
        db = await lutra.connect_async(tmp_path)
        await make(db, 10)
        return db

    db = asyncio.run(opened())

    async def used(number: int) -> int:
        docs = await db.table("t")
        await asyncio.gather(*(docs.put(row(100 * number + one)) for one in range(20)))
        return len([one async for one in docs.scan(start=100 * number, end=100 * (number + 1))])

    assert asyncio.run(used(1)) == asyncio.run(used(2)) == 20
    counts: list[int] = []
    threads = [threading.Thread(target=lambda n=n: counts.append(asyncio.run(used(n)))) for n in range(3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [20] * 4

    async def end() -> None:
        assert await (await db.table("t")).count() == 130
        await db.close()

    asyncio.run(end())


def test_threads_are_few_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lutra.instance import async_lanes

    before = set(threading.enumerate())

    def lanes() -> list[str]:
        kinds = {f"lutra-{lane.value}" for lane in Lane}
        return [thread.name for thread in set(threading.enumerate()) - before if thread.name in kinds]

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 10)
            await asyncio.gather(*(docs.get(1) for _ in range(100)), *(docs.put(row(1)) for _ in range(60)))
            for lane in Lane:
                assert lanes().count(f"lutra-{lane.value}") <= async_lanes._THREADS[lane]
        await until(lambda: lanes() == [])

    run(work)
    assert sum(async_lanes._THREADS.values()) < 40


PROGRAM = """
import asyncio, gc, os, sys
import numpy as np
import lutra

async def careless(path):
    asyncio.get_running_loop().slow_callback_duration = 60.0  # a busy machine is no fault of its own
    db = await lutra.connect_async(path)
    docs = await db.create_table("t", {"id": int}, {"n": int, "v": lutra.Vector(4)}, exist_ok=True)
    await docs.put_many([{"id": i, "n": i, "v": np.ones(4) * i} for i in range(500)])
    async for row in docs.scan():
        break
    tasks = [asyncio.ensure_future(docs.search(np.ones(4))) for _ in range(50)]
    tasks += [asyncio.ensure_future(docs.put({"id": i, "n": i})) for i in range(50)]
    await asyncio.sleep(0.01)
    for task in tasks[::2]:
        task.cancel()
    rows = docs.scan()
    await anext(rows)
    lutra.connect_async(path)
    other = await lutra.connect_async()
    closing = asyncio.ensure_future(other.close())
    await asyncio.sleep(0)
    if len(sys.argv) > 2:
        pid = os.fork()
        if pid == 0:
            try:
                await docs.get(1)
            except lutra.ForkedProcess:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
    # Tasks are under way, nothing is closed, and the loop ends.

asyncio.run(careless(sys.argv[1]), debug=True)
gc.collect()
asyncio.run(careless(sys.argv[1]), debug=True)
"""


@pytest.mark.parametrize("forks", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_careless_program_ends_quietly(forks: bool, tmp_path: Path) -> None:
    """No task that was destroyed, no exception that nobody asked for, no coroutine that was never awaited."""
    python = [sys.executable, "-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning"]
    ended = subprocess.run(
        [*python, "-c", PROGRAM, str(tmp_path / "data"), *(["forks"] if forks else [])],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ | {"PYTHONASYNCIODEBUG": "1"},
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
