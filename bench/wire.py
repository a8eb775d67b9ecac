"""What a search costs over the wire, beside what its engine takes in the process: processor time first of all.

``python -m bench.wire`` needs wrk (``apt-get install wrk``). Requests are signed beforehand. Processor time is that of
all threads of the server, divided by the requests that wrk counted. It depends less on what else the machine does than
throughput and latencies do, but for caches and for threads that are stopped while others wait for them: so each load
runs several times, and the least is told beside the median. The folder of ``--data`` is kept; a second run with it
loads nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.progress import Progress
from tablestore import OTSClient

from bench import prepared, vector_table
from bench.connection import Connection, read_requests
from bench.loading import settled
from bench.server import replay
from bench.server_process import INSTANCE, RunningServer, run_server
from bench.service import data
from bench.service.data import DataSet
from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model.queries import ColumnsToGet, KnnVector, Query, Range, ReturnColumns, ScoreSort, SearchRequest

SEGMENTS: Final = (0.6, 0.3, 0.1)
"""Shares of the rows, each written and settled before the next: several segments, of very different sizes."""
CONNECTIONS: Final = (1, 8, 32)
ROUNDS: Final = 5
_TIMEOUT_S: Final = 3_600.0


def load(server: RunningServer, rows: DataSet, folder: Path) -> str:
    """Fills the table in three parts, unless it is full; says what the index consists of."""
    client = prepared.client(server.endpoint)
    if vector_table.TABLE not in client.list_table():
        vector_table.create(client, rows.base.shape[1])
    first, there = 0, vector_table.count(client)
    for share in SEGMENTS:
        end = min(len(rows.base), first + round(share * len(rows.base)))
        if end > there:
            path = folder / "load"
            with Connection(server.endpoint, _TIMEOUT_S) as connection:
                prepared.record(server.endpoint, vector_table.put_calls(np.asarray(rows.base[first:end]), first), path)
                connection.send_all(read_requests(path))
            path.unlink()
            settled(server, end)
        first = end
    return settled(server, len(rows.base)).kinds


def found(client: OTSClient, rows: DataSet, share: float, count: int) -> float:
    """Recall of the first ``count`` queries, over the wire."""
    hits = []
    for number in range(count):
        answer = vector_table.knn_call(rows.queries[number], share=share)(client)
        hits.append((number, [vector_table.number_of(row[0][0][1]) for row in answer.rows]))  # type: ignore[attr-defined]
    return data.recall(hits, rows.truth[share])


def measure(server: RunningServer, rows: DataSet, share: float, seconds: float, folder: Path) -> list[dict[str, Any]]:
    """One row of figures for each number of connections."""
    path = folder / "requests"
    results = []
    recall = found(prepared.client(server.endpoint), rows, share, min(200, len(rows.queries)))
    for connections in CONNECTIONS:
        prepared.record(server.endpoint, (vector_table.knn_call(query, share=share) for query in rows.queries), path)
        rounds = [round_of(server, path, connections, seconds / ROUNDS) for _ in range(ROUNDS)]
        figures = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        figures["cpu_least_ms"] = min(one["cpu_ms"] for one in rounds)
        figures["per_s_most"] = max(one["per_s"] for one in rounds)
        figures["p99_least_ms"] = min(one["p99_ms"] for one in rounds)
        print(
            f"over the wire, {100 * share:3g} % of the rows, {connections:2} connections, recall {recall:.3f}: "
            f"processor {figures['cpu_ms']:.2f} ms (least {figures['cpu_least_ms']:.2f}), {figures['per_s']:,.0f}/s "
            f"(most {figures['per_s_most']:,.0f}), p50 {figures['p50_ms']:.2f} ms, p99 {figures['p99_ms']:.2f} ms "
            f"(least {figures['p99_least_ms']:.2f})",
            flush=True,
        )
        results.append(figures | {"share": share, "connections": connections, "recall": recall})
    return results


def round_of(server: RunningServer, path: Path, connections: int, seconds: float) -> dict[str, float]:
    """What one replay of the requests took and gave."""
    begin_ms = threads_cpu_ms(server.pid)
    figures = replay(server.endpoint, path, connections, max(1.0, seconds))
    spent_ms = threads_cpu_ms(server.pid) - begin_ms
    kept = {name: float(figures[name]) for name in ("per_s", "p50_ms", "p99_ms", "max_ms")}
    return kept | {"cpu_ms": spent_ms / figures["requests"]}


def threads_cpu_ms(pid: int) -> float:
    """Processor time of the threads that a process has: to the nanosecond, where that of the process is in ticks."""
    spent_ns = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            spent_ns += int((thread / "schedstat").read_text().split()[0])
    return spent_ns / 1e6


def requests(rows: DataSet, share: float) -> Iterator[SearchRequest]:
    """The same searches as the engine gets them."""
    among: Query | None = None if share >= 1 else Range("n", 0, int(share * vector_table.NUMBERS), True, False)
    for query in rows.queries:
        yield SearchRequest(
            KnnVector("embedding", query, data.K, among),
            (ScoreSort(),),
            limit=data.K,
            columns=ColumnsToGet(ReturnColumns.NONE),
        )


def measure_engine(instance: Instance, rows: DataSet, share: float, seconds: float) -> dict[str, Any]:
    """Processor time of a search by one thread, all of the process."""
    asked = list(requests(rows, share))
    for request in asked[:200]:
        instance.search(vector_table.TABLE, vector_table.INDEX, request)
    rounds, times_s = [], []
    for _ in range(ROUNDS):
        begin_cpu_s, begin_s, count = time.process_time(), time.perf_counter(), 0
        while time.perf_counter() < begin_s + seconds / ROUNDS:
            at_s = time.perf_counter()
            instance.search(vector_table.TABLE, vector_table.INDEX, asked[count % len(asked)])
            times_s.append(time.perf_counter() - at_s)
            count += 1
        rounds.append(1e3 * (time.process_time() - begin_cpu_s) / count)
    p50_ms, p99_ms = (1e3 * np.percentile(times_s, (50, 99))).tolist()
    spent_ms, least_ms = statistics.median(rounds), min(rounds)
    print(
        f"the engine, {100 * share:3g} % of the rows: processor {spent_ms:.2f} ms (least {least_ms:.2f}), "
        f"p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms",
        flush=True,
    )
    return {"share": share, "cpu_ms": spent_ms, "cpu_least_ms": least_ms, "p50_ms": p50_ms, "p99_ms": p99_ms}


def run(folder: Path, rows: DataSet, seconds: float) -> list[dict[str, Any]]:
    """Over the wire first, then the engine over the same directory."""
    results: list[dict[str, Any]] = []
    with run_server(data_dir=folder / "data") as server:
        kinds = load(server, rows, folder)
        for share in data.SHARES:
            results += measure(server, rows, share, seconds, folder)
        results.append({"segments": kinds, "server_resident_mb": server.resident_mb})
    engine = Engine.open(folder / "data")
    try:
        instance = engine.instance(INSTANCE)
        for share in data.SHARES:
            results.append(measure_engine(instance, rows, share, seconds))
    finally:
        engine.close()
    return results


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=5, help="how long each load runs")
    parser.add_argument("--data", type=Path, help="a folder to keep rows and table in; none: they are made and deleted")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("bench.wire: wrk was not found; on Debian: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="lutra-bench-") as fresh:
        folder = arguments.data or Path(fresh)
        with Progress(disable=not sys.stderr.isatty()) as progress:
            rows = data.prepare(folder, arguments.rows, arguments.dim, arguments.queries, progress)
        results = run(folder, rows, arguments.seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
