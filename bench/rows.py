"""Rows in a data directory beside rows on an object store: what a durable commit costs, reads, memory, opening.

python -m bench.rows [--seconds 5] [--rows 200000] [--s3 s3://bucket/prefix] [--delays 0,20] [--profile]

The same tables on RocksDB, on SlateDB over a folder, and on SlateDB over S3 where ``--s3`` says so (with the usual
``AWS_*`` variables). ``--delays``: further runs over S3 in which each request takes so many ms more, as over a network.

- commits: 1, 8 and 32 threads put rows of 500 bytes one by one, each acknowledged before the next; those that wait
  share a commit. Commits and ms are the store's, rows a second the threads'.
- reads: rows got one by one and in batches of 100, and scanned, of ``--rows`` rows, just written and reopened.
- opening: after a close, and after a process that was killed with 1,000 commits in the log.

``--profile`` prints where the time of commits by 8 threads goes.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from bench.delayed import DelayedServer
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
from lutra.kv.slatedb.store import SlateStore
from lutra.kv.store import KeyValueStore
from lutra.model.rows import ChangeKind, ReadOptions, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

VALUE_BYTES: Final = 500
BATCH_ROWS: Final = 200
LOG_COMMITS: Final = 1_000
GETS: Final = 3_000
ALL: Final = ReadOptions()

_KILLED: Final = """
import os, sys
from lutra.kv.batch import WriteBatch
from bench.rows import store_at
store = store_at(sys.argv[1], sys.argv[2] == "1")
for i in range(int(sys.argv[3])):
    batch = WriteBatch()
    batch.put(b"k%06d" % i, b"v" * 500)
    store.commit(batch)
os._exit(9)
"""


class CountingStore:
    """Of a store's commits, how many there were and how long they took."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self.ms: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, batch: WriteBatch) -> None:
        begin = time.perf_counter()
        self._store.commit(batch)
        self.ms.append((time.perf_counter() - begin) * 1e3)


def change(number: int, rng: random.Random) -> RowChange:
    return RowChange(ChangeKind.PUT, (("id", number),), [("v", rng.randbytes(VALUE_BYTES), None, 0)])


def tables_of(store: Any) -> Tables:
    tables = TableSpace(store).instance("default")
    if not tables.names():
        tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
    return tables


def commits(store: KeyValueStore, writers: int, seconds: float) -> dict[str, float]:
    """Rows and commits a second, ms of a commit, by so many threads."""
    counting = CountingStore(store)
    tables = tables_of(counting)
    until = time.perf_counter() + seconds
    counts = [0] * writers

    def work(writer: int) -> None:
        rng = random.Random(writer)
        while time.perf_counter() < until:
            tables.write("t", change(rng.randrange(1 << 40), rng))
            counts[writer] += 1

    counting.ms.clear()
    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(writers)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    ms = np.array(counting.ms)
    return {
        "rows/s": sum(counts) / took,
        "commits/s": len(ms) / took,
        "p50 ms": float(np.percentile(ms, 50)),
        "p99 ms": float(np.percentile(ms, 99)),
    }


def load(store: KeyValueStore, rows: int) -> float:
    """Rows a second, in batches."""
    tables, rng = tables_of(store), random.Random(1)
    begin = time.perf_counter()
    for first in range(0, rows, BATCH_ROWS):
        changes = [change(number, rng) for number in range(first, min(rows, first + BATCH_ROWS))]
        tables.write_batch([("t", changes)])
    return rows / (time.perf_counter() - begin)


def reads(store: KeyValueStore, rows: int) -> dict[str, float]:
    """µs of a get, of a row of a batch of gets, and of a scanned pair."""
    tables, rng = tables_of(store), random.Random(2)
    numbers = [rng.randrange(rows) for _ in range(GETS)]
    begin = time.perf_counter()
    for number in numbers:
        assert tables.read("t", (("id", number),), ALL).row is not None
    one = (time.perf_counter() - begin) / GETS * 1e6
    prefix = b"r" + tables.describe("t").table_id.to_bytes(8, "big")
    begin = time.perf_counter()
    pairs = sum(1 for _ in store.scan(prefix, prefix + b"\xff" * 20))
    scanned = (time.perf_counter() - begin) / pairs * 1e6
    assert pairs == rows
    keys = [key for key, _ in zip(_keys(store, prefix), range(GETS), strict=False)]
    rng.shuffle(keys)
    begin = time.perf_counter()
    for first in range(0, len(keys), 100):
        assert None not in store.get_many(keys[first : first + 100])
    many = (time.perf_counter() - begin) / len(keys) * 1e6
    return {"get µs": one, "of 100 µs": many, "scanned µs": scanned}


