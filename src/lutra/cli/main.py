"""``lutra``: the group of all commands."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Final

import click

_HELP: Final = """Lutra: a table store with vector search, which the official Tablestore SDKs speak to unchanged.

\b
Serve a data directory (made at the first start, as is the access key it shows):
  lutra serve --data ./data
\b
Then, from Python:
  from tablestore import OTSClient
  client = OTSClient("http://127.0.0.1:8087", ACCESS_KEY_ID, ACCESS_KEY_SECRET, "default")
  print(client.list_table())
\b
Without a server: files into a table, a look at it, and back:
  lutra import articles.csv --table articles --data ./data
  lutra table search articles "river otters" --data ./data
  lutra export articles.parquet --table articles --data ./data
\b
Another instance, with tables of its own, beside the running server:
  lutra instance create photos --data ./data
\b
Segments of search indexes on S3, and 8 GiB of memory for all of it:
  lutra serve --data ./data --objects s3://bucket/prefix --memory-limit 8GiB
\b
What search indexes consist of; and, with the server stopped, whether all is whole:
  lutra index stats --data ./data
  lutra fsck --data ./data
\b
Back it up beside the server, to a folder or to S3, and make a directory of that:
  lutra backup create s3://bucket/backups --data ./data
  lutra restore s3://bucket/backups --data ./restored
\b
No server at hand? Index Python's documentation and ask it questions:
  lutra demo --data ./demo-data
  lutra search --data ./demo-data "split a string"
"""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a command is, and what the list of commands says of it."""

    module: str
    attribute: str
    summary: str


_COMMANDS: Final = {
    "serve": _Entry("lutra.cli.serve", "serve", "Serve a data directory over HTTP."),
    "cluster": _Entry("lutra.cli.cluster", "cluster", "Run nodes over one store, and look how they are."),
    "node": _Entry("lutra.cli.node", "node", "Run one node of a cluster."),
    "instance": _Entry("lutra.cli.instance", "instance", "Create and list instances."),
    "import": _Entry("lutra.cli.importing", "import_", "Read rows from CSV, JSON lines or Parquet into a table."),
    "embed": _Entry("lutra.cli.embedding", "embed", "Have a model make the vectors that rows lack."),
    "export": _Entry("lutra.cli.exporting", "export", "Write the rows of a table to CSV, JSON lines or Parquet."),
    "table": _Entry("lutra.cli.table", "table", "Look at tables, read rows and search them."),
    "index": _Entry("lutra.cli.index", "index", "Look at search indexes, and fill one anew."),
    "backup": _Entry("lutra.cli.backup", "backup", "Back up a data directory while it is served."),
    "restore": _Entry("lutra.cli.backup", "restore", "Make a data directory out of a backup."),
    "objects": _Entry("lutra.cli.objects", "objects", "Whose objects of search indexes are, and taking them over."),
    "fsck": _Entry("lutra.cli.fsck", "fsck", "Check a data directory: tables, indexes, every byte."),
    "search": _Entry("lutra.cli.search", "search", "Ask the demo's index questions."),
    "demo": _Entry("lutra.cli.demo", "demo", "Index Python's documentation, and ask it three questions."),
}


class LazyGroup(click.Group):
    """Imports a command when it is used; the list of commands needs none."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        entry = _COMMANDS.get(name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(entry.module), entry.attribute)
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if name not in _COMMANDS and not name.startswith("-"):
            from lutra.model.suggestions import suggestion

            context.fail(f"No such command {name!r}{suggestion(name, _COMMANDS)}")
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])


@click.group(cls=LazyGroup, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lutra", prog_name="lutra")
def main() -> None:
    pass


if __name__ == "__main__":
    main()
