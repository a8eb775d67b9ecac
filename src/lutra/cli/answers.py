"""Answers out of the demo's library, for people and for programs."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from lutra.cli.explanations import explained
from lutra.demo.library import Library
from lutra.instance.results import Results
from lutra.transfer.where import Declarations, parse_where

INCOMPLETE: Final = "The deadline came before all was searched: there may be better answers."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question found. ``took_ms`` counts from the text to the rows: embedding, search, reading them."""

    question: str
    where: str | None
    results: Results
    rows_searched: int
    took_ms: float

    def as_json(self) -> dict[str, object]:
        return {
            "question": self.question,
            "where": self.where,
            "rows_searched": self.rows_searched,
            "took_ms": round(self.took_ms, 3),
            "is_complete": self.results.is_complete,
            "parts": [asdict(part) for part in self.results.stats.parts],
            **({} if self.results.explanation is None else {"explain": self.results.explanation}),
            "results": [{"score": row.score, **row} for row in self.results],
        }


@dataclass(frozen=True, slots=True)
class By:
    """How a question is answered."""

    words: bool = False
    """By its words, in place of its meaning."""
    explain: bool = False
    deadline_ms: int | None = None
    fresh: bool = True


def columns_of(library: Library) -> Declarations:
    """The columns that a filter on the library can use."""
    fields = library.table.fields
    return {**library.table.key, "module": fields["module"], "kind": fields["kind"]}


def ask(library: Library, question: str, where: str | None, limit: int, by: By = By()) -> Answer:
    """Searches the library. Raises ParameterInvalid for a question or filter that cannot be used."""
    expression = None if where is None else parse_where(where, columns_of(library))
    started = time.perf_counter()
    find = library.search_words if by.words else library.search
    results = find(question, expression, limit, explain=by.explain, deadline_ms=by.deadline_ms, fresh=by.fresh)
    took_ms = (time.perf_counter() - started) * 1_000
    return Answer(question, where, results, results.stats.rows_scanned, took_ms)


def print_answer(console: Console, answer: Answer) -> None:
    """A table of names, scores and summaries, and how long it took."""
    where = "" if answer.where is None else f"  [dim]where[/dim] [magenta]{escape(answer.where)}[/magenta]"
    console.print(f"\n[bold cyan]?[/bold cyan] [bold]{escape(answer.question)}[/bold]{where}")
    if not answer.results:
        console.print("  nothing found: no row passes the filter")
    table = RichTable(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(style="green", no_wrap=True)
    table.add_column(style="green", overflow="fold", ratio=3)
    table.add_column(style="yellow", no_wrap=True)
    table.add_column(ratio=5)
    for number, row in enumerate(answer.results, 1):
        table.add_row(str(number), f"{row.score:.3f}", row["name"], row["kind"], escape(row.get("summary", "")))
    console.print(table)
    console.print(f"  [dim]{answer.rows_searched:,} rows searched in {answer.took_ms:.1f} ms[/dim]")
    if not answer.results.is_complete:
        console.print(f"  [yellow]{INCOMPLETE}[/yellow]")
    for part in answer.results.stats.parts:
        if part.fallback:
            way = "all compared" if part.fallback == "exact" else "all codes scanned"
            console.print(f"  [dim]of these {part.rows:,} {way}, as less misses too much[/dim]")
    if answer.results.explanation is not None:
        console.print(explained(answer.results.explanation))
