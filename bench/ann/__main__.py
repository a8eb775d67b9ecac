"""Nearest-neighbour search against its peers, in one run.

Each engine builds in one process and searches in another, with the same threads. Peers that are not installed are
left out, and said to be. Examples:

  python -m bench.ann --hard 50000 --engines hnswlib,faiss-ivf-rabitq
  python -m bench.ann --base gist_base.fvecs --query gist_query.fvecs --truth gist_groundtruth.ivecs --json gist.json
  python -m bench.ann --base gist-960-euclidean.hdf5 --query gist-960-euclidean.hdf5
  python -m bench.ann --gistlike 1000000 --engines lutra,hnswlib --memory-cap 404 --keep gist1m --plots gist1m
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.ann import data, files, report
from bench.ann.engines import KEEP_TO_A_CAP, NAMES
from bench.ann.report import Point
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric

_METRICS = {"l2": Metric.EUCLIDEAN, "cosine": Metric.COSINE, "ip": Metric.DOT_PRODUCT}
_SOURCES = {"gistlike": data.gistlike, "hard": data.hard, "clustered": data.clustered, "uniform": data.uniform}
_PHASE_LIMIT_S = 4 * 3_600
# What a kept folder's data depend on.
_DATA_ARGUMENTS = (*_SOURCES, "base", "query", "truth", "dim", "queries", "metric", "k")


def main() -> None:
    """Command line."""
    arguments = _parser().parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        points, title = measure(arguments, arguments.keep)
    else:
        with tempfile.TemporaryDirectory(prefix="lutra-ann-", dir=arguments.work) as name:
            points, title = measure(arguments, Path(name))
    if arguments.build_only:
        return
    if not points:
        sys.exit("bench.ann: no engine ran; install some: pip install '.[bench]'")
    report.print_table(points, arguments.threads)
    if arguments.json:
        report.write_json(points, arguments.json)
    if arguments.plots:
        arguments.plots.mkdir(parents=True, exist_ok=True)
        for path in report.plot(points, arguments.plots, title, arguments.threads[-1]):
            print(f"wrote {path}")


def measure(arguments: argparse.Namespace, folder: Path) -> tuple[list[Point], str]:
    """The points of all engines, and what the data are called."""
    of = {name: str(getattr(arguments, name)) for name in _DATA_ARGUMENTS}
    kept = folder / "data.json"
    if kept.exists():
        about = json.loads(kept.read_text())
        if about["of"] != of:
            sys.exit(f"bench.ann: {folder} keeps other data ({about['title']}); name another folder or empty it")
    else:
        about = {"of": of, "title": prepare(arguments, folder)}
        kept.write_text(json.dumps(about))
    arguments.rows = len(np.load(folder / "base.npy", mmap_mode="r"))
    return run(arguments, folder), about["title"]


def prepare(arguments: argparse.Namespace, folder: Path) -> str:
    """Writes base.npy, queries.npy and truth.npy; returns what the data are called."""
    if arguments.base:
        base = files.read_vectors(arguments.base, "train")
        queries = files.read_vectors(arguments.query, "test")[: arguments.queries]
        np.save(folder / "base.npy", base)
        title = str(arguments.base.stem)
    else:
        kind, count = next((k, getattr(arguments, k)) for k in _SOURCES if getattr(arguments, k))
        block = _SOURCES[kind](arguments.dim)
        shape = (count, arguments.dim)
        base = np.lib.format.open_memmap(folder / "base.npy", mode="w+", dtype=np.float32, shape=shape)
        start = 0
        for rows in data.blocks(block, count):
            base[start : start + len(rows)] = rows
            start += len(rows)
        base.flush()
        queries = data.queries(block, count, arguments.queries)
        title = f"{kind} {count:,} x {arguments.dim}"
    np.save(folder / "queries.npy", queries)
    if arguments.truth:
        truth = files.read_truth(arguments.truth)[: len(queries)]
    else:
        truth, _ = topk(queries, base, arguments.k, _METRICS[arguments.metric])
    np.save(folder / "truth.npy", truth)
    print(f"{title}, {len(queries):,} queries, {arguments.metric}, k={arguments.k}", flush=True)
    return title


def run(arguments: argparse.Namespace, folder: Path) -> list[Point]:
    """Builds and searches with each engine in turn."""
    points: list[Point] = []
    for name in arguments.engines:
        job = {
            "engine": name,
            "metric": arguments.metric,
            "folder": str(folder),
            "threads": arguments.threads,
            "k": arguments.k,
            "rows": arguments.rows,
            "memory_cap_bytes": int(arguments.memory_cap * arguments.rows) if arguments.memory_cap else None,
            "latency_queries": min(arguments.queries, 300),
        }
        built = _built(folder, job)
        if built is None or arguments.build_only:
            continue
        searched = _phase("search", job)
        if searched is not None:
            points += [point | built for point in searched["points"]]
            points += _under_caps(job, points, built, arguments.memory_shares)
    return points


def _built(folder: Path, job: dict[str, Any]) -> dict[str, Any] | None:
    """Builds, unless a kept folder has the engine's index already; None, said why, where it failed."""
    kept = folder / f"{job['engine']}.build.json"
    if kept.exists():
        built: dict[str, Any] | None = json.loads(kept.read_text())
    else:
        built = _phase("build", job)
        if built is not None:
            kept.write_text(json.dumps(built))
    if built is not None:
        print(
            f"{job['engine']}: built in {built['build_s']:.1f} s ({built['build_cpu_s']:.1f} s of processor), "
            f"peak {built['build_peak_mb']:,.0f} MB",
            flush=True,
        )
    return built


