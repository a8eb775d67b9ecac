"""``lutra cluster`` where RAY_ADDRESS names a Ray: its nodes are placed there, on all machines, and stopped there."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from lutra.cluster.identity import Identity
    from lutra.cluster.node_process import NodeSettings

_START_S: Final = 120.0
_GRACE_S: Final = 60.0


def place_nodes(identity: Identity, address: str, settings: Sequence[NodeSettings], detach: bool) -> None:
    """Has Ray keep these nodes running; where not ``detach``, until a signal comes. Raises StorageFailure."""
    from lutra.cluster.ray_nodes import RayNodes

    def told(name: str, endpoint: str) -> None:
        click.echo(f"listening on {endpoint} (node {name})")
        sys.stdout.flush()

    names = [each.name for each in settings]
    with RayNodes(identity.id, address) as nodes:
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        nodes.place(settings)
        for name in nodes.wait_listening(names, _START_S, told, stopping):
            click.echo(f"node {name} does not run yet: it will when a machine of Ray offers lutra_node", err=True)
        if detach:
            return
        stopping.wait()
        nodes.remove(names, _GRACE_S)


def remove_nodes(identity: Identity, address: str, grace_s: float) -> tuple[list[str], list[str]]:
    """Stops all nodes that Ray keeps, on all machines. Returns their names, and those that did not answer; raises
    StorageFailure."""
    from lutra.cluster.ray_nodes import RayNodes

    with RayNodes(identity.id, address) as nodes:
        names = nodes.names()
        silent = nodes.remove(names, grace_s)
    return [name for name in names if name not in silent], silent
