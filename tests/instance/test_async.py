"""The async twin of the embedded door: same surface, same results, and an event loop that is never held up."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lutra
from lutra.instance.async_database import Connecting
from lutra.instance.async_lanes import Lane
from lutra.instance.database import Database
from lutra.instance.table import Table
from lutra.kv.rocksdb import RocksStore
from lutra.model.deadline import Deadline
from lutra.model.errors import (
    ConditionCheckFail,
    ObjectNotExist,
    ParameterInvalid,
    ReadOnlyDatabase,
    RequestTimeout,
    StorageFailure,
)
from lutra.tables.locks import RowLocks

DIMENSION = 8
FIELDS: dict[str, Any] = {"n": int, "s": str, "v": lutra.Vector(DIMENSION)}
VECTORS = np.random.default_rng(3).standard_normal((2_000, DIMENSION)).astype("<f4")
WAIT_S = 60.0


def row(number: int, **changed: Any) -> dict[str, Any]:
    return {"id": number, "n": number, "s": f"s{number % 5}", "v": VECTORS[number], **changed}


async def make(database: lutra.AsyncDatabase, rows: int = 0, name: str = "t") -> lutra.AsyncTable:
    table = await database.create_table(name, {"id": int}, FIELDS)
    await table.put_many([row(number) for number in range(rows)])
    return table


def run(work: Callable[[], Awaitable[None]]) -> None:
    """On a loop of its own, in debug mode, which must not complain."""

    async def main() -> None:
        complaints: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(WAIT_S):
            await work()
        await asyncio.sleep(0)
        assert complaints == []

    asyncio.run(main(), debug=True)


async def until(reached: Callable[[], bool]) -> None:
    while not reached():
        await asyncio.sleep(0.002)


class Held:
    """A method whose calls are held until they are let go. They are counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, of: type, name: str, *, after: int = 0) -> None:
        """The first ``after`` calls are not held."""
        self.calls = 0
        self.began, self._go = threading.Event(), threading.Event()
        lock, method = threading.Lock(), getattr(of, name)

        def held(*arguments: Any, **named: Any) -> Any:
            with lock:
                self.calls += 1
                is_held = self.calls > after
            if is_held and not self._go.is_set():
                self.began.set()
                assert self._go.wait(WAIT_S)
            return method(*arguments, **named)

        monkeypatch.setattr(of, name, held)

    async def begun(self) -> None:
        await until(self.began.is_set)

    def let_go(self) -> None:
        self._go.set()


# --- the surface ----------------------------------------------------------------------------------------------------

NOT_ASYNC = {"__len__", "__bool__", "__enter__", "__exit__"}
"""What cannot be awaited: `count` tells the number of rows."""
ONLY_OF_DATABASE = {"__contains__"}
"""Of a database it is known at once; of a table ``get`` is awaited."""
IN_PLACE = {"__iter__": "__aiter__"}
TWINS = {"Table": "AsyncTable", "Database": "AsyncDatabase", "Iterator[Row]": "AsyncIterator[Row]"}


def public(of: type) -> dict[str, Any]:
    own = {name: value for kind in reversed(of.__mro__[:-1]) for name, value in vars(kind).items()}
    special = {"__iter__", "__len__", "__bool__", "__contains__", "__enter__", "__exit__", "__repr__", "_repr_html_"}
    return {name: value for name, value in own.items() if not name.startswith("_") or name in special}


@pytest.mark.parametrize(("one", "twin"), [(lutra.Database, lutra.AsyncDatabase), (lutra.Table, lutra.AsyncTable)])
def test_the_twins_are_alike(one: type, twin: type) -> None:
    """Method by method and parameter by parameter, with their types; and what reads or writes is awaited."""
    left_out = NOT_ASYNC | (ONLY_OF_DATABASE if one is lutra.Table else set())
    wanted = {IN_PLACE.get(name, name): value for name, value in public(one).items() if name not in left_out}
    there = {name: value for name, value in public(twin).items() if not name.startswith("__aenter__")}
    there |= {name: value for name, value in vars(twin).items() if name == "__aiter__"}
    assert there.keys() - {"__aexit__"} == wanted.keys()
    for name, method in wanted.items():
        if isinstance(method, property):
            assert isinstance(there[name], property), name
            continue
        sync, found = inspect.signature(method), inspect.signature(there[name])
        assert found.parameters == sync.parameters, name
        returns = str(sync.return_annotation)
        assert found.return_annotation == TWINS.get(returns, returns), name
        is_at_once = name in {"scan", "__aiter__", "__contains__", "__repr__", "_repr_html_"}
        assert inspect.iscoroutinefunction(there[name]) is not is_at_once, name


