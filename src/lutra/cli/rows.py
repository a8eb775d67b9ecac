"""Rows and tables, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from lutra.cli.answers import INCOMPLETE
from lutra.cli.explanations import explained
from lutra.instance.field import FieldDeclaration
from lutra.instance.row import Row
from lutra.instance.vector import Vector
from lutra.transfer.field_types import type_text
from lutra.transfer.table_schema import TableDeclaration
from lutra.transfer.texts import cell_text, plain

if TYPE_CHECKING:
    from lutra.cli.table_search import Found

_CELL_CHARS_MAX: Final = 160
_VECTOR_SHOWN: Final = 4


def row_as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """As `lutra export` writes it."""
    return {name: plain(value) for name, value in row.items()}


def found_as_json(table: str, found: Found, took_ms: float) -> dict[str, Any]:
    """Rows with their scores, and what was done for them."""
    explanation = found.stats.explanation
    return {
        "table": table,
        "took_ms": round(took_ms, 3),
        "is_complete": found.is_complete,
        "rows_searched": found.stats.rows_scanned,
        "parts": [asdict(part) for part in found.stats.parts],
        **({} if explanation is None else {"explain": explanation}),
        "rows": [{"score": row.score, "row": row_as_json(row)} for row in found.rows],
    }


def print_table(name: str, declaration: TableDeclaration, rows: int) -> None:
    """A line for each column."""
    console = Console(highlight=False)
    console.print(f"table {name}: {rows:,} row{'s' * (rows != 1)}", markup=False)
    table = RichTable(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(style="green", overflow="fold")
    table.add_column(style="dim")
    for column, kind in declaration.key.items():
        table.add_row(escape(column), escape(type_text(kind)), "key")
    for column, of in declaration.fields.items():
        table.add_row(escape(column), escape(type_text(of)), escape(_made_of(of)))
    console.print(table)
    if not declaration.fields:
        console.print("Rows take any other column; they cannot be searched.")


def print_row(row: Row) -> None:
    """A line for each column, whole."""
    console = Console(highlight=False)
    table = RichTable(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="green", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in row.items():
        table.add_row(escape(name), escape(cell_text(value)))
    console.print(table)


def print_found(found: Found, took_ms: float) -> None:
    """A row in a block of its own: its score, its key, then its columns."""
    console = Console(highlight=False)
    if not found.rows:
        console.print("nothing found")
    for number, row in enumerate(found.rows, 1):
        score = "" if row.score is None else f"[yellow]{row.score:.4f}[/yellow]  "
        key = ", ".join(map(str, row.key))
        console.print(f"[dim]{number:>3}[/dim]  {score}[bold]{escape(key)}[/bold]")
        for name, value in list(row.items())[len(row.key) :]:
            console.print(f"     [green]{escape(name)}[/green]  {escape(_short(value))}")
    console.print(f"[dim]{found.stats.rows_scanned:,} rows searched in {took_ms:.1f} ms[/dim]")
    if not found.is_complete:
        console.print(f"[yellow]{INCOMPLETE}[/yellow]")
    if found.stats.explanation is not None:
        console.print(explained(found.stats.explanation))


def _made_of(of: FieldDeclaration) -> str:
    return f"of {of.embed}, by {of.with_}" if isinstance(of, Vector) and of.embed is not None else ""


def _short(value: Any) -> str:
    """In a line or two."""
    if isinstance(value, np.ndarray):
        first = ", ".join(f"{one:.4g}" for one in value[:_VECTOR_SHOWN])
        return f"[{first}{', ...' * (len(value) > _VECTOR_SHOWN)}] of {len(value):,}"
    text = " ".join(cell_text(value).split())
    return text if len(text) <= _CELL_CHARS_MAX else f"{text[: _CELL_CHARS_MAX - 3]}..."
