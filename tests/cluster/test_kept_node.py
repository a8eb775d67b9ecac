"""A node's process that is kept running, and found again by who keeps it next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import pytest
from support.waiting import wait_until

from lutra.cluster.kept_node import KeptNode
from lutra.cluster.lease_records import NodeRecord, NodeState
from lutra.cluster.node_process import NodeSettings
from lutra.cluster.process import Process
from lutra.model.errors import StorageFailure

ELSEWHERE = Process("another-machine", "another-start", 1, 1)
PROGRAM = """import signal, sys, time
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


@dataclass(frozen=True, slots=True)
class Idle(NodeSettings):
    """What is told to a program that does nothing, in place of a node."""

    manner: str = "mild"

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", PROGRAM, self.manner]


class Keeping:
    """Keepers of one node, one after the other; and what its lease says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 100.0
        self.lease: tuple[int, NodeRecord] | None = None
        self.pids: set[int] = set()

    def keeper(self, settings: NodeSettings | None = None) -> KeptNode:
        return KeptNode(settings or Idle("./c", "n1"), self.folder, lambda name: self.lease, os.environ)

    def step(self, keeper: KeptNode, seconds: float = 1.0) -> None:
        self.now_s += seconds
        keeper.step(self.now_s)
        if keeper.kept.pid is not None:
            self.pids.add(keeper.kept.pid)

    def says(self, process: Process, state: NodeState = NodeState.ALIVE) -> None:
        number = 1 if self.lease is None else self.lease[0] + 1
        self.lease = number, NodeRecord(1, "http://h:1", 5.0, process=process, state=state)


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Keeping]:
    made = Keeping(tmp_path / "state")
    yield made
    for pid in made.pids:
        Process.of(pid).send(signal.SIGKILL)


def kill(pid: int | None) -> None:
    assert pid is not None
    process = Process.of(pid)
    assert process.send(signal.SIGKILL)
    assert process.wait(30.0)


def test_started_once_and_told_of_when_it_has_joined(keeping: Keeping) -> None:
    keeper = keeping.keeper()
    assert keeper.kept.where == "nowhere"
    keeping.step(keeper)
    first = keeper.kept
    assert (first.where, first.endpoint, first.starts) == ("here", None, 1)
    assert first.pid is not None
    keeping.says(Process.of(first.pid))
    for _ in range(3):
        keeping.step(keeper)
    assert keeper.kept == replace(first, endpoint="http://h:1")


def test_it_is_nobodys_child(keeping: Keeping) -> None:
    """So it ends with nobody: neither with who keeps it, nor with that one's session."""
    keeper = keeping.keeper()
    keeping.step(keeper)
    process = psutil.Process(keeper.kept.pid)
    wait_until(lambda: process.ppid() != os.getpid())
    assert os.getsid(process.pid) == process.pid


def test_the_next_keeper_finds_it(keeping: Keeping) -> None:
    keeper = keeping.keeper()
    keeping.step(keeper)
    following = keeping.keeper()
    keeping.step(following)
    assert (following.kept.where, following.kept.pid, following.kept.starts) == ("here", keeper.kept.pid, 0)


def test_so_does_one_that_has_only_the_lease_to_go_by(keeping: Keeping, tmp_path: Path) -> None:
    keeper = keeping.keeper()
    keeping.step(keeper)
    assert keeper.kept.pid is not None
    keeping.says(Process.of(keeper.kept.pid))
    other = Keeping(tmp_path / "elsewhere")
    other.lease = keeping.lease
    following = other.keeper()
    other.step(following)
    assert (following.kept.pid, following.kept.endpoint, following.kept.starts) == (keeper.kept.pid, "http://h:1", 0)


def test_another_process_of_that_number_is_not_taken_for_it(keeping: Keeping) -> None:
    keeping.folder.mkdir()
    (keeping.folder / "n1.json").write_text(json.dumps(asdict(replace(Process.this(), started=1))))
    keeper = keeping.keeper()
    keeping.step(keeper)
    assert keeper.kept.starts == 1
    assert keeper.kept.pid != os.getpid()


