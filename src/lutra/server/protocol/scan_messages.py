"""Scans on the wire: requests to `lutra.model.scans`, a page to a response."""

from __future__ import annotations

from lutra.kernels.plainbuffer import encode_row
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.scans import ScanRequest, ScanResult
from lutra.server.protocol.queries import parse_query
from lutra.server.protocol.search_messages import parse_columns
from lutra.server.wire import scan_pb2 as wire


def parse_splits(request: wire.ComputeSplitsRequest) -> str:
    """The index that is to be scanned. Raises ParameterInvalid."""
    if not request.search_index_splits_options.index_name:
        raise ParameterInvalid("[search index splits options] must not be null")
    return request.search_index_splits_options.index_name


def parse_scan(request: wire.ParallelScanRequest) -> ScanRequest:
    """Raises ParameterInvalid naming what is malformed, out of bounds or not served."""
    if not request.HasField("scan_query"):
        raise ParameterInvalid("[scan_query] must not be null")
    scan = request.scan_query
    if not scan.HasField("query"):
        raise ParameterInvalid("[query] must not be null")
    if request.timeout_ms < 0:
        raise ParameterInvalid(f"[timeout_ms] is {request.timeout_ms}, must be 0 or more")
    return ScanRequest(
        query=parse_query(scan.query),
        limit=scan.limit if scan.HasField("limit") else limits.SCAN_LIMIT_MAX,
        session=request.session_id or None,
        token=scan.token or None,
        columns=parse_columns(request.columns_to_get),
        alive_s=scan.alive_time if scan.HasField("alive_time") else limits.SCAN_ALIVE_S_DEFAULT,
        timeout_ms=min(request.timeout_ms, limits.SEARCH_TIMEOUT_MS_MAX) or None,
        part=scan.current_parallel_id,
        parts=scan.max_parallel if scan.HasField("max_parallel") else 1,
    )


def scan_message(result: ScanResult) -> wire.ParallelScanResponse:
    """A page; one without a token is the last."""
    rows = [encode_row(row.key, row.cells) for row in result.rows]
    return wire.ParallelScanResponse(rows=rows, next_token=result.next_token or None)
