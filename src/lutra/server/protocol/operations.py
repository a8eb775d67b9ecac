"""Which operations there are: those served, and those the protocol has but this server has not."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lutra.instance.doors import InstanceDoor
from lutra.model.errors import UnsupportedOperation
from lutra.server.lanes.reply import Reply
from lutra.server.lanes.searches import IndexSearch
from lutra.server.protocol import bulk_operations as bulk
from lutra.server.protocol import row_operations as rows
from lutra.server.protocol import scan_operations as scans
from lutra.server.protocol import search_operations as search
from lutra.server.protocol import secondary_operations as secondary
from lutra.server.protocol import stream_operations as streams
from lutra.server.protocol import table_operations as tables
from lutra.server.protocol import transaction_operations as transactions

Handler = Callable[[InstanceDoor, bytes], Reply | IndexSearch]
RecallHandler = Callable[[InstanceDoor, bytes, float], Reply]


class Lane(enum.Enum):
    """Which threads an operation runs on, so that none waits behind a kind slower than itself."""

    POINT = "point"
    """Reads of one row: microseconds, so few threads take many in turn."""
    WRITE = "write"
    """Writes: each waits for the disk, and those that wait together share one fsync."""
    SCAN = "scan"
    """Reads of many rows, and descriptions."""
    SCHEMA = "schema"
    """What changes tables and indexes: one at a time, and behind the writers of a table that is deleted."""
    SEARCH = "search"
    """Searches, which may wait for a store of objects (`lutra.server.lanes.searches`)."""


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    lane: Lane
    handle: Handler
    handle_recall: RecallHandler | None = None
    """In its place where a header says a recall target, but of a search; None: that means nothing."""


_HANDLERS: Final[dict[str, tuple[Lane, Handler]]] = {
    "CreateTable": (Lane.SCHEMA, tables.create_table),
    "ListTable": (Lane.SCAN, tables.list_table),
    "DescribeTable": (Lane.SCAN, tables.describe_table),
    "UpdateTable": (Lane.SCHEMA, tables.update_table),
    "DeleteTable": (Lane.SCHEMA, tables.delete_table),
    "AddDefinedColumn": (Lane.SCHEMA, tables.add_defined_column),
    "DeleteDefinedColumn": (Lane.SCHEMA, tables.delete_defined_column),
    "ComputeSplitPointsBySize": (Lane.SCAN, tables.compute_split_points_by_size),
    "ListTimeseriesTable": (Lane.SCAN, tables.list_timeseries_table),
    "CreateIndex": (Lane.SCHEMA, secondary.create_index),
    "DropIndex": (Lane.SCHEMA, secondary.drop_index),
    "GetRow": (Lane.POINT, rows.get_row),
    "PutRow": (Lane.WRITE, rows.put_row),
    "UpdateRow": (Lane.WRITE, rows.update_row),
    "DeleteRow": (Lane.WRITE, rows.delete_row),
    "BatchWriteRow": (Lane.WRITE, rows.batch_write_row),
    "BatchGetRow": (Lane.SCAN, rows.batch_get_row),
    "GetRange": (Lane.SCAN, rows.get_range),
    "StartLocalTransaction": (Lane.WRITE, transactions.start_local_transaction),
    "CommitTransaction": (Lane.WRITE, transactions.commit_transaction),
    "AbortTransaction": (Lane.WRITE, transactions.abort_transaction),
    "ListStream": (Lane.SCAN, streams.list_stream),
    "DescribeStream": (Lane.SCAN, streams.describe_stream),
    "GetShardIterator": (Lane.SCAN, streams.get_shard_iterator),
    "GetStreamRecord": (Lane.SCAN, streams.get_stream_record),
    "BulkImport": (Lane.WRITE, bulk.bulk_import),
    "BulkExport": (Lane.SCAN, bulk.bulk_export),
    "CreateSearchIndex": (Lane.SCHEMA, search.create_search_index),
    "DescribeSearchIndex": (Lane.SCAN, search.describe_search_index),
    "ListSearchIndex": (Lane.SCAN, search.list_search_index),
    "UpdateSearchIndex": (Lane.SCHEMA, search.update_search_index),
    "DeleteSearchIndex": (Lane.SCHEMA, search.delete_search_index),
    "Search": (Lane.SEARCH, search.search),
    "ComputeSplits": (Lane.SEARCH, scans.compute_splits),
    "ParallelScan": (Lane.SEARCH, scans.parallel_scan),
}

_RECALL_HANDLERS: Final[dict[str, RecallHandler]] = {"UpdateSearchIndex": search.set_recall_target}

OPERATIONS: Final = {
    name: Operation(name, lane, handler, _RECALL_HANDLERS.get(name)) for name, (lane, handler) in _HANDLERS.items()
}

UNSERVED: Final = frozenset(
    [
        "SQLQuery",
        "CreateDeliveryTask",
        "DeleteDeliveryTask",
        "UpdateDeliveryTask",
        "DescribeDeliveryTask",
        "ListDeliveryTask",
        "CreateGlobalTable",
        "BindGlobalTable",
        "UnbindGlobalTable",
        "DescribeGlobalTable",
        "UpdateGlobalTable",
        "LoadTable",
        "UnloadTable",
        "tunnel/create",
        "tunnel/delete",
        "tunnel/list",
        "tunnel/describe",
        "tunnel/connect",
        "tunnel/heartbeat",
        "tunnel/shutdown",
        "tunnel/getcheckpoint",
        "tunnel/readrecords",
        "tunnel/checkpoint",
        "tunnel/getrpo",
        "tunnel/getrpobyoffset",
        "tunnel/schedule",
        "CreateTimeseriesTable",
        "DeleteTimeseriesTable",
        "DescribeTimeseriesTable",
        "UpdateTimeseriesTable",
        "PutTimeseriesData",
        "GetTimeseriesData",
        "QueryTimeseriesMeta",
        "UpdateTimeseriesMeta",
        "DeleteTimeseriesMeta",
        "CreateTimeseriesAnalyticalStore",
        "DeleteTimeseriesAnalyticalStore",
        "DescribeTimeseriesAnalyticalStore",
        "UpdateTimeseriesAnalyticalStore",
        "CreateTimeseriesLastpointIndex",
        "DeleteTimeseriesLastpointIndex",
        "SplitTimeseriesScanTask",
        "ScanTimeseriesData",
    ]
)

JSON_UNSERVED: Final = frozenset(
    [
        "CreateKnowledgeBase",
        "DeleteKnowledgeBase",
        "UpdateKnowledgeBase",
        "DescribeKnowledgeBase",
        "ListKnowledgeBase",
        "AddDocuments",
        "GetDocument",
        "ListDocuments",
        "DeleteDocuments",
        "UpdateDocument",
        "Retrieve",
        "ListChunks",
        "UpdateChunks",
        "CreateMemoryStore",
        "GetMemoryStore",
        "UpdateMemoryStore",
        "DeleteMemoryStore",
        "ListMemoryStores",
        "AddMemories",
        "SearchMemories",
        "ListMemories",
        "GetMemory",
        "UpdateMemory",
        "DeleteMemory",
        "ListMemoryStoreMessages",
        "ListMemoryStoreRequests",
        "ListMemoryStoreScopes",
        "GetMemoryTask",
        "ListMemoryTasks",
        "CreateMemoryDreamTask",
        "GetMemoryDreamTask",
        "ListMemoryDreamTasks",
        "CancelMemoryDreamTask",
        "ListMemoryDreamActions",
        "ApplyMemoryDreamActions",
    ]
)


def find_operation(name: str) -> Operation:
    """The operation of that name; names are case-sensitive. Raises UnsupportedOperation."""
    operation = OPERATIONS.get(name)
    if operation is not None:
        return operation
    if name in UNSERVED or name in JSON_UNSERVED:
        raise UnsupportedOperation(f"Unsupported operation: '{name}' is part of the protocol, but not of this server.")
    shown = "".join(character if character.isprintable() else "?" for character in name[:64])
    raise UnsupportedOperation(f"Unsupported operation: '{shown}'.")
