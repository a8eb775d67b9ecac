"""``lutra demo``: real answers out of real data, in a minute."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import lutra
from lutra.cli.answers import ask, print_answer
from lutra.cli.failures import shown_failures
from lutra.cli.options import DataDirectory
from lutra.demo.documentation import read_standard_library
from lutra.demo.library import Library

_ANSWERS: Final = 5
_QUESTIONS: Final[tuple[tuple[str, str | None], ...]] = (
    ("split a string by a regular expression", None),
    ("copy a directory tree recursively", "kind = function"),
    ("compress a file", "module in (bz2, gzip)"),
)
"""Questions and filters, as ``lutra search`` takes them."""


@click.command()
@click.option(
    "--data",
    type=DataDirectory(),
    default=Path("demo-data"),
    show_default=True,
    help="The folder to keep the demo's data in; made where there is none.",
)
def demo(data: Path) -> None:
    """Index the documentation of this Python's standard library, and ask it three questions.

    A second run takes what the first one wrote.

    \b
    Example:
      lutra demo --data demo-data
    """
    console = Console(highlight=False)
    with shown_failures(), lutra.connect(data) as database:
        library = _fill(database, data, console)
        for question, where in _QUESTIONS:
            print_answer(console, ask(library, question, where, _ANSWERS))
    console.print(f"\nAsk your own: [bold]lutra search --data {data}[/bold]")


def _fill(database: lutra.Database, data: Path, console: Console) -> Library:
    started = time.perf_counter()
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        reading = progress.add_task("Reading the standard library's documentation", total=None)
        entries = read_standard_library()
        progress.update(reading, total=len(entries), completed=len(entries))
        tasks = {
            "learning": progress.add_task("Learning its words", total=len(entries), start=False, visible=False),
            "writing": progress.add_task("Writing and indexing rows", total=len(entries), start=False, visible=False),
        }

        def show(stage: str, rows: int) -> None:
            progress.start_task(tasks[stage])
            progress.update(tasks[stage], completed=rows, visible=True)

        library = Library.fill(database, data, entries, show)
    rows = library.table.count()
    took_s = time.perf_counter() - started
    console.print(
        f"{rows:,} modules, classes, functions, methods and properties of Python {library.about.python} "
        f"are in [bold]{data}[/bold], with a vector of {library.embedder.dimension} each ({took_s:.1f} s)."
    )
    return library
