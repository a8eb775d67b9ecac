"""A server for each package that is tried on it, and what its programs are told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.packages import Packages
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

PROGRAMS = Path(__file__).with_name("programs")
RUN_TIMEOUT_S = 600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("ecosystem") / "data") as process:
        yield process
    assert "Traceback" not in process.log_path.read_text()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    return Packages(tmp_path_factory.mktemp("packages") / "venv")


@pytest.fixture
def run_tests(server: ServerProcess, packages: Packages) -> Callable[[str], None]:
    """Runs one of the programs against the server."""

    def run(name: str) -> None:
        environment = {
            "TABLESTORE_ENDPOINT": server.endpoint,
            "TABLESTORE_INSTANCE_NAME": server.instance,
            "TABLESTORE_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "TABLESTORE_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
        }
        packages.run_tests(PROGRAMS / name, environment, RUN_TIMEOUT_S)

    return run
