"""Whether a server and its builders stay within ``--memory-limit``, measured from outside, and what searches are worth.

python -m bench.memory [--rows 1000000] [--dim 384] [--limits 256MiB,512MiB,1GiB,2GiB] [--seconds 30]
    [--rate 500] [--load-once] [--folder DIR] [--json FILE] [--plot FILE]

The same rows (`bench.ann`'s ``--hard``) under each limit, in a fresh directory, one after the other:

- load: all rows are written, as fast as that goes, and what is to be built is built.
- with ``--load-once`` only under the first limit, and under the next ones ``open``: the same directory is served again,
  until all rows are searchable. What is merged then goes on beside the searches.
- then, ``--seconds`` each: one client and eight, that search all rows and a tenth of them by turns.
- write: the same eight while a writer sends ``--rate`` rows a second, half of them in place of others.

Every 100 ms the proportional set size of the server and all processes below it is added up, as the kernel tells it.
Recall is of the top 10 of ``--queries`` queries, against all rows as they were loaded. What the writer sends is the
same each time, and part of what is loaded.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
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
from bench.isolation import BATCH_ROWS, search_calls, write_calls, write_numbers
from bench.server_process import RunningServer, run_server
from lutra.instance.memory_plan import size_of

SAMPLE_S: Final = 0.1
CLIENTS: Final = (1, 8)
OPEN_S: Final = 600.0
_ANSWER_S: Final = 7_200.0
"""So long is waited for an answer to a write."""
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


def send_all(endpoint: str, requests: Sequence[bytes], batches_per_s: float = float("inf")) -> int:
    """One after the other, each when it is due and until it is taken, as an SDK does; how often one was refused."""
    refused = 0
    with ExitStack() as closing:
        connection = closing.enter_context(Connection(endpoint, _ANSWER_S))
        begin_s = time.monotonic()
        for number, request in enumerate(requests):
            time.sleep(max(0.0, begin_s + number / batches_per_s - time.monotonic()))
            while True:
                try:
                    connection.ask(request)
                    break
                except RuntimeError:
                    refused += 1
                    connection = closing.enter_context(Connection(endpoint, _ANSWER_S))
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


class Rows:
    """What is in the table: ``--rows`` rows, and in place of some of them and after them what the writer sends."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._block, self.count = data.hard(arguments.dim), arguments.rows
        self.queries = data.queries(self._block, 2 * self.count, arguments.queries)
        sent = int(arguments.rate * arguments.seconds) // BATCH_ROWS * BATCH_ROWS
        self._sent = data.queries(self._block, 4 * self.count, sent)
        self._numbers = [one for batch in write_numbers(sent, self.count, self.count) for one in batch]

    @property
    def loaded(self) -> Iterator[vector_table.Vectors]:
        """What is written first."""
        return data.blocks(self._block, self.count)

    @property
    def written(self) -> Iterator[vector_table.Call]:
        """What the writer sends."""
        return write_calls(self._sent, self.count, self.count)

    def truth(self, k: int) -> npt.NDArray[np.int64]:
        """int64 [q, k]: the rows nearest to each query, once all is written."""
        return nearest(self._all(), self.queries, k)

    def _all(self) -> Iterator[vector_table.Vectors]:
        last = {number: at for at, number in enumerate(self._numbers)}  # of two, the later one counts
        first = 0
        for vectors in self.loaded:
            for number in last.keys() & set(range(first, first + len(vectors))):
                vectors[number - first] = self._sent[last[number]]
            first += len(vectors)
            yield vectors
        yield self._sent[[at for number, at in sorted(last.items()) if number >= self.count]]


