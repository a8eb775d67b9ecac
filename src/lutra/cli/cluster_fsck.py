"""``lutra cluster fsck``: whether a stopped cluster is whole."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from lutra.cli.failures import shown_failures
from lutra.cli.fsck import FAULTY, NotChecked, check_as_json, print_check
from lutra.cli.options import json_option, store_option
from lutra.cli.progress import shown_progress

if TYPE_CHECKING:
    from lutra.instance.fsck import Fault


@click.command()
@store_option
@json_option
def fsck(store: str, as_json: bool) -> None:
    """Check a cluster: every row of every partition, and every byte of every search index.

    Looks at the map, and at each partition as `lutra fsck` does at a data directory. Nothing is changed. No node may be
    alive: stop them first. After nodes were killed it waits for some seconds, to see that none is.

    \b
    Exit status:
      0  all is as it should be
      1  there are faults: each is named, with where it is and what to do next
      2  it could not be checked: wrong options, a node is alive, the store cannot be reached
    \b
    Examples:
      lutra cluster down --store ./cluster && lutra cluster fsck --store ./cluster
    """
    from lutra.cluster.fsck import ClusterCheck
    from lutra.cluster.identity import identity_of
    from lutra.objects.opening import open_store

    with shown_failures(NotChecked), shown_progress() as report:
        objects = open_store(store, is_read_only=True)
        if identity_of(objects) is None:
            raise NotChecked(f"there is no cluster at {store}")
        check = ClusterCheck(store, objects, report)
        check.run()
    following = {id(fault): _next(fault) for fault in check.faults}
    if as_json:
        told = {"partitions": check.partitions, **check_as_json(check, following)}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        print_check(check, following)
    if check.faults:
        sys.exit(FAULTY)


def _next(fault: Fault) -> str:
    """What to do about a fault."""
    from lutra.index.check.fsck import Remedy

    return {
        Remedy.REBUILD: "delete the search index and create it again, with the cluster running",
        Remedy.RECREATE: "drop the index and create it again, with the cluster running",
        Remedy.RESTORE: "bring the store's objects back from a backup, or from older versions of them",
        Remedy.ADOPT: "bring the store's objects back from a backup, or from older versions of them",
        Remedy.START: "nothing: it is put right when the cluster next runs",
        Remedy.STREAM: "disable the table's stream and enable it again, or leave it until that record has expired",
        Remedy.RETRY: "see to it that the objects can be read, and check again",
    }[fault.remedy]
