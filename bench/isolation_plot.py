"""A picture of `bench.isolation` over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from bench.isolation import Phase

_BUSY_SHARE: Final = 0.1
"""Of a core: from here on a builder counts as building."""


def plot(phases: Sequence[Phase], path: Path, title: str) -> None:
    """Latencies a second, ingest, segments and processor time, shaded where builds ran."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(12, 9), sharex=True, height_ratios=(3, 1, 1))
    begin_s, segments = 0.0, middle.twinx()
    for number, phase in enumerate(phases):
        label = number == 0
        times = np.array([sample[0] for sample in phase.samples]) - phase.begin_s + begin_s
        _draw_latencies(top, phase, begin_s, label)
        _draw_writes(middle, phase, begin_s)
        segments.step(times, [sample[3] for sample in phase.samples], color="tab:green", where="post")
        _draw_cpu(bottom, phase, times, label)
        _shade(top, phase, times)
        for axes in (top, middle, bottom):
            axes.axvline(begin_s, color="black", linewidth=0.8)
        top.text(begin_s + 0.5, 1.0, phase.name, transform=top.get_xaxis_transform(), va="bottom")
        begin_s = float(times[-1]) + 1.0
    top.set(ylabel="search, ms", yscale="log", title=title)
    top.title.set_position((0.5, 1.05))
    middle.set(ylabel="rows/s written")
    segments.set_ylabel("segments", color="tab:green")
    bottom.set(ylabel="cores used", xlabel="seconds (shaded: builders at work)")
    for axes in (top, bottom):
        axes.legend(loc="upper left", ncols=4, fontsize="small")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def _draw_latencies(axes: Any, phase: Phase, begin_s: float, label: bool) -> None:
    seconds = (phase.latencies[:, 0] - phase.begin_s).astype(int)
    for kind, name, color in ((0, "all rows", "tab:blue"), (1, "a tenth", "tab:orange")):
        of = phase.latencies[:, 2] == kind
        there = np.unique(seconds[of])
        for share, style in ((50, "-"), (99, ":")):
            ms = [np.percentile(phase.latencies[of & (seconds == second), 1], share) for second in there]
            text = f"{name}, p{share}" if label else None
            axes.plot(begin_s + there + 0.5, ms, style, color=color, label=text, linewidth=1.2)


def _draw_writes(axes: Any, phase: Phase, begin_s: float) -> None:
    if len(phase.writes):
        seconds = (phase.writes[:, 0] - phase.begin_s).astype(int)
        rows = np.bincount(seconds, weights=phase.writes[:, 2])
        axes.plot(begin_s + np.arange(len(rows)) + 0.5, rows, color="tab:gray")


def _draw_cpu(axes: Any, phase: Phase, times: Any, label: bool) -> None:
    for column, name, color in ((4, "server", "tab:blue"), (5, "builders", "tab:red")):
        spent = np.diff([sample[column] for sample in phase.samples]) / np.diff(times)
        axes.plot(times[1:], np.clip(spent, 0, None), color=color, label=name if label else None, linewidth=1.0)


def _shade(axes: Any, phase: Phase, times: Any) -> None:
    spent = np.diff([sample[5] for sample in phase.samples]) / np.diff(times)
    for begin, end, share in zip(times, times[1:], spent, strict=False):
        if share > _BUSY_SHARE:
            axes.axvspan(begin, end, color="tab:red", alpha=0.12, linewidth=0)
