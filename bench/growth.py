"""What more nodes bring, and what a request costs: one, two and three nodes, of one core's share each.

``python -m bench.growth`` starts so many nodes on loopback over a local folder, each bound to one core, fills a table
of six partitions, and has some connections write, read and search for a while. Told are requests a second, the
processor time that all nodes together took for one, and the median time until its answer. Where nodes share cores, as
more nodes than cores do, only the processor time says what growing costs: it tells the gateway's share, which is there
from the second node on, as a node owns its part of the rows only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import tablestore as ots
from tablestore import OTSClient

from bench import prepared
from bench.connection import Connection, read_requests
from bench.nodes import pids_of, run_nodes, status_of
from bench.processes import pin
from bench.replace_node import TABLE, fill, key_of, make_table, neighbours

PARTITIONS: Final = 6
_NODES: Final = (1, 2, 3)
_REQUESTS: Final = 2_000
_IGNORE: Final = ots.Condition(ots.RowExistenceExpectation.IGNORE)
_WITHIN_S: Final = 300.0

Call = Callable[[OTSClient], object]


def calls(vectors: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, Callable[[int], Call]]:
    """What is measured, each made anew for a number."""

    def row(number: int) -> ots.Row:
        at = number % len(vectors)
        return ots.Row([("k", key_of(at)), ("id", at)], [("v", bytearray(vectors[at].tobytes()))])

    return {
        "put a row": lambda number: lambda client: client.put_row(TABLE, row(number), _IGNORE),
        "get a row": lambda number: lambda client: client.get_row(TABLE, row(number).primary_key, max_version=1),
        "10 neighbours": lambda number: lambda client: neighbours(client, vectors[number % len(vectors)]),
    }


def processor_s(pids: Sequence[int]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(each.user + each.system for each in times))


def measure(endpoints: Sequence[str], requests: Sequence[bytes], connections: int, seconds: float) -> list[float]:
    """Seconds that each request took, of as many as were answered in that time."""
    stop = threading.Event()

    def ask(place: int) -> list[float]:
        took = []
        with Connection(endpoints[place % len(endpoints)]) as connection:
            at = place
            while not stop.is_set():
                began_s = time.perf_counter()
                connection.ask(requests[at % len(requests)])
                took.append(time.perf_counter() - began_s)
                at += connections
        return took

    with ThreadPoolExecutor(connections) as pool:
        asking = [pool.submit(ask, place) for place in range(connections)]
        time.sleep(seconds)
        stop.set()
        return [each for one in asking for each in one.result()]


def wait_found(client: OTSClient, vectors: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """Returns when the last row that was written is found."""
    until_s = time.monotonic() + _WITHIN_S
    while neighbours(client, vectors[-1])[:1] != [len(vectors) - 1]:
        if time.monotonic() >= until_s:
            raise RuntimeError("rows are not found")
        time.sleep(0.1)


def run(nodes: int, rows: int, dimension: int, connections: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Figures of one size of a cluster."""
    vectors = np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)
    with run_nodes(folder, nodes) as by_name:
        endpoints = list(by_name.values())
        client = prepared.client(endpoints[0])
        make_table(client, dimension, PARTITIONS)
        fill(client, vectors)
        wait_found(client, vectors)
        pids = list(pids_of(status_of(folder)).values())
        cores = sorted(os.sched_getaffinity(0))
        for place, pid in enumerate(pids):
            pin(pid, {cores[place % len(cores)]})
        figures = {}
        for name, made in calls(vectors).items():
            prepared.record(endpoints[0], (made(number) for number in range(_REQUESTS)), folder / "requests")
            requests = read_requests(folder / "requests")
            measure(endpoints, requests, connections, seconds / 4)  # caches, connections
            before_s = processor_s(pids)
            took = measure(endpoints, requests, connections, seconds)
            figures[name] = {
                "per_s": len(took) / seconds,
                "processor_ms": 1e3 * (processor_s(pids) - before_s) / len(took),
                "p50_ms": 1e3 * statistics.median(took),
            }
    return {"nodes": nodes, "figures": figures}


def show(results: Sequence[dict[str, Any]]) -> None:
    for name in results[0]["figures"]:
        for result in results:
            found = result["figures"][name]
            print(
                f"{name:<16} {result['nodes']} node{'s' * (result['nodes'] > 1):<1} {found['per_s']:>8,.0f} a second, "
                f"{found['processor_ms']:>6.2f} ms of processor each, p50 {found['p50_ms']:>7.2f} ms"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--connections", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each kind of request")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    results = []
    for nodes in _NODES:
        with tempfile.TemporaryDirectory(prefix="lutra-bench-") as folder:
            results.append(
                run(
                    nodes,
                    arguments.rows,
                    arguments.dimension,
                    arguments.connections,
                    arguments.seconds,
                    Path(folder),
                )
            )
    show(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
