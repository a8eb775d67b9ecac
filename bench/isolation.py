"""Whether building hurts searching: latencies of searches while rows arrive, are written out and merged.

python -m bench.isolation [--rows 300000] [--dim 384] [--rate 500] [--seconds 100] [--data DIR]
    [--json FILE] [--plot FILE]

A real server over `bench.ann`'s ``--hard`` rows, loaded and left alone until nothing is left to build. One client
searches without a pause, the top 10, every other time among a tenth of the rows. Phases:

- idle: nothing else.
- building: a writer in a process of its own sends ``--rate`` rows a second, half of them new, half in place of others.
- same core: the same, with the builders on the core that the server is pinned to, and the clients on the other.

``--data DIR`` keeps the loaded data for the next run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench import isolation_plot, prepared, vector_table
from bench.ann import data
from bench.connection import Connection, read_requests
from bench.index_state import IndexWatch
from bench.loading import load
from bench.processes import Processes
from bench.server_process import RunningServer, run_server

FILTER_SHARE: Final = 0.1
QUERIES: Final = 500
BATCH_ROWS: Final = 50
"""Of the writer: few enough that a batch is not what a search waits for."""
SAMPLE_S: Final = 0.25
WARM_S: Final = 3.0
GOAL: Final = 2.0
"""Times the idle p99."""

Latencies = npt.NDArray[np.float64]
"""[n, 3]: when it was sent (``time.monotonic``), ms, 1 where among a tenth of the rows."""


@dataclass(slots=True)
class Phase:
    """What was seen of one. ``samples``: when, rows of the manifest's segments, its number, segments, CPU seconds of
    server and builders, MB of server and builders."""

    name: str
    begin_s: float
    latencies: Latencies = field(default_factory=lambda: np.empty((0, 3)))
    writes: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    """[n, 3]: when, ms, rows."""
    samples: list[tuple[float, int, int, int, float, float, float, float]] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """p50, p99 and the longest in ms; what went on beside."""
        result: dict[str, Any] = {"phase": self.name}
        for label, kind in (("all rows", 0), ("a tenth", 1)):
            ms = self.latencies[self.latencies[:, 2] == kind, 1]
            result[label] = {
                "searches": len(ms),
                **{f"p{p}_ms": float(np.percentile(ms, p)) for p in (50, 95, 99)},
                "max_ms": float(ms.max()),
            }
        first, last = self.samples[0], self.samples[-1]
        seconds = last[0] - first[0]
        written = len(self.writes) and self.writes[:, 2].sum() / seconds
        return result | {
            "searches_per_s": len(self.latencies) / seconds,
            "rows_per_s": float(written),
            "manifests": last[2] - first[2],
            "segments_max": max(sample[3] for sample in self.samples),
            "server_cpu_share": (last[4] - first[4]) / seconds,
            "builders_cpu_share": (last[5] - first[5]) / seconds,
            "server_mb": max(sample[6] for sample in self.samples),
            "builders_mb": max(sample[7] for sample in self.samples),
        }


@dataclass(frozen=True, slots=True)
class Places:
    """The cores that each may use. ``builders_are_equal``: they stand where everybody does in line."""

    server: set[int]
    builders: set[int]
    searcher: set[int]
    writer: set[int]
    builders_are_equal: bool = False


def search_until(endpoint: str, requests: Path, until_s: float, cores: set[int]) -> Latencies:
    """In a process of its own: searches one after the other until ``time.monotonic`` says ``until_s``."""
    os.sched_setaffinity(0, cores)
    recorded = read_requests(requests)
    taken = []
    with Connection(endpoint) as connection:
        number = 0
        while (now_s := time.monotonic()) < until_s:
            at = number % len(recorded)
            taken.append((now_s, connection.time(recorded[at]), at % 2))
            number += 1
    return np.array(taken).reshape(-1, 3)


def write_until(endpoint: str, requests: Path, rate: float, until_s: float, cores: set[int]) -> Latencies:
    """In a process of its own: ``rate`` rows a second, a batch each time it is due."""
    os.sched_setaffinity(0, cores)
    taken = []
    begin_s = time.monotonic()
    with Connection(endpoint) as connection:
        for number, request in enumerate(read_requests(requests)):
            due_s = begin_s + number * BATCH_ROWS / rate
            if due_s > until_s:
                break
            time.sleep(max(0.0, due_s - time.monotonic()))
            taken.append((time.monotonic(), connection.time(request), BATCH_ROWS))
    return np.array(taken).reshape(-1, 3)


def search_calls(queries: vector_table.Vectors) -> Iterator[vector_table.Call]:
    """Every other one among a tenth of the rows."""
    for query in queries:
        yield vector_table.knn_call(query)
        yield vector_table.knn_call(query, share=FILTER_SHARE)


def write_calls(vectors: vector_table.Vectors, rows: int, first: int) -> Iterator[vector_table.Call]:
    """Batches of the rows that `write_numbers` names."""
    for at, numbers in enumerate(write_numbers(len(vectors), rows, first)):
        yield vector_table.put_call(numbers, vectors[at * BATCH_ROWS : (at + 1) * BATCH_ROWS])


def write_numbers(count: int, rows: int, first: int) -> Iterator[list[int]]:
    """Of each batch of ``count`` rows: half new rows from number ``first`` on, half in place of one of the first
    ``rows``."""
    random = np.random.default_rng(7)
    half = BATCH_ROWS // 2
    for begin in range(0, count - BATCH_ROWS + 1, BATCH_ROWS):
        new = range(first + begin // 2, first + begin // 2 + half)
        yield [*new, *random.choice(rows, half, replace=False).tolist()]


class Isolation:
    """One run over a server whose index is loaded and settled."""

    def __init__(self, server: RunningServer, folder: Path, workers: ProcessPoolExecutor) -> None:
        self._server = server
        self._folder = folder
        self._workers = workers
        self._watch = IndexWatch(server.data_dir)
        self._processes = Processes(server.pid)
        self.cores = os.sched_getaffinity(0)

    def record(self, name: str, calls: Iterator[vector_table.Call]) -> Path:
        path = self._folder / name
        prepared.record(self._server.endpoint, calls, path)
        return path

    def run(
        self,
        name: str,
        searches: Path,
        seconds: float,
        writes: Path | None = None,
        rate: float = 0.0,
        places: Places | None = None,
    ) -> Phase:
        """One phase of ``seconds``, in which everybody is where ``places`` says; all are on all cores at its end."""
        everywhere = Places(self.cores, self.cores, self.cores, self.cores)
        places = places or everywhere
        self._place(places)
        phase = Phase(name, time.monotonic())
        until_s = phase.begin_s + seconds
        endpoint = self._server.endpoint
        searching = self._workers.submit(search_until, endpoint, searches, until_s, places.searcher)
        writing: Future[Latencies] | None = None
        if writes is not None:
            writing = self._workers.submit(write_until, endpoint, writes, rate, until_s, places.writer)
        while time.monotonic() < until_s:
            if places is not everywhere:
                self._place(places)
            self._sample(phase)
            time.sleep(SAMPLE_S)
        phase.latencies = searching.result()
        if writing is not None:
            phase.writes = writing.result()
        self._place(everywhere)
        return phase

    def _place(self, places: Places) -> None:
        """Also those that came since the last time."""
        self._processes.pin_server(places.server)
        self._processes.pin_builders(places.builders)
        self._processes.pin_ray(places.builders)
        if places.builders_are_equal:
            self._processes.raise_builders()

    def settle(self, timeout_s: float = 1_800) -> None:
        self._watch.wait(lambda state: state.rows > 0 and state.is_settled, timeout_s)

    def _sample(self, phase: Phase) -> None:
        state, used = self._watch.state(), self._processes.usage()
        phase.samples.append(
            (
                time.monotonic(),
                state.rows,
                state.number,
                len(state.segments),
                used.server_cpu_s,
                used.builders_cpu_s,
                used.server_mb,
                used.builders_mb,
            )
        )


def measure(arguments: argparse.Namespace, data_dir: Path, folder: Path) -> list[Phase]:
    block = data.hard(arguments.dim)
    with ExitStack() as closing:
        server = closing.enter_context(run_server(*arguments.server, data_dir=data_dir))
        # Spawned before there is anything to measure.
        workers = closing.enter_context(ProcessPoolExecutor(2, multiprocessing.get_context("spawn")))
        load(server, data.blocks(block, arguments.rows), arguments.rows, arguments.dim, folder)
        run = Isolation(server, folder, workers)
        run.settle()
        searches = run.record("searches", search_calls(data.queries(block, 2 * arguments.rows, QUERIES)))
        count = int(arguments.rate * arguments.seconds) // BATCH_ROWS * BATCH_ROWS
        fresh = data.queries(block, 4 * arguments.rows, count)
        begun = vector_table.count(prepared.client(server.endpoint))
        run.run("warming", searches, WARM_S)
        phases = [run.run("idle", searches, min(arguments.seconds, arguments.idle_seconds))]
        writes = run.record("writes", write_calls(fresh, arguments.rows, begun))
        phases.append(run.run("building", searches, arguments.seconds, writes, arguments.rate))
        if not arguments.no_pinning:
            writes = run.record("writes", write_calls(fresh, arguments.rows, begun + count))
            own = {min(run.cores)}
            others = run.cores - own or own
            same_core = Places(server=own, builders=own, searcher=others, writer=others)
            phases.append(run.run("same core", searches, arguments.seconds, writes, arguments.rate, same_core))
    return phases


def show(figures: list[dict[str, Any]]) -> None:
    idle = figures[0]
    for one in figures:
        print(
            f"{one['phase']:10} {one['searches_per_s']:6.0f} searches/s  {one['rows_per_s']:6.0f} rows/s  "
            f"{one['manifests']:3} manifests  {one['segments_max']:3} segments  CPU: server "
            f"{one['server_cpu_share']:.2f}, builders {one['builders_cpu_share']:.2f}  memory: "
            f"{one['server_mb']:.0f} MB, builders {one['builders_mb']:.0f} MB"
        )
        for kind in ("all rows", "a tenth"):
            of, before = one[kind], idle[kind]
            print(
                f"  {kind:9} p50 {of['p50_ms']:6.2f} ms  p95 {of['p95_ms']:6.2f} ms  p99 {of['p99_ms']:6.2f} ms "
                f"({of['p99_ms'] / before['p99_ms']:.2f} x idle)  max {of['max_ms']:7.2f} ms"
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--rate", type=float, default=500, help="rows a second")
    parser.add_argument("--seconds", type=float, default=100, help="of each phase but idle")
    parser.add_argument("--idle-seconds", type=float, default=30)
    parser.add_argument("--no-pinning", action="store_true", help="leave out the phase on the same core")
    parser.add_argument("--data", type=Path, help="data directory to use, loaded already or not; it is kept")
    parser.add_argument("--server", action="append", default=[], help="an argument for lutra serve; repeatable")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="write a picture over time to this file (PNG)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lutra-bench-") as folder:
        phases = measure(arguments, arguments.data or Path(folder) / "data", Path(folder))
    figures = [phase.figures() for phase in phases]
    show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if arguments.plot:
        isolation_plot.plot(phases, arguments.plot, f"{arguments.rows:,} x {arguments.dim}, {arguments.rate:g} rows/s")


if __name__ == "__main__":
    main()
