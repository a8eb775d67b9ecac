"""Whether a server and its builders stay within ``--memory-limit``, measured from outside, and what searches are worth.

python -m bench.memory [--rows 1000000] [--dim 384] [--limits 256MiB,512MiB,1GiB,2GiB] [--seconds 30]
    [--rate 500] [--json FILE] [--plot FILE]

The same rows (`bench.ann`'s ``--hard``) under each limit, in a fresh directory, one after the other:

- load: all rows are written, as fast as that goes, and what is to be built is built.
- then, ``--seconds`` each: one client and eight, that search all rows and a tenth of them by turns.
- write: the same eight while a writer sends ``--rate`` rows a second, half of them in place of others.

Every 100 ms the proportional set size of the server and all processes below it is added up, as the kernel tells it.
Recall is of the top 10 of ``--queries`` queries, against all rows as they were loaded.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psutil
import tablestore as ots

from bench import prepared, vector_table
from bench.ann import data
from bench.connection import Connection, read_requests
from bench.index_state import IndexWatch
from bench.isolation import search_calls, write_calls, write_until
from bench.server_process import RunningServer, run_server
from lutra.instance.memory_plan import size_of

SAMPLE_S: Final = 0.1
CLIENTS: Final = (1, 8)
SETTLE_S: Final = 7_200.0
_BUSY_S: Final = 0.1
"""After a refusal so long is waited."""
_QUIET_S: Final = 5.0
"""Nothing was built for so long: it is settled."""


@dataclass(slots=True)
class Watch:
    """Adds up what a server and all below it take, until it is stopped. ``samples``: seconds, bytes."""

    pid: int
    samples: list[tuple[float, int]] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _begin_s: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def mark(self, name: str) -> None:
        """From now on it is this phase."""
        self.marks.append((time.monotonic() - self._begin_s, name))

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def peak_mib(self, name: str) -> float:
        """Of one phase."""
        begin_s = next(at for at, phase in self.marks if phase == name)
        end_s = min((at for at, _ in self.marks if at > begin_s), default=float("inf"))
        return max((size for at, size in self.samples if begin_s <= at < end_s), default=0) / 2**20

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.samples.append((time.monotonic() - self._begin_s, tree_bytes(self.pid)))


def tree_bytes(pid: int) -> int:
    """Proportional set sizes of a process and all below it: what they share counts once."""
    try:
        server = psutil.Process(pid)
        pids = [pid, *(child.pid for child in server.children(recursive=True))]
    except psutil.Error:
        return 0
    return sum(map(_pss_bytes, pids))


def _pss_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def awake(seconds: float) -> None:
    """Nothing, for a while: so that another takes the next call."""
    time.sleep(seconds)


def search_until(endpoint: str, requests: Path, until_s: float, first: int) -> tuple[int, int]:
    """In a process of its own: how many searches were answered until then, and how many were refused."""
    recorded = read_requests(requests)
    answered = refused = 0
    with ExitStack() as closing:
        connection = closing.enter_context(Connection(endpoint))
        while time.monotonic() < until_s:
            try:
                connection.ask(recorded[(first + answered) % len(recorded)])
                answered += 1
            except RuntimeError:
                refused += 1
                connection = closing.enter_context(Connection(endpoint))  # what is left of the answer is not read
                time.sleep(_BUSY_S)
    return answered, refused


def send_all(endpoint: str, requests: list[bytes]) -> int:
    """One after the other, each until it is taken, as an SDK does; how often one was refused."""
    refused = 0
    with ExitStack() as closing:
        connection = closing.enter_context(Connection(endpoint, SETTLE_S))
        for request in requests:
            while True:
                try:
                    connection.ask(request)
                    break
                except RuntimeError:
                    refused += 1
                    connection = closing.enter_context(Connection(endpoint, SETTLE_S))
                    time.sleep(_BUSY_S)
    return refused


def nearest(blocks: Iterator[vector_table.Vectors], queries: vector_table.Vectors, k: int) -> npt.NDArray[np.int64]:
    """int64 [q, k]: the rows nearest to each query, of all blocks."""
    rows = np.empty((len(queries), 0), np.int64)
    distances = np.empty((len(queries), 0), np.float32)
    first = 0
    for block in blocks:
        of_block = np.einsum("nd,nd->n", block, block) - 2 * queries @ block.T
        best = np.argpartition(of_block, min(k, len(block) - 1), axis=1)[:, :k]
        rows = np.concatenate([rows, best + first], axis=1)
        distances = np.concatenate([distances, np.take_along_axis(of_block, best, axis=1)], axis=1)
        order = np.argsort(distances, axis=1)[:, :k]
        rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
        first += len(block)
    return rows


class Run:
    """One limit."""

    def __init__(self, arguments: argparse.Namespace, limit: str, workers: ProcessPoolExecutor) -> None:
        self.arguments = arguments
        self.limit = limit
        self._workers = workers
        self.figures: dict[str, Any] = {"limit": limit, "limit_mib": size_of(limit, 0) / 2**20}
        self.watch: Watch | None = None

    def measure(self, block: Any, truth: npt.NDArray[np.int64]) -> None:
        with ExitStack() as closing:
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-bench-")))
            server = closing.enter_context(run_server("--memory-limit", self.limit, data_dir=folder / "data"))
            self.watch = watch = Watch(server.pid)
            closing.callback(watch.stop)
            watch.start()
            self._load(server, watch, block, folder)
            queries = data.queries(block, 2 * self.arguments.rows, self.arguments.queries)
            self.figures["recall"] = _recall(server, queries, truth)
            path = folder / "searches"
            prepared.record(server.endpoint, search_calls(queries), path)
            for clients in CLIENTS:
                self._search(server, watch, f"{clients} clients" if clients > 1 else "1 client", path, clients)
            fresh = data.queries(block, 4 * self.arguments.rows, int(self.arguments.rate * self.arguments.seconds))
            writes = folder / "writes"
            prepared.record(server.endpoint, write_calls(fresh, self.arguments.rows, self.arguments.rows), writes)
            self._search(server, watch, "writing", path, CLIENTS[-1], writes)
            watch.stop()
            self.figures["peak_mib"] = max(size for _, size in watch.samples) / 2**20
            self.figures["is_within"] = self.figures["peak_mib"] <= self.figures["limit_mib"]

    def _load(self, server: RunningServer, watch: Watch, block: Any, folder: Path) -> None:
        watch.mark("load")
        begin_s = time.monotonic()
        client = prepared.client(server.endpoint)
        vector_table.create(client, self.arguments.dim)
        first, refused = 0, 0
        for vectors in data.blocks(block, self.arguments.rows):
            path = folder / "load"
            prepared.record(server.endpoint, vector_table.put_calls(vectors, first), path)
            refused += send_all(server.endpoint, read_requests(path))
            first += len(vectors)
        self.figures["load_s"], self.figures["refused_writes"] = time.monotonic() - begin_s, refused
        watch.mark("settle")
        self.figures["segments"] = len(_settled(server, self.arguments.rows).segments)
        self.figures["settle_s"] = time.monotonic() - begin_s - self.figures["load_s"]
        for phase in ("load", "settle"):
            self.figures[f"{phase}_peak_mib"] = watch.peak_mib(phase)

    def _search(
        self, server: RunningServer, watch: Watch, name: str, searches: Path, clients: int, writes: Path | None = None
    ) -> None:
        watch.mark(name)
        until_s = time.monotonic() + self.arguments.seconds
        searching = [
            self._workers.submit(search_until, server.endpoint, searches, until_s, 2 * n) for n in range(clients)
        ]
        if writes is not None:
            everywhere = set(range(multiprocessing.cpu_count()))
            self._workers.submit(
                write_until, server.endpoint, writes, self.arguments.rate, until_s, everywhere
            ).result()
        done = [one.result() for one in searching]
        answered, refused = sum(one for one, _ in done), sum(one for _, one in done)
        self.figures[name] = {
            "searches_per_s": answered / self.arguments.seconds,
            "refused": refused,
            "peak_mib": watch.peak_mib(name),
        }


def _settled(server: RunningServer, rows: int) -> Any:
    """Waits until all rows are in segments and no builder was at work for a while."""
    watch, quiet_since_s = IndexWatch(server.data_dir), time.monotonic()
    until_s, number = time.monotonic() + SETTLE_S, -1
    while time.monotonic() < until_s:
        state = watch.state()
        is_quiet = state.number == number and not psutil.Process(server.pid).children(recursive=True)
        number = state.number
        if state.rows < rows or not is_quiet:
            quiet_since_s = time.monotonic()
        if time.monotonic() - quiet_since_s > _QUIET_S:
            return state
        time.sleep(0.5)
    raise RuntimeError(f"the index did not settle within {SETTLE_S:g} s")


def _recall(server: RunningServer, queries: vector_table.Vectors, truth: npt.NDArray[np.int64]) -> float:
    client = prepared.client(server.endpoint)
    found = 0
    for query, true in zip(queries, truth, strict=True):
        wanted = ots.SearchQuery(
            ots.KnnVectorQuery("embedding", 10, query.tolist()), limit=10, sort=ots.Sort([ots.ScoreSort()])
        )
        answer = client.search(
            vector_table.TABLE, vector_table.INDEX, wanted, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)
        )
        numbers = {vector_table.number_of(row[0][0][1]) for row in answer.rows}
        found += len(numbers & set(true.tolist()))
    return found / truth.size


def show(figures: list[dict[str, Any]]) -> Iterator[str]:
    for one in figures:
        phases = "  ".join(
            f"{name}: {one[name]['searches_per_s']:.0f}/s ({one[name]['peak_mib']:.0f} MiB, "
            f"{one[name]['refused']} refused)"
            for name in ("1 client", "8 clients", "writing")
        )
        yield (
            f"{one['limit']:>7}: peak {one['peak_mib']:.0f} MiB ({one['peak_mib'] / one['limit_mib']:.0%}), loading "
            f"{one['load_peak_mib']:.0f}; {one['segments']} segments, recall {one['recall']:.3f}; {phases}; loaded in "
            f"{one['load_s']:.0f} s ({one['refused_writes']} refused), settled in {one['settle_s']:.0f} s"
        )


def plot(runs: list[Run], path: Path, title: str) -> None:
    """What was measured over time, a row for each limit, and searches a second by limit."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(runs), 1, figsize=(11, 2.2 * len(runs)), squeeze=False)
    for axis, run in zip(axes[:, 0], runs, strict=True):
        assert run.watch is not None
        times, sizes = np.array(run.watch.samples).T
        axis.plot(times, sizes / 2**20, color="tab:blue", linewidth=0.8)
        axis.axhline(run.figures["limit_mib"], color="tab:red", linestyle="--", linewidth=1)
        for at, name in run.watch.marks:
            axis.axvline(at, color="black", linewidth=0.5)
            axis.text(at, 0.02, f" {name}", transform=axis.get_xaxis_transform(), fontsize="x-small", rotation=90)
        eight = run.figures["8 clients"]["searches_per_s"]
        axis.set(ylim=(0, 1.1 * run.figures["limit_mib"]), ylabel="MiB")
        axis.set_title(
            f"{run.limit}: {eight:.0f} searches/s, recall {run.figures['recall']:.3f}", fontsize="small", loc="left"
        )
    axes[-1, 0].set_xlabel("seconds (dashed: the limit)")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--limits", default="256MiB,512MiB,1GiB,2GiB")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30, help="of each phase of searches")
    parser.add_argument("--rate", type=float, default=500, help="rows a second of the writer")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="write a picture over time to this file (PNG)")
    arguments = parser.parse_args()
    block = data.hard(arguments.dim)
    queries = data.queries(block, 2 * arguments.rows, arguments.queries)
    truth = nearest(data.blocks(block, arguments.rows), queries, 10)
    runs = []
    with ProcessPoolExecutor(CLIENTS[-1] + 1, multiprocessing.get_context("spawn")) as workers:
        list(workers.map(awake, [2.0] * (CLIENTS[-1] + 1)))  # started, with all that they import
        for limit in arguments.limits.split(","):
            run = Run(arguments, limit, workers)
            run.measure(block, truth)
            runs.append(run)
            print(*show([run.figures]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([run.figures for run in runs], indent=2) + "\n")
    if arguments.plot:
        plot(runs, arguments.plot, f"Memory of a server and its builders, {arguments.rows:,} x {arguments.dim}")


if __name__ == "__main__":
    main()
