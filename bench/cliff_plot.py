"""A picture of `bench.cliff`: the rate of searches and their recall over pass rates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.cliff import Point


def plot(points: Sequence[Point], path: Path, title: str) -> None:
    """A line for each sort of filter: above the share of the unfiltered searches' rate, below recall."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (rate, recall) = plt.subplots(2, 1, figsize=(10, 8), sharex=True, height_ratios=(2, 1))
    for sort in dict.fromkeys(point.sort for point in points if point.sort != "none"):
        own = [point for point in points if point.sort == sort]
        passed = [100 * point.pass_rate for point in own]
        rate.plot(passed, [point.share for point in own], marker="o", markersize=3, linewidth=1.2, label=sort)
        recall.plot(passed, [point.recall for point in own], marker="o", markersize=3, linewidth=1.2)
    rate.axhline(0.5, color="black", linestyle=":", linewidth=0.8)
    rate.axhline(1.0, color="black", linewidth=0.8)
    recall.axhline(0.95, color="black", linestyle=":", linewidth=0.8)
    rate.set(ylabel="queries/s, share of unfiltered", title=title, ylim=(0, None))
    recall.set(ylabel="recall@10", ylim=(0.9, 1.002), xlabel="rows that pass, %", xscale="log")
    recall.invert_xaxis()
    rate.legend(loc="upper left", ncols=4, fontsize="small")
    for axes in (rate, recall):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
