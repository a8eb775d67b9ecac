"""``lutra fsck``: whether a data directory is whole."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lutra.cli.failures import shown_failures
from lutra.cli.options import data_option, json_option, objects_option
from lutra.cli.progress import shown_progress

if TYPE_CHECKING:
    from lutra.cluster.fsck import ClusterCheck
    from lutra.instance.fsck import DirectoryCheck, Fault

FAULTY = 1
_RESTORE = "restore the data directory from a backup: what is lost is nowhere else"
_NAMED_MAX = 10
"""Objects left behind that are named one by one; with --json all are."""


class NotChecked(click.ClickException):
    """Not to be mistaken for a directory with faults."""

    exit_code = 2


@click.command()
@data_option
@objects_option
@json_option
def fsck(data_dir: Path, objects: str | None, as_json: bool) -> None:
    """Check a data directory: read every row of every table and every byte of every search index.

    Of indexes it checks all manifests, all checksums, that every graph leads to all its rows, and that each row of the
    table is there with the same values. Nothing is changed. The directory must not be in use: stop the server first.

    \b
    Exit status:
      0  all is as it should be
      1  there are faults: each is named, with where it is and what to do next
      2  it could not be checked: wrong options, a server has it open, objects cannot be reached
    \b
    Examples:
      lutra fsck --data ./data
      lutra fsck --data ./data --objects s3://bucket/prefix --json
    """
    # Here, so that `lutra --help` needs none of it.
    from lutra.instance.fsck import DirectoryCheck
    from lutra.instance.stopped import StoppedDirectory
    from lutra.model.errors import Corruption

    try:
        with (
            shown_failures(NotChecked, but=Corruption),
            StoppedDirectory(data_dir, objects=objects) as directory,
            shown_progress() as report,
        ):
            check = DirectoryCheck(directory, report)
            check.run()
    except Corruption as error:
        _tell_unopened(error, as_json)
        sys.exit(FAULTY)
    following = {id(fault): _next(fault, data_dir, objects) for fault in check.faults}
    if as_json:
        click.echo(json.dumps(check_as_json(check, following), ensure_ascii=False))
    else:
        print_check(check, following)
    if check.faults:
        sys.exit(FAULTY)


def _tell_unopened(error: Exception, as_json: bool) -> None:
    """Tables that are so damaged that nothing can be read of them."""
    if as_json:
        fault = {"instance": None, "table": None, "index": None, "place": "kv", "text": str(error)}
        faults = [{**fault, "remedy": "restore", "next": _RESTORE}]
        click.echo(json.dumps({"clean": False, "faults": faults}, ensure_ascii=False))
    else:
        click.echo(f"tables:\n  {error}\n  next: {_RESTORE}")


def _next(fault: Fault, data_dir: Path, objects: str | None) -> str:
    """What to do about a fault."""
    from lutra.index.check.fsck import Remedy

    if fault.remedy is Remedy.REBUILD:
        where = ["--data", str(data_dir), *(() if objects is None else ("--objects", objects))]
        of = ["--instance", fault.instance, fault.table, fault.index]
        return f"fill the index anew from its table: {shlex.join(['lutra', 'index', 'rebuild', *where, *of])}"
    if fault.remedy is Remedy.ADOPT:
        where = ["--data", str(data_dir), *(() if objects is None else ("--objects", objects))]
        return (
            "say with --objects where this directory's own objects are; or, to have this place taken for it, "
            f"{shlex.join(['lutra', 'objects', 'adopt', *where])}"
        )
    return {
        Remedy.RECREATE: "drop the index and create it again, with the server running",
        Remedy.RESTORE: _RESTORE,
        Remedy.START: "nothing: it is put right when the directory is next served",
        Remedy.STREAM: "disable the table's stream and enable it again, or leave it until that record has expired",
        Remedy.RETRY: "see to it that the objects can be read, and check again",
    }[fault.remedy]


def check_as_json(check: DirectoryCheck | ClusterCheck, following: dict[int, str]) -> dict[str, object]:
    return {
        "clean": not check.faults,
        "tables": check.tables,
        "rows": check.rows,
        "indexes": check.indexes,
        "segments": check.segments,
        "segment_bytes": check.segment_bytes,
        "faults": [
            {
                "instance": fault.instance or None,
                "table": fault.table or None,
                "index": fault.index or None,
                "place": fault.place,
                "text": fault.text,
                "remedy": fault.remedy.value,
                "next": following[id(fault)],
            }
            for fault in check.faults
        ],
        "notes": check.notes,
        "left_behind": check.left_behind,
    }


def print_check(check: DirectoryCheck | ClusterCheck, following: dict[int, str]) -> None:
    """Faults that belong together under one heading, and what to do about them once."""
    told = ""
    for number, fault in enumerate(check.faults):
        heading = (f"index {fault.index} of " if fault.index else "") + (
            f"table {fault.table}, instance {fault.instance}" if fault.table else "objects"
        )
        if heading != told:
            click.echo(f"{heading}:")
            told = heading
        click.echo(f"  {fault.place}: {fault.text}")
        after = check.faults[number + 1 :][:1]
        if not after or (after[0].index, after[0].table, after[0].remedy) != (fault.index, fault.table, fault.remedy):
            click.echo(f"  next: {following[id(fault)]}")
    for note in check.notes:
        click.echo(f"note: {note}")
    if left := check.left_behind:
        click.echo(f"note: {_count(len(left), 'object')} that nothing names, deleted when it is next served:")
        more = [f"and {len(left) - _NAMED_MAX:,} more"] if len(left) > _NAMED_MAX else []
        for name in [*left[:_NAMED_MAX], *more]:
            click.echo(f"  {name}")
    looked_at = (
        f"{_count(check.tables, 'table')} with {_count(check.rows, 'row')}; "
        f"{_count(check.indexes, 'index', 'indexes')} of {_count(check.segments, 'segment')} "
        f"with {check.segment_bytes:,} bytes"
    )
    click.echo(f"{_count(len(check.faults), 'fault')} in {looked_at}" if check.faults else f"clean: {looked_at}")


def _count(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
