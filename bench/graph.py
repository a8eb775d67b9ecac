"""A graph's build and its walks, beside hnswlib's base layer where that is installed: what each beam costs and finds.

python -m bench.graph [--rows N] [--dimension D] [--beams 80,160,320] [--peer] [--json FILE]

Both graphs are walked by the same code on the same records, so that what differs is the graph. Data are those of
`bench.ann --hard`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.ann import data
from lutra.kernels.codes import Quantizer, centroid_of
from lutra.kernels.distance import topk
from lutra.kernels.graph import NO_ROW, Walker, build
from lutra.model.indexes import Metric

Vectors = NDArray[np.float32]
K = 10
RERANKED = 25
QUERIES = 500


def hnswlib_graph(vectors: Vectors, threads: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32], float]:
    """Neighbours in hnswlib's base layer (M=16, efConstruction=200), its entry point, and seconds to build it."""
    hnswlib = importlib.import_module("hnswlib")
    index = hnswlib.Index("l2", vectors.shape[1])
    index.init_index(len(vectors), ef_construction=200, M=16)
    index.set_num_threads(threads)
    begin = time.perf_counter()
    index.add_items(vectors)
    seconds = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        index.save_index(f"{folder}/index")
        saved = Path(folder, "index").read_bytes()
    # hnswalg.h, saveIndex: six size_t, maximum level, entry point, three size_t, a double, a size_t; then the elements.
    _, _, count, element_bytes, label_offset, _ = struct.unpack_from("<QQQQQQ", saved)
    _, entry, _, degree = struct.unpack_from("<iIQQ", saved, 48)
    elements = np.frombuffer(saved, np.uint8, count * element_bytes, 96).reshape(count, element_bytes)
    used = elements[:, :2].copy().view(np.uint16)
    numbers = elements[:, 4 : 4 + 4 * degree].copy().view(np.uint32)
    labels = elements[:, label_offset : label_offset + 8].copy().view(np.uint64)[:, 0].astype(np.uint32)
    neighbours = np.empty_like(numbers)
    neighbours[labels] = np.where(np.arange(degree) < used, labels[np.minimum(numbers, count - 1)], NO_ROW)
    return neighbours, labels[[entry]], seconds


def reranked(rows: NDArray[np.int64], queries: Vectors, vectors: Vectors) -> NDArray[np.int64]:
    """The K of each query's rows that are truly nearest."""
    squares = ((vectors[rows] - queries[:, None, :]) ** 2).sum(axis=2)
    return np.asarray(np.take_along_axis(rows, np.argsort(squares, axis=1)[:, :K], axis=1))


def measure_walks(
    name: str, walker: Walker, vectors: Vectors, queries: Vectors, truth: NDArray[np.int64], beams: list[int]
) -> list[dict[str, Any]]:
    """Recall, counters and queries a second of processor time, for each beam."""
    results = []
    for beam in beams:
        seconds = []
        for _ in range(3):
            begin = time.process_time()
            walks = walker.walk(queries, beam, min(beam, RERANKED), threads=1)
            seconds.append(time.process_time() - begin)
        found = reranked(walks.rows, queries, vectors)
        recall = np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found, truth, strict=True)])
        result = {
            "graph": name, "beam": beam, "recall": float(recall), "hops": float(walks.hops.mean()),
            "distances": float(walks.distances.mean()), "qps_1": len(queries) / min(seconds),
        }  # fmt: skip
        results.append(result)
        print(
            f"{name:10} beam {beam:4}  recall {recall:.4f}  hops {result['hops']:5.0f}  "
            f"distances {result['distances']:6.0f}  {result['qps_1']:7.0f} queries/s",
            flush=True,
        )
    return results


def measure(rows: int, dimension: int, beams: list[int], threads: int, peer: bool) -> list[dict[str, Any]]:
    """Both builds, and the walks over each."""
    block = data.hard(dimension)
    vectors, queries = data.rows(block, rows), data.queries(block, rows, QUERIES)
    truth, _ = topk(queries, vectors, K, Metric.EUCLIDEAN)
    quantizer = Quantizer(dimension, 2, Metric.EUCLIDEAN, centroid_of(vectors, Metric.EUCLIDEAN))
    records = quantizer.encode(vectors)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    graph = build(vectors, Metric.EUCLIDEAN, threads=threads)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - begin_cpu
    print(
        f"lutra: {seconds:.1f} s, {cpu_seconds:.1f} s of processor, {graph.distances / rows:.0f} distances a row, "
        f"{graph.peak_bytes / rows:.0f} bytes a row, {graph.repaired} rows repaired",
        flush=True,
    )
    built = {
        "graph": "lutra", "rows": rows, "dimension": dimension, "build_s": seconds, "build_cpu_s": cpu_seconds,
        "distances": graph.distances, "peak_bytes": graph.peak_bytes, "repaired": graph.repaired,
    }  # fmt: skip
    results: list[dict[str, Any]] = [built]
    walker = Walker(graph.neighbours, graph.entries, records, quantizer)
    results += measure_walks("lutra", walker, vectors, queries, truth, beams)
    if peer:
        begin_cpu = time.process_time()
        neighbours, entries, seconds = hnswlib_graph(vectors, threads)
        cpu_seconds = time.process_time() - begin_cpu
        print(f"hnswlib: {seconds:.1f} s, {cpu_seconds:.1f} s of processor", flush=True)
        results.append(
            {"graph": "hnswlib", "rows": rows, "dimension": dimension, "build_s": seconds, "build_cpu_s": cpu_seconds}
        )
        walker = Walker(neighbours, entries, records, quantizer)
        results += measure_walks("hnswlib", walker, vectors, queries, truth, beams)
    return results


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=960)
    parser.add_argument("--beams", type=lambda text: [int(part) for part in text.split(",")], default=[80, 160, 320])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", action="store_true", help="build hnswlib's graph as well")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    results = measure(arguments.rows, arguments.dimension, arguments.beams, arguments.threads, arguments.peer)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
