"""The tables and the JSON of a run; the JSON is written anew after each measurement."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.service.engines import Loaded


@dataclass(frozen=True, slots=True)
class Point:
    """One load of one engine. ``*_ms_per_search``: processor time of the server, of all clients."""

    engine: str
    client: str
    share: float
    setting: dict[str, int]
    connections: int
    recall: float | None
    """Here and below, None: not known of a load program, which throws its answers away."""
    per_s: float
    p50_ms: float
    p99_ms: float
    server_ms_per_search: float
    client_ms_per_search: float | None
    pss_mb: float | None
    rss_mb: float | None
    searches: int


@dataclass(slots=True)
class Tried:
    """A setting and what one client got by it; ``plan`` of the one that was chosen, where the server tells."""

    engine: str
    share: float
    setting: dict[str, int]
    recall: float
    p50_ms: float
    is_chosen: bool = False
    plan: str = ""


@dataclass(slots=True)
class Report:
    """What has been measured so far."""

    about: dict[str, Any]
    loaded: dict[str, Loaded] = field(default_factory=dict)
    tried: list[Tried] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def write(self, path: Path | None) -> None:
        """Whole or not at all."""
        if path is None:
            return
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(asdict(self), indent=2) + "\n")
        part.replace(path)

    def print(self, console: Console) -> None:
        """Loading first, then a table for each share."""
        loads = Table("", "load s", "build s", "load cpu s", "build cpu s", "disk MB", "what it is", title="Loading")
        for name, one in self.loaded.items():
            figures = (one.load_s, one.build_s, one.load_cpu_s, one.build_cpu_s, one.disk_mb)
            loads.add_row(name, *[f"{figure:,.1f}" for figure in figures], one.about)
        console.print(loads)
        for share in dict.fromkeys(point.share for point in self.points):
            console.print(self._table(share))

    def _table(self, share: float) -> Table:
        title = "All rows" if share >= 1 else f"Among {100 * share:g} % of the rows"
        table = Table("", "client", "setting", title=title)
        columns = ("connections", "recall@10", "searches/s", "p50 ms", "p99 ms", "server ms", "client ms", "PSS MB")
        for column in columns:
            table.add_column(column, justify="right")
        before = None
        for point in self.points:
            if point.share != share:
                continue
            if before not in (None, (point.engine, point.client)):
                table.add_section()
            before = (point.engine, point.client)
            table.add_row(
                point.engine,
                point.client,
                " ".join(f"{key}={value}" for key, value in point.setting.items()),
                str(point.connections),
                "" if point.recall is None else f"{point.recall:.4f}",
                f"{point.per_s:,.0f}",
                f"{point.p50_ms:.2f}",
                f"{point.p99_ms:.2f}",
                f"{point.server_ms_per_search:.2f}",
                "" if point.client_ms_per_search is None else f"{point.client_ms_per_search:.2f}",
                "" if point.pss_mb is None else f"{point.pss_mb:,.0f}",
            )
        return table
