"""What was measured, as a JSON list of points and as tables for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.peers.peer import Setting


@dataclass(frozen=True, slots=True)
class Loaded:
    """Of one engine, once. ``*_cpu_s``: of all its processes; ``start_s``: until it could be asked, after a stop."""

    engine: str
    door: str
    version: str
    about: str
    data: str
    rows: int
    dim: int
    load_s: float
    load_cpu_s: float
    build_s: float
    build_cpu_s: float
    disk_mb: float
    start_s: float = 0.0
    memory_least_mb: float | None = None
    """The least private memory in which it still answered right; None: not measured."""


@dataclass(frozen=True, slots=True)
class Point:
    """One load of one engine. ``parameters``: the fastest of those that come to recall ``target``.

    ``filter``: an `Among.name`. ``resident_mb``: proportional set sizes of all its processes at the end, seen from
    outside. ``search_cpu_ms``: processor time of them a search (in process: with the asking threads).
    ``writer_rows_per_s``: what a writer beside got done, of the rate that was wanted of it.
    """

    engine: str
    parameters: Setting
    recall: float
    qps: float
    p50_ms: float
    p99_ms: float
    clients: int
    filter: str
    target: float
    is_reached: bool
    resident_mb: float
    search_cpu_ms: float
    loaded: Loaded
    command: str
    load_average: float
    cores: int
    writer_rows_per_s: float | None = None
    writer_wanted_per_s: float | None = None


def write(points: Sequence[Point], path: Path) -> None:
    """One flat object a point, so that each says all of itself. Whole or not at all."""
    part = path.with_name(path.name + ".part")
    lines = [json.dumps(_flat(point), ensure_ascii=False) for point in points]
    part.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    part.replace(path)


def read(path: Path) -> list[Point]:
    """What `write` wrote. Raises ValueError for a file of another kind."""
    try:
        return [_point(one) for one in json.loads(path.read_text())]
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path} does not hold points of bench.peers: {error}") from None


def with_memory(points: Sequence[Point], engine: str, least_mb: float) -> list[Point]:
    """The same, with what was found out of an engine."""
    return [
        replace(point, loaded=replace(point.loaded, memory_least_mb=least_mb)) if point.engine == engine else point
        for point in points
    ]


def _flat(point: Point) -> dict[str, object]:
    flat = asdict(point)
    loaded = flat.pop("loaded")
    return {name: _rounded(value) for name, value in (flat | loaded).items()}


def _rounded(value: object) -> object:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _point(flat: dict[str, object]) -> Point:
    of = {field.name for field in fields(Loaded)}
    loaded = Loaded(**{name: value for name, value in flat.items() if name in of})  # type: ignore[arg-type]
    rest = {name: value for name, value in flat.items() if name not in of or name == "engine"}
    return Point(**rest, loaded=loaded)  # type: ignore[arg-type]


def show(points: Sequence[Point], console: Console) -> None:
    """What loading took first, then a table for each filter."""
    loads = Table("", "door", "load s", "cpu s", "build s", "cpu s", "start s", "disk MB", "what it is")
    loads.title = "Loading and building"
    for one in {point.engine: point.loaded for point in points}.values():
        times = (one.load_s, one.load_cpu_s, one.build_s, one.build_cpu_s, one.start_s, one.disk_mb)
        about = f"{one.version}; {one.about}"
        if one.memory_least_mb is not None:
            about += f"; works in {one.memory_least_mb:,.0f} MB"
        loads.add_row(one.engine, one.door, *[f"{value:,.1f}" for value in times], about)
    console.print(loads)
    for name in dict.fromkeys(point.filter for point in points):
        console.print(_table(name, [point for point in points if point.filter == name]))


def _table(name: str, points: Sequence[Point]) -> Table:
    table = Table("", "for recall", "parameters", title="All rows" if name == "all" else f"Among {name} of the rows")
    for column in ("clients", "recall@10", "queries/s", "p50 ms", "p99 ms", "cpu ms", "PSS MB", "writer rows/s"):
        table.add_column(column, justify="right")
    before = None
    for point in points:
        if before not in (None, point.engine):
            table.add_section()
        before = point.engine
        table.add_row(
            point.engine,
            f"{point.target:g}" if point.is_reached else f"({point.target:g} not reached)",
            parameters(point),
            str(point.clients),
            f"{point.recall:.4f}",
            f"{point.qps:,.0f}",
            f"{point.p50_ms:.2f}",
            f"{point.p99_ms:.2f}",
            f"{point.search_cpu_ms:.2f}",
            f"{point.resident_mb:,.0f}",
            "" if point.writer_rows_per_s is None else f"{point.writer_rows_per_s:,.0f}",
        )
    return table


def parameters(point: Point) -> str:
    """Such as ``ef 40``."""
    return ", ".join(f"{name} {value:g}" for name, value in point.parameters.items())
