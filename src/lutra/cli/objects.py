"""``lutra objects``: whose the objects of search indexes are, and taking them over."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from lutra.cli.failures import shown_failures
from lutra.cli.options import data_option, json_option, objects_option


@click.group()
def objects() -> None:
    """Look at the place where search indexes have their objects, and take it over.

    A place belongs to one data directory: to the store in it, whose id both carry. Another store is refused there.

    \b
    Examples:
      lutra objects show --data ./data --objects s3://bucket/prefix
      lutra objects adopt --data ./data --objects s3://bucket/prefix
    """


@objects.command()
@data_option
@objects_option
@json_option
def show(data_dir: Path, objects: str | None, as_json: bool) -> None:
    """Show which store has the place, and of which search indexes there are objects. Changes nothing.

    Works beside a running server, too.

    \b
    Example:
      lutra objects show --data ./data --objects s3://bucket/prefix --json
    """
    from lutra.index.catalog.folders import index_folders
    from lutra.index.lsm.storage import prefix_of
    from lutra.instance.stopped import StoppedDirectory
    from lutra.objects.owner import owner_of

    with shown_failures(), StoppedDirectory(data_dir, objects=objects, may_be_served=True) as directory:
        store_id = directory.space.changelog.history.store_id
        owner = owner_of(directory.objects)
        own = {prefix_of(one) for of in directory.definitions() for one in of.generations}
        folders = index_folders(directory.objects)
        address = directory.address
    if as_json:
        told = [
            {"prefix": one.prefix, "objects": len(one.objects), "store": one.store or None, "own": one.prefix in own}
            for one in folders
        ]
        owned = None if owner is None else asdict(owner)
        click.echo(json.dumps({"place": address, "store": store_id or None, "owner": owned, "indexes": told}))
        return
    click.echo(f"{data_dir}: store {store_id or 'without an id: it gets one when it is next served'}")
    whose = "nobody's" if owner is None else "this directory's" if owner.store == store_id else "another store's"
    click.echo(f"{address}: {whose}{'' if owner is None else f' ({owner})'}")
    for one in folders:
        whose = "of this directory" if one.prefix in own else f"of store {one.store}" if one.store else "unknown whose"
        click.echo(f"  {one.prefix}: {len(one.objects):,} object{'s' * (len(one.objects) != 1)}, {whose}")


@objects.command()
@data_option
@objects_option
@json_option
def adopt(data_dir: Path, objects: str | None, as_json: bool) -> None:
    """Make the place where search indexes have their objects this data directory's, whoever has it.

    For a place whose store is no more, or is to have it no longer: a server that has it open stops to write and to
    delete there, and its searches fail. Search indexes of this directory are filled anew where what is there is not
    theirs. Objects of other indexes stay as they are: delete them by hand where nobody needs them.

    No server may have this data directory open.

    \b
    Example:
      lutra objects adopt --data ./data --objects s3://bucket/prefix
    """
    from lutra.instance.adoption import adopt_objects
    from lutra.instance.stopped import StoppedDirectory

    with shown_failures(), StoppedDirectory(data_dir, objects=objects, is_to_be_mended=True) as directory:
        owner, before = adopt_objects(directory)
        address = directory.address
    is_new = owner is not before
    if as_json:
        told = {"place": address, "owner": asdict(owner), "before": None if before is None else asdict(before)}
        click.echo(json.dumps({**told, "adopted": is_new}))
    elif not is_new:
        click.echo(f"{address} is this data directory's already: {owner}")
    else:
        was = "nobody had it" if before is None else f"before, it had {before}"
        click.echo(f"{address} is now this data directory's: {owner}; {was}")
