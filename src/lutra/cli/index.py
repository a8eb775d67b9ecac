"""``lutra index``: what search indexes consist of, and filling one anew."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lutra.cli.failures import shown_failures
from lutra.cli.options import data_option, instance_option, json_option, objects_option
from lutra.cli.progress import shown_progress
from lutra.cli.sizes import size_text
from lutra.model import limits

if TYPE_CHECKING:
    from lutra.index.definitions.definition import IndexDefinition
    from lutra.index.lsm.stats import IndexStats, SegmentStats
    from lutra.instance.recall_sampler import Told
    from lutra.instance.stopped import StoppedDirectory


_NAMED_MAX = 10
_TRIES = 5


@click.group()
def index() -> None:
    """Look at search indexes of a data directory, change what they find, and fill one anew.

    \b
    Examples:
      lutra index stats --data ./data
      lutra index stats --data ./data --json photos
      lutra index set --data ./data photos photos_index --recall-target 0.99
      lutra index rebuild --data ./data photos photos_index
    """


@dataclass(frozen=True, slots=True)
class _Found:
    """An index, what it consists of (None: it has no manifest yet), and the last sequence of the changelog."""

    definition: IndexDefinition
    stats: IndexStats | None
    written: int
    error: str | None = None
    """Why that cannot be read."""
    anew: str | None = None
    """Why it is filled anew when it is next served."""
    recall: Told = field(default_factory=dict)
    """What a server has measured of its searches, by whether they had a filter."""
    filling: IndexStats | None = None
    """What the generation consists of that is being filled to take its place; None where there is none, or nothing of
    it is in segments yet."""


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

    Works beside a running server, too: what is on disk is shown, without the rows that are yet in the server's memory.

    
    segment    an object; kind: flat, codes, graph (as the number of vectors calls for), scalar (no vectors);
               recall: of the ten nearest, as checked when it was built
    dead       rows of it that were deleted or written again since; a merge removes them
    in memory  what its codes and graphs take once opened, where --memory-mb allows
    disk       bytes of all segments by what they hold
    changes    numbers of the table's changes: those up to "in segments" (JSON: "searchable") the next start need
               not read again; "indexed": in segments of the kind that their size calls for
    written    bytes put on the store for each byte of rows flushed: what merging has cost
    recall     what searches that a server measured have found of the nearest, and a 95 % interval
    left out   values that filters do not see, since the index was made: not of their field's type, or too long
    filling    a generation under other fields, which takes this one's place once it has all rows
    
    Examples:
      lutra index stats --data ./data
      lutra index stats --data ./data photos photos_index --json
    """
    from lutra.instance.stopped import StoppedDirectory
    from lutra.model.errors import ObjectNotExist

    with shown_failures(), StoppedDirectory(data_dir, objects=objects, may_be_served=True) as directory:
        all_there_are = directory.definitions()
        wanted = [
            of
            for of in all_there_are
            if instance in (None, of.instance) and table in (None, of.table) and name in (None, of.name)
        ]
        if not wanted and (instance or table):
            raise ObjectNotExist(f"there is no such search index; there {_named(all_there_are)}")
        written = directory.space.changelog.last_sequence
        found = [_found(directory, of, written) for of in wanted]
        is_served = directory.is_served
    if as_json:
        click.echo(json.dumps({"served": is_served, "indexes": [_as_json(one) for one in found]}))
    else:
        for one in found:
            _print(one)
        if not found:
            click.echo("there are no search indexes")
        elif is_served:
            click.echo("A server has the directory: of rows that are not in segments yet, its GET /metrics tells.")
    if any(one.error for one in found):
        raise click.ClickException("not every index can be read: `lutra fsck` tells what is wrong and what to do")


@index.command()
@data_option
@objects_option
@click.option("--instance", default="default", show_default=True, help="The instance that TABLE is in.")
@json_option
@click.argument("table")
@click.argument("name", metavar="INDEX")
def rebuild(data_dir: Path, objects: str | None, instance: str, as_json: bool, table: str, name: str) -> None:
    """Fill INDEX of TABLE anew from all rows of the table, whatever became of its objects.

    For an index of which `lutra fsck` finds objects lost or damaged. No server may have the directory open. Needs room
    for a second copy of the index: what was there is deleted in the end. Broken off at any instant, it goes on when the
    directory is next served, which is also when segments become what their size calls for.

    
    Example: table photos has index photos_index
      lutra index rebuild --data ./data photos photos_index
    """
    from lutra.instance.rebuild import rebuild_index
    from lutra.instance.stopped import StoppedDirectory

    with (
        shown_failures(),
        StoppedDirectory(data_dir, objects=objects, is_to_be_mended=True) as directory,
        shown_progress() as report,
    ):
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


