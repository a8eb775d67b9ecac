"""Scans as the official SDK encodes them, and what is wrong with others."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from tablestore.decoder import OTSProtoBufferDecoder
from tablestore.encoder import OTSProtoBufferEncoder

from lutra.model.errors import ParameterInvalid
from lutra.model.queries import ColumnsToGet, MatchAll, ReturnColumns, Term
from lutra.model.rows import Row
from lutra.model.scans import ScanRequest, ScanResult
from lutra.server.protocol.scan_messages import parse_scan, parse_splits, scan_message
from lutra.server.wire import query_pb2, scan_pb2

ENCODER = OTSProtoBufferEncoder("utf8")
DECODER = OTSProtoBufferDecoder("utf8")


def sdk_scan(query: ots.ScanQuery, *more: Any) -> scan_pb2.ParallelScanRequest:
    data = ENCODER.encode_request("ParallelScan", "t", "i", query, *more).SerializeToString()
    return scan_pb2.ParallelScanRequest.FromString(data)


def test_a_page_as_the_sdk_asks_for_it() -> None:
    columns = ots.ColumnsToGet(["a"], ots.ColumnReturnType.SPECIFIED)
    query = ots.ScanQuery(ots.TermQuery("f", 1), 70, b"on", 0, 1, alive_time=30)
    request = sdk_scan(query, "session", columns, 5)
    assert (request.table_name, request.index_name) == ("t", "i")
    assert parse_scan(request) == ScanRequest(
        Term("f", 1), 70, b"session", b"on", ColumnsToGet(ReturnColumns.SPECIFIED, ("a",)), 30, 5_000
    )


def test_what_may_be_left_out() -> None:
    scan = scan_pb2.ScanQuery(query=query_pb2.Query(type=query_pb2.QUERY_TYPE_MATCH_ALL))
    assert parse_scan(scan_pb2.ParallelScanRequest(scan_query=scan)) == ScanRequest(MatchAll(), 2_000)
    scan.current_parallel_id, scan.max_parallel = 2, 3
    asked = parse_scan(scan_pb2.ParallelScanRequest(scan_query=scan))
    assert asked == ScanRequest(MatchAll(), 2_000, part=2, parts=3)


def test_a_session_as_the_sdk_asks_for_it() -> None:
    data = ENCODER.encode_request("ComputeSplits", "t", "i").SerializeToString()
    assert parse_splits(scan_pb2.ComputeSplitsRequest.FromString(data)) == "i"
    data = ENCODER.encode_request("ComputeSplits", "t", None).SerializeToString()
    with pytest.raises(ParameterInvalid, match=r"^\[search index splits options\] must not be null$"):
        parse_splits(scan_pb2.ComputeSplitsRequest.FromString(data))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"query": None}, "[query] must not be null"),
        ({"query": query_pb2.Query()}, "a query has no type"),
    ],
)
def test_malformed_scans(changes: dict[str, Any], says: str) -> None:
    arguments = {"query": query_pb2.Query(type=query_pb2.QUERY_TYPE_MATCH_ALL)} | changes
    request = scan_pb2.ParallelScanRequest(scan_query=scan_pb2.ScanQuery(**arguments))
    with pytest.raises(ParameterInvalid) as caught:
        parse_scan(request)
    assert str(caught.value) == says


def test_requests_without_a_scan() -> None:
    with pytest.raises(ParameterInvalid, match="scan_query"):
        parse_scan(scan_pb2.ParallelScanRequest())
    request = sdk_scan(ots.ScanQuery(ots.MatchAllQuery(), 1, None, 0, 1), None, None, None)
    request.timeout_ms = -1
    with pytest.raises(ParameterInvalid, match="timeout_ms"):
        parse_scan(request)


def test_a_page_as_the_sdk_reads_it() -> None:
    rows = [Row((("a", n),), [("c", "x", 5)]) for n in range(2)]
    response, _ = DECODER.decode_response(
        "ParallelScan", scan_message(ScanResult(rows, b"on")).SerializeToString(), "id"
    )
    assert (response.rows, response.next_token) == ([([("a", n)], [("c", "x", 5)]) for n in range(2)], b"on")
    response, _ = DECODER.decode_response("ParallelScan", scan_message(ScanResult([])).SerializeToString(), "id")
    assert (response.rows, response.next_token) == ([], b"")
