"""A cluster of real node processes on loopback, over a local folder or a bucket, for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import tablestore as ots
from support.ports import free_port
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerNotStarted
from support.waiting import wait_until
from tablestore.retry import NoRetryPolicy

from lutra.cluster.identity import Identity, make_identity
from lutra.cluster.map import ClusterMap
from lutra.cluster.map_changes import create_instance
from lutra.cluster.map_log import MapLog
from lutra.cluster.peers import Peers
from lutra.cluster.status import ClusterStatus, read_status
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore

INSTANCE = "test"
STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 90.0
_TESTS = Path(__file__).parents[1]


class NodeRun:
    """``lutra node``, by name and port: start it, stop it, kill it, stall it, and start it again."""

    def __init__(
        self, store: str, name: str, log: Path, environment: dict[str, str], arguments: tuple[str, ...]
    ) -> None:
        self.name, self.log = name, log
        self.port = free_port()
        self._store, self.environment, self.arguments = store, environment, arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._begin = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns at once: `wait_joined`."""
        command = [sys.executable, "-m", "lutra.cli.main", "node", "--store", self._store, "--name", self.name]
        with self.log.open("ab") as log:
            self._begin = log.tell()
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), "--memory-mb", "64", "--log-level", "info", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )

    def wait_joined(self, within_s: float = STARTS_WITHIN_S) -> None:
        """Returns when it is of the cluster. Raises ServerNotStarted with what it printed."""
        until_s = time.monotonic() + within_s
        while b"listening on " not in self.log.read_bytes()[self._begin :]:
            status = self._running().poll()
            if status is not None or time.monotonic() >= until_s:
                raise ServerNotStarted(status or 0, self.log.read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: it has no time to do anything."""
        self._end(signal.SIGKILL)

    def stall(self) -> None:
        """It does nothing at all until it is told to `go_on`."""
        self._running().send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM; returns at once."""
        self._running().terminate()

    def wait_ended(self, within_s: float = STOPS_WITHIN_S) -> int:
        """Its status."""
        status = self._running().wait(within_s)
        self._process = None
        return status

    def stop(self) -> None:
        """SIGTERM, and waits until it has ended. Raises RuntimeError where it did not end cleanly."""
        status = self._end(signal.SIGTERM)
        if status != 0:
            raise RuntimeError(f"node {self.name} ended with status {status}; it printed:\n{self.log.read_text()}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"node {self.name} does not run")
        return self._process

    def _end(self, with_signal: signal.Signals) -> int:
        process, self._process = self._running(), None
        process.send_signal(with_signal)
        try:
            return process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


class NodeCluster:
    """Some nodes, each known to the others; `nodes` are in their order. Whatever they print is in their logs."""

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        *,
        store: str | None = None,
        environment: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        instance: str = INSTANCE,
    ) -> None:
        """
        :param folder: for logs, and for the store where that is not elsewhere.
        :param environment: beside this process's own.
        :param arguments: of each node, beside the usual ones.
        """
        self.folder = folder
        self.instance = instance
        self.store_address = str(folder / "store") if store is None else store
        self.environment = os.environ | {
            "PYTHONPATH": str(_TESTS),
            "XDG_STATE_HOME": str(folder / "state"),
            "LUTRA_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "LUTRA_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
            **(environment or {}),
        }
        self._arguments = arguments
        folder.mkdir(parents=True, exist_ok=True)
        self.store: ObjectStore = open_store(self.store_address)
        self.identity: Identity = make_identity(self.store)[0]
        self.maps = MapLog(self.store)
        if not self.maps.newest().has_instance(instance):
            self.maps.change(lambda of: create_instance(of, instance))
        self.nodes: list[NodeRun] = []
        for _ in range(nodes):
            self.add()
        self.peers = Peers(bytes.fromhex(self.identity.peer_secret))

    def __enter__(self) -> NodeCluster:
        try:
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                node.wait_joined()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kills what runs: to stop takes time, and is what other tests are about."""
        for node in self.nodes:
            if node.is_running:
                with contextlib.suppress(ProcessLookupError):
                    node.go_on()
                node.kill()
        self.peers.close()

    def add(self) -> NodeRun:
        """One more node, not started yet; its ``environment`` and ``arguments`` may be changed until it is."""
        name = f"node-{len(self.nodes) + 1}"
        log = self.folder / f"{name}.log"
        made = NodeRun(self.store_address, name, log, dict(self.environment), self._arguments)
        self.nodes.append(made)
        return made

    def node(self, name: str) -> NodeRun:
        return next(node for node in self.nodes if node.name == name)

    @property
    def endpoints(self) -> list[str]:
        """Of the nodes that run."""
        return [node.endpoint for node in self.nodes if node.is_running]

    @property
    def map(self) -> ClusterMap:
        """As it is now."""
        return self.maps.newest()

    def status(self) -> ClusterStatus:
        """As `lutra cluster status` tells it."""
        return read_status(self.store, self.identity)

    def wait_serving(self, within_s: float = STARTS_WITHIN_S) -> ClusterStatus:
        """Returns when all partitions that are to serve do."""

        def are_serving() -> bool:
            return all(row.state not in ("opening", "failed", "unowned") for row in self.status().partitions)

        wait_until(are_serving, within_s)
        return self.status()

    def log_text(self) -> str:
        """Of all nodes."""
        return "".join(node.log.read_text() for node in self.nodes if node.log.exists())

    def client(self, number: int = 0, **options: Any) -> ots.OTSClient:
        """The official client, signed in, that asks one node; it does not retry unless given a ``retry_policy``."""
        return ots.OTSClient(**self.client_options(number, options))

    def async_client(self, number: int = 0, **options: Any) -> ots.AsyncOTSClient:
        """The same, for asyncio; close it in the loop that used it."""
        return ots.AsyncOTSClient(**self.client_options(number, options))

    def client_options(self, number: int, options: dict[str, Any]) -> dict[str, Any]:
        """Of a client that asks one node."""
        return {
            "end_point": self.nodes[number].endpoint,
            "access_key_id": ACCESS_KEY_ID,
            "access_key_secret": ACCESS_KEY_SECRET,
            "instance_name": self.instance,
            "retry_policy": NoRetryPolicy(),
            **options,
        }
