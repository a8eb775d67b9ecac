"""pgvector: HNSW with m = 16 and ef_construction = 64, an index on the filter's number; asked by psycopg.

Raw: by pgbench with prepared statements; the queries lie in a table, as its scripts cannot hold them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from bench import vector_table
from bench.service.clients import Search
from bench.service.data import DataSet, K
from bench.service.engines import Limits, Loaded, RawRun
from bench.service.postgres import Postgres, run_postgres
from bench.service.usage import cpu_s

if TYPE_CHECKING:
    import psycopg

_NEAREST: Final = f"SELECT id FROM items ORDER BY embedding <-> %s LIMIT {K}"
_NEAREST_AMONG: Final = f"SELECT id FROM items WHERE n < %s ORDER BY embedding <-> %s LIMIT {K}"
_BUILD: Final = "CREATE INDEX ON items USING hnsw (embedding vector_l2_ops) WITH (m = 16, ef_construction = 64)"
_PROGRESS: Final = "SELECT tuples_done, phase FROM pg_stat_progress_create_index"
_EF_SEARCH: Final = (40, 60, 80, 120, 160, 240, 320, 480, 640, 1_000)


@dataclass(frozen=True, slots=True)
class PsycopgClient:
    """A connection with its settings; statements are prepared, vectors go in binary."""

    address: str
    share: float

    @contextmanager
    def connect(self) -> Iterator[Search]:
        with connected(self.address) as connection:
            yield partial(_search, connection, self.share)


def _search(connection: psycopg.Connection[Any], share: float, query: npt.NDArray[np.float32]) -> list[int]:
    if share >= 1:
        rows = connection.execute(_NEAREST, (query,), prepare=True, binary=True).fetchall()
    else:
        bound = round(share * vector_table.NUMBERS)
        rows = connection.execute(_NEAREST_AMONG, (bound, query), prepare=True, binary=True).fetchall()
    return [vector_table.number_of(row[0]) for row in rows]


@contextmanager
def connected(address: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that knows vectors."""
    import psycopg
    from pgvector.psycopg import register_vector

    with psycopg.connect(address, autocommit=True) as connection:
        register_vector(connection)
        yield connection


