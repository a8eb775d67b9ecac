"""One server process for all tests of the SDK, and its two clients."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
import tablestore as ots
from support.sdk import AwaitedClient, SdkClient
from support.server import ServerProcess
from support.tables import TableMaker

collect_ignore = (
    []
    if find_spec("lutra")
    # On the interpreter of the SDK's native codec there is no Lutra but the server: these look into it.
    else [
        "flows/test_searches.py",
        "test_kinds_of_fields.py",
        "test_nested_fields.py",
        "test_updated_indexes.py",
    ]
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("sdk") / "data") as process:
        yield process
    # Whatever the tests sent, nothing went wrong that the server did not foresee.
    assert "Traceback" not in process.log_path.read_text()


@pytest.fixture(autouse=True)
def no_answer_beyond_the_native_codec(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Where the SDK has its native codec it reads every answer by it; where that failed it would hide it."""
    yield
    assert not [record for record in caplog.get_records("call") if "Native" in record.getMessage()]


@pytest.fixture(scope="session")
def sync_client(server: ServerProcess) -> ots.OTSClient:
    """The plain client, for preparing and for what needs only one of the two."""
    return server.client()


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[SdkClient]:
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
