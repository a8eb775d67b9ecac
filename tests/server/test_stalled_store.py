"""A server whose object store gives no answer for a minute under one index of three: all else goes on as before."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tablestore as ots
from support.s3_server import S3Server
from support.sdk import IGNORE
from support.server import ServerProcess
from support.stalling_proxy import StallingProxy

import lutra
from lutra.index.lsm.storage import prefix_of

TABLES = ("stalled", "first", "second")
WHOLE = TABLES[1:]
ROWS = 300
MEASURED_S = 20.0
STALLED_S = 60.0
SEARCHERS = 16
"""Of the index that stalls: twice the threads a server has for what may take long."""
BOUND_MS = 2_000
"""What waits for the store waits longer, on whatever machine."""
ANY = ots.SearchQuery(ots.MatchAllQuery(), limit=5, get_total_count=True)
NO_COLUMNS = ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[StallingProxy]:
    """By way of which this process, the server and its builders reach the store."""
    with StallingProxy(s3.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


def fill(path: Path, url: str) -> str:
    """Three tables, each with an index, all of it in segments. Returns where the objects of the first are."""
    with lutra.connect(path, instance="test", objects=url) as db:
        for name in TABLES:
            table = db.create_table(name, {"id": int}, {"n": int, "v": lutra.Vector(4)})
            table.put_many({"id": n, "n": n % 5, "v": [n, 1, 2, 3]} for n in range(ROWS))
            db._open().wait_searchable(name, "search", 60)
        feeds = db._engine.partition.feeder._feeds
        for feed in feeds:
            feed.index.flush()
        (prefix,) = [prefix_of(feed.definition) for feed in feeds if feed.definition.table == TABLES[0]]
    return prefix


class Load:
    """Clients that do each thing over and over, one after the other; how long each took, in seconds, by its name."""

    def __init__(self, server: ServerProcess) -> None:
        self.took_s: dict[str, list[float]] = defaultdict(list)
        self.failed: list[str] = []
        self.written = 0
        self.refused = 0
        """Searches of the index that stalls, which were told so."""
        self._server = server
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self, for_s: float) -> dict[str, float]:
        """The 99th percentile of each, in ms."""
        for thread in self._threads:
            thread.start()
        self._ending.wait(for_s)
        self.end()
        assert not self.failed, self.failed[:3]
        return {name: float(np.percentile(took_s, 99) * 1_000) for name, took_s in self.took_s.items()}

    def end(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(120)

    def ordinary(self) -> Load:
        """Searches of the indexes that do not stall, scans and writes of all tables, and looks at ``/healthz``."""
        self._add(self._search, *WHOLE)
        self._add(self._get_range, *TABLES)
        self._add(self._put, *TABLES)
        self._add(self._healthz, "")
        return self

    def searches_of_the_stalled(self) -> Load:
        for _ in range(SEARCHERS):
            self._threads.append(threading.Thread(target=self._search_stalled))
        return self

    def _add(self, do: Callable[[ots.OTSClient, str], None], *tables: str) -> None:
        self._threads.append(threading.Thread(target=self._repeat, args=(do, tables)))

    def _repeat(self, do: Callable[[ots.OTSClient, str], None], tables: tuple[str, ...]) -> None:
        client = self._server.client(socket_timeout=100)
        name = do.__name__.strip("_")
        while not self._ending.is_set():
            for table in tables:
                begin_s = time.monotonic()
                try:
                    do(client, table)
                except Exception as error:
                    self.failed.append(f"{name} of {table}: {error!r}")
                    return
                self.took_s[f"{name} {'with' if table == TABLES[0] else 'without'} the stall"].append(
                    time.monotonic() - begin_s
                )
                time.sleep(0.01)

    def _search(self, client: ots.OTSClient, table: str) -> None:
        assert client.search(table, "search", ANY, NO_COLUMNS).total_count >= ROWS

    def _get_range(self, client: ots.OTSClient, table: str) -> None:
        start, end = [("id", ots.INF_MIN)], [("id", ots.INF_MAX)]
        _, _, rows, _ = client.get_range(table, "FORWARD", start, end, limit=50, max_version=1)
        assert len(rows) == 50

    def _put(self, client: ots.OTSClient, table: str) -> None:
        number = ROWS + self.written
        client.put_row(table, ots.Row([("id", number)], [("n", 1)]), IGNORE)
        self.written += 1

    def _healthz(self, client: ots.OTSClient, _: str) -> None:
        with urllib.request.urlopen(f"{self._server.endpoint}/healthz", timeout=30) as answer:
            assert answer.status == 200

    def _search_stalled(self) -> None:
        client = self._server.client(socket_timeout=100)
        while not self._ending.is_set():
            try:
                client.search(TABLES[0], "search", ANY, NO_COLUMNS)
            except ots.OTSServiceError:
                self.refused += 1
            else:
                self.failed.append("a search of an index that was never opened")


def wait_found(server: ServerProcess, tables: tuple[str, ...], rows: int) -> None:
    client = server.client(socket_timeout=100)
    until_s = time.monotonic() + 60
    for table in tables:
        while client.search(table, "search", ANY, NO_COLUMNS).total_count < rows:
            assert time.monotonic() < until_s
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_store_stalls_under_one_index_of_three(tmp_path: Path, s3_server: S3Server, proxy: StallingProxy) -> None:
    """From before the server starts: it starts, serves all rows, and searches of the others take what they took."""
    url = s3_server.url("one-of-three")
    prefix = fill(tmp_path / "data", url)
    server = ServerProcess(tmp_path / "data", arguments=("--objects", url))
    with server:
        wait_found(server, TABLES, ROWS)
        before = Load(server).ordinary()
        usual_ms = before.run(MEASURED_S)
    proxy.stall(prefix)
    with server:
        wait_found(server, WHOLE, ROWS)
        load = Load(server).ordinary().searches_of_the_stalled()
        stalled_ms = load.run(STALLED_S)
        assert proxy.held, "the store was asked"
        assert load.refused >= SEARCHERS
        proxy.release()
        wait_found(server, TABLES, ROWS + load.written // len(TABLES) - 1)
    for name, ms in sorted(stalled_ms.items()):
        print(
            f"p99 of {name}: {usual_ms[name]:.1f} ms before, {ms:.1f} ms in {STALLED_S:.0f} s of stall "
            f"({len(load.took_s[name])} times)"
        )
    assert set(stalled_ms) == set(usual_ms)
    assert max(stalled_ms.values()) < BOUND_MS