def test_connecting_is_alike() -> None:
    sync, twin = inspect.signature(lutra.connect), inspect.signature(lutra.connect_async)
    assert twin.parameters == sync.parameters
    assert twin.return_annotation == Connecting.__name__


def test_every_method_does_as_the_sync_one(tmp_path: Path) -> None:
    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 50)
            table = lutra.connect(tmp_path).table("t")
            assert (docs.name, docs.key, docs.fields) == (table.name, table.key, table.fields)
            assert repr(docs) == f"Async{table!r}"
            assert repr(db) == f"AsyncDatabase({str(tmp_path)!r}, instance='default')"
            assert docs._repr_html_() == table._repr_html_()
            assert await db.table_names() == ["t"]
            assert ("t" in db, "u" in db, db.read_only) == (True, False, False)
            assert await docs.put(row(50), exists=False) == (50,)
            assert await docs.update(50, set={"s": "x"}, increment={"n": 5}) == {"n": 55}
            assert str(await docs.get(50, columns=["n", "s"])) == str(table.get(50, columns=["n", "s"]))
            assert [found and found["n"] for found in await docs.get_many([1, 99, 50])] == [1, None, 55]
            assert await docs.count() == 51
            assert await docs.count(lutra.col("s") == "s1") == 10
            assert [one["id"] for one in await docs.head(3)] == [0, 1, 2]
            assert [one["id"] for one in await docs.search(VECTORS[7], limit=1)] == [7]
            assert [one["id"] for one in await docs.search(order_by=lutra.col("n").desc(), limit=2)] == [50, 49]
            many = await docs.search_many((VECTORS[number] for number in range(3)), limit=1)
            assert [results[0]["id"] for results in many] == [0, 1, 2]
            found = await docs.aggregate(lutra.col("n") < 10, top=lutra.col("n").max())
            assert found == table.aggregate(lutra.col("n") < 10, top=lutra.col("n").max())
            groups = await docs.group_by("s", limit=2, total=lutra.col("n").sum())
            assert groups.to_list() == table.group_by("s", limit=2, total=lutra.col("n").sum()).to_list()
            assert [one["id"] async for one in docs.scan(start=10, end=13)] == [10, 11, 12]
            assert [one["id"] async for one in docs.scan(start=13, end=10, reverse=True)] == [13, 12, 11]
            assert [one["id"] async for one in docs.scan(where=lutra.col("s") == "s2", limit=2)] == [2, 7]
            assert len([one async for one in docs]) == 51
            assert await docs.update_where(lutra.col("n") < 5, s="low") == 5
            assert await docs.update_where(lutra.col("s") == "low", lambda one: {"n": one["n"] + 100}) == 5
            assert await docs.delete_where(lutra.col("s") == "low") == 5
            await docs.delete(5)
            assert await docs.delete_many([6, 7]) == 2
            await docs.add_field("m", float)
            await docs.put(row(60, m=0.5))
            assert await docs.count(lutra.col("m") > 0) == 1
            await docs.drop_field("m")
            assert docs.fields == FIELDS
            assert [one["id"] async for one in (await db.table("t")).scan(limit=1)] == [8]
            await db.refresh()
            await db.create_table("t", {"id": int}, FIELDS, exist_ok=True)
            await db.delete_table("t")
            await db.delete_table("t", missing_ok=True)
            assert await db.table_names() == []

    run(work)


def test_errors_are_the_same(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(StorageFailure, match="there is no data directory"):
            await lutra.connect_async(tmp_path / "none", read_only=True)
        with pytest.raises(ParameterInvalid, match="is no data directory"):
            async with lutra.connect_async("s3://bucket"):
                pass
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db, 5)
            with pytest.raises(ObjectNotExist):
                await db.table("u")
            with pytest.raises(ConditionCheckFail):
                await docs.put(row(1), exists=False)
            with pytest.raises(ParameterInvalid, match="row 1: "):
                await docs.put_many([row(1), {"id": "x"}])
            with pytest.raises(ParameterInvalid, match="limit"):
                await docs.search(limit=0)
            with pytest.raises(ParameterInvalid, match="limit"):
                docs.scan(limit=-1)
            with pytest.raises(ParameterInvalid, match="vector 2: "):
                await docs.search_many([VECTORS[0], VECTORS[1], [1.0]])

    run(work)


