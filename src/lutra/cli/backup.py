"""``lutra backup``: backups of data directories, beside whoever serves them; and ``lutra restore``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutra.cli.failures import shown_failures, shown_wrong_options
from lutra.cli.options import data_option, json_option, objects_option
from lutra.cli.progress import shown_progress
from lutra.cli.sizes import size_text

if TYPE_CHECKING:
    from lutra.backup.record import Backup

DAMAGED = 1
_FILES_NAMED_MAX = 5

place_argument = click.argument("place", metavar="PLACE", envvar="LUTRA_BACKUPS")


@click.group()
def backup() -> None:
    """Back up a data directory while it is served, and look after the backups.

    PLACE is a folder, or s3://bucket/prefix, for backups alone; the variable LUTRA_BACKUPS may name it. Each backup is
    whole by itself: all tables, indexes and streams as they were at one moment. What several have in common is there
    once, so that a further one takes only what is new. `lutra restore` makes a data directory of one.

    Rows on an object store (--rows) are read, all of them, and restored into the directory.

    A backup has no access key of the server: keep credentials.json, or LUTRA_ACCESS_KEY_ID and LUTRA_ACCESS_KEY_SECRET,
    where you keep secrets. It has all rows as they are: who can read PLACE can read them.

    \b
    Examples:
      lutra backup create /mnt/backups --data ./data
      lutra backup create s3://bucket/backups --data ./data
      lutra backup list /mnt/backups
      lutra backup verify /mnt/backups
      lutra backup prune /mnt/backups --keep 7
      lutra restore /mnt/backups --data ./restored
    """


@backup.command()
@place_argument
@data_option
@objects_option
@json_option
def create(place: str, data_dir: Path, objects: str | None, as_json: bool) -> None:
    """Copy what the data directory holds at this moment to PLACE, but for what is there already.

    A server goes on meanwhile, and need not be asked: what it had acknowledged is in the backup. Broken off at any
    instant, earlier backups stay as they are, and the next run goes on with what was copied.

    \b
    Example:
      lutra backup create s3://bucket/backups --data ./data --json
    """
    from lutra.instance.backing_up import back_up

    with shown_failures(), shown_wrong_options(), shown_progress() as report:
        made = back_up(data_dir, place, objects=objects, on_progress=report)
    if as_json:
        click.echo(json.dumps(backup_as_json(made)))
        return
    new = f"{size_text(made.new_bytes)} of it new" if made.new_bytes else "nothing of it new"
    click.echo(f"backup {made.id} of {made.directory} is at {place}: {size_text(made.size_bytes)}, {new}")
    for note in made.notes:
        click.echo(f"note: {note}")


@backup.command("list")
@place_argument
@json_option
def list_(place: str, as_json: bool) -> None:
    """List the backups at PLACE, the oldest first.

    \b
    Example:
      lutra backup list /mnt/backups --json
    """
    from lutra.backup.place import BackupPlace
    from lutra.backup.record import Record

    with shown_failures(), shown_wrong_options():
        found = list(BackupPlace.to_read(place).records())
    if as_json:
        told = [
            backup_as_json(of.backup) | {"store": of.store} if isinstance(of, Record) else {"id": id, "error": str(of)}
            for id, of in found
        ]
        click.echo(json.dumps(told))
        return
    for id, of in found:
        if isinstance(of, Record):
            made = of.backup
            click.echo(f"{id}  {size_text(made.size_bytes):>10}, {size_text(made.new_bytes):>10} new  {made.directory}")
        else:
            click.echo(f"{id}  cannot be read: {of}")
    if not found:
        click.echo(f"there is no backup at {place}")


@backup.command()
@place_argument
@click.argument("ids", metavar="[ID]...", nargs=-1)
@json_option
def verify(place: str, ids: tuple[str, ...], as_json: bool) -> None:
    """Read every byte of the backups at PLACE, or of those named, and check it.

    That all rows and indexes of a backup are as they should be, `lutra fsck` tells of what is restored.

    \b
    Exit status:
      0  all is as it was written
      1  something is damaged or missing: it is named, with what it is of
      2  it could not be checked: wrong options
    \b
    Example:
      lutra backup verify s3://bucket/backups
    """
    from lutra.backup.checking import check_backups
    from lutra.backup.place import BackupPlace

    with shown_failures(), shown_wrong_options(), shown_progress() as report:
        check = check_backups(BackupPlace.to_read(place), ids, report)
    if as_json:
        faults = [{"backup": fault.backup, "files": fault.files, "text": fault.text} for fault in check.faults]
        told = {"backups": check.backups, "chunks": check.chunks, "bytes": check.size_bytes}
        click.echo(json.dumps({"clean": not faults, **told, "unneeded_chunks": check.unneeded, "faults": faults}))
    else:
        for fault in check.faults:
            click.echo(f"backup {fault.backup}: {fault.text}{_files(fault.files)}")
        if check.faults:
            click.echo("next: delete what is named, if it is there, and make a backup: what is lacking is copied again")
        looked_at = f"{check.backups:,} backup{'s' * (check.backups != 1)} with {size_text(check.size_bytes)}"
        click.echo(f"{len(check.faults):,} faults in {looked_at}" if check.faults else f"clean: {looked_at}")
        if check.unneeded:
            click.echo(f"note: {check.unneeded:,} chunks that no backup needs: `lutra backup prune` deletes them")
    if check.faults:
        sys.exit(DAMAGED)


def _files(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _FILES_NAMED_MAX:,} more" if len(names) > _FILES_NAMED_MAX else ""
    return f" (of {', '.join(names[:_FILES_NAMED_MAX])}{more})" if names else ""


@backup.command()
@place_argument
@click.option("--keep", required=True, type=click.IntRange(1), metavar="N", help="So many of each database stay.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def prune(place: str, keep: int, dry_run: bool, as_json: bool) -> None:
    """Delete all backups at PLACE but the newest N of each database, and what no backup needs any more.

    Nothing that Lutra did not put there is touched. While a backup is being made, nothing is deleted.

    \b
    Example:
      lutra backup prune /mnt/backups --keep 7
    """
    from lutra.backup import pruning
    from lutra.backup.place import BackupPlace

    with shown_failures(), shown_wrong_options():
        pruned = pruning.prune(BackupPlace.to_write(place, may_make=False), keep, is_tried=dry_run)
    _tell_pruned(pruned, dry_run, as_json)


@backup.command()
@place_argument
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@json_option
def delete(place: str, ids: tuple[str, ...], as_json: bool) -> None:
    """Delete these backups at PLACE, and what no other needs.

    \b
    Example:
      lutra backup delete /mnt/backups 20260131T235959Z-0a1b2c3d
    """
    from lutra.backup import pruning
    from lutra.backup.place import BackupPlace

    with shown_failures(), shown_wrong_options():
        pruned = pruning.delete(BackupPlace.to_write(place, may_make=False), frozenset(ids))
    _tell_pruned(pruned, False, as_json)


def _tell_pruned(pruned: Any, is_tried: bool, as_json: bool) -> None:
    if as_json:
        told = {"deleted": pruned.deleted, "kept": pruned.kept, "chunks": pruned.chunks, "dry_run": is_tried}
        click.echo(json.dumps(told))
        return
    for id in pruned.deleted:
        click.echo(f"{'would delete' if is_tried else 'deleted'} {id}")
    would = "would be " if is_tried else ""
    click.echo(
        f"{len(pruned.deleted):,} backups and {pruned.chunks:,} chunks {would}deleted, {len(pruned.kept):,} kept"
    )


@click.command()
@place_argument
@data_option
@objects_option
@click.option("--backup", "id", metavar="ID", help="Which backup. [default: the newest]")
@json_option
def restore(place: str, data_dir: Path, objects: str | None, id: str | None, as_json: bool) -> None:
    """Make a data directory out of a backup at PLACE, as it was at its moment.

    The directory must be absent or empty. Every byte is checked by its checksum; where one is not as it was written it
    is named, nothing is restored, and the directory cannot be opened. Broken off, the same command restores it anew.

    It can be served at once: nothing is built anew, and no backup is needed any more. The server makes a new access key
    where there is none: put credentials.json there, or set LUTRA_ACCESS_KEY_ID and LUTRA_ACCESS_KEY_SECRET, before.

    \b
    Examples:
      lutra restore /mnt/backups --data ./restored
      lutra restore s3://bucket/backups --data ./restored --backup 20260131T235959Z-0a1b2c3d
    """
    from lutra.instance.restoring import restore_shown

    with shown_failures(), shown_wrong_options(), shown_progress() as report:
        restored = restore_shown(place, data_dir, id, objects, report)
    if as_json:
        click.echo(json.dumps(backup_as_json(restored) | {"data": str(data_dir), "objects": objects}))
        return
    click.echo(
        f"{data_dir} is as {restored.directory} was at {restored.taken:%Y-%m-%d %H:%M:%S} UTC (backup {restored.id})"
    )
    for note in restored.notes:
        click.echo(f"note: {note}")


def backup_as_json(of: Backup) -> dict[str, Any]:
    return {
        "id": of.id,
        "taken": of.taken.isoformat(),
        "directory": of.directory,
        "bytes": of.size_bytes,
        "new_bytes": of.new_bytes,
        "notes": list(of.notes),
    }