def _under_caps(job: dict[str, Any], points: list[Point], built: dict[str, Any], shares: list[float]) -> list[Point]:
    """The curve again under each share of hnswlib's memory, where the engine keeps to a cap and hnswlib ran before."""
    yardstick = [p["bytes_per_vector"] for p in points if p["engine"] == "hnswlib"]
    if job["engine"] not in KEEP_TO_A_CAP or not yardstick:
        return []
    capped: list[Point] = []
    for share in shares:
        print(f"{job['engine']}: under {100 * share:g} % of hnswlib's memory", flush=True)
        searched = _phase("search", job | {"memory_cap_bytes": int(share * yardstick[0] * job["rows"])})
        if searched is not None:
            capped += [point | built | {"memory_cap_share": share} for point in searched["points"]]
    return capped


def _phase(phase: str, job: dict[str, Any]) -> dict[str, Any] | None:
    """The phase's answer, or None, said why, where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.ann.phases"],
        # Where wheels put libraries that others look for by name, as MKL's.
        env=os.environ | {"LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib")},
        input=json.dumps(job | {"phase": phase}),
        capture_output=True,
        text=True,
        timeout=_PHASE_LIMIT_S,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        print(f"{job['engine']}: left out, {phase} failed: {last[0]}", flush=True)
        return None
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ann", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    for kind, maker in _SOURCES.items():
        source.add_argument(
            f"--{kind}", type=int, metavar="N", help=(maker.__doc__ or "").splitlines()[0].replace("%", "%%")
        )
    source.add_argument("--base", type=Path, help="vectors from a file (.fvecs .bvecs .npy .hdf5); with --query")
    parser.add_argument("--query", type=Path)
    parser.add_argument("--truth", type=Path, help="the nearest rows of each query (.ivecs .npy .hdf5); else computed")
    parser.add_argument("--dim", type=int, default=960)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--engines", type=lambda text: text.split(","), default=list(NAMES), help=",".join(NAMES))
    parser.add_argument("--metric", choices=sorted(_METRICS), default="l2")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--threads", type=lambda text: [int(t) for t in text.split(",")], default=[1, 2])
    parser.add_argument("--memory-cap", type=float, metavar="BYTES_PER_VECTOR", help="for engines that keep to one")
    parser.add_argument(
        "--memory-shares",
        type=lambda text: [float(share) / 100 for share in text.split(",")],
        default=[],
        metavar="PERCENT,...",
        help="also under these shares of hnswlib's memory, e.g. 3,5,10,25,100 (name hnswlib first)",
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write PNGs there")
    parser.add_argument("--work", type=Path, help="folder for data and indexes meanwhile [default: the temporary one]")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="data and indexes stay there, for the next run")
    parser.add_argument("--build-only", action="store_true", help="with --keep: search another time")
    return parser


if __name__ == "__main__":
    main()
