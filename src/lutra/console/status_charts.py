"""The charts of the status page, made of what the sampler noted, with what they come to in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.console.figures import ALL
from lutra.console.history import Window

Text = Callable[..., str]
"""Gives a message in the language of a page."""
Values = npt.NDArray[np.float32]

LINES_MAX: Final = 8
"""Of a chart: those that have most."""
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One series."""

    label: str
    values: Values

    @property
    def now(self) -> float:
        """The last value that was told; NaN where there is none."""
        known = self.values[~np.isnan(self.values)]
        return float(known[-1]) if len(known) else math.nan

    @property
    def mean(self) -> float:
        return float(np.nanmean(self.values)) if self._is_known else math.nan

    @property
    def most(self) -> float:
        return float(np.nanmax(self.values)) if self._is_known else math.nan

    @property
    def _is_known(self) -> bool:
        return not np.isnan(self.values).all() if len(self.values) else False


@dataclass(frozen=True, slots=True)
class StatusChart:
    """Lines over one axis of time. ``unit``: ``rate`` (a second), ``ms``, ``bytes`` or ``count``."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]

    def to_json(self, since: int = 0) -> dict[str, Any]:
        """Of the times from number ``since`` on; what it comes to is of all."""
        return {
            "key": self.key,
            "unit": self.unit,
            "lines": [
                {"label": one.label, "values": [_number(value) for value in one.values[since:]]} for one in self.lines
            ],
            "summary": [[_number(value) for value in (one.now, one.mean, one.most)] for one in self.lines],
        }


def server_charts(window: Window, operation: str, text: Text) -> list[StatusChart]:
    """What the server as a whole does; latencies of one ``operation``, or of `ALL`."""
    memory = {
        "codes": text("codes"),
        "graphs": text("graphs"),
        "block cache": text("block cache"),
        "buffers": text("buffers"),
        "RocksDB": "RocksDB",
        "SlateDB": "SlateDB",
        "process": text("whole process"),
    }
    names = {ALL: text("all operations")}
    return [
        StatusChart("requests", text("Requests a second"), "rate", _most(window, "requests/", names)),
        StatusChart("latency", text("Latency"), "ms", _quantiles(window, operation)),
        StatusChart("search_latency", text("Latency of searches"), "ms", _quantiles(window, "Search")),
        StatusChart("memory", text("Memory"), "bytes", _named(window, "memory/", memory)),
        StatusChart("lag", text("Searches are behind by"), "ms", _most(window, "lag_ms/")),
        StatusChart("waiting", text("Calls that wait for a thread, by lane"), "count", _most(window, "waiting/")),
        StatusChart("segments", text("Segments"), "count", _most(window, "segments/")),
        StatusChart("builds", text("Builds and merges under way"), "count", _most(window, "builds/")),
        StatusChart("rows", text("Rows in search indexes"), "count", _most(window, "rows/")),
        StatusChart("bytes", text("Bytes of search indexes"), "bytes", _most(window, "bytes/")),
    ]


def index_charts(window: Window, index: str, text: Text) -> list[StatusChart]:
    """How one index, ``instance/table/index``, went."""

    def only(key: str, title: str, unit: str) -> StatusChart:
        found = window.series.get(f"{key}/{index}")
        return StatusChart(key, title, unit, () if found is None else (Line(index, found),))

    return [
        only("rows", text("Rows in search indexes"), "count"),
        only("lag_ms", text("Searches are behind by"), "ms"),
        only("segments", text("Segments"), "count"),
        only("bytes", text("Bytes of search indexes"), "bytes"),
        only("builds", text("Builds and merges under way"), "count"),
    ]


def operations_of(window: Window) -> list[dict[str, Any]]:
    """By operation that was asked for: requests a second on average, and the last latencies."""
    found = []
    for name, values in window.series.items():
        kind, _, operation = name.partition("/")
        if kind != "requests" or not np.nansum(values):
            continue
        latencies = {f"p{q}_ms": Line("", window.series[f"p{q}_ms/{operation}"]).now for q in (50, 95, 99)}
        found.append({"operation": operation, "rate": float(np.nanmean(values)), **latencies})
    return sorted(found, key=lambda one: (one["operation"] != ALL, -one["rate"]))


def _most(window: Window, prefix: str, names: Mapping[str, str] | None = None) -> tuple[Line, ...]:
    """The lines that reach highest, of those that were ever told."""
    lines = [
        Line((names or {}).get(name.removeprefix(prefix), name.removeprefix(prefix)), values)
        for name, values in window.series.items()
        if name.startswith(prefix) and not np.isnan(values).all()
    ]
    lines.sort(key=lambda line: (-line.most, line.label))
    return tuple(lines[:LINES_MAX])


def _named(window: Window, prefix: str, names: Mapping[str, str]) -> tuple[Line, ...]:
    return tuple(
        Line(label, window.series[prefix + name]) for name, label in names.items() if prefix + name in window.series
    )


def _quantiles(window: Window, operation: str) -> tuple[Line, ...]:
    names = {f"p{q}_ms/{operation}": f"{q} %" for q in (50, 95, 99)}
    return tuple(Line(label, window.series[name]) for name, label in names.items() if name in window.series)


def _number(value: float) -> float | int | None:
    """Of few digits: it is to be drawn."""
    if not math.isfinite(value):
        return None
    whole = float(f"{float(value):.{_DIGITS}g}")
    return int(whole) if whole == int(whole) else whole
