"""What runs in an engine's own processes: building, then searching. The driver calls ``python -m bench.ann.phases``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.ann.diskann_engine import load_binding
from bench.ann.engines import Engine, Ids, Params, Vectors, engine

_WARM_UP_QUERIES = 50


def main() -> None:
    """Reads one JSON job from standard input, writes one JSON answer to standard output."""
    job = json.load(sys.stdin)
    phase = {"build": build, "search": search}[job["phase"]]
    json.dump(phase(job), sys.stdout)


def build(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds, processor seconds and peak memory (MB, the input's mapped pages among it) of a build."""
    folder = Path(job["folder"])
    vectors = np.load(folder / "base.npy", mmap_mode="r")
    one = engine(job["engine"])
    start_s = time.perf_counter()
    one.build(vectors, job["metric"], folder, max(job["threads"]))
    return {
        "build_s": time.perf_counter() - start_s,
        "build_cpu_s": time.process_time(),
        "build_peak_mb": _status_mb("VmHWM"),
    }


def search(job: dict[str, Any]) -> dict[str, Any]:
    """One point of the curve a setting."""
    folder = Path(job["folder"])
    queries, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")[:, : job["k"]]
    one = engine(job["engine"])
    _import_peer(job["engine"])
    baseline_mb = _status_mb("VmRSS")
    one.open(folder, job["metric"], queries.shape[1], job["memory_cap_bytes"])
    points = [_point(one, queries, truth, params, job) for params in one.sweep()]
    resident_mb = max(0.0, _status_mb("VmRSS") - baseline_mb)
    for point in points:
        point |= {"resident_mb": resident_mb, "bytes_per_vector": resident_mb * 1e6 / job["rows"]}
    return {"points": points}


def recall(found: Ids, truth: Ids) -> float:
    """The share of the true neighbours that were found."""
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True))
    return hits / truth.size


def _point(one: Engine, queries: Vectors, truth: Ids, params: Params, job: dict[str, Any]) -> dict[str, Any]:
    k = job["k"]
    one.search(queries[:_WARM_UP_QUERIES], k, 1, params)
    latencies_ms = []
    for query in queries[: job["latency_queries"]]:
        start_s = time.perf_counter()
        one.search(query[None], k, 1, params)
        latencies_ms.append((time.perf_counter() - start_s) * 1e3)
    point: dict[str, Any] = {"engine": job["engine"], "params": dict(params)}
    for threads in job["threads"]:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        found = one.search(queries, k, threads, params)
        point[f"qps_{threads}"] = len(queries) / (time.perf_counter() - start_s)
        point[f"cpu_us_{threads}"] = 1e6 * (time.process_time() - start_cpu_s) / len(queries)
    point |= {
        "recall": recall(found, truth),
        "p50_ms": float(np.percentile(latencies_ms, 50)),
        "p99_ms": float(np.percentile(latencies_ms, 99)),
        "distances": None,
        "hops": None,
        "reads": None,
    }
    return {**point, **one.counters()}


def _import_peer(name: str) -> None:
    """Its code is not what an index keeps in memory."""
    if name == "diskann":
        load_binding()
        return
    __import__({"lutra": "bench.ann.lutra_engine"}.get(name, name.split("-")[0]))


def _status_mb(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/self/status has no {key}")


if __name__ == "__main__":
    main()
