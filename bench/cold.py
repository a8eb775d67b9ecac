"""First searches of fresh processes over an object store that is far away: what they wait for.

python -m bench.cold [--rows 100000] [--dim 384] [--latency-ms 63] [--processes 10] [--data DIR] [--json FILE]

A server fills a table of vectors over s3proxy (Java, and Maven for the first time). Then processes open the same folder
one after the other, through a proxy that holds up every request, and search: each once before anything was asked of it,
then for ``--warm`` times more. Told are the seconds until the index is open, the milliseconds of searches, their
recall, and what passed the proxy: requests, bytes and rounds, which are requests one after the other
(`bench.delayed.Passed`). Nothing of the segments is kept between processes but what ``--data`` holds: rows, in RocksDB.

``--data DIR`` keeps the loaded data for the next run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import vector_table
from bench.ann import data
from bench.delayed import DelayedServer
from bench.loading import load
from bench.server_process import INSTANCE, run_server
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric
from lutra.objects.s3 import S3Store

_TESTS: Final = Path(__file__).parents[1] / "tests"
_K: Final = 10
_WITHIN_S: Final = 600.0
_PREFIX: Final = "objects"
Vectors = np.typing.NDArray[np.float32]


# --- the process that searches --------------------------------------------------------------------------------------


def search_fresh(data_dir: str, objects: str, queries: Path) -> None:
    """Opens, says so, and answers a query for each line that comes in."""
    begin_s = time.perf_counter()
    import lutra

    vectors = np.load(queries)
    with lutra.connect(data_dir, instance=INSTANCE, objects=objects) as database:
        instance = database._open()
        instance.wait_searchable(vector_table.TABLE, vector_table.INDEX, _WITHIN_S)
        table = database.table(vector_table.TABLE)
        print(json.dumps({"open_s": time.perf_counter() - begin_s}), flush=True)
        for line in sys.stdin:
            query = vectors[int(line)]
            begin_s = time.perf_counter()
            found = table.search(query, limit=_K, columns=[], fresh=False)
            took_ms = 1e3 * (time.perf_counter() - begin_s)
            rows = [vector_table.number_of(row["id"]) for row in found]
            print(json.dumps({"ms": took_ms, "rows": rows}), flush=True)


class FreshProcess:
    """One of these. A context manager."""

    def __init__(self, data_dir: Path, objects: str, queries: Path) -> None:
        command = [sys.executable, "-m", "bench.cold", "--search", str(data_dir), objects, str(queries)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> FreshProcess:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def heard(self) -> dict[str, Any]:
        """What it says next. Raises RuntimeError where it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, number: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        return self.heard()

    @property
    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# --- what is measured -----------------------------------------------------------------------------------------------


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Of processes started within."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def s3_server(folder: Path) -> Iterator[Any]:
    """That of the tests, over ``folder``."""
    sys.path.insert(0, str(_TESTS))
    support = importlib.import_module("support.s3_server")
    with support.S3Server(folder) as server, environment(server.environment):
        yield server


def prepare(arguments: argparse.Namespace, place: Path, s3: Any) -> None:
    """Loads what is not there yet."""
    block, objects = data.hard(arguments.dim), s3.url(_PREFIX)
    with (
        tempfile.TemporaryDirectory(prefix="lutra-bench-") as folder,
        run_server("--objects", objects, data_dir=place / "data") as server,
    ):
        blocks = data.blocks(block, arguments.rows)
        load(server, blocks, arguments.rows, arguments.dim, Path(folder), S3Store(objects))


def truth(arguments: argparse.Namespace, queries: Vectors) -> Vectors:
    """float32 [q]: how far the last of each query's neighbours is."""
    best = np.full((len(queries), 1), np.inf, np.float32)
    for block in data.blocks(data.hard(arguments.dim), arguments.rows):
        distances = topk(queries, block, min(_K, len(block)), Metric.EUCLIDEAN)[1]
        best = np.sort(np.concatenate([best, distances], axis=1), axis=1)[:, :_K]
    return best[:, -1]


