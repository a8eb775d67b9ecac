"""From BatchWriteRow to `searchable` and to `indexed`: rows/s, bytes on the store, what is written how often, memory.

python -m bench.ingest [--rows 100000] [--dims 128,960] [--json FILE]

A real server; 8 connections send rows of `bench.ann`'s ``--hard``, 200 a request, signed beforehand. Seconds are from
the first request on: until all are acknowledged; until all are found by searches; until all but the last buffer, which
is written out when it is full or a minute old, are in segments of the kind that their size calls for (indexed); until
that is so of all; until nothing is left to merge (settled).
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from bench import prepared, vector_table
from bench.ann import data
from bench.connection import Connection, read_requests
from bench.index_state import IndexWatch
from bench.processes import Processes
from bench.server_process import RunningServer, run_server
from lutra.index.builds.policy import Policy

CONNECTIONS: Final = 8
SAMPLE_S: Final = 0.05
TIMEOUT_S: Final = 3_600.0


def send(endpoint: str, requests: list[bytes]) -> None:
    """All of them, over `CONNECTIONS` connections at once."""
    shares = [requests[number::CONNECTIONS] for number in range(CONNECTIONS)]

    def one(share: list[bytes]) -> None:
        with Connection(endpoint) as connection:
            connection.send_all(share)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for future in [threads.submit(one, share) for share in shares]:
            future.result()


class MemoryWatch:
    """Looks at the processes again and again, in a thread of its own, until the block ends."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self._processes.usage()


def object_bytes(data_dir: Path) -> int:
    """On the store, whatever it is of."""
    return sum(path.stat().st_size for path in (data_dir / "objects").rglob("*") if path.is_file())


def measure(server: RunningServer, rows: int, dimension: int, folder: Path) -> dict[str, Any]:
    """One run over a fresh server."""
    client = prepared.client(server.endpoint)
    vector_table.create(client, dimension)
    path = folder / "requests"
    blocks = data.blocks(data.hard(dimension), rows)
    starts = itertools.count(0, 8_192)
    calls = (vector_table.put_calls(block, start) for block, start in zip(blocks, starts, strict=False))
    prepared.record(server.endpoint, itertools.chain.from_iterable(calls), path)
    requests = read_requests(path)
    path.unlink()
    watch, processes = IndexWatch(server.data_dir), Processes(server.pid)
    seconds: dict[str, float] = {}
    idle_mb = processes.usage().server_mb
    with MemoryWatch(processes):
        begin_s = time.monotonic()
        send(server.endpoint, requests)
        seconds["acknowledged"] = time.monotonic() - begin_s
        deadline_s = begin_s + TIMEOUT_S
        while vector_table.count(client) < rows:
            if time.monotonic() > deadline_s:
                raise RuntimeError("the rows did not become searchable")
            time.sleep(SAMPLE_S)
        seconds["searchable"] = time.monotonic() - begin_s
        buffered = Policy().flush_bytes // vector_table.raw_row_bytes(dimension)
        watch.wait(lambda state: state.indexed_rows >= rows - buffered, TIMEOUT_S, SAMPLE_S)
        seconds["indexed"] = time.monotonic() - begin_s
        watch.wait(lambda state: state.indexed_rows >= rows, TIMEOUT_S, SAMPLE_S)
        seconds["indexed, all"] = time.monotonic() - begin_s
        state = watch.wait(lambda state: state.is_settled, TIMEOUT_S, SAMPLE_S)
        seconds["settled"] = time.monotonic() - begin_s
    used = processes.usage()
    written, raw = state.written, rows * vector_table.raw_row_bytes(dimension)
    return {
        "rows": rows,
        "dimension": dimension,
        "seconds": seconds,
        "rows_per_s": {name: rows / taken_s for name, taken_s in seconds.items()},
        "segments": state.kinds,
        "raw_bytes_per_row": raw / rows,
        "segment_bytes_per_row": state.bytes / rows,
        "store_bytes_per_row": object_bytes(server.data_dir) / rows,
        "written": {"flushed": written.flushed, "built": written.built, "deletions": written.deletions},
        "write_amplification": (written.flushed + written.built + written.deletions) / max(1, written.flushed),
        "write_amplification_of_raw": (written.flushed + written.built + written.deletions) / raw,
        "server_mb": {"before": idle_mb, "most": processes.server_mb_max, "after": used.server_mb},
        "builders_mb_most": processes.builders_mb_max,
        "server_cpu_s": used.server_cpu_s,
        "builders_cpu_s": used.builders_cpu_s,
    }


def show(result: dict[str, Any]) -> None:
    print(f"{result['rows']:,} x {result['dimension']}: {result['segments']}")
    for name, rate in result["rows_per_s"].items():
        print(f"  {name:14}{rate:10,.0f} rows/s {result['seconds'][name]:8.1f} s")
    print(
        f"  bytes a row   {result['segment_bytes_per_row']:10,.0f} in segments, {result['store_bytes_per_row']:,.0f} "
        f"with what the manifest before names, {result['raw_bytes_per_row']:,.0f} raw; "
        f"written {result['write_amplification']:.2f} times what was flushed, "
        f"{result['write_amplification_of_raw']:.2f} times raw"
    )
    memory = result["server_mb"]
    print(
        f"  memory, most  {memory['most']:10,.0f} MB server ({memory['before']:.0f} before, {memory['after']:.0f} "
        f"after), {result['builders_mb_most']:,.0f} MB builders; CPU {result['server_cpu_s']:.0f} s and "
        f"{result['builders_cpu_s']:.0f} s",
        flush=True,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dims", default="128,960")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    results = []
    for dimension in map(int, arguments.dims.split(",")):
        with tempfile.TemporaryDirectory(prefix="lutra-bench-") as folder, run_server() as server:
            results.append(measure(server, arguments.rows, dimension, Path(folder)))
            show(results[-1])
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
