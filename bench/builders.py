"""Where segments are built, and what searches feel of it; how many builds are done with one builder and with two.

python -m bench.builders [--rows 200000] [--dim 128] [--rate 1000] [--seconds 90] [--jobs 4] [--job-rows 40000]
    [--only KIND] [--data DIR] [--json FILE]

**Searches.** A core is a machine here: a real server, and the client that searches without a pause, have the first core
to themselves, and the writer has the second. The builders are, one kind after the other:

- equal: processes on the server's core, which stand where everybody does in line;
- last: the same, last in line, as `lutra serve` has them;
- ray: tasks of Ray on the second core, as on another machine (`lutra serve --builders ray`).

Each kind has an idle phase of its own to compare with. Takes root, as builders are moved up in line.

**Throughput.** The same builds, handed to one builder and to two, here and by Ray, on all cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import prepared, vector_table
from bench.ann import data
from bench.isolation import BATCH_ROWS, QUERIES, WARM_S, Isolation, Places, search_calls, show, write_calls
from bench.loading import load
from bench.server_process import run_server
from lutra.index.builds.build import flat_plans
from lutra.index.builds.job import BuildInput, BuildJob
from lutra.index.builds.opening import open_builder
from lutra.index.lsm.buffer import Buffer
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.segments.build import build_segment
from lutra.tables.keys import KeyCodec

KINDS: Final = ("equal", "last", "ray")
BUILDERS: Final = ("local:1", "local:2", "ray:1", "ray:2")
_KEY: Final = (KeyColumn("id", ColumnType.INTEGER),)
_BUILD_BYTES: Final = 1 << 30
_SETTLED_S: Final = 3_600.0


def places_of(kind: str, cores: set[int]) -> Places:
    """Everybody's cores."""
    first = {min(cores)}
    second = cores - first or first
    return Places(first, second if kind == "ray" else first, first, second, builders_are_equal=kind == "equal")


def searched(kind: str, arguments: argparse.Namespace, data_dir: Path, folder: Path) -> list[dict[str, Any]]:
    """Figures of searches while nothing else happens, and while builders of ``kind`` build."""
    block = data.hard(arguments.dim)
    options = ("--builders", "ray" if kind == "ray" else "local")
    with ExitStack() as ending:
        server = ending.enter_context(run_server(*options, data_dir=data_dir))
        workers = ending.enter_context(ProcessPoolExecutor(2, multiprocessing.get_context("spawn")))
        load(server, data.blocks(block, arguments.rows), arguments.rows, arguments.dim, folder)
        run = Isolation(server, folder, workers)
        run.settle(_SETTLED_S)
        places = places_of(kind, run.cores)
        searches = run.record("searches", search_calls(data.queries(block, 2 * arguments.rows, QUERIES)))
        count = int(arguments.rate * arguments.seconds) // BATCH_ROWS * BATCH_ROWS
        fresh = data.queries(block, 4 * arguments.rows, count)
        begun = vector_table.count(prepared.client(server.endpoint))
        run.run("warming", searches, WARM_S, places=places)
        idle = run.run("idle", searches, arguments.idle_seconds, places=places)
        writes = run.record("writes", write_calls(fresh, arguments.rows, begun))
        building = run.run(f"{kind}", searches, arguments.seconds, writes, arguments.rate, places)
    return [idle.figures(), building.figures()]


def throughput(builders: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Of the same builds, all handed over at once: seconds, rows a second, and the longest of them."""
    store = LocalStore(folder / "objects")
    schema = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(arguments.dim)),))
    jobs = []
    for number in range(arguments.jobs):
        name = f"in{number}"
        if name not in store.list(""):
            put_flat_segment(store, name, schema, arguments.job_rows, arguments.dim, folder)
        output = f"{builders.replace(':', '')}x{number}"
        jobs.append(
            BuildJob(str(store.root), (BuildInput(name),), output, schema, str(folder / "scratch"), _BUILD_BYTES)
        )
    with closing(open_builder(builders, _BUILD_BYTES)) as builder:
        warm = replace(jobs[0], output=f"{jobs[0].output}warm")
        builder.submit(warm).result()
        begun_s = time.monotonic()
        done = [future.result() for future in [builder.submit(job) for job in jobs]]
        took_s = time.monotonic() - begun_s
    return {
        "builders": builders,
        "seconds": took_s,
        "rows_per_s": arguments.jobs * arguments.job_rows / took_s,
        "longest_s": max(one.seconds for one in done),
    }


def put_flat_segment(store: LocalStore, name: str, schema: IndexSchema, rows: int, dim: int, folder: Path) -> None:
    """As a flush leaves it."""
    block = data.hard(dim)
    vectors = np.concatenate(list(data.blocks(block, rows)))[:rows]
    codec, buffer = KeyCodec(b"", _KEY), Buffer(schema, _KEY)
    made = [Row((("id", number),), [("v", vector.tobytes(), 1)]) for number, vector in enumerate(vectors)]
    buffer.stage([codec.encode(row.key) for row in made], made, 0)
    buffer.publish()
    path = folder / "flat"
    build_segment(path, [buffer.view()], schema, plans=flat_plans(schema))
    store.put_file(name, path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1_000, help="rows a second")
    parser.add_argument("--seconds", type=float, default=90, help="of each phase but idle")
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--jobs", type=int, default=4, help="builds, of throughput; 0: leave it out")
    parser.add_argument("--job-rows", type=int, default=40_000)
    parser.add_argument("--only", choices=KINDS, action="append", help="a kind of builders; repeatable")
    parser.add_argument("--data", type=Path, help="data directory to use, loaded already or not; it is kept")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"searches": {}, "throughput": []}
    with tempfile.TemporaryDirectory(prefix="lutra-bench-") as name:
        folder = Path(name)
        for builders in BUILDERS if arguments.jobs else ():
            result["throughput"].append(throughput(builders, arguments, folder))
            print(json.dumps(result["throughput"][-1]), flush=True)
        for kind in arguments.only or KINDS:
            figures = searched(kind, arguments, arguments.data or folder / "data", folder)
            result["searches"][kind] = figures
            show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
