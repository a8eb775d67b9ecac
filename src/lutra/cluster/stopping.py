"""Stops all nodes of this machine that a cluster's store tells of."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lutra.cluster.local_state import LocalState
from lutra.cluster.process import Process
from lutra.cluster.status import node_records
from lutra.objects.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Stopped:
    """A process that was stopped. ``name``: of the node, or what it was; ``by_force``: it did not end by itself."""

    name: str
    pid: int
    by_force: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """``elsewhere``: names of nodes that other machines run."""

    stopped: tuple[Stopped, ...]
    elsewhere: tuple[str, ...]


def stop_nodes(store: ObjectStore, state: LocalState, grace_s: float) -> Outcome:
    """Stops who keeps the nodes running, which stops them, and whatever nodes are left: first with a signal to end in
    good order, after ``grace_s`` by force. Never a process that is not surely one of these. Raises StorageFailure.
    """
    here, elsewhere = _nodes(store)
    stopped = []
    supervisor = state.supervisor()
    if supervisor is not None:  # first of all, and with its nodes: it would start them again
        stopped += _stop([("supervisor", supervisor)], grace_s)
        here |= _nodes(store)[0]
    return Outcome((*stopped, *_stop(sorted(here, key=lambda node: node[0]), grace_s)), tuple(elsewhere))


def _nodes(store: ObjectStore) -> tuple[set[tuple[str, Process]], list[str]]:
    """Nodes that run on this machine, and names of those that others run."""
    here, elsewhere = set(), []
    for name, record in sorted(node_records(store).items()):
        if record.state.is_over or record.process is None:
            continue
        if not record.process.is_here:
            elsewhere.append(name)
        elif record.process.is_running:
            here.add((name, record.process))
    return here, elsewhere


def _stop(wanted: Sequence[tuple[str, Process]], grace_s: float) -> list[Stopped]:
    """All at once, so that no node hands over to one that is about to stop as well."""
    for _, process in wanted:
        process.send(signal.SIGTERM)
    until_s = time.monotonic() + grace_s
    stopped = []
    for name, process in wanted:
        ended = process.wait(max(0.0, until_s - time.monotonic()))
        if not ended:
            process.send(signal.SIGKILL)
            process.wait(grace_s)
        stopped.append(Stopped(name, process.pid, by_force=not ended))
    return stopped
