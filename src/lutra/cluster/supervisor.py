"""Keeps the nodes of one machine running: starts them, starts those again that end, stops all in good order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from lutra.cluster.node_process import WRONG_OPTIONS, NodeProcess, NodeSettings
from lutra.cluster.ray_head import RayHead
from lutra.model.errors import LutraError, StorageFailure
from lutra.model.pauses import Pauses

_PAUSE_MIN_S: Final = 0.25
_PAUSE_MAX_S: Final = 30.0
_LOOK_S: Final = 0.05
_RAY_LOOK_S: Final = 1.0
_SETTLED_S: Final = 60.0
"""A node that ran so long is started again at once, as often as it ends."""
_GRACE_S: Final = 60.0
"""A node gets so long to answer what is under way and to hand over; then it is killed, which loses nothing."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Of some nodes. `start`, then `run` until `stop` is called, by any thread or a signal's handler."""

    def __init__(
        self,
        nodes: Sequence[NodeSettings],
        on_listening: Callable[[NodeSettings, str], None],
        ray: RayHead | None = None,
    ) -> None:
        """``on_listening`` is called with each node's endpoint whenever it takes requests, by some thread. ``ray``: to
        be kept running, too, for the nodes' builders."""
        self._settings = list(nodes)
        self._on_listening = on_listening
        self._ray = ray
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._nodes: dict[str, NodeProcess] = {}

    def start(self, timeout_s: float) -> None:
        """Returns when all nodes take requests, or are to stop already. Raises StorageFailure where one does not come
        to it; all are stopped then."""
        try:
            if self._ray is not None:
                self._ray.start()
            started = [self._started(settings) for settings in self._settings]
            until_s = time.monotonic() + timeout_s
            for node in started:
                while node.is_starting and time.monotonic() < until_s and not self._stopping.wait(_LOOK_S):
                    pass
                if self._stopping.is_set():
                    return
                node.wait_listening(max(0.0, until_s - time.monotonic()))
        except BaseException:
            self._stop_nodes()
            raise

    def run(self) -> None:
        """Returns when all nodes have stopped. Raises StorageFailure where one cannot run as it is told to."""
        failures: list[str] = []
        keepers = [
            threading.Thread(target=self._keep, args=(settings, failures), name=f"lutra-keep-{settings.name}")
            for settings in self._settings
        ]
        if self._ray is not None:
            keepers.append(threading.Thread(target=self._keep_ray, args=(self._ray,), name="lutra-keep-ray"))
        for keeper in keepers:
            keeper.start()
        self._stopping.wait()
        self._stop_nodes()
        for keeper in keepers:
            keeper.join()
        if failures:
            raise StorageFailure(failures[0])

    def stop(self) -> None:
        """Has all nodes stop. Returns at once."""
        self._stopping.set()

    def _started(self, settings: NodeSettings) -> NodeProcess:
        with self._lock:
            if self._stopping.is_set():
                raise StorageFailure("the cluster is being stopped")
            node = NodeProcess(
                settings,
                environment=None if self._ray is None else self._ray.for_nodes,
                on_listening=lambda endpoint: self._on_listening(settings, endpoint),
            )
            self._nodes[settings.name] = node
            return node

    def _keep(self, settings: NodeSettings, failures: list[str]) -> None:
        pauses = Pauses(_PAUSE_MIN_S, _PAUSE_MAX_S)
        while True:
            node = self._nodes[settings.name]
            status = node.wait()
            if self._stopping.is_set():
                return
            if status == WRONG_OPTIONS:
                failures.append(f"node {settings.name} cannot run as it is told to: its log says why")
                self.stop()
                return
            if time.monotonic() - node.started_s >= _SETTLED_S:
                pauses.succeeded()
            _log.warning("node %s (pid %d) ended with status %s: it is started again", settings.name, node.pid, status)
            if self._stopping.wait(pauses.next_s()):
                return
            try:
                self._started(settings)
            except LutraError as error:
                _log.error("%s", error)

    def _keep_ray(self, ray: RayHead) -> None:
        """Without it builds that are small are done by the nodes, and large ones wait."""
        pauses = Pauses(_PAUSE_MIN_S, _PAUSE_MAX_S)
        while not self._stopping.wait(_RAY_LOOK_S):
            if ray.is_running:
                pauses.succeeded()
                continue
            _log.warning("the builders' Ray has ended: it is started again")
            try:
                ray.start()
            except LutraError as error:
                _log.error("%s", error)
                self._stopping.wait(pauses.next_s())

    def _stop_nodes(self) -> None:
        """All at once, so that none hands over to one that is about to stop as well."""
        self._stopping.set()
        with self._lock:
            nodes = list(self._nodes.values())
        for node in nodes:
            node.terminate()
        until_s = time.monotonic() + _GRACE_S
        for node in nodes:
            node.stop(max(0.0, until_s - time.monotonic()))
        if self._ray is not None:
            self._ray.stop()
