"""Reads by blocks: random reads from disk per second and their CPU, hits per second, and how threads scale.

python -m bench.blocks [--quick] [--file PATH] [--json FILE]

Without --file, writes 2 GB (quick: 256 MB) of random bytes to the current folder's file system, and removes them. The
disk is read past the page cache, so the figures are the disk's.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lutra.kernels.blocks import BlockCache, BlockSource

BLOCK = 4096
MEBIBYTE = 1 << 20


@contextmanager
def data_file(path: Path | None, size_bytes: int) -> Iterator[Path]:
    if path is not None:
        yield path
        return
    with tempfile.NamedTemporaryFile(dir=Path.cwd(), prefix="bench-blocks-") as file:
        generator = np.random.default_rng(0)
        for _ in range(size_bytes // MEBIBYTE):
            file.write(generator.bytes(MEBIBYTE))
        file.flush()
        os.fsync(file.fileno())
        yield Path(file.name)


def batches(source: BlockSource, batch: int, seed: int) -> Iterator[list[int]]:
    """Random blocks, a batch at a time; made ahead of the reading."""
    numbers = np.random.default_rng(seed).integers(0, source.block_count, (4096, batch)).tolist()
    while True:
        yield from numbers


def read_for(source: BlockSource, batch: int, seconds: float, threads: int, bypass: bool) -> dict[str, float]:
    """Reads/s of all threads together, CPU in µs a read (all threads, this process), p50 and p99 of a batch in µs."""
    times: list[list[float]] = [[] for _ in range(threads)]

    def work(thread: int) -> None:
        end = time.perf_counter() + seconds
        for numbers in batches(source, batch, thread):
            begin = time.perf_counter()
            if begin >= end:
                return
            source.read(numbers, bypass=bypass)
            times[thread].append(time.perf_counter() - begin)

    running = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    cpu, begin = time.process_time(), time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    elapsed, cpu = time.perf_counter() - begin, time.process_time() - cpu
    all_times = np.concatenate([np.array(t) for t in times])
    reads = len(all_times) * batch
    p50, p99 = np.percentile(all_times, [50, 99]) * 1e6
    return {"reads_per_s": reads / elapsed, "cpu_us": cpu / reads * 1e6, "p50_us": float(p50), "p99_us": float(p99)}


def measure(path: Path, seconds: float) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []

    def report(name: str, **parameters: Any) -> None:
        measured = read_for(**parameters, seconds=seconds)
        parameters.pop("source")
        results.append({"what": name, **parameters, **measured})
        print(
            f"{name:34} batch {parameters['batch']:3}, {parameters['threads']:2} threads: "
            f"{measured['reads_per_s']:10,.0f} reads/s  {measured['cpu_us']:6.2f} µs CPU a read  "
            f"batch p50 {measured['p50_us']:7.0f} µs, p99 {measured['p99_us']:7.0f} µs",
            flush=True,
        )

    cache = BlockCache(32 * MEBIBYTE)
    for engine in ("io_uring", "threads"):
        for batch in (1, 4, 16, 32, 64):
            source = cache.open_file(path, engine=engine, queue_depth=batch)
            report(f"{engine}, past the cache", source=source, batch=batch, threads=1, bypass=True)
            source.close()
    source = cache.open_file(path, queue_depth=64)
    for threads in (1, 2):
        report("through the cache, hardly a hit", source=source, batch=32, threads=threads, bypass=False)
    few = source.section(0, 16 * MEBIBYTE)
    few.read(range(few.block_count))
    few.read(range(few.block_count))
    few.read(range(few.block_count))
    for threads in (1, 2, 4):
        report("through the cache, all hits", source=few, batch=32, threads=threads, bypass=False)
    cache.close()
    return results


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only what takes a few seconds")
    parser.add_argument("--file", type=Path, help="read this file; the larger the better")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with data_file(arguments.file, (256 if arguments.quick else 2048) * MEBIBYTE) as path:
        results = measure(path, 0.3 if arguments.quick else 2.0)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
