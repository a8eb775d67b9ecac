"""All other tests that come with the Node SDK, unmodified; searches are in `test_node_search`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.node import MOCHA, installed, outcomes
from support.server import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TESTS = {
    "data_opration.test.js": 1,
    "globalIndex.test.js": 8,
    "knowledge_base.test.js": 27,
    "long.test.js": 1,
    "protocol/plain_buffer.test.js": 2,
    "table.test.js": 1,
}
ELSEWHERE = {"search.test.js", "search_old.test.js"}
NOT_SERVED = {"sql.test.js"}
NO_TESTS = {"e2e_knowledge_base.js", "ots_test_utils.js"}
"""A program that wants a knowledge base, and what the tests share."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("node"), MOCHA)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("node-live") / "data") as process:
        yield process
    assert "Traceback" not in process.log_path.read_text()


def test_no_file_is_forgotten(package: Path) -> None:
    folder = package / "test"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.js")}
    assert there == TESTS.keys() | ELSEWHERE | NOT_SERVED | NO_TESTS


@pytest.mark.parametrize("file", sorted(TESTS))
def test_live(package: Path, server: ServerProcess, tmp_path: Path, file: str) -> None:
    errors = outcomes(package, server, file, tmp_path / "results.json").errors
    assert {title: error for title, error in errors.items() if error} == {}
    assert len(errors) == TESTS[file]


def test_sql_is_refused_at_once(package: Path, server: ServerProcess, tmp_path: Path) -> None:
    errors = outcomes(package, server, "sql.test.js", tmp_path / "results.json").errors
    passed = {title for title, error in errors.items() if not error}
    assert passed == {"sql 1) createTable", "sql 2) putSomeData", "sql 5) sql:only support fbs"}
    assert all("is part of the protocol, but not of this server" in error for error in errors.values() if error)
