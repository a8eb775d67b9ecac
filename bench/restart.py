"""A server killed over a settled index: how long until it answers again, and what opening reads.

python -m bench.restart [--rows 1000000] [--dim 128] [--rounds 5] [--data DIR] [--json FILE]

Each round kills the server with SIGKILL and starts another. Seconds are from its start, the interpreter's included, to
listening and to the first answer to a search that names the row whose vector was asked for. ``--cold`` has the system
forget what it holds of files first, which takes root.

``--data DIR`` keeps the loaded data for the next run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import prepared, vector_table
from bench.ann import data
from bench.connection import Connection, read_requests
from bench.loading import load
from bench.server_process import run_server

_SAMPLE: Final = re.compile(r"^(lutra_(?:objects|blocks)_\w+?)_total(?:\{kind=\"(\w+)\"\})? (\S+)$", re.MULTILINE)
_DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")
SEARCHES: Final = 100


def counters(endpoint: str) -> dict[str, float]:
    """What the server has read since its start, as its metrics tell."""
    with urllib.request.urlopen(f"{endpoint}/metrics") as reply:
        text = reply.read().decode()
    found: dict[str, float] = {}
    for name, kind, value in _SAMPLE.findall(text):
        found[f"{name} {kind}".strip()] = float(value)
    return found


def forget_files() -> None:
    """Raises PermissionError where the process may not."""
    os.sync()
    _DROP_CACHES.write_text("3")


def measure(data_dir: Path, searches: list[bytes], name: bytes, cold: bool) -> dict[str, Any]:
    """One start of the server, which is killed at the end. ``searches``: the first one finds the row ``name``."""
    if cold:
        forget_files()
    begin_s = time.perf_counter()
    with run_server(data_dir=data_dir) as server:
        listening_s = time.perf_counter() - begin_s
        with Connection(server.endpoint) as connection:
            answer = connection.ask(searches[0])
            answered_s = time.perf_counter() - begin_s
            if name not in answer:
                raise RuntimeError(f"the first answer does not name {name!r}")
            opening = counters(server.endpoint)
            first_ms = [connection.time(request) for request in searches[1:]]
        resident_mb = server.resident_mb
        server.kill()
    return {
        "cold": cold,
        "listening_s": listening_s,
        "answered_s": answered_s,
        "opening": opening,
        "next_p50_ms": float(np.percentile(first_ms, 50)),
        "next_p99_ms": float(np.percentile(first_ms, 99)),
        "resident_mb": resident_mb,
    }


def prepare(arguments: argparse.Namespace, data_dir: Path, folder: Path) -> tuple[list[bytes], bytes]:
    """Loads what is not there yet, and kills the server. The searches, and the name of the row that the first finds."""
    block = data.hard(arguments.dim)
    with run_server(data_dir=data_dir) as server:
        load(server, data.blocks(block, arguments.rows), arguments.rows, arguments.dim, folder)
        one = data.rows(block, 1)[0]
        queries = [one, *data.queries(block, arguments.rows, SEARCHES)]
        path = folder / "searches"
        prepared.record(server.endpoint, (vector_table.knn_call(query) for query in queries), path)
        server.kill()
    return read_requests(path), vector_table.key_of(0).encode()


def show(result: dict[str, Any]) -> None:
    opening = result["opening"]
    requests = ", ".join(
        f"{int(opening[key])} {key.partition(' ')[2]}" for key in opening if key.startswith("lutra_objects_requests ")
    )
    print(
        f"{'cold' if result['cold'] else 'warm'}  listening {result['listening_s']:.2f} s  answered "
        f"{result['answered_s']:.2f} s  then p50 {result['next_p50_ms']:.2f} ms, p99 {result['next_p99_ms']:.2f} ms  "
        f"{result['resident_mb']:.0f} MB\n      objects: {requests}; {opening['lutra_objects_round_trips']:.0f} round "
        f"trips, {opening['lutra_objects_read_bytes'] / 1e6:.1f} MB; blocks: "
        f"{opening['lutra_blocks_reads']:.0f} read, {opening['lutra_blocks_read_bytes'] / 1e6:.1f} MB",
        flush=True,
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="forget what the system holds of files before each round")
    parser.add_argument("--data", type=Path, help="data directory to use, loaded already or not; it is kept")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="lutra-bench-") as folder:
        data_dir = arguments.data or Path(folder) / "data"
        searches, name = prepare(arguments, data_dir, Path(folder))
        for _ in range(arguments.rounds):
            results.append(measure(data_dir, searches, name, arguments.cold))
            show(results[-1])
    answered_s = sorted(result["answered_s"] for result in results)
    print(f"seconds to the first answer: {answered_s[0]:.2f} to {answered_s[-1]:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
