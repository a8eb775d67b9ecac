"""The pictures of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bench.peers.peer import DOORS, HOSTED, INSIDE, WIRE
from bench.peers.report_tables import TARGET, Figures

_STYLES: Final = {WIRE: "-", HOSTED: "--", INSIDE: ":"}


def plot(of: Figures, folder: Path, stem: str) -> list[Path]:
    """Recall against queries/s by clients; memory against queries/s; what loading and building take."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in (("recall", _recall), ("memory", _memory), ("build", _build)):
        figure = draw(plt, of)
        path = folder / f"{stem}-{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight")
        plt.close(figure)
        written.append(path)
    return written


def _colours(plt: Any, of: Figures) -> dict[str, Any]:
    scale = plt.get_cmap("tab20")
    others = [engine for engine in of.engines if not engine.startswith("lutra")]
    return dict.fromkeys(of.engines, "black") | {engine: scale(number % 20) for number, engine in enumerate(others)}


def _recall(plt: Any, of: Figures) -> Any:
    colours = _colours(plt, of)
    figure, axes = plt.subplots(1, len(of.clients), figsize=(5.2 * len(of.clients), 5), sharey=True, squeeze=False)
    for axis, count in zip(axes[0], of.clients, strict=True):
        for engine in of.engines:
            own = [one for one in of.points if (one.engine, one.filter, one.clients) == (engine, "all", count)]
            curve = sorted({(one.recall, one.qps) for one in own if one.writer_rows_per_s is None})
            if curve:
                width = 2.5 if engine.startswith("lutra") else 1.2
                style = _STYLES[of.of(engine).loaded.door]
                axis.plot(
                    *zip(*curve, strict=True), style, marker="o", markersize=4, lw=width, color=colours[engine],
                    label=engine,
                )  # fmt: skip
        axis.set(title=_clients(count), xlabel="recall@10", yscale="log", xlim=(0.85, 1.004))
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("queries/s (solid: a server; dashed: hosted; dotted: in process)")
    axes[0][-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _clients(count: int) -> str:
    return f"{count} client{'s' * (count > 1)}"


def _memory(plt: Any, of: Figures) -> Any:
    figure, axes = plt.subplots(figsize=(8, 5))
    markers = dict(zip(DOORS, "osx", strict=True))
    for engine in of.engines:
        point = of.at(engine, clients=of.clients[-1])
        if point is not None and point.is_reached:
            axes.plot(
                point.resident_mb, point.qps, markers[point.loaded.door], color="teal" if "lutra" in engine else "grey"
            )
            axes.annotate(engine, (point.resident_mb, point.qps), fontsize=7, xytext=(4, 3), textcoords="offset points")
    label = f"queries/s at recall {TARGET:g}, {of.clients[-1]} clients"
    axes.set(xscale="log", yscale="log", xlabel="memory of all its processes, MB", ylabel=label)
    axes.grid(alpha=0.3)
    return figure


def _build(plt: Any, of: Figures) -> Any:
    engines = of.engines[::-1]
    loads = [of.of(engine).loaded for engine in engines]
    figure, axes = plt.subplots(figsize=(8, 0.32 * len(engines) + 1))
    axes.barh(engines, [one.load_cpu_s for one in loads], color="lightseagreen", label="loading")
    begins = [one.load_cpu_s for one in loads]
    axes.barh(engines, [one.build_cpu_s for one in loads], left=begins, color="teal", label="building")
    axes.set(xlabel="processor seconds")
    axes.grid(alpha=0.3, axis="x")
    axes.legend()
    return figure
