"""A server, and before it a proxy that keeps what programs ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.code_samples import ASKED, SCHEMA
from support.recording_proxy import RecordingProxy, recorded
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

from lutra.console.code import Place
from lutra.instance.engine import Engine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """It has the table that searches are asked of, with fields of all kinds."""
    server = ServerProcess(tmp_path_factory.mktemp("server") / "data")
    engine = Engine.open(server.data_dir)
    engine.create_instance(server.instance)
    engine.instance(server.instance).create_table(ASKED)
    engine.instance(server.instance).create_search_index(ASKED.name, "search", SCHEMA)
    engine.close()
    with server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: ServerProcess) -> Iterator[RecordingProxy]:
    with recorded(server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def place(proxy: RecordingProxy, server: ServerProcess) -> Place:
    return Place(proxy.endpoint, server.instance)


@pytest.fixture(autouse=True)
def access_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where programs read it from."""
    monkeypatch.setenv("LUTRA_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("LUTRA_ACCESS_KEY_SECRET", ACCESS_KEY_SECRET)