class PgvectorServer:
    """One that runs."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self._server, self._folder = server, folder
        self.pid = server.pid

    def load(self, data: DataSet, limits: Limits, progress: Progress) -> Loaded:
        begin_cpu_s, begin_s = cpu_s(self.pid), time.monotonic()
        self._copy(data, limits, progress)
        written_s, written_cpu_s = time.monotonic(), cpu_s(self.pid)
        with connected(self._server.address(statement_timeout=round(1e3 * limits.build_s))) as connection:
            self._build(connection, len(data.base), progress)
            connection.execute("CREATE INDEX ON items (n)")
            connection.execute("VACUUM ANALYZE items")
            done_s, done_cpu_s = time.monotonic(), cpu_s(self.pid)
            self._write_queries(connection, data)
            sizes = connection.execute(
                "SELECT pg_total_relation_size('items'), pg_relation_size('items_embedding_idx')"
            ).fetchone()
            (version,) = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
            (postgres,) = connection.execute("SHOW server_version").fetchone()
        return Loaded(
            load_s=written_s - begin_s,
            build_s=done_s - written_s,
            load_cpu_s=written_cpu_s - begin_cpu_s,
            build_cpu_s=done_cpu_s - written_cpu_s,
            disk_mb=sizes[0] / 1e6,
            about=f"PostgreSQL {postgres}, pgvector {version}, HNSW of {sizes[1] / 1e6:,.0f} MB",
        )

    def _copy(self, data: DataSet, limits: Limits, progress: Progress) -> None:
        import psycopg

        task = progress.add_task("pgvector: rows are written", total=len(data.base))
        with psycopg.connect(self._server.address(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute(
                f"CREATE TABLE items (id text PRIMARY KEY, n bigint, embedding vector({data.base.shape[1]}))"
            )
        begin_s = time.monotonic()
        with connected(self._server.address()) as connection:
            for first, block in data.blocks(vector_table.BATCH_ROWS):
                # A transaction for each batch, as the other side's batches are durable one by one.
                with connection.cursor().copy("COPY items FROM STDIN WITH (FORMAT BINARY)") as copy:
                    copy.set_types(["text", "int8", "vector"])
                    for number, vector in enumerate(block, first):
                        copy.write_row((vector_table.key_of(number), number % vector_table.NUMBERS, vector))
                progress.update(task, advance=len(block))
                if time.monotonic() > begin_s + limits.build_s:
                    raise RuntimeError(f"the rows were not written within {limits.build_s:g} s")

    def _build(self, connection: psycopg.Connection[Any], rows: int, progress: Progress) -> None:
        import psycopg

        task = progress.add_task("pgvector: the index is built", total=rows)
        failed: list[BaseException] = []

        def build() -> None:
            try:
                connection.execute(_BUILD)
            except psycopg.Error as error:
                failed.append(error)

        thread = threading.Thread(target=build)
        thread.start()
        with psycopg.connect(self._server.address(), autocommit=True) as watching:
            while thread.is_alive():
                thread.join(0.5)
                for done, phase in watching.execute(_PROGRESS).fetchall():
                    progress.update(task, completed=done, description=f"pgvector: {phase}")
        if failed:
            raise RuntimeError(f"the index was not built: {failed[0]}")
        progress.update(task, completed=rows)

    def _write_queries(self, connection: psycopg.Connection[Any], data: DataSet) -> None:
        connection.execute(f"CREATE TABLE queries (number int PRIMARY KEY, embedding vector({data.base.shape[1]}))")
        with connection.cursor().copy("COPY queries FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "vector"])
            for number, query in enumerate(data.queries):
                copy.write_row((number, query))
        connection.execute("VACUUM ANALYZE queries")

    def curves(self, share: float) -> list[list[Mapping[str, int]]]:
        by_graph: list[Mapping[str, int]] = [{"ef_search": ef} for ef in _EF_SEARCH]
        # Among few rows the planner is not always right to take the graph: the better of both counts.
        return [by_graph] if share >= 1 else [by_graph, [{"no_graph": 1}]]

    def _sessions(self, share: float, setting: Mapping[str, int]) -> dict[str, object]:
        sessions: dict[str, object] = {"hnsw__iterative_scan": "relaxed_order"}
        if "ef_search" in setting:
            sessions["hnsw__ef_search"] = setting["ef_search"]
        if "no_graph" in setting:
            sessions["enable_indexscan"] = "off"
        if share < 1:
            # A plan for any bound at all would take a third of the rows to pass.
            sessions["plan_cache_mode"] = "force_custom_plan"
        return sessions

    def client(self, share: float, setting: Mapping[str, int]) -> PsycopgClient:
        return PsycopgClient(self._server.address(**self._sessions(share, setting)), share)

    def raw(
        self, data: DataSet, share: float, setting: Mapping[str, int], connections: int, seconds: float
    ) -> RawRun | None:
        among = "" if share >= 1 else f"WHERE n < {round(share * vector_table.NUMBERS)} "
        nearest = f"ORDER BY embedding <-> (SELECT embedding FROM queries WHERE number = :query) LIMIT {K};"
        text = f"\\set query random(0, {len(data.queries) - 1})\nSELECT id FROM items {among}{nearest}\n"
        with tempfile.TemporaryDirectory(prefix="lutra-pgbench-", dir=self._folder) as folder:
            script = Path(folder) / "search.sql"
            script.write_text(text)
            command = [str(self._server.programs / "pgbench"), "-n", "-M", "prepared"]
            command += ["-f", str(script), "-c", str(connections)]
            command += ["-T", str(max(1, round(seconds))), "--log", f"--log-prefix={folder}/log"]
            environment = self._server.environment(**self._sessions(share, setting))
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=seconds + 120, check=False
            )
            if done.returncode:
                raise RuntimeError(f"pgbench failed: {done.stderr.strip()[-400:]}")
            lines = [line for path in Path(folder).glob("log.*") for line in path.read_text().splitlines()]
        latencies_ms = np.array([int(line.split()[2]) for line in lines]) / 1e3
        p50_ms, p99_ms = np.percentile(latencies_ms, (50, 99)).tolist()
        per_s = next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps = "))
        return RawRun("pgbench", per_s, len(lines), p50_ms, p99_ms)

    def plan(self, data: DataSet, share: float, setting: Mapping[str, int]) -> str:
        with connected(self._server.address(**self._sessions(share, setting))) as connection:
            query: tuple[object, ...] = (data.queries[0],)
            if share < 1:
                query = (round(share * vector_table.NUMBERS), *query)
            text = f"EXPLAIN (COSTS OFF) {_NEAREST if share >= 1 else _NEAREST_AMONG}"
            lines = [row[0].strip() for row in connection.execute(text, query).fetchall()]
        return "; ".join(line.removeprefix("->  ") for line in lines if "Scan" in line or "Sort" in line)[:400]


class Pgvector:
    """PostgreSQL with memory as given, parallel builds, durable commits."""

    name: Final = "pgvector"
    client_kind: Final = "psycopg"

    @contextmanager
    def run(self, folder: Path, limits: Limits) -> Iterator[PgvectorServer]:
        settings = {
            "shared_buffers": f"{limits.memory_mb}MB",
            "maintenance_work_mem": f"{limits.build_memory_mb}MB",
            "max_parallel_maintenance_workers": os.cpu_count() or 1,
            "max_connections": 120,
            "max_wal_size": "4GB",
            "jit": "off",
            "dynamic_shared_memory_type": dynamic_memory(limits.build_memory_mb),
        }
        with run_postgres(folder / "data", settings) as server:
            yield PgvectorServer(server, folder)


def dynamic_memory(needed_mb: int) -> str:
    """A parallel build shares its memory there; containers often leave little."""
    free = os.statvfs("/dev/shm")
    return "posix" if free.f_bavail * free.f_frsize > 1.2e6 * needed_mb else "mmap"
