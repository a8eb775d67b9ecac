"""One server process for all raw tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.server import ServerProcess
from support.wire_client import WireClient


@pytest.fixture(scope="module")
def raw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("server")
    with ServerProcess(folder / "data") as server:
        yield server


@pytest.fixture
def wire(raw_server: ServerProcess) -> Iterator[WireClient]:
    client = WireClient(raw_server.endpoint)
    yield client
    client.close()
