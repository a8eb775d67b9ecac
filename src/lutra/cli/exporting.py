"""``lutra export``: rows of a table into a file."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from lutra.cli.databases import opened_to_read
from lutra.cli.failures import missing_libraries, shown_failures, shown_wrong_options
from lutra.cli.options import columns_option, data_option, instance_option, json_option, objects_option, where_option
from lutra.cli.progress import shown_rows


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(allow_dash=True))
@click.option("--table", required=True, metavar="NAME", help="The table to read.")
@data_option
@objects_option
@instance_option
@where_option
@columns_option
@click.option("--limit", type=click.IntRange(0), metavar="N", help="The first N rows only, by their keys.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "tsv", "jsonl", "parquet"]),
    help="What to write. [default: as the name of FILE says]",
)
@click.option("--force", is_flag=True, help="Overwrite FILE where it is there.")
@json_option
def export(
    path: str,
    table: str,
    data_dir: Path,
    objects: str | None,
    instance: str,
    where: str | None,
    columns: str | None,
    limit: int | None,
    format_: Any,
    force: bool,
    as_json: bool,
) -> None:
    """Write the rows of a table to FILE: CSV, JSON lines or Parquet, as its name says; - is stdout.

    Rows come in the order of their keys, as they are at this moment: a server may go on writing. FILE is there once it
    is whole. Names that end in .gz,
    .zst, .bz2 or .xz are compressed (Parquet is anyway). `lutra import` gives the same rows back: of Parquet also the
    same table, of the others with --schema.

    What a row does not have is null, an empty cell (an empty text is "") or not there. Vectors are fixed-size lists of
    float32 in Parquet and JSON elsewhere; bytes are base64 in CSV and JSON.

    \b
    Exit status:
      0  FILE is written
      1  it failed, and there is no FILE, or the one that was there before
      2  wrong options
    \b
    Examples:
      lutra export articles.parquet --table articles --data ./data
      lutra export recent.csv.gz --table articles --data ./data --where "year >= 2024" --columns title,year
      lutra export - --table articles --data ./data --format jsonl --limit 10 | jq .title
    """
    from lutra.cli.keys import names_of
    from lutra.transfer.exporter import Export
    from lutra.transfer.where import parse_where_of

    started_s = time.monotonic()
    opened = opened_to_read(data_dir, objects, instance)
    with missing_libraries(), shown_failures(), shown_wrong_options(), opened as database:
        of = database.table(table)
        with shown_rows("exporting") as report:
            run = Export(
                of,
                path,
                format_,
                None if where is None else parse_where_of(where, of),
                names_of(columns),
                limit,
                force,
                lambda rows: report(rows, 0, 0),
            )
            try:
                rows = run.run()
            except BrokenPipeError:  # who reads has enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(0)
    took_s = time.monotonic() - started_s
    if as_json:
        told = {"table": table, "file": path, "rows": rows, "seconds": round(took_s, 3)}
        click.echo(json.dumps(told, ensure_ascii=False), err=path == "-")
    elif path != "-":
        click.echo(f"{rows:,} rows of table {table} are in {path} ({took_s:,.1f} s).")
