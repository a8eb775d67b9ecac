"""A cluster's nodes as processes on loopback over a local folder, for benchmarks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench.server_process import ACCESS_KEY_ID, ACCESS_KEY_SECRET, INSTANCE
from lutra.cluster.identity import make_identity
from lutra.cluster.map_changes import create_instance
from lutra.cluster.map_log import MapLog
from lutra.cluster.status import ClusterStatus, read_status
from lutra.objects.opening import open_store

_STARTS_WITHIN_S: Final = 60.0


@contextmanager
def run_nodes(folder: Path, count: int) -> Iterator[dict[str, str]]:
    """Endpoints of nodes, by name. Raises RuntimeError where one does not start."""
    store = open_store(str(folder / "store"))
    make_identity(store)
    MapLog(store).change(lambda of: create_instance(of, INSTANCE))
    environment = os.environ | {
        "LUTRA_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "LUTRA_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
    }
    with ExitStack() as closing:
        endpoints = {}
        for number in range(count):
            command = [sys.executable, "-m", "lutra.cli.main", "node", "--store", str(folder / "store"), "--port", "0"]
            process = subprocess.Popen(
                [*command, "--name", f"n{number}"], stdout=subprocess.PIPE, text=True, env=environment
            )
            closing.callback(_stop, process)
            assert process.stdout is not None
            line = next((line for line in process.stdout if line.startswith("listening on ")), None)
            if line is None:
                raise RuntimeError(f"a node ended with status {process.wait()} before it listened")
            endpoints[f"n{number}"] = line.removeprefix("listening on ").strip()
        yield endpoints


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def owners(folder: Path, table: str) -> list[str]:
    """The nodes that have the partitions of a table."""
    until_s = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < until_s:
        rows = [row for row in status_of(folder).partitions if row.table.endswith(table)]
        if rows and all(row.owner for row in rows):
            return [row.owner or "" for row in rows]
        time.sleep(0.1)
    raise RuntimeError(f"nobody has the partitions of {table}")


def status_of(folder: Path) -> ClusterStatus:
    """Of the cluster that `run_nodes` has there."""
    store = open_store(str(folder / "store"))
    return read_status(store, make_identity(store)[0])


def pids_of(status: ClusterStatus) -> dict[str, int]:
    """The processes of nodes, by their names."""
    return {node.name: node.record.process.pid for node in status.nodes if node.record.process is not None}
