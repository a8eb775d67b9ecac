"""Nodes whose processes Ray places on its machines, and starts again elsewhere where a machine is gone.

Ray has no more to do with them than that. A node's process is no child of Ray's: with Ray's head dead, or all of Ray,
it goes on serving, and whoever keeps it next finds it again. Who owns what is decided on the store, never by Ray.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from lutra.cluster.identity import identity_of
from lutra.cluster.kept_node import Kept, KeptNode, keep
from lutra.cluster.lease_records import NODES, NodeRecord
from lutra.cluster.local_state import LocalState
from lutra.cluster.node_process import NodeSettings
from lutra.index.builds.remote.ray_names import NODE
from lutra.index.builds.remote.ray_settings import ADDRESS, RaySettings, arguments, environment
from lutra.model.errors import StorageFailure
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore

_ACTOR: Final = "node-"
_ANSWER_S: Final = 10.0
_LOOK_S: Final = 0.5
_RAYS_OWN: Final = ("RAY_AUTH_", "RAY_TLS_", "RAY_USE_TLS", "RAY_USAGE_STATS_", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
"""Of the variables that begin with RAY_ those that are the user's, not of one process of Ray's."""


class NodeKeeper:
    """What runs as an actor: it keeps one node running on the machine where it is placed."""

    def __init__(self, settings: dict[str, Any], ray_address: str, node_ip: str | None = None) -> None:
        """``settings``: of `NodeSettings`. ``node_ip``: of this machine; None: Ray says it."""
        told = NodeSettings(**settings)
        store = open_store(told.store, probe=False)
        identity = identity_of(store)
        if identity is None:
            raise StorageFailure(f"there is no cluster at {told.store}")
        told = replace(told, host=node_ip or _ip_of_this_machine())
        folder = LocalState(identity.id).folder
        self._node = KeptNode(told, folder, lambda name: newest_record(store, name), _environment(ray_address))
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=keep, args=(self._node, self._stopping.is_set), name="lutra-keep")
        self._thread.start()

    def kept(self) -> dict[str, Any]:
        """How it is (`Kept`)."""
        return asdict(self._node.kept)

    def stop(self, grace_s: float) -> None:
        """Stops the node in good order, and keeps it no more."""
        with self._lock:
            self._stopping.set()
            self._thread.join()
            self._node.stop(grace_s)


def newest_record(store: ObjectStore, name: str) -> tuple[int, NodeRecord] | None:
    """The newest number of a node's lease, and what it says. Raises StorageFailure, Corruption."""
    found = ManifestLog(store, f"{NODES}/{name}").latest()
    return None if found is None else (found.number, NodeRecord.from_json(found.payload))


class RayNodes:
    """The nodes of one cluster that Ray keeps. One thread uses it; a context manager, which lets go of Ray."""

    def __init__(self, cluster_id: str, address: str) -> None:
        """Raises StorageFailure where the Ray at ``address`` cannot be asked."""
        os.environ.update(environment(RaySettings(address, 0, 0), os.environ))
        import ray  # for who wants it only

        self._ray = ray
        self._namespace = f"lutra-{cluster_id}"
        try:
            ray.init(namespace=self._namespace, **arguments(RaySettings(address, 0, 0), ""))
        except Exception as error:
            raise StorageFailure(f"Ray at {address} cannot be reached: {error}") from error
        self._address = ray.get_runtime_context().gcs_address

    def __enter__(self) -> RayNodes:
        return self

    def __exit__(self, *error: object) -> None:
        self._ray.shutdown()

    def place(self, nodes: Sequence[NodeSettings]) -> None:
        """Has each of ``nodes`` kept running somewhere, spread over machines; those that are placed are left alone."""
        keeper = self._ray.remote(NodeKeeper)
        for settings in nodes:
            keeper.options(
                name=_ACTOR + settings.name,
                namespace=self._namespace,
                get_if_exists=True,
                lifetime="detached",
                max_restarts=-1,
                max_concurrency=4,
                num_cpus=0,
                resources={NODE: 1},
                scheduling_strategy="SPREAD",
            ).remote(asdict(settings), self._address)

    def names(self) -> list[str]:
        """Of the nodes that are placed, sorted."""
        actors = self._ray.util.list_named_actors(all_namespaces=True)
        ours = [actor["name"] for actor in actors if actor["namespace"] == self._namespace]
        return sorted(name.removeprefix(_ACTOR) for name in ours if name.startswith(_ACTOR))

    def kept(self, name: str, timeout_s: float = _ANSWER_S) -> Kept | None:
        """How a node is; None where its keeper does not answer, which is being placed, perhaps."""
        told = self._ask(name, lambda actor: actor.kept.remote(), timeout_s)
        return None if told is None else Kept(**told)

    def wait_listening(
        self,
        names: Sequence[str],
        timeout_s: float,
        on_listening: Callable[[str, str], None],
        stopping: threading.Event | None = None,
    ) -> list[str]:
        """Calls ``on_listening`` with name and endpoint of each that takes requests; returns those that do not come to
        it in time, or until ``stopping``: where machines are yet to come, they will."""
        stopping = stopping or threading.Event()
        waiting, until_s = list(names), time.monotonic() + timeout_s
        while waiting and time.monotonic() < until_s and not stopping.is_set():
            for name in list(waiting):
                kept = self.kept(name, timeout_s=1.0)
                if kept is not None and kept.endpoint is not None:
                    waiting.remove(name)
                    on_listening(name, kept.endpoint)
            if waiting:
                stopping.wait(_LOOK_S)
        return waiting

    def remove(self, names: Sequence[str], grace_s: float) -> list[str]:
        """Stops these nodes in good order, all at once, and keeps them no more. Returns those whose keeper did not
        answer: what runs of them runs on."""
        asked = {name: self._start(name, lambda actor: actor.stop.remote(grace_s)) for name in names}
        silent = []
        for name, answer in asked.items():
            try:
                self._ray.get(answer, timeout=2 * grace_s + _ANSWER_S)
            except Exception:
                silent.append(name)
            self._kill(name)
        return silent

    def _start(self, name: str, ask: Callable[[Any], Any]) -> Any:
        try:
            return ask(self._ray.get_actor(_ACTOR + name, namespace=self._namespace))
        except ValueError:  # it is placed no more
            return None

    def _ask(self, name: str, ask: Callable[[Any], Any], timeout_s: float) -> Any:
        try:
            asked = self._start(name, ask)
            return None if asked is None else self._ray.get(asked, timeout=timeout_s)
        except (self._ray.exceptions.RayError, TimeoutError):
            return None

    def _kill(self, name: str) -> None:
        actor = self._start(name, lambda found: found)
        if actor is not None:
            self._ray.kill(actor, no_restart=True)


def _ip_of_this_machine() -> str:
    import ray

    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def _environment(ray_address: str, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Of a node: what this process has, without what Ray tells its own processes."""
    mine = {
        name: value for name, value in inherited.items() if not name.startswith("RAY_") or name.startswith(_RAYS_OWN)
    }
    mine.pop("OMP_NUM_THREADS", None)  # Ray's, by what an actor asks for
    return {**mine, ADDRESS: ray_address, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
