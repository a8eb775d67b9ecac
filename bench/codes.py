"""Codes alone: ns an estimate, rows encoded a second, and the share of the true ten nearest among the best r.

RaBitQ in 1 to 8 bits a dimension beside product codes of as many bytes.

python -m bench.codes [--rows N] [--queries Q] [--dimensions 128,960] [--data hard|gistlike] [--no-speed] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.ann import data
from lutra.kernels.codes import (
    Codec,
    CodeQuery,
    ProductQuantizer,
    Quantizer,
    centroid_of,
    code_levels,
    scan,
    scan_candidates,
)
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric

K = 10
DEPTHS = (10, 15, 20, 25, 40, 60, 100)
BITS = (1, 2, 4, 8)
PRODUCT_BITS = (1, 2, 4)  # of 8 bits there would be as many groups as dimensions
HOT_RECORDS = 64  # as many as stay in the first caches
ROUNDS = 15
Vectors = npt.NDArray[np.float32]


def least_seconds(call: Callable[[], object], calls: int) -> float:
    """The fastest round's mean time of one call: what others do on the machine does not count."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - begin) / calls)
    return best


def estimate_ns(query: CodeQuery, records: npt.NDArray[np.uint8]) -> float:
    """Of records that are in cache, less what the call itself takes."""
    hot = np.ascontiguousarray(records[:HOT_RECORDS])
    seconds = least_seconds(partial(query.estimate, hot), 2_000) - least_seconds(
        partial(query.estimate, hot[:0]), 2_000
    )
    return seconds / HOT_RECORDS * 1e9


def measure_speed(dimension: int, vectors: Vectors) -> list[dict[str, Any]]:
    """Encoding, and estimates from cache and from memory, by one thread at each SIMD level."""
    results = []
    centroid = centroid_of(vectors, Metric.EUCLIDEAN)
    for level in code_levels():
        for bits in BITS:
            quantizer = Quantizer(dimension, bits, Metric.EUCLIDEAN, centroid, level=level)
            some = vectors[:2_000]
            encode_seconds = least_seconds(partial(quantizer.encode, some, 1), 1)
            records = quantizer.encode(vectors)
            query = quantizer.query(vectors[0])
            scan_seconds = least_seconds(partial(scan, query, records, K, None, 1), 1)
            kept_seconds = least_seconds(partial(scan_candidates, query, records, K, None, 1), 1)
            query_us = least_seconds(partial(quantizer.query, vectors[0]), 200) * 1e6
            result = {
                "dimension": dimension, "level": level, "bits": bits, "record_bytes": quantizer.record_bytes,
                "encode_rows_s": len(some) / encode_seconds, "query_us": query_us,
                "estimate_ns": estimate_ns(query, records), "scan_ns": scan_seconds / len(vectors) * 1e9,
                "candidates_ns": kept_seconds / len(vectors) * 1e9,
            }  # fmt: skip
            results.append(result)
            print(
                f"{dimension:5} {level:10} {bits} bits  {result['record_bytes']:4} B  "
                f"encode {result['encode_rows_s']:9,.0f} rows/s  query {query_us:5.1f} µs  "
                f"estimate {result['estimate_ns']:6.1f} ns  scan {result['scan_ns']:6.1f} ns  "
                f"candidates {result['candidates_ns']:6.1f} ns",
                flush=True,
            )
    return results


def recall_of(
    codec: Codec, records: npt.NDArray[np.uint8], queries: Vectors, truth: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Share of the true nearest within the best r for each depth; candidates by bound a query, and share they hold."""
    found = np.zeros(len(DEPTHS))
    kept, held = 0, 0.0
    for query, nearest in zip(queries, truth, strict=True):
        made = codec.query(query)
        order, _, _ = scan(made, records, DEPTHS[-1])
        inside = np.isin(order, nearest)
        found += [inside[:depth].sum() / K for depth in DEPTHS]
        if isinstance(codec, Quantizer):
            candidates, _, _ = scan_candidates(made, records, K)
            kept += len(candidates)
            held += np.isin(nearest, candidates).mean()
    count = len(queries)
    return {
        "recall": dict(zip(map(str, DEPTHS), (found / count).tolist(), strict=True)),
        "candidates": kept / count,
        "candidates_recall": held / count,
    }


def measure_recall(dimension: int, vectors: Vectors, queries: Vectors) -> list[dict[str, Any]]:
    """RaBitQ and product codes of equal bytes: training seconds on all threads, and recall by depth."""
    truth, _ = topk(queries, vectors, K, Metric.EUCLIDEAN)
    results = []

    def report(name: str, codec: Codec, train_seconds: float) -> None:
        begin = time.perf_counter()
        records = codec.encode(vectors)
        encode_seconds = time.perf_counter() - begin
        result = {"dimension": dimension, "code": name, "record_bytes": codec.record_bytes, "train_s": train_seconds,
                  "encode_s": encode_seconds, "estimate_ns": estimate_ns(codec.query(queries[0]), records),
                  **recall_of(codec, records, queries, truth)}  # fmt: skip
        results.append(result)
        depths = "  ".join(f"@{depth} {share:.3f}" for depth, share in result["recall"].items())
        bound = f"  by bound {result['candidates']:.0f} rows: {result['candidates_recall']:.3f}"
        print(
            f"{dimension:5} {name:12} {codec.record_bytes:4} B  train {train_seconds:6.2f} s  "
            f"encode {encode_seconds:5.2f} s  estimate {result['estimate_ns']:5.1f} ns  "
            f"{depths}{bound if result['candidates'] else ''}",
            flush=True,
        )

    for bits in BITS:
        begin = time.perf_counter()
        centroid = centroid_of(vectors, Metric.EUCLIDEAN)
        report(f"RaBitQ {bits}", Quantizer(dimension, bits, Metric.EUCLIDEAN, centroid), time.perf_counter() - begin)
    for bits in PRODUCT_BITS:
        groups = min(dimension, Quantizer(dimension, bits, Metric.EUCLIDEAN).record_bytes)
        begin = time.perf_counter()
        product = ProductQuantizer(vectors, groups, Metric.EUCLIDEAN)
        report(f"PQ {groups}", product, time.perf_counter() - begin)
    return results


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--dimensions", default="128,384,768,960")
    parser.add_argument("--data", choices=["hard", "gistlike"], default="hard")
    parser.add_argument("--no-speed", action="store_true", help="only the recall")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {"speed": [], "recall": []}
    for dimension in map(int, arguments.dimensions.split(",")):
        block = getattr(data, arguments.data)(dimension)
        vectors = data.rows(block, arguments.rows)
        queries = data.queries(block, arguments.rows, arguments.queries)
        if not arguments.no_speed:
            results["speed"] += measure_speed(dimension, vectors)
        results["recall"] += measure_recall(dimension, vectors, queries)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