class Run:
    """One limit."""

    def __init__(self, arguments: argparse.Namespace, limit: str, workers: ProcessPoolExecutor) -> None:
        self.arguments = arguments
        self.limit = limit
        self._workers = workers
        self.figures: dict[str, Any] = {"limit": limit, "limit_mib": size_of(limit, 0) / 2**20}
        self.watch: Watch | None = None

    def measure(self, rows: Rows, truth: npt.NDArray[np.int64], folder: Path) -> None:
        """In ``folder``, whose ``data`` is loaded unless it is there."""
        with ExitStack() as closing:
            is_loaded = (folder / "data").exists()
            server = closing.enter_context(run_server("--memory-limit", self.limit, data_dir=folder / "data"))
            self.watch = watch = Watch(server.pid)
            closing.callback(watch.stop)
            watch.start()
            if is_loaded:
                self._open(server, watch, rows)
            else:
                self._load(server, watch, rows, folder)
            self._measure(server, watch, rows, truth, folder)
            watch.stop()
            self.figures["segments"] = len(IndexWatch(server.data_dir).state().segments)
            for phase in {"load", "settle", "open"} & {name for _, name in watch.marks}:
                self.figures[f"{phase}_peak_mib"] = watch.peak_mib(phase)
            self.figures["peak_mib"] = max(size for _, size in watch.samples) / 2**20
            self.figures["is_within"] = self.figures["peak_mib"] <= self.figures["limit_mib"]

    def _measure(
        self, server: RunningServer, watch: Watch, rows: Rows, truth: npt.NDArray[np.int64], folder: Path
    ) -> None:
        watch.mark("recall")
        self.figures["recall"], self.figures["refused"] = _recall(server, rows.queries, truth)
        path, writes = folder / "searches", folder / "writes"
        prepared.record(server.endpoint, search_calls(rows.queries), path)
        for clients in CLIENTS:
            self._search(server, watch, f"{clients} clients" if clients > 1 else "1 client", path, clients)
        prepared.record(server.endpoint, rows.written, writes)
        self._search(server, watch, "writing", path, CLIENTS[-1], writes)

    def _load(self, server: RunningServer, watch: Watch, rows: Rows, folder: Path) -> None:
        watch.mark("load")
        begin_s = time.monotonic()
        vector_table.create(prepared.client(server.endpoint), self.arguments.dim)
        path, first, refused = folder / "load", 0, 0
        for vectors in rows.loaded:
            prepared.record(server.endpoint, vector_table.put_calls(vectors, first), path)
            refused += send_all(server.endpoint, read_requests(path))
            first += len(vectors)
        prepared.record(server.endpoint, rows.written, path)
        refused += send_all(server.endpoint, read_requests(path))
        self.figures["load_s"], self.figures["refused_writes"] = time.monotonic() - begin_s, refused
        watch.mark("settle")
        self.figures["is_settled"] = _settled(server, rows.count, self.arguments.settle_seconds)
        self.figures["settle_s"] = time.monotonic() - begin_s - self.figures["load_s"]

    def _open(self, server: RunningServer, watch: Watch, rows: Rows) -> None:
        """Waits until all rows are searchable again."""
        watch.mark("open")
        begin_s = time.monotonic()
        client = prepared.client(server.endpoint)
        while _searchable(client) < rows.count:
            if time.monotonic() - begin_s > OPEN_S:
                raise RuntimeError(f"not all rows are searchable within {OPEN_S:g} s")
            time.sleep(_BUSY_S)
        self.figures["open_s"] = time.monotonic() - begin_s

    def _search(
        self, server: RunningServer, watch: Watch, name: str, searches: Path, clients: int, writes: Path | None = None
    ) -> None:
        watch.mark(name)
        until_s = time.monotonic() + self.arguments.seconds
        searching = [
            self._workers.submit(search_until, server.endpoint, searches, until_s, 2 * n) for n in range(clients)
        ]
        rate = self.arguments.rate / BATCH_ROWS
        refused_writes = 0 if writes is None else send_all(server.endpoint, read_requests(writes), rate)
        done = [one.result() for one in searching]
        answered, refused = sum(one for one, _ in done), sum(one for _, one in done)
        self.figures[name] = {
            "searches_per_s": answered / self.arguments.seconds,
            "refused": refused,
            "refused_writes": refused_writes,
            "peak_mib": watch.peak_mib(name),
        }


def _searchable(client: ots.OTSClient) -> int:
    """Rows; 0 while the index is not open in the time that a search has."""
    try:
        return vector_table.count(client)
    except ots.OTSServiceError:
        return 0


