"""ComputeSplits and ParallelScan."""

from __future__ import annotations

from lutra.instance.doors import InstanceDoor
from lutra.search.deadline import shorten_request
from lutra.server.lanes.reply import Reply
from lutra.server.lanes.searches import Asides, IndexSearch
from lutra.server.protocol import scan_messages
from lutra.server.protocol.parsing import parse
from lutra.server.wire import scan_pb2 as wire


def compute_splits(instance: InstanceDoor, body: bytes) -> IndexSearch:
    request = parse(wire.ComputeSplitsRequest, body)
    index = scan_messages.parse_splits(request)

    def make(_: Asides) -> Reply:
        session = instance.begin_scan(request.table_name, index)
        message = wire.ComputeSplitsResponse(session_id=session, splits_size=instance.scan_splits(session))
        return Reply(message.SerializeToString())

    return IndexSearch(request.table_name, index, make)


def parallel_scan(instance: InstanceDoor, body: bytes) -> IndexSearch:
    request = parse(wire.ParallelScanRequest, body)
    wanted = scan_messages.parse_scan(request)
    shorten_request(wanted.timeout_ms)

    def make(_: Asides) -> Reply:
        result = instance.scan(request.table_name, request.index_name, wanted)
        return Reply(scan_messages.scan_message(result).SerializeToString(), rows_read=len(result.rows))

    return IndexSearch(request.table_name, request.index_name, make)
