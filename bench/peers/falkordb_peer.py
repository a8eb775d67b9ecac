"""FalkorDB, asked by redis-py: its vector index (RediSearch's HNSW), and no index.

Its index is asked for a number of nearest rows and knows no other setting; conditions are checked afterwards. So a
search that is to find more, or is filtered, fetches more. Vectors travel as text, as its queries are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from bench.peers.data import NUMBERS, Among, DataSet, K, Vectors
from bench.peers.peer import WIRE, Limits, Putting, Setting, Writer
from bench.peers.redis_server import RedisServer, connect, module, redis_version, run_redis
from bench.service.clients import Search

if TYPE_CHECKING:
    import redis

_GRAPH: Final = "items"
_FETCH: Final = (10, 20, 40, 80, 160, 320, 640, 1_280, 2_560)
_FETCH_FILTERED: Final = (100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class FalkorDbClient:
    """GRAPH.RO_QUERY over one connection; the text of a query is the same each time but for its parameter."""

    port: int
    among: Among
    setting: Setting

    @contextmanager
    def connect(self) -> Iterator[Search]:
        where = f"WHERE v.{self.among.column} < {self.among.below} " if self.among.column else ""
        if "fetch" in self.setting:
            fetch = int(self.setting["fetch"])
            nearest = f"CALL db.idx.vector.queryNodes('V', 'e', {fetch}, vecf32($q)) YIELD node, score "
            text = f"{nearest}WITH node AS v, score {where}RETURN v.id ORDER BY score LIMIT {K}"
        else:
            text = f"MATCH (v:V) {where}RETURN v.id ORDER BY vec.euclideanDistance(v.e, vecf32($q)) LIMIT {K}"
        with connect(self.port) as client:

            def search(query: npt.NDArray[np.float32]) -> list[int]:
                answer: Any = client.execute_command(
                    "GRAPH.RO_QUERY", _GRAPH, f"CYPHER q={_text(query)} {text}", "--compact"
                )
                return [row[0][1] for row in answer[1]]

            yield search


@dataclass(frozen=True, slots=True)
class FalkorDbWriter:
    """One query creates a batch."""

    port: int

    @contextmanager
    def connect(self) -> Iterator[Putting]:
        with connect(self.port) as client:
            yield lambda first, vectors: _create(client, first, vectors, [NUMBERS - 1] * len(vectors))


def _create(client: redis.Redis, first: int, vectors: Vectors, near: Sequence[int]) -> None:
    rows = ",".join(
        f"{{id:{number},n:{number % NUMBERS},near:{own},e:{_text(vector)}}}"
        for number, (vector, own) in enumerate(zip(vectors, near, strict=True), first)
    )
    create = "UNWIND $rows AS r CREATE (:V {id: r.id, n: r.n, near: r.near, e: vecf32(r.e)})"
    client.execute_command("GRAPH.QUERY", _GRAPH, f"CYPHER rows=[{rows}] {create}")


def _text(vector: npt.NDArray[np.float32]) -> str:
    return "[" + ",".join(map(repr, vector.tolist())) + "]"


class RunningFalkorDb:
    """One that runs."""

    def __init__(self, server: RedisServer, is_flat: bool, limits: Limits) -> None:
        self._server, self._is_flat, self._limits = server, is_flat, limits
        self.pid = server.pid

    def load(self, data: DataSet, progress: Progress) -> None:
        task = progress.add_task("falkordb: rows are written", total=len(data.base))
        deadline_s = time.monotonic() + self._limits.step_s
        with self._server.connect() as client:
            for first, block, near in data.blocks():
                _create(client, first, block, near.tolist())
                progress.update(task, advance=len(block))
                if time.monotonic() > deadline_s:
                    raise RuntimeError(f"the rows were not written within {self._limits.step_s:g} s")

    def build(self, data: DataSet) -> str:
        about = "no index on the vectors"
        with self._server.connect() as client:
            for column in ("n", "near"):
                client.execute_command("GRAPH.QUERY", _GRAPH, f"CREATE INDEX FOR (v:V) ON (v.{column})")
            if not self._is_flat:
                options = "similarityFunction: 'euclidean', M: 16, efConstruction: 200, efRuntime: 10"
                index = f"{{dimension: {data.base.shape[1]}, {options}}}"
                client.execute_command("GRAPH.QUERY", _GRAPH, f"CREATE VECTOR INDEX FOR (v:V) ON (v.e) OPTIONS {index}")
                about = "M 16, efConstruction 200, efRuntime 10"
            self.wait_for_indexes(client)
        self._server.save()
        return about

    def wait_for_indexes(self, client: redis.Redis) -> None:
        """Until indexes answer: they are filled in the background."""
        deadline_s = time.monotonic() + self._limits.step_s
        while True:
            answer: Any = client.execute_command("GRAPH.QUERY", _GRAPH, "CALL db.indexes() YIELD status RETURN status")
            if all(row[0] == b"OPERATIONAL" for row in answer[1]):
                return
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"the index was not built within {self._limits.step_s:g} s")
            time.sleep(0.1)

    def disk_mb(self) -> float:
        return self._server.save()

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        exact: list[Setting] = [{"exact": 1}]
        if self._is_flat:
            return [exact]
        if not among.column:
            return [[{"fetch": fetch} for fetch in _FETCH]]
        return [[{"fetch": fetch} for fetch in _FETCH_FILTERED], exact]

    def client(self, among: Among, setting: Setting) -> FalkorDbClient:
        return FalkorDbClient(self._server.port, among, setting)

    def writer(self) -> Writer | None:
        return FalkorDbWriter(self._server.port)


@dataclass(frozen=True, slots=True)
class FalkorDb:
    """``is_flat``: without an index on the vectors."""

    name: str
    is_flat: bool = False
    door = WIRE

    def version(self) -> str:
        return f"{redis_version()}: FalkorDB on redis-server 8"

    @contextmanager
    def run(self, folder: Path, data: DataSet, limits: Limits) -> Iterator[RunningFalkorDb]:
        with run_redis(folder / "data", "--loadmodule", str(module())) as server:
            with server.connect() as client:
                if client.exists(_GRAPH):
                    RunningFalkorDb(server, self.is_flat, limits).wait_for_indexes(client)
            yield RunningFalkorDb(server, self.is_flat, limits)
