"""The plan of an import, as people read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from lutra.cli.sizes import size_text

if TYPE_CHECKING:
    from lutra.transfer.plan import Plan, PlannedColumn

_EXAMPLE_CHARS_MAX: Final = 36


def print_plan(plan: Plan, place: str, rejects: Path) -> None:
    """Where rows come from and go to, a line for each column, and what became of the first rows when tried."""
    from lutra.transfer.field_types import type_text

    console = Console(highlight=False)
    for file in plan.files:
        console.print(
            f"from   {file.path} ({size_text(file.size_bytes)}, {file.format}{_compression(file.compression)})",
            markup=False,
            soft_wrap=True,
        )
    made = "which is there" if plan.exists else "a new one"
    console.print(f"to     table {plan.table}, {made}, in {place}", markup=False, soft_wrap=True)
    key = ", ".join(column.name for column in plan.columns if column.is_key)
    console.print(f"key    {key}\n", markup=False, soft_wrap=True)
    table = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("column", "field", "for example", ""):
        table.add_column(name, overflow="fold")
    for column in plan.columns:
        table.add_row(
            escape(_source(column)),
            f"[green]{escape(type_text(column.declaration))}[/green]{' [bold]key[/bold]' if column.is_key else ''}",
            escape(_example(column.example)),
            f"[dim]{escape(column.note)}[/dim]",
        )
    console.print(table)
    if plan.skipped:
        console.print(f"\nleft out: {', '.join(plan.skipped)}", markup=False, soft_wrap=True)
    trial = plan.trial
    told = f"\n{plan.rows_seen:,} rows were looked at"
    if trial.rejected:
        told += f"; of {trial.rows:,} that were tried, {trial.rejected:,} would be rejected, to {rejects}:"
    console.print(told, markup=False, soft_wrap=True)
    for reason in trial.reasons:
        console.print(f"  {reason}", markup=False, soft_wrap=True)


def _source(column: PlannedColumn) -> str:
    if column.source is None or column.source == column.name:
        return column.name
    return f"{column.source} → {column.name}"


def _example(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        text = f"{len(value):,} bytes"
    elif isinstance(value, str):
        text = value
    elif isinstance(value, Mapping | list):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= _EXAMPLE_CHARS_MAX else f"{text[: _EXAMPLE_CHARS_MAX - 3]}..."


def _compression(ending: str) -> str:
    return f" in {ending[1:]}" if ending else ""
