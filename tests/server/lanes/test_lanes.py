"""Who waits for whom: an index that is being opened, or whose store gives no answer, holds up nobody else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tablestore as ots
from support.engines import open_engine
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET
from support.stalling_store import StallingStore
from support.wire_client import WireClient
from tablestore.encoder import OTSProtoBufferEncoder

from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import ROOT, prefix_of
from lutra.instance.engine import Engine
from lutra.kernels.plainbuffer import encode_key
from lutra.model.clock import SystemClock
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.server.auth.credentials import Credentials
from lutra.server.http.app import Application
from lutra.server.http.options import ServerOptions
from lutra.server.observe.engine_metrics import engine_collectors
from lutra.server.protocol.operations import Lane
from lutra.server.wire import error_pb2, query_pb2, row_pb2, table_pb2

ENCODER = OTSProtoBufferEncoder("utf8")
DIMENSION, ROWS = 8, 200
TABLES = ("stalled", "whole")
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))


def vector(n: int) -> bytes:
    return np.random.default_rng(n).standard_normal(DIMENSION).astype("<f4").tobytes()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two tables, each with an index of which all is in segments."""
    path = tmp_path_factory.mktemp("lanes") / "data"
    engine = open_engine(path)
    engine.create_instance("test")
    instance = engine.instance("test")
    for table in TABLES:
        instance.tables.create(TableSchema(table, (KeyColumn("id", ColumnType.INTEGER),)))
        instance.create_search_index(table, "x", SCHEMA)
        for first in range(0, ROWS, 100):
            changes = [
                RowChange(ChangeKind.PUT, (("id", n),), [("v", vector(n), None, CellOperation.PUT)])
                for n in range(first, first + 100)
            ]
            instance.tables.write_batch([(table, changes)])
        instance.wait_searchable(table, "x", 60)
    for feed in engine.partition.feeder._feeds:
        feed.index.flush()
    engine.close()
    return path


@pytest.fixture
def store(filled: Path) -> Iterator[list[StallingStore]]:
    """The object store of the engine that is opened next."""
    made: list[StallingStore] = []
    yield made
    for one in made:
        one.release()


class IndexStallingStore(StallingStore):
    """The sweep at the engine's start, which looks at all indexes, is none of what stalls."""

    def list(self, prefix: str) -> list[str]:
        return self.inner.list(prefix) if prefix == ROOT else super().list(prefix)


class Served:
    """An application over an engine, asked as uvicorn would ask it."""

    def __init__(self, engine: Engine, options: ServerOptions) -> None:
        self.engine = engine
        clock = SystemClock()
        collectors = engine_collectors(engine, clock)
        self.app = Application(
            engine, Credentials(ACCESS_KEY_ID, ACCESS_KEY_SECRET), clock, options, collectors=collectors
        )
        self._signer = WireClient("http://127.0.0.1:1")

    async def call(self, operation: str, body: bytes) -> tuple[int, bytes]:
        headers = self._signer.headers(operation, body) | {"content-length": str(len(body))}
        return await self._ask("POST", f"/{operation}", headers, body)

    async def get(self, path: str) -> int:
        status, _ = await self._ask("GET", path, {}, b"")
        return status

    async def search(self, table: str, timeout_s: float | None = None) -> tuple[int, Any]:
        """The status, and how many rows were found or the error."""
        query = ots.SearchQuery(ots.KnnVectorQuery("v", 5, np.zeros(DIMENSION).tolist()), limit=5)
        columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)
        request = ENCODER.encode_request("Search", table, "x", query, columns, None, timeout_s)
        status, body = await self.call("Search", request.SerializeToString())
        if status == 200:
            return status, len(query_pb2.SearchResponse.FromString(body).rows)
        return status, error_pb2.Error.FromString(body)

    async def check_others(self) -> None:
        """All that has nothing to do with the stalled index is answered."""
        get_all = row_pb2.GetRangeRequest(
            table_name="stalled",
            direction=row_pb2.DIRECTION_FORWARD,
            max_versions=1,
            inclusive_start_primary_key=encode_key((("id", INF_MIN),)),
            exclusive_end_primary_key=encode_key((("id", INF_MAX),)),
        )
        for _ in range(3):
            for table in TABLES:
                get_all.table_name = table
                status, body = await self.call("GetRange", get_all.SerializeToString())
                assert (status, bool(row_pb2.GetRangeResponse.FromString(body).rows)) == (200, True)
            described = table_pb2.DescribeTableRequest(table_name="whole").SerializeToString()
            assert (await self.call("DescribeTable", described))[0] == 200
            assert await self.search("whole") == (200, 5)
            assert await self.get("/healthz") == 200

    async def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    def feed(self, table: str) -> IndexFeed:
        return self.engine.instance("test")._indexes.opened(table, "x").feed


