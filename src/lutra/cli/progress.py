"""A bar on a terminal for what takes long; nothing where nobody looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown_progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """A function to be called with what is done, how much of it, and how much there is, where that is known."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        at = ""

        def report(what: str, done: int, total: int | None) -> None:
            nonlocal task, at
            if what != at:
                progress.remove_task(task)
                task, at = progress.add_task(escape(what), total=total), what
            progress.update(task, completed=done, total=total)

        yield report


@contextmanager
def shown_rows(what: str) -> Iterator[Callable[[int, int, int], None]]:
    """A function to be called with the rows that are done, and how much of how much was read for them."""
    if not sys.stderr.isatty():
        yield lambda rows, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    started_s = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None, rows=0, rate=0.0)

        def report(rows: int, done: int, total: int) -> None:
            rate = rows / max(time.monotonic() - started_s, 1e-3)
            progress.update(task, completed=done, total=total or None, rows=rows, rate=rate)

        yield report