def measure(process: FreshProcess, delayed: DelayedServer, first: int, warm: int, idle_s: float) -> dict[str, Any]:
    """One process: what its opening took, its first search, and others."""
    opened = process.heard()
    found = {"open_s": opened["open_s"], "opening": asdict(delayed.take())}
    answer = process.ask(first)
    found |= {"first_ms": answer["ms"], "first": asdict(delayed.take()), "first_rows": answer["rows"]}
    next_ms, next_rows = [], []
    for number in range(first + 1, first + 1 + warm):
        answer = process.ask(number)
        next_ms.append(answer["ms"])
        next_rows.append(answer["rows"])
    found |= {"next_ms": next_ms, "next_rows": next_rows, "next": asdict(delayed.take())}
    time.sleep(idle_s)
    found |= {"later": asdict(delayed.take()), "later_ms": process.ask(first + 1)["ms"]}
    return found | {"resident_mb": process.resident_mb}


def recall_of(
    answers: list[tuple[int, list[int]]], queries: Vectors, last: Vectors, arguments: argparse.Namespace
) -> float:
    """The share of true neighbours among what was found, by distance."""
    block, hits = data.hard(arguments.dim), 0
    vectors = data.rows(block, arguments.rows)
    for number, rows in answers:
        distances = topk(queries[number][None], np.ascontiguousarray(vectors[rows]), len(rows), Metric.EUCLIDEAN)[1]
        hits += int((distances[0] <= last[number] * (1 + 1e-5)).sum())
    return hits / (_K * max(1, len(answers)))


def percentiles(values: list[float]) -> str:
    if not values:
        return "none"
    return f"p50 {np.percentile(values, 50):.0f} ms, p99 {np.percentile(values, 99):.0f} ms, most {max(values):.0f} ms"


def passed(of: dict[str, Any]) -> str:
    requests = ", ".join(f"{count} {method}" for method, count in sorted(of["requests"].items())) or "no requests"
    return f"{requests}; {of['rounds']} rounds, {of['answered_bytes'] / 1e6:.2f} MB"


def show(results: list[dict[str, Any]], recall: float) -> None:
    last = results[-1]
    print(f"open: {np.median([one['open_s'] for one in results]):.2f} s; {passed(last['opening'])}")
    print(f"first search of {len(results)} processes: {percentiles([one['first_ms'] for one in results])}")
    for name in ("rounds", "answered_bytes"):
        counts = [one["first"][name] for one in results]
        print(f"  {name}: {min(counts)} to {max(counts)}, median {np.median(counts):.0f}")
    print(f"  the last: {passed(last['first'])}")
    print(f"searches after it: {percentiles([ms for one in results for ms in one['next_ms']])}; {passed(last['next'])}")
    print(f"later: {percentiles([one['later_ms'] for one in results])}; until then {passed(last['later'])}")
    print(f"recall@{_K} {recall:.3f}; resident {np.median([one['resident_mb'] for one in results]):.0f} MB", flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--latency-ms", type=float, default=63.0, help="by which the store is farther away")
    parser.add_argument("--processes", type=int, default=10, help="each has one cold search")
    parser.add_argument("--warm", type=int, default=10, help="searches of each process after its first")
    parser.add_argument("--idle-s", type=float, default=5.0, help="after those, before the last search")
    parser.add_argument("--data", type=Path, help="folder for the data, loaded already or not; it is kept")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--search", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Command line."""
    arguments = parsed()
    if arguments.search:
        search_fresh(arguments.search[0], arguments.search[1], Path(arguments.search[2]))
        return
    results: list[dict[str, Any]] = []
    with ExitStack() as closing:
        temporary = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-bench-")))
        place = arguments.data or temporary
        place.mkdir(parents=True, exist_ok=True)
        s3 = closing.enter_context(s3_server(place / "s3"))
        prepare(arguments, place, s3)
        each = 1 + arguments.warm
        queries = data.queries(data.hard(arguments.dim), arguments.rows, arguments.processes * each)
        np.save(temporary / "queries.npy", queries)
        for number in range(arguments.processes):
            delayed = closing.enter_context(DelayedServer(s3.endpoint, arguments.latency_ms / 1e3))
            with (
                environment({"AWS_ENDPOINT_URL": delayed.endpoint}),
                FreshProcess(place / "data", s3.url(_PREFIX), temporary / "queries.npy") as process,
            ):
                results.append(measure(process, delayed, number * each, arguments.warm, arguments.idle_s))
    answers = [
        (number * each + at, rows)
        for number, one in enumerate(results)
        for at, rows in enumerate([one["first_rows"], *one["next_rows"]])
    ]
    recall = recall_of(answers, queries, truth(arguments, queries), arguments)
    show(results, recall)
    if arguments.json:
        arguments.json.write_text(json.dumps({"recall": recall, "processes": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