def test_reading_only(tmp_path: Path) -> None:
    async def work() -> None:
        async with lutra.connect_async(tmp_path) as writer, lutra.connect_async(tmp_path) as again:
            docs = await make(writer, 20)
            async with lutra.connect_async(tmp_path, read_only=True) as db:
                table = await db.table("t")
                assert db.read_only
                with pytest.raises(ReadOnlyDatabase):
                    await table.put(row(1))
                assert await asyncio.gather(*(table.count() for _ in range(20))) == [20] * 20
                await docs.delete(1)
                assert await table.count() == 20
                await db.refresh()
                assert await table.count() == await (await again.table("t")).count() == 19

    run(work)


# --- the event loop -------------------------------------------------------------------------------------------------


def test_what_takes_long_to_load_is_loaded_by_a_thread() -> None:
    program = "import lutra, sys; lutra.connect_async('x'); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert not {"numpy", "rocksdict", "lutra.kernels._native", "lutra.tables.tables"} & set(ended.stdout.split())


def test_nothing_is_done_on_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever needs the database goes by `Database._open`."""
    threads: set[int] = set()
    opened = Database._open

    def noted(database: Database) -> Any:
        threads.add(threading.get_ident())
        return opened(database)

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            monkeypatch.setattr(Database, "_open", noted)
            docs = await make(db, 10)
            for calls in (
                [docs.put(row(20)), docs.update(1, set={"n": 1}), docs.delete(2), docs.get(1), docs.count()],
                [docs.put_many([row(21)]), docs.delete_many([3]), docs.get_many([1]), docs.head(), docs.search()],
                [docs.search_many([VECTORS[0]]), docs.aggregate(), docs.group_by("s"), db.table("t"), db.table_names()],
                [docs.delete_where(lutra.col("n") == 4), docs.update_where(lutra.col("n") == 5, n=6), db.refresh()],
                [docs.add_field("m", int)],
                [docs.drop_field("m")],
            ):
                await asyncio.gather(*calls)
            _ = [one async for one in docs]
            await db.delete_table("t")
            assert threads
            assert threading.get_ident() not in threads

    run(work)


def test_the_loop_goes_on_while_threads_work(tmp_path: Path) -> None:
    """Rows come only once the loop has turned round: were it held up, this would never end."""
    turns = threading.Event()

    def rows() -> Iterator[dict[str, Any]]:
        assert turns.wait(WAIT_S)
        yield row(1)

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db)
            loading = asyncio.ensure_future(docs.put_many(rows()))
            for number in range(5):
                await docs.put(row(10 + number))
            turns.set()
            assert await loading == 1

    run(work)


def test_who_is_told_is_told_on_the_loop(tmp_path: Path) -> None:
    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db)
            told: list[Any] = []

            def note(what: Any) -> None:
                asyncio.get_running_loop()  # raises on another thread
                told.append(what)

            rows = [row(number) for number in range(500)]
            assert await docs.put_many(rows, progress=note) == 500
            assert told[-1] == 500
            assert len(told) >= 2
            told.clear()
            assert await docs.put_many([row(1), {"id": "x"}, row(2)], rejected=note) == 2
            assert [one.number for one in told] == [1]
            told.clear()
            assert await docs.delete_where(lutra.col("n") >= 400, progress=note) == 100
            assert told[-1] == 100

            def fail(written: int) -> None:
                raise ArithmeticError(written)

            with pytest.raises(ArithmeticError):
                await docs.put_many(iter(rows), progress=fail)

            async def later(written: int) -> None:
                raise AssertionError

            with pytest.raises(ParameterInvalid, match="later is called, not awaited"):
                await docs.put_many(rows, progress=later)

    run(work)


def test_a_failure_to_be_told_ends_the_work(tmp_path: Path) -> None:
    given = 0
    told = threading.Event()

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal given
        for number in range(1_900):
            if number >= 450:
                assert told.wait(WAIT_S)
            given += 1
            yield row(number)

    def fail(written: int) -> None:
        asyncio.get_running_loop().call_soon(told.set)
        raise ArithmeticError

    async def work() -> None:
        async with lutra.connect_async(tmp_path) as db:
            docs = await make(db)
            with pytest.raises(ArithmeticError):
                await docs.put_many(rows(), progress=fail)
            assert given < 1_900
            assert 0 < await docs.count() < 1_900

    run(work)


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
    monkeypatch.setattr("lutra.instance.table.WAIT_S", 0.05)

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
