"""A bar on a terminal for what takes long; nothing where nobody looks."""

from __future__ import annotations

import sys
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
