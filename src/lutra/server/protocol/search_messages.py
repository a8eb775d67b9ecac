"""Searches on the wire: a request to `lutra.model.queries.SearchRequest`, its result to a response."""

from __future__ import annotations

from lutra.kernels.plainbuffer import decode_row, encode_row, measure_row
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.names import check_column_name
from lutra.model.nested import InnerHit, InnerHitsByPath
from lutra.model.queries import ColumnsToGet, Fragments, ReturnColumns, SearchRequest, SearchResult
from lutra.model.rows import KeyInput
from lutra.model.schema import CapacityUnits
from lutra.server.protocol.aggregations import aggregated_messages, parse_aggregations, parse_group_bys
from lutra.server.protocol.capacity_messages import consumed_message
from lutra.server.protocol.highlight_messages import highlight_result, parse_highlight
from lutra.server.protocol.parsing import enum_of, parse
from lutra.server.protocol.queries import parse_query
from lutra.server.protocol.sorts import parse_sort
from lutra.server.wire import query_pb2 as wire
from lutra.tables.capacity import units

_COUNT_ALL = 2**31 - 1


def parse_search(request: wire.SearchRequest) -> SearchRequest:
    """What a Search asks for. Raises ParameterInvalid naming what is malformed, out of bounds or not served.

    How large ``limit`` may be depends on the index's schema where it is above SEARCH_LIMIT_MAX: see `needs_index_only`.
    """
    search = parse(wire.SearchQuery, request.search_query, "Failed to parse [search_query].")
    if not search.HasField("query"):
        raise ParameterInvalid("[query] must not be null")
    limit = search.limit if search.HasField("limit") else limits.SEARCH_LIMIT_DEFAULT
    _check_page(search.offset, limit)
    if request.timeout_ms < 0:
        raise ParameterInvalid(f"[timeout_ms] is {request.timeout_ms}, must be 0 or more")
    return SearchRequest(
        query=parse_query(search.query),
        # Where [disable_default_pk_sorter] is given, rows that tie may come in any order. By primary key is one, and
        # the one in which the next page neither repeats rows nor leaves any out: they come by it in either case.
        sort=parse_sort(search.sort),
        offset=search.offset,
        limit=limit,
        token=search.token or None,
        # Java says up to how many to count, and -1 for not at all; the others say yes or no.
        count_total=search.get_total_count or search.track_total_count > 0,
        count_max=search.track_total_count if 0 < search.track_total_count < _COUNT_ALL else None,
        columns=parse_columns(request.columns_to_get),
        timeout_ms=min(request.timeout_ms, limits.SEARCH_TIMEOUT_MS_MAX) or None,
        highlight=parse_highlight(search.highlight) if search.highlight.highlight_parameters else None,
        aggregations=parse_aggregations(search.aggs),
        group_bys=parse_group_bys(search.group_bys),
        # Some SDKs send an empty message of what was not asked for.
        collapse=search.collapse.field_name or None,
        filter=parse_query(search.filter.query) if search.filter.HasField("query") else None,
        allow_partial=True,
    )


def parse_routing(request: wire.SearchRequest) -> list[KeyInput]:
    """The routing values of a search: each some columns of a primary key. Raises ParameterInvalid."""
    return [decode_row(value)[0] for value in request.routing_values]


def _check_page(offset: int, limit: int) -> None:
    if offset < 0:
        raise ParameterInvalid(f"[offset] is {offset}, must be 0 or more")
    if not 0 <= limit <= limits.SEARCH_LIMIT_INDEX_ONLY_MAX:
        raise ParameterInvalid(f"[limit] is {limit}, must be in [0, {limits.SEARCH_LIMIT_INDEX_ONLY_MAX}]")
    if offset + limit > limits.OFFSET_PLUS_LIMIT_MAX:
        raise ParameterInvalid(
            f"[offset + limit] is {offset + limit}, exceeding the max: {limits.OFFSET_PLUS_LIMIT_MAX}"
        )


def parse_columns(message: wire.ColumnsToGet) -> ColumnsToGet:
    """Which columns rows come with, none where nothing was sent. Raises ParameterInvalid."""
    if not message.HasField("return_type"):
        return ColumnsToGet()
    kind = enum_of(ReturnColumns, message.return_type, "column return type")
    if kind is not ReturnColumns.SPECIFIED:
        return ColumnsToGet(kind)
    if len(message.column_names) > limits.COLUMNS_TO_GET_MAX:
        raise ParameterInvalid(f"the count of [columns_to_get] exceeds the max: {limits.COLUMNS_TO_GET_MAX}")
    for name in message.column_names:
        check_column_name(name)
    return ColumnsToGet(kind, tuple(message.column_names))


def search_message(request: SearchRequest, result: SearchResult) -> wire.SearchResponse:
    """The answer to a search: a hit for each row, and -1 for a total nobody asked for."""
    rows = [encode_row(row.key, row.cells) for row in result.rows]
    size_bytes = sum(measure_row(row.key, row.cells, 0) for row in result.rows)
    read = units(size_bytes)
    aggregated = result.aggregated
    aggs, group_bys = (None, None) if aggregated is None else aggregated_messages(request, aggregated)
    return wire.SearchResponse(
        total_hits=result.total,
        rows=rows,
        is_all_succeeded=result.is_complete,
        search_hits=_hits(result),
        next_token=result.next_token or None,
        aggs=aggs,
        group_bys=group_bys,
        consumed=consumed_message(CapacityUnits(read=read)),
    )


def _hits(result: SearchResult) -> list[wire.SearchHit]:
    highlights: list[Fragments] = result.highlights or [{}] * len(result.scores)
    inner_hits: list[InnerHitsByPath] = result.inner_hits or [{}] * len(result.scores)
    return [
        _hit(score, fragments, inner)
        for score, fragments, inner in zip(result.scores, highlights, inner_hits, strict=True)
    ]


def _hit(score: float, fragments: Fragments, inner: InnerHitsByPath, offset: int | None = None) -> wire.SearchHit:
    return wire.SearchHit(
        score=score,
        highlight_result=highlight_result(fragments) if fragments else None,
        search_inner_hits=[wire.SearchInnerHit(path=path, search_hits=map(_inner, own)) for path, own in inner.items()],
        nested_doc_offset=offset,
    )


def _inner(hit: InnerHit) -> wire.SearchHit:
    return _hit(hit.score, hit.highlights, hit.inner, hit.offsets[-1])
