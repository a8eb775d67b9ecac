"""One server process for all tests of the SDK, and its two clients."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tablestore as ots
from support.sdk import AwaitedClient, SdkClient
from support.server import ServerProcess
from support.tables import TableMaker

if TYPE_CHECKING:
    from support.cluster_server import ClusterServer

    SharedServer = ServerProcess | ClusterServer

ON_CLUSTER = os.environ.get("LUTRA_TEST_CLUSTER", "")
_FOLDER = Path(__file__).parent
_LOOKS_INSIDE = re.compile(r"^(?:import|from) lutra\b", re.MULTILINE)
# On the interpreter of the SDK's native codec there is no Lutra but the server: modules that look into it do not run
# there, and one that does so by what it imports.
collect_ignore = (
    []
    if find_spec("lutra")
    else [
        "flows/test_searches.py",
        *(path.name for path in _FOLDER.glob("test_*.py") if _LOOKS_INSIDE.search(path.read_text())),
    ]
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_process: looks at what one server tells of itself; left out on a cluster")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ON_CLUSTER and item.get_closest_marker("one_process") is not None:
            item.add_marker(pytest.mark.skip("a cluster tells it of each node"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServer]:
    """One server; or where ``LUTRA_TEST_CLUSTER=1`` a cluster of three nodes, whose tables have several partitions.

    Where that is ``stirred``, partitions split and nodes are replaced while the tests go on.
    """
    with _server(tmp_path_factory.mktemp("sdk") / "data") as process:
        yield process
    # Whatever the tests sent, nothing went wrong that the server did not foresee.
    assert "Traceback" not in process.log_text()


def _server(folder: Path) -> SharedServer:
    if not ON_CLUSTER:
        return ServerProcess(folder)
    from support.cluster_server import ClusterServer

    return ClusterServer(folder, is_stirred=ON_CLUSTER == "stirred")


@pytest.fixture(autouse=True)
def no_answer_beyond_the_native_codec(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Where the SDK has its native codec it reads every answer by it; where that failed it would hide it."""
    yield
    assert not [record for record in caplog.get_records("call") if "Native" in record.getMessage()]


@pytest.fixture(scope="session")
def sync_client(server: SharedServer) -> ots.OTSClient:
    """The plain client, for preparing and for what needs only one of the two."""
    return server.client()


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, server: SharedServer) -> Iterator[SdkClient]:
    """Each test that takes it runs with both clients."""
    if request.param == "sync":
        yield server.client()
        return
    awaited = AwaitedClient(server.async_client())
    yield awaited
    awaited.close()


@pytest.fixture
def make(sync_client: ots.OTSClient) -> Iterator[TableMaker]:
    """Makes tables and indexes for one test."""
    maker = TableMaker(sync_client)
    yield maker
    maker.clean_up()


@pytest.fixture(scope="module")
def make_for_module(sync_client: ots.OTSClient) -> Iterator[TableMaker]:
    """Makes tables and indexes that the tests of a module read and none changes."""
    maker = TableMaker(sync_client)
    yield maker
    maker.clean_up()


@pytest.fixture
def table(make: TableMaker) -> str:
    """A fresh table of one STRING key column ``id``."""
    return make.table()
