"""``lutra search``: questions to the demo's library, one at a time or at a prompt."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.markup import escape

import lutra
from lutra.cli.answers import Answer, By, ask, columns_of, print_answer
from lutra.cli.failures import shown_failures
from lutra.cli.options import DataDirectory, deadline_option, fresh_option
from lutra.demo.library import Library
from lutra.model.errors import LutraError
from lutra.transfer.where import parse_where

_LIMIT_DEFAULT: Final = 5
_LIMIT_MAX: Final = 1_000
_HELP: Final = """\
Type a question, or:
  :where FILTER   search only rows that pass, such as  kind = function and module in (json, csv)
  :where          search all rows again
  :limit N        show N answers
  :show N         the whole documentation of answer N
  :help           this
  :quit           leave, as Ctrl-D does
"""


@click.command()
@click.argument("question", required=False)
@click.option(
    "--data",
    type=DataDirectory(),
    default=Path("demo-data"),
    show_default=True,
    help="The folder that `lutra demo` filled.",
)
@click.option("--where", metavar="FILTER", help="Search only rows that pass: 'kind = function and module = json'.")
@click.option("--limit", type=click.IntRange(1, _LIMIT_MAX), default=_LIMIT_DEFAULT, show_default=True)
@click.option("--text", "by_words", is_flag=True, help="Look for the question's words instead of its meaning.")
@deadline_option
@fresh_option
@click.option("--explain", is_flag=True, help="Tell what was done in each part of the index, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print answers as JSON, one line for each question.")
def search(
    question: str | None, data: Path, where: str | None, limit: int, by_words: bool, as_json: bool, **said: Any
) -> None:
    """Ask the demo's library a QUESTION; without one, at a prompt, or line by line from a pipe.

    \b
    Examples:
      lutra search --data demo-data "split a string by a regular expression"
      lutra search --data demo-data "compress a file" --where "module in (gzip, bz2) and kind = function"
      lutra search --data demo-data "priority queue" --limit 20 --json
      lutra search --data demo-data --text "heap invariant" --explain
      lutra search --data demo-data
    """
    if not Library.is_in(data):  # what connect() says would help nobody here
        raise click.ClickException(f"{data} holds no demo data: run `lutra demo --data {data}` first")
    with shown_failures(), lutra.connect(data, read_only=True) as database:
        session = Session(Library.open(database, data), where, limit, By(by_words, **said), as_json)
        if question is not None:
            session.answer(question)
        else:
            session.run()


class Session:
    """A run of questions under one filter and limit, which the commands of the prompt change."""

    def __init__(self, library: Library, where: str | None, limit: int, by: By, as_json: bool) -> None:
        self._library = library
        self._by = by
        self._console = Console(highlight=False)
        self._limit = limit
        self._as_json = as_json
        self._last: Answer | None = None
        self._where: str | None = None
        self._filter(where or "")

    def answer(self, question: str) -> None:
        """Prints what the library answers. Raises ParameterInvalid."""
        self._last = ask(self._library, question, self._where, self._limit, self._by)
        if self._as_json:
            click.echo(json.dumps(self._last.as_json(), ensure_ascii=False))
        else:
            print_answer(self._console, self._last)

    def run(self) -> None:
        """Reads questions and commands until they end; what is wrong with one is said, and the next is read."""
        interactive = sys.stdin.isatty()
        if interactive:
            import readline  # noqa: F401  # gives input() history and editing

            self._console.print(f"{self._library.about.rows:,} rows. Ask, or type :help. Ctrl-D leaves.")
        while True:
            try:
                line = input("\n? " if interactive else "").strip()
                if line in (":quit", ":q"):
                    return
                self._do(line)
            except (EOFError, KeyboardInterrupt):
                if interactive:
                    # What is left is to close the library: briefly, and not to be cut short by a second Ctrl-C.
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
                    self._console.print()
                return
            except LutraError as error:
                click.echo(f"Error: {error}", err=True)

    def _do(self, line: str) -> None:
        command, _, argument = line.partition(" ")
        argument = argument.strip()
        if not command.startswith(":"):
            if line:
                self.answer(line)
        elif command == ":where":
            self._filter(argument)
        elif command == ":limit":
            self._limit = self._number(argument, _LIMIT_MAX)
        elif command == ":show":
            self._show(argument)
        else:
            if command != ":help":
                click.echo(f"Error: there is no command {command}", err=True)
            self._console.print(escape(_HELP))

    def _filter(self, text: str) -> None:
        if text:
            parse_where(text, columns_of(self._library))
        self._where = text or None

    def _show(self, argument: str) -> None:
        results = self._last.results if self._last is not None else []
        if not results:
            raise lutra.ParameterInvalid("nothing to show: ask a question first")
        name = results[self._number(argument, len(results)) - 1]["name"]
        row = self._library.table.get(name, columns=["kind", "signature", "doc"])
        if row is None:
            raise lutra.ObjectNotExist(f"{name} is not there any more")
        self._console.print(
            f"[green]{escape(name + row.get('signature', ''))}[/green]  [yellow]{row['kind']}[/yellow]\n"
        )
        self._console.print(escape(row.get("doc", "")))

    def _number(self, text: str, most: int) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise lutra.ParameterInvalid(f"give a number from 1 to {most}")
        return int(text)