@index.command(name="set")
@data_option
@objects_option
@instance_option
@click.option(
    "--recall-target",
    required=True,
    type=click.FloatRange(limits.RECALL_TARGET_MIN, 1),
    help="Share of the true nearest that searches for a vector are to find, on average, where they do not say it.",
)
@json_option
@click.argument("table")
@click.argument("name", metavar="INDEX")
def set_(
    data_dir: Path, objects: str | None, instance: str, recall_target: float, as_json: bool, table: str, name: str
) -> None:
    """Change what searches of INDEX of TABLE find of the nearest to a vector.

    The index stays as it is: searches do more, or less. No server may have the directory open; to one that does, an
    UpdateSearchIndex with the header x-lutra-recall-target says it.

    \b
    Example: table photos has index photos_index
      lutra index set --data ./data photos photos_index --recall-target 0.99
    """
    from lutra.instance.database import connect

    with shown_failures(), connect(data_dir, instance=instance, objects=objects) as database:
        of = database.table(table, index=name)
        before = of.recall_target
        of.set_recall_target(recall_target)
    if as_json:
        told = {"index": name, "table": table, "instance": instance, "recall_target": recall_target, "before": before}
        click.echo(json.dumps(told))
    else:
        click.echo(
            f"searches of index {name} of table {table} find {recall_target:g} of the nearest; {before:g} before"
        )


def _found(directory: StoppedDirectory, of: IndexDefinition, written: int) -> _Found:
    from lutra.index.lsm.stored_stats import stored_stats
    from lutra.instance.recall_file import read_recall
    from lutra.instance.recall_sampler import IndexKey
    from lutra.model.errors import LutraError, ObjectMissing

    failure: LutraError | None = None
    for _ in range(_TRIES if directory.is_served else 1):
        try:
            storage = directory.storage(of)
            newest, stats = storage.newest(), stored_stats(storage)
            anew = None if newest is None else directory.provenance(of).why_not(newest[1])
            filling = None if of.next is None else stored_stats(directory.storage(of.next))
            measured = read_recall(directory.path).get(IndexKey(of.instance, of.table, of.name), {})
            return _Found(of, stats, written, anew=anew, filling=filling, recall=measured)
        except ObjectMissing as error:  # the server may have merged it, and deleted it, after the manifest was read
            failure = error
        except LutraError as error:
            failure = error
            break
    return _Found(of, None, written, str(failure))


def _named(definitions: list[IndexDefinition]) -> str:
    """Those there are, as a command names them."""
    if not definitions:
        return "are none"
    shown = [f"--instance {of.instance} {of.table} {of.name}" for of in definitions[:_NAMED_MAX]]
    more = [f"{len(definitions) - _NAMED_MAX:,} more"] if len(definitions) > _NAMED_MAX else []
    return f"{'are' if len(definitions) > 1 else 'is'}: {', '.join([*shown, *more])}"


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
        return {**named, "manifest": None, "error": found.error}
    return {
        **named,
        "manifest": stats.manifest,
        "rows": stats.rows - stats.dead,
        "dead": stats.dead,
        "kinds": stats.kinds,
        "recall_target": of.schema.recall_target,
        "measured_recall": found.recall,
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
        "left_out": dict(stats.unindexed),
        "filled_anew": found.anew,
        "filling": None if of.next is None else _filling_json(of, of.next, found.filling),
        "write_amplification": round(stats.write_amplification, 3),
        "segments": [
            {
                "name": segment.name,
                "rows": segment.rows,
                "dead": segment.dead,
                "kinds": dict(segment.kinds),
                "disk_bytes": dict(segment.bytes),
                "memory_bytes": segment.resident_bytes,
                "awaits_build": segment.is_awaited,
                "recall": dict(segment.recalls),
                "fallback": dict(segment.fallbacks),
                "exact_rows": dict(segment.exact_rows),
            }
            for segment in stats.segments
        ],
    }


