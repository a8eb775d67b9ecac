"""The official stream client for Java: workers that share a stream by leases and checkpoints in a table of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import java
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAM = Path(__file__).with_name("StreamWorkers.java")
CLIENT = {"tablestore-streamclient": "1.0.0"}
RUN_TIMEOUT_S = 400


def test_a_worker_goes_on_where_another_one_was(tmp_path: Path) -> None:
    archives = java.installed(tmp_path / "java", **CLIENT)
    with ServerProcess(tmp_path / "data") as server:
        access = (server.endpoint, ACCESS_KEY_ID, ACCESS_KEY_SECRET, server.instance)
        output = java.run(archives, PROGRAM, *access, timeout_s=RUN_TIMEOUT_S)
        assert "Traceback" not in server.log_path.read_text()
    assert output.splitlines() == ["> first: true from 0", "> second: true true to 3999"]