def test_one_that_ends_is_started_again_later_and_later(keeping: Keeping) -> None:
    keeper = keeping.keeper()
    keeping.step(keeper)
    for number in range(1, 4):
        kill(keeper.kept.pid)
        pause_s = 2.0 ** (number - 1)
        keeping.step(keeper, 0.0)
        assert keeper.kept.where == "nowhere"
        keeping.step(keeper, pause_s - 0.1)
        assert keeper.kept.where == "nowhere"
        keeping.step(keeper, 0.2)
        assert (keeper.kept.where, keeper.kept.starts) == ("here", number + 1)
    keeping.step(keeper, 61.0)
    kill(keeper.kept.pid)
    keeping.step(keeper, 0.0)
    keeping.step(keeper, 1.1)
    assert keeper.kept.starts == 5, "one that ran for long is started again at once"


def test_one_that_was_told_to_leave_is_not_brought_back_at_once(keeping: Keeping) -> None:
    keeper = keeping.keeper()
    keeping.step(keeper)
    assert keeper.kept.pid is not None
    process = Process.of(keeper.kept.pid)
    process.send(signal.SIGTERM)
    assert process.wait(30.0)
    keeping.says(process, NodeState.LEFT)
    keeping.step(keeper)
    keeping.step(keeper, 59.0)
    assert keeper.kept.where == "nowhere"
    keeping.step(keeper, 2.0)
    assert keeper.kept.where == "here"


def test_one_that_lives_elsewhere_is_not_started_here(keeping: Keeping) -> None:
    keeper = keeping.keeper()
    for _ in range(30):
        keeping.says(ELSEWHERE)
        keeping.step(keeper)
        assert (keeper.kept.where, keeper.kept.starts) == ("elsewhere", 0)
    keeping.step(keeper, 11.0)
    assert keeper.kept.where == "elsewhere"
    keeping.step(keeper, 2.0)
    assert (keeper.kept.where, keeper.kept.starts) == ("here", 1)


def test_one_that_was_taken_for_dead_elsewhere_is(keeping: Keeping) -> None:
    keeping.says(ELSEWHERE, NodeState.DEAD)
    keeper = keeping.keeper()
    keeping.step(keeper)
    assert keeper.kept.where == "here"


@pytest.mark.parametrize("manner", ["mild", "deaf"])
def test_stopped(keeping: Keeping, manner: str) -> None:
    keeper = keeping.keeper(Idle("./c", "n1", manner=manner))
    keeping.step(keeper)
    process = Process.of(keeper.kept.pid or 0)
    wait_until(lambda: "up" in (keeping.folder / "n1.log").read_text())
    keeping.keeper().stop(30.0 if manner == "mild" else 0.3)  # by one that did not start it
    assert not process.is_running
    assert not (keeping.folder / "n1.json").exists()


def test_where_it_cannot_be_started_it_is_tried_again(keeping: Keeping) -> None:
    keeping.folder.write_text("in the way")
    keeper = keeping.keeper()
    with pytest.raises(StorageFailure, match="n1 cannot be started"):
        keeping.step(keeper)
    keeping.step(keeper, 0.5)  # not yet
    keeping.folder.unlink()
    keeping.step(keeper, 1.0)
    assert keeper.kept.where == "here"


def test_the_keeper_is_killed(keeping: Keeping) -> None:
    program = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from lutra.cluster.kept_node import KeptNode\n"
        "from lutra.cluster.node_process import NodeSettings\n"
        "NodeSettings.command = property(lambda self: [sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "node = KeptNode(NodeSettings('./c', 'n1'), Path(sys.argv[1]), lambda name: None, os.environ)\n"
        "node.step(time.monotonic())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(keeping.folder)], check=False)
    keeper = keeping.keeper()
    keeping.step(keeper)
    assert (keeper.kept.where, keeper.kept.starts) == ("here", 0)
