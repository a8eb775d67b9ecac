"""The tables of the report, in Markdown, of the points of one data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.peers.peer import DOORS, INSIDE
from bench.peers.points import Point, parameters
from bench.peers.session import FILTER_TARGET

TARGET: Final = 0.95
BUSY: Final = 5.0
"""Waiting for each core, of which those that measure are up to four."""
LEVEL: Final = 0.9
"""Of two figures that differ by less than a tenth, neither is said to be better."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The points of one data set, by what is asked of them."""

    points: Sequence[Point]

    @property
    def engines(self) -> list[str]:
        """In the order of the doors, Lutra first, then the fastest."""
        names = dict.fromkeys(point.engine for point in self.points)
        return sorted(names, key=self._order)

    def _order(self, engine: str) -> tuple[int, bool, float]:
        door = list(DOORS).index(self.of(engine).loaded.door)
        fastest = self.at(engine, clients=self.clients[-1])
        return door, not engine.startswith("lutra"), -(fastest.qps if fastest else 0.0)

    @property
    def clients(self) -> list[int]:
        """Of searches of all rows."""
        return sorted({one.clients for one in self.points if one.filter == "all" and one.writer_rows_per_s is None})

    @property
    def is_busy(self) -> bool:
        """Whether the machine had so much else to do that times of the clock say little."""
        return max(point.load_average for point in self.points) > BUSY * self.points[0].cores

    @property
    def filters(self) -> list[str]:
        return [name for name in dict.fromkeys(point.filter for point in self.points) if name != "all"]

    def of(self, engine: str) -> Point:
        """Any of its points: what was loaded is the same in all."""
        return next(point for point in self.points if point.engine == engine)

    def at(self, engine: str, among: str = "all", target: float = TARGET, clients: int | None = None) -> Point | None:
        """The point of that; ``clients``: None is the most there are."""
        found = [
            point
            for point in self.points
            if (point.engine, point.filter, point.target) == (engine, among, target)
            and point.writer_rows_per_s is None
            and clients in (None, point.clients)
        ]
        return max(found, key=lambda one: one.clients, default=None)

    def written(self, engine: str) -> Point | None:
        """Beside a writer."""
        return next((one for one in self.points if one.engine == engine and one.writer_rows_per_s is not None), None)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def number(value: float | None) -> str:
    """Three digits of it."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _marked(point: Point | None) -> str:
    """Queries a second; with the recall where it does not reach what it was to reach."""
    if point is None:
        return "–"
    return number(point.qps) if point.is_reached else f"({number(point.qps)} at {point.recall:.2f})"


def searches(of: Figures) -> str:
    """All rows, at the recall that counts."""
    head = ["", "how it is asked", "parameters", "recall", *[f"q/s, {n} clients" for n in of.clients]]
    head += ["p50 ms", "p99 ms", f"p99 ms, {of.clients[-1]} clients", "CPU ms a search", "memory MB", "disk MB"]
    return table(head, (row for engine in of.engines if (row := _search_row(of, engine))))


def _search_row(of: Figures, engine: str) -> list[str]:
    alone, most = of.at(engine, clients=of.clients[0]), of.at(engine, clients=of.clients[-1])
    if alone is None or most is None:
        return []
    rates = [_marked(of.at(engine, clients=count)) for count in of.clients]
    times = [number(value) for value in (alone.p50_ms, alone.p99_ms, most.p99_ms, alone.search_cpu_ms)]
    sizes = [number(max(alone.resident_mb, most.resident_mb)), number(alone.loaded.disk_mb)]
    return [engine, alone.loaded.door, parameters(alone) or "–", f"{alone.recall:.3f}", *rates, *times, *sizes]


def recalls(of: Figures) -> str:
    """Queries a second of most clients, at each recall."""
    targets = sorted({point.target for point in of.points if point.filter == "all"})
    head = ["", *[f"q/s at {target:g}, {of.clients[-1]} clients" for target in targets]]
    rows = ([one, *[_marked(of.at(one, target=t, clients=of.clients[-1])) for t in targets]] for one in of.engines)
    return table(head, rows)


def filters(of: Figures) -> str:
    """Queries a second among some rows."""
    head = ["", "all rows", *of.filters]
    counts = {point.clients for point in of.points if point.filter != "all"}
    count = max(counts & set(of.clients), default=None)
    rows = (
        [one, _marked(of.at(one, clients=count)), *[_marked(of.at(one, name, FILTER_TARGET)) for name in of.filters]]
        for one in of.engines
    )
    return table(head, rows)


def filter_clients(of: Figures) -> int:
    """How many asked."""
    return max((point.clients for point in of.points if point.filter != "all"), default=0)


def loads(of: Figures) -> str:
    """What loading and building took."""
    head = ["", "load s", "CPU s", "build s", "CPU s", "start s", "disk MB", "works in, MB", "what it is"]
    rows = []
    for engine in of.engines:
        one = of.of(engine).loaded
        times = (one.load_s, one.load_cpu_s, one.build_s, one.build_cpu_s, one.start_s, one.disk_mb)
        least = number(one.memory_least_mb)
        rows.append([engine, *map(number, times), least, f"{one.version}; {one.about}"])
    return table(head, rows)


def written(of: Figures) -> str:
    """Searches beside a writer, and without it."""
    head = ["", "clients", "q/s", "q/s without", "p99 ms", "p99 ms without", "recall", "rows/s written"]
    rows = []
    for engine in of.engines:
        point = of.written(engine)
        if point is not None:
            alone = of.at(engine, clients=point.clients)
            rates = [number(point.qps), number(alone.qps if alone else None)]
            times = [number(point.p99_ms), number(alone.p99_ms if alone else None)]
            done = number(point.writer_rows_per_s)
            rows.append([engine, str(point.clients), *rates, *times, f"{point.recall:.3f}", done])
    return table(head, rows)


# --- who is better ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """``of`` an engine's figure; None where there is none, or recall was missed. ``more``: more is better.

    ``by_clock``: other work on the machine changes it.
    """

    name: str
    of: Callable[[Figures, str], float | None]
    more: bool
    by_clock: bool = True


def _rate(among: str, clients: int | None, target: float = TARGET) -> Callable[[Figures, str], float | None]:
    def figure(of: Figures, engine: str) -> float | None:
        point = of.at(engine, among, target, clients)
        return point.qps if point is not None and point.is_reached else None

    return figure


def _p99(of: Figures, engine: str) -> float | None:
    point = of.at(engine, clients=of.clients[0])
    return point.p99_ms if point is not None and point.is_reached else None


def _search_cpu_ms(of: Figures, engine: str) -> float | None:
    point = of.at(engine, clients=of.clients[0])
    return point.search_cpu_ms if point is not None and point.is_reached else None


def _memory(of: Figures, engine: str) -> float | None:
    point = of.at(engine, clients=of.clients[-1])
    return point.resident_mb if point is not None else None


def _beside_writer(of: Figures, engine: str) -> float | None:
    point = of.written(engine)
    kept_up = point is not None and (point.writer_rows_per_s or 0) > LEVEL * (point.writer_wanted_per_s or 0)
    return point.qps if point is not None and kept_up else None


def _ingest_s(of: Figures, engine: str) -> float:
    one = of.of(engine).loaded
    return one.load_s + one.build_s


def _ingest_cpu_s(of: Figures, engine: str) -> float:
    one = of.of(engine).loaded
    return one.load_cpu_s + one.build_cpu_s


def measures(of: Figures) -> Iterator[Measure]:
    """All that is compared."""
    for count in of.clients:
        yield Measure(f"queries/s at recall {TARGET:g}, {count} clients", _rate("all", count), True)
    for target in sorted({point.target for point in of.points if point.filter == "all"} - {TARGET}):
        name = f"queries/s at recall {target:g}, {of.clients[-1]} clients"
        yield Measure(name, _rate("all", of.clients[-1], target), True)
    yield Measure(f"p99 at recall {TARGET:g}, {of.clients[0]} client", _p99, False)
    yield Measure(f"processor time of a search at recall {TARGET:g}", _search_cpu_ms, False, False)
    for among in of.filters:
        yield Measure(f"queries/s among {among} of the rows", _rate(among, None, FILTER_TARGET), True)
    yield Measure("queries/s beside a writer that keeps its rate", _beside_writer, True)
    yield Measure("seconds to load and build", _ingest_s, False)
    yield Measure("processor seconds to load and build", _ingest_cpu_s, False, False)
    yield Measure("memory", _memory, False, False)
    yield Measure("bytes on disk", lambda figures, engine: figures.of(engine).loaded.disk_mb, False, False)


def verdicts(of: Figures, ours: str) -> str:
    """Of each measure: whom Lutra is ahead of, level with and behind, by how much, of those that are asked alike.

    Times of the clock are compared where the machine had nothing else to do.
    """
    inside = of.of(ours).loaded.door == INSIDE
    others = [one for one in of.engines if one != ours and (of.of(one).loaded.door == INSIDE) == inside]
    rows = []
    for measure in measures(of):
        if measure.by_clock and of.is_busy:
            continue
        own = measure.of(of, ours)
        if own is None:
            rows.append([measure.name, "–", "", "", "not measured, or its recall was not reached"])
            continue
        groups: tuple[list[tuple[float, str]], ...] = ([], [], [])
        for engine in others:
            other = measure.of(of, engine)
            if other is None or min(own, other) <= 0:
                continue
            ratio = own / other if measure.more else other / own
            told = f"{engine} × {number(ratio)}"
            groups[0 if ratio > 1 / LEVEL else 2 if ratio < LEVEL else 1].append((ratio, told))
        columns = [", ".join(told for _, told in sorted(group, reverse=True)) for group in groups]
        rows.append([measure.name, number(own), columns[0], columns[1], columns[2]])
    return table(["", "Lutra", "ahead of", "level with", "**behind**"], rows)
