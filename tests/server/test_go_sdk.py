"""The official Go SDK's own tests, unchanged: tables, rows, ranges, batches and streams."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import golang
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN_TIMEOUT_S = 600
TESTS = 24


def test_the_suite_of_the_sdk(tmp_path: Path) -> None:
    module = golang.installed(tmp_path / "go")
    with ServerProcess(tmp_path / "data") as server:
        environment = {
            "OTS_TEST_ENDPOINT": server.endpoint,
            "OTS_TEST_INSTANCENAME": server.instance,
            "OTS_TEST_KEYID": ACCESS_KEY_ID,
            "OTS_TEST_SECRET": ACCESS_KEY_SECRET,
        }
        outcomes = golang.run_suite(module, environment, RUN_TIMEOUT_S)
        assert "Traceback" not in server.log_path.read_text()
    assert {name for name, outcome in outcomes.items() if outcome != "PASS"} == set()
    assert len(outcomes) >= TESTS
    assert {"TestStream", "TestListStream", "TestCreateTableWithStream"} <= set(outcomes)
