"""The async twin of the embedded door: same surface, same results, and an event loop that is never held up."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.asynchronous import FIELDS, VECTORS, WAIT_S, make, row, run

import lutra
from lutra.instance.async_database import Connecting
from lutra.instance.database import Database
from lutra.model.errors import (
    ConditionCheckFail,
    ObjectNotExist,
    ParameterInvalid,
    ReadOnlyDatabase,
    StorageFailure,
)

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


def test_restoring_is_alike() -> None:
    assert inspect.signature(lutra.restore_async) == inspect.signature(lutra.restore)


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