def _settled(server: RunningServer, rows: int, wait_s: float) -> bool:
    """Waits until all rows are in segments and no builder was at work for a while; False where that took too long."""
    watch, quiet_since_s = IndexWatch(server.data_dir), time.monotonic()
    until_s, number = time.monotonic() + wait_s, -1
    while time.monotonic() < until_s:
        state = watch.state()
        is_quiet = state.number == number and not psutil.Process(server.pid).children(recursive=True)
        number = state.number
        if state.rows < rows or not is_quiet:
            quiet_since_s = time.monotonic()
        if time.monotonic() - quiet_since_s > _QUIET_S:
            return True
        time.sleep(0.5)
    return False


def _recall(server: RunningServer, queries: vector_table.Vectors, truth: npt.NDArray[np.int64]) -> tuple[float, int]:
    client = prepared.client(server.endpoint)
    found = refused = 0
    for query, true in zip(queries, truth, strict=True):
        wanted = ots.SearchQuery(
            ots.KnnVectorQuery("embedding", 10, query.tolist()), limit=10, sort=ots.Sort([ots.ScoreSort()])
        )
        try:
            answer = client.search(
                vector_table.TABLE, vector_table.INDEX, wanted, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)
            )
        except ots.OTSServiceError:  # it took too long, say
            refused += 1
            continue
        numbers = {vector_table.number_of(row[0][0][1]) for row in answer.rows}
        found += len(numbers & set(true.tolist()))
    return found / truth.size, refused


def show(one: dict[str, Any]) -> str:
    """A line about one limit."""
    phases = "  ".join(
        f"{name}: {one[name]['searches_per_s']:.0f}/s ({one[name]['peak_mib']:.0f} MiB, {one[name]['refused']} refused)"
        for name in ("1 client", "8 clients", "writing")
    )
    if "load_s" in one:
        begun = f"loading {one['load_peak_mib']:.0f}, building {one['settle_peak_mib']:.0f}"
        settled = "settled in" if one["is_settled"] else "not settled after"
        took = f"loaded in {one['load_s']:.0f} s ({one['refused_writes']} refused), {settled} {one['settle_s']:.0f} s"
    else:
        begun, took = f"opening {one['open_peak_mib']:.0f}", f"opened in {one['open_s']:.1f} s"
    return (
        f"{one['limit']:>7}: peak {one['peak_mib']:.0f} MiB ({one['peak_mib'] / one['limit_mib']:.0%}), {begun}; "
        f"{one['segments']} segments, recall {one['recall']:.3f} ({one['refused']} refused); {phases}; {took}"
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
    parser.add_argument("--load-once", action="store_true", help="load and build under the first limit only")
    parser.add_argument("--settle-seconds", type=float, default=7_200, help="wait for builds no longer after loading")
    parser.add_argument("--folder", type=Path, help="where data lies while it is measured, if not with temporary files")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="write a picture over time to this file (PNG)")
    arguments = parser.parse_args()
    rows = Rows(arguments)
    truth = rows.truth(10)
    runs = []
    with ExitStack() as closing:
        workers = closing.enter_context(ProcessPoolExecutor(CLIENTS[-1] + 1, multiprocessing.get_context("spawn")))
        list(workers.map(awake, [2.0] * (CLIENTS[-1] + 1)))  # started, with all that they import
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-bench-", dir=arguments.folder)))
        for number, limit in enumerate(arguments.limits.split(",")):
            run = Run(arguments, limit, workers)
            own = folder / ("all" if arguments.load_once else str(number))
            own.mkdir(exist_ok=True)
            run.measure(rows, truth, own)
            runs.append(run)
            print(show(run.figures), flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps([run.figures for run in runs], indent=2) + "\n")
            if arguments.plot:
                plot(runs, arguments.plot, f"Memory of a server and its builders, {arguments.rows:,} x {arguments.dim}")
            if not arguments.load_once:
                shutil.rmtree(own)


if __name__ == "__main__":
    main()
