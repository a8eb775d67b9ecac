"""``lutra index``: what search indexes consist of, and filling one anew."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lutra.cli.failures import shown_failures
from lutra.cli.options import data_option, json_option, objects_option
from lutra.cli.progress import shown_progress

if TYPE_CHECKING:
    from lutra.index.definition import IndexDefinition
    from lutra.index.stats import IndexStats
    from lutra.instance.stopped import StoppedDirectory


@click.group()
def index() -> None:
    """Look at search indexes, and fill one anew, in a data directory that no server has open.

    \b
    Examples:
      lutra index stats --data ./data
      lutra index stats --data ./data --json photos
      lutra index rebuild --data ./data photos photos_index
    """


@dataclass(frozen=True, slots=True)
class _Found:
    """An index, what it consists of (None: it has no manifest yet), and the last sequence of the changelog."""

    definition: IndexDefinition
    stats: IndexStats | None
    written: int


@index.command()
@data_option
@objects_option
@click.option("--instance", help="Only indexes of this instance.")
@json_option
@click.argument("table", required=False)
@click.argument("name", metavar="[INDEX]", required=False)
def stats(
    data_dir: Path, objects: str | None, instance: str | None, as_json: bool, table: str | None, name: str | None
) -> None:
    """Show what search indexes consist of: all, those of TABLE, or INDEX of TABLE.

    Segments with their kinds; bytes on disk by class, and in memory once opened; dead rows; watermarks: changes of the
    table up to "written" are there, and up to "searchable" and "indexed" in segments, so that a start goes on from
    there; write amplification: bytes put on the store for each byte of rows flushed. Of a running server, GET /metrics
    tells the same.
    """
    from lutra.index.stored_stats import stored_stats
    from lutra.instance.stopped import StoppedDirectory
    from lutra.model.errors import ObjectNotExist

    with shown_failures(), StoppedDirectory(data_dir, objects=objects) as directory:
        wanted = [
            of
            for of in directory.definitions()
            if instance in (None, of.instance) and table in (None, of.table) and name in (None, of.name)
        ]
        if not wanted and (instance or table):
            raise ObjectNotExist("there is no such search index")
        written = directory.space.changelog.last_sequence
        found = [_Found(of, stored_stats(directory.storage(of)), written) for of in wanted]
    if as_json:
        click.echo(json.dumps({"indexes": [_as_json(one) for one in found]}))
        return
    for one in found:
        _print(one)


@index.command()
@data_option
@objects_option
@click.option("--instance", default="default", show_default=True, help="The instance that TABLE is in.")
@json_option
@click.argument("table")
@click.argument("name", metavar="INDEX")
def rebuild(data_dir: Path, objects: str | None, instance: str, as_json: bool, table: str, name: str) -> None:
    """Fill INDEX of TABLE anew from all rows of the table, whatever became of its objects.

    For an index of which `lutra fsck` finds objects lost or damaged. What was there is deleted in the end. Broken off
    at any instant, it goes on when the directory is next served.
    """
    from lutra.instance.rebuild import rebuild_index
    from lutra.instance.stopped import StoppedDirectory

    with shown_failures(), StoppedDirectory(data_dir, objects=objects) as directory, shown_progress() as report:
        total = _rows_of(directory, instance, table)
        built = rebuild_index(
            directory,
            instance,
            table,
            name,
            on_rows=lambda rows: report(f"filling {name}", rows, total),
        )
    rows, segments = built.rows - built.dead, f"{len(built.segments):,} segment{'s' * (len(built.segments) != 1)}"
    if as_json:
        click.echo(json.dumps({"rebuilt": name, "table": table, "instance": instance, "rows": rows}))
    else:
        click.echo(f"index {name} of table {table} is filled anew: {rows:,} rows in {segments}")


def _rows_of(directory: StoppedDirectory, instance: str, table: str) -> int | None:
    """None where there is no such table."""
    from lutra.model.errors import ObjectNotExist

    tables = directory.space.instance(instance)
    try:
        table_id = tables.describe(table).table_id
    except ObjectNotExist:
        return None
    with directory.store.snapshot() as snapshot:
        return sum(1 for _ in tables.scan_rows(table_id, snapshot))


def _as_json(found: _Found) -> dict[str, object]:
    of, stats = found.definition, found.stats
    named: dict[str, object] = {"instance": of.instance, "table": of.table, "index": of.name}
    if stats is None:
        return {**named, "manifest": None}
    return {
        **named,
        "manifest": stats.manifest,
        "rows": stats.rows - stats.dead,
        "dead": stats.dead,
        "kinds": stats.kinds,
        "disk_bytes": stats.bytes_by_class,
        "memory_bytes": stats.resident_bytes,
        "watermarks": {
            "written": found.written,
            "searchable": stats.searchable.position,
            "indexed": stats.indexed,
            "filled": stats.searchable.filled,
        },
        "bytes_written": {
            "flushed": stats.written.flushed,
            "built": stats.written.built,
            "deletions": stats.written.deletions,
        },
        "write_amplification": round(stats.write_amplification, 3),
        "segments": [
            {
                "name": segment.name,
                "rows": segment.rows,
                "dead": segment.dead,
                "kinds": dict(segment.kinds),
                "disk_bytes": dict(segment.bytes),
                "memory_bytes": segment.resident_bytes,
            }
            for segment in stats.segments
        ],
    }


def _print(found: _Found) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable

    of, stats = found.definition, found.stats
    console = Console(highlight=False)
    title = f"index {of.name} of table {of.table}, instance {of.instance}"
    if stats is None:
        console.print(f"{title}: nothing yet, it is filled when the directory is next served\n", markup=False)
        return
    console.print(title, markup=False)
    table = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("segment", no_wrap=True)
    table.add_column("kind")
    for column in ("rows", "dead", "on disk", "in memory"):
        table.add_column(column, justify="right", no_wrap=True)
    for segment in sorted(stats.segments, key=lambda one: -one.rows):
        sizes = (_size(sum(segment.bytes.values())), _size(segment.resident_bytes))
        short = segment.name.rpartition("/")[2][:12]
        table.add_row(short, segment.kind, f"{segment.rows:,}", f"{segment.dead:,}", *sizes)
    total = (_size(sum(stats.bytes_by_class.values())), _size(stats.resident_bytes))
    table.add_row(f"{len(stats.segments):,} in all", "", f"{stats.rows:,}", f"{stats.dead:,}", *total, style="bold")
    console.print(table)
    by_class = ", ".join(f"{name} {_size(size)}" for name, size in sorted(stats.bytes_by_class.items()) if size)
    state = "" if stats.searchable.filled else " (not filled yet)"
    for name, text in (
        ("disk", by_class or "nothing"),
        (
            "changes",
            f"{found.written:,} written, {stats.searchable.position:,} searchable{state}, {stats.indexed:,} indexed",
        ),
        ("written", f"{stats.write_amplification:.2f} bytes for each byte of rows flushed; manifest {stats.manifest}"),
    ):
        console.print(f"{name:<9}{text}", markup=False)
    console.print()


def _size(size_bytes: int) -> str:
    """As people say it."""
    size: float = size_bytes
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1_000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} TB"
