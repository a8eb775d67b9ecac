"""Nodes that a real Ray of this machine places: kept when whoever keeps them dies, or all of Ray."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.waiting import wait_until

from lutra.cluster.identity import make_identity
from lutra.cluster.local_state import LocalState
from lutra.cluster.process import Process
from lutra.cluster.ray_head import RayHead
from lutra.objects.local import LocalStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WAIT_S = 240.0
NAMES = ["ray-1", "ray-2"]


class RayCluster:
    """A cluster in a folder, and a Ray that takes two nodes of it."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "cluster"
        self.identity, _ = make_identity(LocalStore(self.store))
        self.state = folder / "state"
        self.head = RayHead(1, 1 << 30, nodes=2)
        self.processes: set[Process] = set()

    def ask(self, call: str) -> Any:
        """Of `RayNodes`, by a process of its own: it is as `lutra cluster` does it, and Ray may end it."""
        program = (
            "import json, sys\n"
            "from dataclasses import asdict\n"
            "from lutra.cluster.ray_nodes import RayNodes\n"
            "from lutra.cluster.node_process import NodeSettings\n"
            "settings = [NodeSettings(sys.argv[1], name) for name in sys.argv[4:]]\n"
            "names = sys.argv[4:]\n"
            "def told(name, endpoint): pass\n"
            "with RayNodes(sys.argv[2], sys.argv[3]) as nodes:\n"
            f"    print(json.dumps({call}))\n"
        )
        environment = {**os.environ, **self.head.for_nodes}
        command = [sys.executable, "-c", program, str(self.store), self.identity.id, environment["RAY_ADDRESS"], *NAMES]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, timeout=WAIT_S, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    def place(self) -> dict[str, dict[str, Any]]:
        """Places both; how they are once they take requests."""
        silent = self.ask("[nodes.place(settings), nodes.wait_listening(names, 200.0, told)][1]")
        assert silent == []
        return self.kept()

    def kept(self) -> dict[str, dict[str, Any]]:
        answered: dict[str, Any] = self.ask("{name: (lambda k: k and asdict(k))(nodes.kept(name)) for name in names}")
        kept = {name: how or {} for name, how in answered.items()}
        self.processes |= {Process.of(how["pid"]) for how in kept.values() if how.get("pid")}
        return kept


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayCluster]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    made = RayCluster(tmp_path)
    try:
        made.head.start()
        yield made
    finally:
        made.head.stop()
        for process in made.processes:
            with contextlib.suppress(OSError):
                process.send(psutil.signal.SIGKILL)


def answers(endpoint: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{endpoint}/healthz", timeout=10) as answer:
        return bool(answer.status == 200)
    return False


def test_placed_kept_and_stopped(cluster: RayCluster) -> None:
    first = cluster.place()
    assert {how["where"] for how in first.values()} == {"here"}
    assert all(how["endpoint"].startswith("http://127.0.0.1:") for how in first.values())
    for how in first.values():
        wait_until(lambda how=how: answers(how["endpoint"]), WAIT_S)  # type: ignore[misc]
    assert cluster.place() == first, "who is placed is left alone"

    # Its keeper is killed: another finds the node.
    keeper = first[NAMES[0]]["keeper"]
    psutil.Process(keeper).kill()
    wait_until(lambda: cluster.kept()[NAMES[0]].get("keeper") not in (None, keeper), WAIT_S)
    again = cluster.place()
    assert again[NAMES[0]].pop("keeper") != first[NAMES[0]].pop("keeper")
    assert again[NAMES[0]] == {**first[NAMES[0]], "starts": 0}

    # The node is killed: it is started again.
    psutil.Process(first[NAMES[1]]["pid"]).kill()
    wait_until(lambda: cluster.kept()[NAMES[1]].get("pid") not in (None, first[NAMES[1]]["pid"]), WAIT_S)
    assert cluster.place()[NAMES[1]]["starts"] == 2

    assert cluster.ask("nodes.names()") == NAMES
    assert cluster.ask("nodes.remove(names, 60.0)") == []
    assert cluster.ask("nodes.names()") == []
    wait_until(lambda: not any(process.is_running for process in cluster.processes))
    assert not list(LocalState(cluster.identity.id).folder.glob("*.json"))


def test_all_of_ray_dies_and_nodes_go_on_serving(cluster: RayCluster) -> None:
    first = cluster.place()
    assert cluster.head.pid is not None
    psutil.Process(cluster.head.pid).kill()
    cluster.head.start()
    assert all(answers(how["endpoint"]) for how in first.values())
    assert all(psutil.pid_exists(how["pid"]) for how in first.values())

    # Ray is back, and knows nothing of them: whoever places them anew finds them where they are.
    def is_back() -> bool:
        with contextlib.suppress(subprocess.SubprocessError):
            return bool(cluster.ask("nodes.names()") == [])
        return False

    wait_until(is_back, WAIT_S)
    again = cluster.place()
    assert again == {name: {**how, "starts": 0, "keeper": again[name]["keeper"]} for name, how in first.items()}
    assert cluster.ask("nodes.remove(names, 60.0)") == []
    wait_until(lambda: not any(process.is_running for process in cluster.processes))


def test_by_the_command_line(cluster: RayCluster) -> None:
    def lutra(*words: str) -> str:
        command = [sys.executable, "-m", "lutra.cli.main", "cluster", *words]
        environment = {**os.environ, **cluster.head.for_nodes}
        return subprocess.run(
            command, stdout=subprocess.PIPE, env=environment, timeout=WAIT_S, check=True, text=True
        ).stdout

    store = ("--store", str(cluster.store))
    told = lutra("up", *store, "--nodes", "2", "--builders", "1", "--detach")
    assert sorted(line.partition(" (node ")[2] for line in told.splitlines()) == ["ray-1)", "ray-2)"]
    status = json.loads(lutra("status", *store, "--json"))
    running = {node["name"]: node["pid"] for node in status["nodes"] if node["answers"]}
    assert sorted(running) == NAMES
    cluster.processes |= {Process.of(pid) for pid in running.values()}
    for pid in running.values():
        assert "ray" in psutil.Process(pid).cmdline()
    again = lutra("up", *store, "--nodes", "2", "--builders", "1", "--detach")
    assert sorted(again.splitlines()) == sorted(told.splitlines()), "they run already"
    assert lutra("down", *store) == "stopped ray-1, which Ray kept\nstopped ray-2, which Ray kept\n"
    wait_until(lambda: not any(process.is_running for process in cluster.processes))
