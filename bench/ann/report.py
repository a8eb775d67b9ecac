"""The table, the JSON and the plots of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Point = dict[str, Any]
TARGETS = (0.95, 0.99)


def best(points: Sequence[Point], engine: str, target: float, threads: int) -> Point | None:
    """The fastest point of an engine at or above a recall; None where it reaches none."""
    return _fastest([p for p in points if p["engine"] == engine and not p.get("memory_cap_share")], target, threads)


def _fastest(points: Sequence[Point], target: float, threads: int) -> Point | None:
    fit = [p for p in points if p["recall"] >= target]
    return max(fit, key=lambda p: float(p[f"qps_{threads}"]), default=None)


def print_table(points: Sequence[Point], threads: Sequence[int]) -> None:
    """All points, then what each engine reaches at the recalls that count; processor time is of one thread."""
    table = Table("engine", "params", "recall", *[f"q/s, {t} thr" for t in threads], "p50 ms", "p99 ms", "B/vector")
    table.add_column("CPU us", justify="right")
    for column in ("distances", "hops", "reads", "build s", "build MB"):
        table.add_column(column, justify="right")
    for p in points:
        table.add_row(
            p["engine"],
            " ".join(f"{key}={value}" for key, value in p["params"].items()),
            f"{p['recall']:.4f}",
            *[f"{p[f'qps_{t}']:,.0f}" for t in threads],
            f"{p['p50_ms']:.2f}",
            f"{p['p99_ms']:.2f}",
            f"{p['bytes_per_vector']:,.0f}",
            f"{p[f'cpu_us_{threads[0]}']:,.0f}",
            *["" if p[key] is None else f"{p[key]:,.1f}" for key in ("distances", "hops", "reads")],
            f"{p['build_s']:,.0f}",
            f"{p['build_peak_mb']:,.0f}",
        )
    console = Console(width=180)
    console.print(table)
    for target in TARGETS:
        console.print(_summary(points, target, threads))


def _summary(points: Sequence[Point], target: float, threads: Sequence[int]) -> Table:
    most = threads[-1]
    yardstick = best(points, "hnswlib", target, most)
    table = Table(
        f"at recall {target}", *[f"q/s, {t} thr" for t in threads], f"x hnswlib, {most} thr", "CPU us", "B/vector"
    )
    for engine, share in dict.fromkeys((p["engine"], p.get("memory_cap_share")) for p in points):
        alike = [p for p in points if (p["engine"], p.get("memory_cap_share")) == (engine, share)]
        point = _fastest(alike, target, most)
        name = f"{engine}, in {100 * share:g} % of hnswlib's memory" if share else engine
        if point is None:
            table.add_row(name, *["not reached"] * len(threads), "", "", "")
            continue
        ratio = f"{point[f'qps_{most}'] / yardstick[f'qps_{most}']:.2f}" if yardstick else ""
        qps = [f"{point[f'qps_{t}']:,.0f}" for t in threads]
        cpu_us = f"{point[f'cpu_us_{threads[0]}']:,.0f}"
        table.add_row(name, *qps, ratio, cpu_us, f"{point['bytes_per_vector']:,.0f}")
    return table


def write_json(points: Sequence[Point], path: Path) -> None:
    """A list of objects, one a point of a curve."""
    path.write_text(json.dumps(list(points), indent=1) + "\n")


def plot(points: Sequence[Point], folder: Path, title: str, threads: int) -> list[Path]:
    """Writes PNGs: recall against queries/s and, of points under memory caps, queries/s at 0.95 against the cap."""
    import matplotlib as mpl

    mpl.use("Agg")
    written = [_plot_recall(points, folder / "recall.png", title, threads)]
    if any(p.get("memory_cap_share") for p in points):
        written.append(_plot_caps(points, folder / "memory.png", title, threads))
    return written


def _plot_recall(points: Sequence[Point], path: Path, title: str, threads: int) -> Path:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5))
    free = [p for p in points if not p.get("memory_cap_share")]
    for engine in dict.fromkeys(p["engine"] for p in free):
        curve = sorted((p["recall"], p[f"qps_{threads}"]) for p in free if p["engine"] == engine)
        axes.plot(*zip(*curve, strict=True), marker="o", markersize=4, label=engine)
    axes.set(title=title, xlabel="recall", ylabel=f"queries/s, {threads} threads", yscale="log", xlim=(0.5, 1.005))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path


def _plot_caps(points: Sequence[Point], path: Path, title: str, threads: int) -> Path:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5))
    axes.set_xscale("log")
    axes.minorticks_off()
    capped = [p for p in points if p.get("memory_cap_share") and p["recall"] >= TARGETS[0]]
    for engine in dict.fromkeys(p["engine"] for p in capped):
        shares = sorted({p["memory_cap_share"] for p in capped if p["engine"] == engine})
        fastest = [
            max(p[f"qps_{threads}"] for p in capped if p["engine"] == engine and p["memory_cap_share"] == share)
            for share in shares
        ]
        axes.plot([100 * share for share in shares], fastest, marker="o", label=engine)
    yardstick = best(points, "hnswlib", TARGETS[0], threads)
    if yardstick is not None:
        axes.plot(100, yardstick[f"qps_{threads}"], marker="s", linestyle="", label="hnswlib")
    axes.set_xticks([3, 5, 10, 25, 100], labels=["3", "5", "10", "25", "100"])
    axes.set(title=title, xlabel="memory, % of hnswlib's", ylabel=f"queries/s at recall 0.95, {threads} threads")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path
