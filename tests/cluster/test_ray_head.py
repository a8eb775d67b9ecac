"""The Ray that builders of one machine's nodes share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import wait_until

from lutra.cluster.node_process import NodeSettings
from lutra.cluster.ray_head import RayHead
from lutra.cluster.supervisor import Supervisor
from lutra.index.builds.builder import QUICK_BYTES

pytestmark = pytest.mark.slow
WITHIN_S = 120.0
ASK = """
import json, ray, sys
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(json.dumps(ray.cluster_resources()))
"""


def resources(head: RayHead, environment: dict[str, str]) -> dict[str, float]:
    """What a process with that environment is told; empty where it is not answered."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK, head.address],
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0", **environment},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    lines = asked.stdout.splitlines()
    return dict(json.loads(lines[-1])) if asked.returncode == 0 else {}


@pytest.fixture
def head() -> Iterator[RayHead]:
    made = RayHead(2, QUICK_BYTES)
    made.start()
    yield made
    made.stop()


def of_its_own(pid: int) -> list[int]:
    """Processes of the session that it leads."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_it_offers_builders_to_who_has_its_token_and_leaves_no_process(head: RayHead) -> None:
    told = resources(head, head.for_nodes)
    assert (told["lutra_builder"], told["lutra_quick_builder"]) == (2, 1)
    wrong = {**head.for_nodes, "RAY_AUTH_TOKEN": "0" * 64}
    assert resources(head, wrong) == {}
    assert head.pid is not None
    pid = head.pid
    assert of_its_own(pid)
    head.stop()
    assert not head.is_running
    wait_until(lambda: of_its_own(pid) == [], WITHIN_S)


def test_a_supervisor_starts_it_again_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTRA_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("LUTRA_ACCESS_KEY_SECRET", "hush")
    head = RayHead(1, QUICK_BYTES)
    settings = NodeSettings(str(tmp_path / "store"), "alone", memory_mb=64, builders="ray")
    supervisor = Supervisor([settings], lambda node, endpoint: None, head)
    supervisor.start(WITHIN_S)
    keeper = threading.Thread(target=supervisor.run)
    keeper.start()
    try:
        address, pid = head.address, head.pid
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        wait_until(lambda: head.is_running and head.pid != pid, WITHIN_S)
        wait_until(lambda: "lutra_builder" in resources(head, head.for_nodes), WITHIN_S)
        assert head.address == address
    finally:
        supervisor.stop()
        keeper.join()
    assert not head.is_running
