"""The native kernels alone: PlainBuffer in µs a row; flat top-k in ms a call, beside numpy and (where installed) faiss.

python -m bench.kernels [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import plainbuffer
from lutra.kernels.distance import simd_levels, topk
from lutra.model.indexes import Metric
from lutra.model.rows import Cell

ROUNDS = 7
K = 10
TIMESTAMP_MS = 1_700_000_000_000
Vectors = NDArray[np.float32]


def median_seconds(call: Callable[[], object], calls: int) -> float:
    """Median over rounds of the mean time of one call."""
    rounds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter() - begin) / calls)
    return statistics.median(rounds)


def measure_codec() -> list[dict[str, Any]]:
    """µs a row, for a row of one 1 KB string and a row of ten small integers."""
    key = (("id", "key-0000001"),)
    rows: dict[str, list[Cell]] = {
        "1 string of 1 KB": [("body", "x" * 1000, TIMESTAMP_MS)],
        "10 integers": [(f"column{i}", i * 1000, TIMESTAMP_MS) for i in range(10)],
    }
    results = []
    for name, cells in rows.items():
        row, stored = plainbuffer.encode_row(key, cells), plainbuffer.encode_cells(cells)
        calls: dict[str, Callable[[], object]] = {
            "decode_row": partial(plainbuffer.decode_row, row),
            "encode_row": partial(plainbuffer.encode_row, key, cells),
            "decode_cells": partial(plainbuffer.decode_cells, stored),
            "encode_cells": partial(plainbuffer.encode_cells, cells),
        }
        for function, call in calls.items():
            microseconds = median_seconds(call, 20_000) * 1e6
            results.append({"kernel": function, "row": name, "us": microseconds})
            print(f"{function:14} {name:20} {microseconds:8.2f} µs", flush=True)
    return results


def numpy_topk(queries: Vectors, vectors: Vectors, metric: Metric, mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """What one would write with numpy: a matrix product, then a partition."""
    rows = vectors if mask is None else vectors[mask]
    distances = -(queries @ rows.T)
    if metric is Metric.EUCLIDEAN:
        distances = 2 * distances + np.einsum("ij,ij->i", rows, rows)
    elif metric is Metric.COSINE:
        distances /= np.linalg.norm(rows, axis=1)
    nearest = np.argpartition(distances, K, axis=1)[:, :K]
    return np.take_along_axis(nearest, np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1), axis=1)


def faiss_search(vectors: Vectors, metric: Metric) -> Callable[[Vectors], object] | None:
    """faiss's flat index over the vectors; None without faiss, or for a metric it has not."""
    if importlib.util.find_spec("faiss") is None or metric is Metric.COSINE:
        return None
    faiss = importlib.import_module("faiss")
    kind = faiss.IndexFlatL2 if metric is Metric.EUCLIDEAN else faiss.IndexFlatIP
    index = kind(vectors.shape[1])
    index.add(vectors)
    return lambda queries: index.search(queries, K)


def measure_scan(
    vectors: Vectors, queries: Vectors, metric: Metric, mask: NDArray[np.bool_] | None, share: float
) -> dict[str, Any]:
    """ms a call, of all that can do it."""
    candidates: dict[str, Callable[[], object]] = {
        f"{level}, {name}": partial(topk, queries, vectors, K, metric, mask, threads, level)
        for level in simd_levels()
        for threads, name in ((1, "1 thread"), (0, "all threads"))
    }
    candidates["numpy"] = lambda: numpy_topk(queries, vectors, metric, mask)
    faiss = faiss_search(vectors, metric) if mask is None else None
    if faiss is not None:
        candidates["faiss"] = lambda: faiss(queries)
    count, dimension = vectors.shape
    calls = max(1, 2_000_000 // (count * dimension))
    result: dict[str, Any] = {
        "kernel": "topk", "rows": count, "dimension": dimension, "queries": len(queries), "metric": metric.name,
        "share": share, "ms": {name: median_seconds(call, calls) * 1e3 for name, call in candidates.items()},
    }  # fmt: skip
    times = "  ".join(f"{name} {value:.2f}" for name, value in result["ms"].items())
    print(f"{count} x {dimension}, {len(queries)} queries, {metric.name}, {share:.0%} of rows, ms: {times}", flush=True)
    return result


def measure_topk(quick: bool) -> list[dict[str, Any]]:
    """Small and large, one and many queries, with and without a mask."""
    generator = np.random.default_rng(0)
    results = []
    for count, dimension in [(10_000, 128)] if quick else [(10_000, 128), (100_000, 768)]:
        vectors = generator.standard_normal((count, dimension), dtype=np.float32)
        for query_count in (1, 16):
            queries = generator.standard_normal((query_count, dimension), dtype=np.float32)
            for metric in Metric:
                results.append(measure_scan(vectors, queries, metric, None, 1.0))
        for share in (0.01, 0.1, 0.3):
            mask = generator.random(count) < share
            results.append(measure_scan(vectors, queries[:1], Metric.EUCLIDEAN, mask, share))
    return results


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only what takes a few seconds")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    results = measure_codec() + measure_topk(arguments.quick)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
