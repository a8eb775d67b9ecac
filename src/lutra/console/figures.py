"""What a server is doing at one moment, in figures: read from its metrics, its engine and the system.

Names of series have parts between slashes: ``requests/GetRow``, ``memory/graphs``, ``lag_ms/INSTANCE/TABLE/INDEX``.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lutra.console.latencies import Counts
from lutra.instance.engine import Engine
from lutra.instance.open_indexes import GenerationStats
from lutra.model.errors import LutraError
from lutra.server.observe.metrics import Metrics

ALL: Final = "all"
"""Stands for all operations together."""
INDEXES_MAX: Final = 60
"""That have series of their own: the first by name."""
_STATM: Final = Path("/proc/self/statm")
_QUANTILES: Final = (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """One index: the generation that answers, and the other one where there is one."""

    instance: str
    table: str
    index: str
    generations: tuple[GenerationStats, ...]

    @property
    def name(self) -> str:
        return f"{self.instance}/{self.table}/{self.index}"

    @property
    def answering(self) -> GenerationStats:
        return next(one for one in self.generations if one.is_answering)

    @property
    def filling(self) -> GenerationStats | None:
        return next((one for one in self.generations if not one.is_answering), None)

    @property
    def rows(self) -> int:
        return self.answering.watermarks.rows

    @property
    def is_behind(self) -> bool:
        """Whether the table has changes that it has not taken in."""
        marks = self.answering.watermarks
        return marks.searchable < marks.written

    def lag_ms(self, now_us: int) -> float:
        """How old the newest change may be that searches do not see; NaN while it is filled for the first time."""
        marks = self.answering.watermarks
        if marks.searchable < 0:
            return math.nan
        return max(0, now_us - marks.synced_us) / 1e3 if self.is_behind else 0.0

    @property
    def disk_bytes(self) -> int:
        return sum(sum(one.stats.bytes_by_class.values()) for one in self.generations)


def indexes_of(engine: Engine) -> Iterator[IndexFigures]:
    """All search indexes, by name. Those that are deleted meanwhile are left out."""
    for name in engine.instance_names():
        try:
            instance = engine.instance(name)
            found = instance.list_search_indexes(None)
        except LutraError:
            continue
        for table, index in found:
            try:
                generations = tuple(instance.index_generations(table, index))
            except LutraError:
                continue
            yield IndexFigures(name, table, index, generations)


def latencies_of(metrics: Metrics) -> dict[str, Counts]:
    """By operation, since the server's start."""
    ends: dict[str, dict[float, float]] = {}
    for family in metrics.latency.collect():
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                bound_s = float(sample.labels["le"])
                ends.setdefault(sample.labels["operation"], {})[bound_s] = sample.value
    return {operation: _counts(of) for operation, of in ends.items()}


def _counts(ends: Mapping[float, float]) -> Counts:
    """Of a histogram whose buckets count all that took no longer."""
    bounds = sorted(ends)
    totals = [0.0, *(ends[bound] for bound in bounds)]
    return Counts(bounds, [after - before for before, after in itertools.pairwise(totals)])


def request_figures(before: Mapping[str, Counts], now: Mapping[str, Counts], seconds: float) -> dict[str, float]:
    """Requests a second and latencies between two readings, by operation and of all."""
    figures: dict[str, float] = {}
    together: Counts | None = None
    for operation, counts in now.items():
        since = counts.since(before.get(operation))
        together = since if together is None else together.plus(since)
        figures |= _figures_of(operation, since, seconds)
    if together is not None:
        figures |= _figures_of(ALL, together, seconds)
    return figures


def _figures_of(operation: str, since: Counts, seconds: float) -> dict[str, float]:
    figures = {f"requests/{operation}": since.total / seconds if seconds > 0 else 0.0}
    if since.total:
        figures |= {f"{name}/{operation}": since.quantile_ms(share) for name, share in _QUANTILES}
    return figures


def memory_figures(engine: Engine, indexes: list[IndexFigures]) -> dict[str, float]:
    """Bytes in memory by what they are for. The process's own are more than those together."""
    stats = [one.stats for of in indexes for one in of.generations]
    graphs = sum(one.graph_bytes for one in stats)
    figures = {
        "memory/codes": float(sum(one.resident_bytes for one in stats) - graphs),
        "memory/graphs": float(graphs),
        "memory/block cache": float(engine.resources.cache.counters().used_bytes),
        "memory/buffers": float(sum(one.buffer_bytes for one in stats)),
    }
    with contextlib.suppress(LutraError):  # it is being closed
        store = engine.partition.store
        figures[f"memory/{store.name}"] = float(store.memory_bytes())
    resident = resident_bytes()
    return figures if resident is None else {**figures, "memory/process": float(resident)}


def resident_bytes() -> int | None:
    """Of this process; None where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def index_figures(indexes: list[IndexFigures], now_us: int) -> dict[str, float]:
    """Of each index, up to `INDEXES_MAX` of them, and of all together."""
    stats = [one.stats for of in indexes for one in of.generations]
    figures = {
        "builds": float(sum(one.merges for one in stats)),
        "segments": float(sum(len(one.segments) for one in stats)),
        "index_bytes": float(sum(of.disk_bytes for of in indexes)),
        "index_rows": float(sum(of.rows for of in indexes)),
    }
    for of in indexes[:INDEXES_MAX]:
        own = [one.stats for one in of.generations]
        figures |= {
            f"lag_ms/{of.name}": of.lag_ms(now_us),
            f"segments/{of.name}": float(sum(len(one.segments) for one in own)),
            f"rows/{of.name}": float(of.rows),
            f"bytes/{of.name}": float(of.disk_bytes),
            f"builds/{of.name}": float(sum(one.merges for one in own)),
        }
    return figures


def lane_figures(metrics: Metrics) -> dict[str, float]:
    """Calls that wait for a thread of their lane, and those that run or wait."""
    return {f"waiting/{lane.value}": float(pool.waiting) for lane, pool in metrics.lanes.items()} | {
        f"running/{lane.value}": float(max(0, pool.pending - pool.waiting)) for lane, pool in metrics.lanes.items()
    }