def _filling_json(of: IndexDefinition, following: IndexDefinition, stats: IndexStats | None) -> dict[str, object]:
    """What there is of the generation ``following`` that is to take the place of ``of``."""
    added, dropped = of.field_changes(following)
    return {
        "rows": 0 if stats is None else stats.rows - stats.dead,
        "segments": 0 if stats is None else len(stats.segments),
        "disk_bytes": {} if stats is None else stats.bytes_by_class,
        "filled": stats is not None and stats.searchable.filled,
        "fields_added": added,
        "fields_dropped": dropped,
    }


def _print(found: _Found) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable

    of, stats = found.definition, found.stats
    console = Console(highlight=False)
    title = f"index {of.name} of table {of.table}, instance {of.instance}"
    if stats is None:
        why = f"cannot be read: {found.error}" if found.error else "nothing yet, it is filled when next served"
        console.print(f"{title}: {why}\n", markup=False, soft_wrap=True)
        return
    console.print(title, markup=False, soft_wrap=True)
    table = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("segment", no_wrap=True)
    table.add_column("kind")
    for column in ("rows", "dead", "on disk", "in memory"):
        table.add_column(column, justify="right", no_wrap=True)
    for segment in sorted(stats.segments, key=lambda one: -one.rows):
        sizes = (size_text(sum(segment.bytes.values())), size_text(segment.resident_bytes))
        short = segment.name.rpartition("/")[2][:12]
        kind = ", ".join([segment.kind, *_remarks(segment)])
        table.add_row(short, kind, f"{segment.rows:,}", f"{segment.dead:,}", *sizes)
    total = (size_text(sum(stats.bytes_by_class.values())), size_text(stats.resident_bytes))
    table.add_row(f"{len(stats.segments):,} in all", "", f"{stats.rows:,}", f"{stats.dead:,}", *total, style="bold")
    console.print(table)
    by_class = ", ".join(f"{name} {size_text(size)}" for name, size in sorted(stats.bytes_by_class.items()) if size)
    # What a server searches beside them, only it knows.
    state = "" if stats.searchable.filled else " (not filled yet)"
    awaited = f" ({stats.awaited:,} to be built)" if stats.awaited else ""
    indexed = f"{stats.indexed:,} indexed{awaited}"
    for name, text in (
        ("disk", by_class or "nothing"),
        (
            "changes",
            f"{found.written:,} written, {stats.searchable.position:,} in segments{state}, {indexed}",
        ),
        ("written", f"{stats.write_amplification:.2f} bytes for each byte of rows flushed; manifest {stats.manifest}"),
    ):
        console.print(f"{name:<9}{text}", markup=False, soft_wrap=True)
    for kind, told in found.recall.items():
        text = f"{told['recall']:.3f} of the nearest found ({told['low']:.3f} to {told['high']:.3f})"
        console.print(f"recall   {text} in {told['searches']:,} {kind} searches that were measured", soft_wrap=True)
    if stats.unindexed:
        counts = ", ".join(f"{count:,} of {name}" for name, count in sorted(stats.unindexed.items()))
        console.print(f"left out {counts}: not of the field's type, or too long", markup=False, soft_wrap=True)
    if of.next is not None:
        console.print(f"filling  {_filling_text(of, of.next, found.filling)}", markup=False, soft_wrap=True)
    if found.anew is not None:
        console.print(f"It is filled anew when it is next served: {found.anew}.", markup=False, soft_wrap=True)
    console.print()


def _filling_text(of: IndexDefinition, following: IndexDefinition, stats: IndexStats | None) -> str:
    added, dropped = of.field_changes(following)
    fields = ", ".join([*(f"with {name}" for name in added), *(f"without {name}" for name in dropped)])
    changed = f" ({fields})" if fields else ""
    rows, segments = (0, 0) if stats is None else (stats.rows - stats.dead, len(stats.segments))
    return (
        f"a new generation{changed}: {rows:,} rows in {segments:,} segment{'s' * (segments != 1)} so far; "
        "the one above answers until that has all rows"
    )


def _remarks(segment: SegmentStats) -> list[str]:
    """What is to be known of a segment beside its kind."""
    remarks = ["to be built"] if segment.is_awaited else []
    if segment.recalls:
        remarks.append(f"recall {min(segment.recalls.values()):.3f}")
    if "exact" in segment.fallbacks.values():
        remarks.append("all compared: codes tell too little")
    elif segment.fallbacks:
        remarks.append("all codes scanned: walks miss too much")
    if segment.exact_rows:
        remarks.append(f"{sum(segment.exact_rows.values()):,} rows kept exact")
    return remarks
