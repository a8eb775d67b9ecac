"""What the protocol has and the server does not is refused at once: a clear error that no SDK tries again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import tablestore as ots
from support.sdk import REFUSED_WITHIN_S, SdkClient, send
from support.server import ServerProcess
from tablestore.metadata import (
    CreateTimeseriesTableRequest,
    GetTimeseriesDataRequest,
    QueryTimeseriesMetaRequest,
    TimeseriesKey,
    TimeseriesRow,
    TimeseriesTableMeta,
    TimeseriesTableOptions,
)

TIMESERIES = TimeseriesTableMeta("series", TimeseriesTableOptions(86_400))
SERIES_KEY = TimeseriesKey("cpu", "host", {"a": "b"})


def _refused_at_once(call: Callable[[], object], *, mentions: str = "") -> None:
    """Expects a 4xx with a text, soon although the client is one that retries."""
    started = time.monotonic()
    with pytest.raises(ots.OTSServiceError) as caught:
        call()
    error = caught.value
    assert 400 <= error.get_http_status() < 500, error
    assert error.get_error_code().startswith("OTS")
    assert mentions.lower() in error.get_error_message().lower()
    assert len(error.get_error_message()) > len(mentions)
    assert time.monotonic() - started < REFUSED_WITHIN_S


@pytest.fixture
def retrying(server: ServerProcess) -> ots.OTSClient:
    """The client as its users have it."""
    return server.client(retry_policy=None)


OPERATIONS: dict[str, Callable[[SdkClient], object]] = {
    "SQLQuery": lambda client: client.exe_sql_query("select 1"),
    "CreateTimeseriesTable": lambda client: client.create_timeseries_table(CreateTimeseriesTableRequest(TIMESERIES)),
    "DescribeTimeseriesTable": lambda client: client.describe_timeseries_table("series"),
    "UpdateTimeseriesTable": lambda client: client.update_timeseries_table(TIMESERIES),
    "DeleteTimeseriesTable": lambda client: client.delete_timeseries_table("series"),
    "PutTimeseriesData": lambda client: client.put_timeseries_data(
        "series", [TimeseriesRow(SERIES_KEY, {"value": 1}, 1_000_000)]
    ),
    "GetTimeseriesData": lambda client: client.get_timeseries_data(
        GetTimeseriesDataRequest("series", SERIES_KEY, 0, 1_000_000)
    ),
    "QueryTimeseriesMeta": lambda client: client.query_timeseries_meta(QueryTimeseriesMetaRequest("series")),
    "ListKnowledgeBase": lambda client: client.list_knowledge_base({}),
    "AddDocuments": lambda client: client.add_documents({"documents": []}),
    "ListMemoryStores": lambda client: client.list_memory_stores({}),
    "SearchMemories": lambda client: client.search_memories({"query": "otter"}),
}


# The SDK encodes timeseries by a call that its flatbuffers library no longer likes.
@pytest.mark.filterwarnings("ignore:numElems is deprecated:DeprecationWarning")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations(retrying: ots.OTSClient, operation: str) -> None:
    _refused_at_once(lambda: OPERATIONS[operation](retrying), mentions=operation)


@pytest.mark.parametrize(
    "operation",
    [
        "CreateDeliveryTask",
        "CreateGlobalTable",
        "tunnel/create",
        "NoSuchOperation",
        "listtable",
    ],
)
def test_operations_of_other_sdks(retrying: ots.OTSClient, operation: str) -> None:
    _refused_at_once(lambda: send(retrying, operation, b""))

    assert "refused_table" not in retrying.list_table()


def test_encryption_of_a_new_table(retrying: ots.OTSClient) -> None:
    meta = ots.TableMeta("refused_table", [("id", "STRING")])
    spec = ots.metadata.SSESpecification(True, ots.metadata.SSEKeyType.SSE_KMS_SERVICE)
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    _refused_at_once(
        lambda: retrying.create_table(meta, ots.TableOptions(), throughput, sse_spec=spec), mentions="encryption"
    )