def _keys(store: KeyValueStore, prefix: bytes) -> Iterator[bytes]:
    return (key for key, _ in store.scan(prefix, prefix + b"\xff" * 20))


def killed(address: str, on_objects: bool) -> float:
    """Seconds to open a store whose process was killed with many commits in its log."""
    command = [sys.executable, "-c", _KILLED, address, str(int(on_objects)), str(LOG_COMMITS - 1)]
    subprocess.run(command, check=False)
    begin = time.perf_counter()
    store = store_at(address, on_objects)
    took = time.perf_counter() - begin
    assert store.get(b"k%06d" % (LOG_COMMITS - 2)) is not None
    store.close()
    return took


def run(name: str, place: Callable[[str], str], on_objects: bool, options: argparse.Namespace) -> None:
    print(f"\n{name}")
    for writers in (1, 8, 32):
        with opened(place(f"w{writers}"), on_objects) as store:
            if options.profile and writers == 8:
                profiled(store, options.seconds)
                continue
            print(f"  {writers:>2} writers   {shown(commits(store, writers, options.seconds))}")
    if not options.rows:
        return
    before_mb = resident_mb()
    address = place("rows")
    with opened(address, on_objects) as store:
        print(f"  batches of {BATCH_ROWS}: {load(store, options.rows):,.0f} rows/s")
        print(f"  just written {shown(reads(store, options.rows))}")
        print(f"  memory: {store.memory_bytes() / 1e6:.0f} MB told, {resident_mb() - before_mb:.0f} MB more resident")
        begin = time.perf_counter()
    print(f"  closed in {(time.perf_counter() - begin) * 1e3:.0f} ms")
    begin = time.perf_counter()
    with opened(address, on_objects) as store:
        print(f"  opened in {(time.perf_counter() - begin) * 1e3:.0f} ms")
        print(f"  reopened     {shown(reads(store, options.rows))}")
        print(f"  again        {shown(reads(store, options.rows))}")
    print(
        f"  opened after a kill with {LOG_COMMITS:,} commits in the log: {killed(place('k'), on_objects) * 1e3:.0f} ms"
    )


def profiled(store: KeyValueStore, seconds: float) -> None:
    """Of one thread of those that commit, where its time goes."""
    profile = cProfile.Profile()
    tables, rng = tables_of(store), random.Random(3)
    until = time.perf_counter() + seconds
    profile.enable()
    while time.perf_counter() < until:
        tables.write("t", change(rng.randrange(1 << 40), rng))
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(14)


def store_at(address: str, on_objects: bool) -> KeyValueStore:
    return SlateStore(address) if on_objects else RocksStore(Path(address))


@contextmanager
def opened(address: str, on_objects: bool) -> Iterator[KeyValueStore]:
    store = store_at(address, on_objects)
    try:
        yield store
    finally:
        store.close()


def shown(figures: dict[str, float]) -> str:
    return "  ".join(
        f"{name} {value:,.2f}" if value < 100 else f"{name} {value:,.0f}" for name, value in figures.items()
    )


def resident_mb() -> float:
    """Of this process at this moment."""
    return float(psutil.Process().memory_info().rss) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--s3", help="s3://bucket/prefix")
    parser.add_argument("--delays", default="", help="ms, with commas between them")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lutra-rows-"))
    try:
        run("RocksDB", lambda name: str(folder / f"rocks-{name}"), False, options)
        run("SlateDB on a folder", lambda name: str(folder / f"slate-{name}"), True, options)
        if options.s3:
            prefix = f"{options.s3}/{uuid.uuid4().hex}"
            run("SlateDB on S3", lambda name: f"{prefix}/{name}", True, options)
            for delay_ms in filter(None, options.delays.split(",")):
                with DelayedServer(os.environ["AWS_ENDPOINT_URL"], float(delay_ms) / 1e3) as server:
                    os.environ["AWS_ENDPOINT_URL"] = server.endpoint
                    slow = f"{prefix}/after-{delay_ms}"
                    run(f"SlateDB on S3, {delay_ms} ms away", lambda name, at=slow: f"{at}/{name}", True, options)  # type: ignore[misc]
                    os.environ["AWS_ENDPOINT_URL"] = server.target
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