@contextlib.asynccontextmanager
async def served(
    path: Path, made: list[StallingStore], *, stalls_at_once: bool = False, **options: float
) -> AsyncIterator[tuple[Served, StallingStore, str]]:
    """What is served, its store, and the prefix of the index that is to stall."""
    prefix = "indexes/1-x"

    def wrapped(resources: Resources) -> Resources:
        store = IndexStallingStore(resources.store)
        if stalls_at_once:
            store.stall(prefix)
        made.append(store)
        return replace(resources, store=store)

    engine = open_engine(path, wrapped=wrapped)
    it = Served(engine, ServerOptions(**options))  # type: ignore[arg-type]
    assert prefix_of(it.feed("stalled").definition).startswith(prefix)
    try:
        yield it, made[0], prefix
    finally:
        made[0].release()
        it.app.close()
        engine.close()


async def until(condition: Any) -> None:
    for _ in range(6_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to that")


def test_a_slow_opening_holds_no_thread(filled: Path, store: list[StallingStore]) -> None:
    async def main() -> None:
        threads = {"search_threads": 2, "index_threads": 2, "scan_threads": 2}
        async with served(filled, store, stalls_at_once=True, **threads) as (it, stalling, prefix):
            searches = [asyncio.create_task(it.search("stalled")) for _ in range(30)]
            await until(lambda: it.app._parked == 30)
            stalling.wait_waiting(prefix)
            assert it.app._pools[Lane.SEARCH].pending == 0
            await it.check_others()
            early, error = await it.search("stalled", 0.2)
            assert (early, error.code, "being opened" in error.message) == (503, "OTSServerBusy", True)
            stalling.release()
            assert set(await asyncio.gather(*searches)) == {(200, 5)}
            assert not it.feed("stalled")._watchers
            assert await it.search("stalled") == (200, 5)

    asyncio.run(main())


def test_a_search_that_stalls_holds_up_only_its_own_index(filled: Path, store: list[StallingStore]) -> None:
    async def main() -> None:
        threads = {"search_threads": 4, "index_threads": 2, "scan_threads": 2}
        async with served(filled, store, **threads) as (it, stalling, prefix):
            for table in TABLES:
                it.engine.instance("test").wait_searchable(table, "x", 60)
            stalling.stall(prefix)
            searches = [asyncio.create_task(it.search("stalled")) for _ in range(2)]
            await until(lambda: stalling.waiting(prefix) == 2 or it.app._pools[Lane.SEARCH].pending == 2)
            searches += [asyncio.create_task(it.search("stalled", 0.3)) for _ in range(10)]
            await it.check_others()
            # Told in time, though no thread comes back; and what waited for its turn is never begun.
            for status, error in await asyncio.gather(*searches[2:]):
                assert (status, error.code) == (408, "OTSRequestTimeout")
                assert error.message == "The search took longer than 300 ms."
            assert it.app._parked == 0
            assert it.app._pools[Lane.SEARCH].pending == 2
            stalling.release()
            assert await asyncio.gather(*searches[:2]) == [(200, 5), (200, 5)]
            assert await asyncio.gather(*(it.search("stalled") for _ in range(6))) == [(200, 5)] * 6
            assert it.app._service._searches._lines == {}

    asyncio.run(main())


def test_searches_whose_time_is_up_give_their_threads_back(filled: Path, store: list[StallingStore]) -> None:
    async def main() -> None:
        threads = {"search_threads": 2, "search_threads_max": 4, "index_threads": 2}
        async with served(filled, store, **threads) as (it, stalling, prefix):
            for table in TABLES:
                it.engine.instance("test").wait_searchable(table, "x", 60)
            stalling.stall(prefix)
            pool = it.app._pools[Lane.SEARCH]
            stuck = [asyncio.create_task(it.search("stalled", 0.2)) for _ in range(2)]
            assert [status for status, _ in await asyncio.gather(*stuck)] == [408, 408]
            await until(lambda: pool.pending == 0)  # the store has answered none of them
            await it.check_others()
            assert pool.threads == 2
            stalling.release()
            assert await it.search("stalled") == (200, 5)

    asyncio.run(main())


def test_metrics_that_hang_cost_one_thread_and_no_health(filled: Path, store: list[StallingStore]) -> None:
    async def main() -> None:
        async with served(filled, store) as (it, _, _):
            for table in TABLES:
                it.engine.instance("test").wait_searchable(table, "x", 60)
            with it.feed("stalled").index._lock:
                asked = [asyncio.create_task(it.get("/metrics")) for _ in range(40)]
                await until(lambda: it.app._exposition._pool.pending == 1)
                for _ in range(5):
                    assert await it.get("/healthz") == 200
                assert it.app._exposition._pool.pending == 1
            assert set(await asyncio.gather(*asked)) == {200}

    asyncio.run(main())
