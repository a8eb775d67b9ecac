"""Searches on the wire: requests of the official SDK, the quirks of the others, and what is read in the answers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import tablestore as ots
from tablestore.decoder import OTSProtoBufferDecoder
from tablestore.encoder import OTSProtoBufferEncoder

from lutra.kernels.plainbuffer import encode_key
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import (
    ColumnsToGet,
    FragmentOrder,
    Highlight,
    HighlightEncoder,
    HighlightField,
    MatchAll,
    ReturnColumns,
    ScoreSort,
    SearchRequest,
    SearchResult,
)
from lutra.model.rows import Row
from lutra.server.protocol.search_messages import parse_routing, parse_search, search_message
from lutra.server.wire import query_pb2 as wire

ENCODER = OTSProtoBufferEncoder("utf8")
DECODER = OTSProtoBufferDecoder("utf8")


def sdk_search(
    query: ots.SearchQuery, columns: ots.ColumnsToGet | None = None, routing: Any = None, timeout_s: float | None = None
) -> wire.SearchRequest:
    data = ENCODER.encode_request("Search", "t", "i", query, columns, routing, timeout_s).SerializeToString()
    return wire.SearchRequest.FromString(data)


def raw(**changes: Any) -> wire.SearchRequest:
    arguments = {"query": wire.Query(type=wire.QUERY_TYPE_MATCH_ALL), "limit": 5} | changes
    return wire.SearchRequest(
        table_name="t", index_name="i", search_query=wire.SearchQuery(**arguments).SerializeToString()
    )


def test_the_least_search_has_the_defaults() -> None:
    request = raw()
    query = wire.SearchQuery.FromString(request.search_query)
    query.ClearField("limit")
    request.search_query = query.SerializeToString()
    assert parse_search(request) == SearchRequest(MatchAll(), limit=10, allow_partial=True)


def test_a_search_of_the_sdk() -> None:
    request = sdk_search(
        ots.SearchQuery(
            ots.MatchAllQuery(),
            ots.Sort([ots.ScoreSort()]),
            get_total_count=True,
            next_token=b"on",
            offset=3,
            limit=7,
        ),
        ots.ColumnsToGet(["a", "b"], ots.ColumnReturnType.SPECIFIED),
        [[("a", "x")]],
        2.5,
    )
    assert parse_search(request) == SearchRequest(
        query=MatchAll(),
        sort=(ScoreSort(),),
        offset=3,
        limit=7,
        token=b"on",
        count_total=True,
        columns=ColumnsToGet(ReturnColumns.SPECIFIED, ("a", "b")),
        timeout_ms=2_500,
        allow_partial=True,
    )


@pytest.mark.parametrize("kind", ots.ColumnReturnType)
def test_column_return_types(kind: ots.ColumnReturnType) -> None:
    parsed = parse_search(sdk_search(ots.SearchQuery(ots.MatchAllQuery()), ots.ColumnsToGet([], kind)))
    assert parsed.columns.kind == ReturnColumns(kind.value)


def test_timeouts_are_bounded() -> None:
    request = raw()
    request.timeout_ms = 60_000
    assert parse_search(request).timeout_ms == 10_000
    request.timeout_ms = 0
    assert parse_search(request).timeout_ms is None
    request.timeout_ms = -1
    with pytest.raises(ParameterInvalid, match="timeout_ms"):
        parse_search(request)


def test_what_is_highlighted_as_the_sdk_sends_it() -> None:
    parameters = [
        ots.HighlightParameter("a"),
        ots.HighlightParameter("b", 3, 18, "<b>", "</b>", ots.HighlightFragmentOrder.SCORE),
    ]
    plain = ots.Highlight(parameters)
    html = ots.Highlight(parameters[:1], ots.HighlightEncoder.HTML_MODE)

    def parsed(highlight: ots.Highlight) -> Highlight | None:
        return parse_search(sdk_search(ots.SearchQuery(ots.MatchAllQuery(), highlight=highlight))).highlight

    first = HighlightField("a", 5, 100, "<em>", "</em>", FragmentOrder.TEXT_SEQUENCE)
    second = HighlightField("b", 3, 18, "<b>", "</b>", FragmentOrder.SCORE)
    assert parsed(plain) == Highlight((first, second), HighlightEncoder.PLAIN)
    assert parsed(html) == Highlight((first,), HighlightEncoder.HTML)
    assert parsed(ots.Highlight([])) is None


@pytest.mark.parametrize(
    ("highlight", "complaint"),
    [
        ({"highlight_parameters": [{}]}, "field_name"),
        ({"highlight_parameters": [{"field_name": "a"}] * 11}, "exceeds the max: 10"),
        ({"highlight_parameters": [{"field_name": "a"}], "highlight_encoder": 3}, "highlight encoder: 3"),
        ({"highlight_parameters": [{"field_name": "a", "fragments_order": 3}]}, "order of the fragments"),
    ],
)
def test_malformed_highlights(highlight: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        parse_search(raw(highlight=highlight))


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (wire.SearchRequest(search_query=b"\xff"), "search_query"),
        (wire.SearchRequest(), "query"),
        (raw(limit=-1), r"\[limit\] is -1"),
        (raw(limit=1_001), r"\[limit\] is 1001"),
        (raw(offset=-1), r"\[offset\] is -1"),
        (raw(offset=99_996), r"\[offset \+ limit\]"),
        (
            wire.SearchRequest(search_query=raw().search_query, columns_to_get={"return_type": 9}),
            "column return type: 9",
        ),
        (
            wire.SearchRequest(
                search_query=raw().search_query, columns_to_get={"return_type": 2, "column_names": ["a"] * 1_025}
            ),
            "columns_to_get",
        ),
        (
            wire.SearchRequest(
                search_query=raw().search_query, columns_to_get={"return_type": 2, "column_names": ["#a"]}
            ),
            "Invalid column name: '#a'",
        ),
    ],
)
def test_malformed_searches(request_: wire.SearchRequest, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        parse_search(request_)


def test_routing_values_are_well_formed_keys() -> None:
    request = raw()
    request.routing_values.append(encode_key((("a", "x"),)))
    assert parse_routing(request) == [(("a", "x"),)]
    request.routing_values.append(b"x")
    with pytest.raises(ParameterInvalid):
        parse_routing(request)


def test_what_collapses_and_what_filters() -> None:
    collapsed = parse_search(sdk_search(ots.SearchQuery(ots.MatchAllQuery(), collapse_field=ots.Collapse("a"))))
    assert collapsed.collapse == "a"
    filtered = raw(filter=wire.SearchFilter(query=wire.Query(type=wire.QUERY_TYPE_MATCH_ALL)))
    assert parse_search(filtered).filter == MatchAll()
    for nothing in (raw(), raw(collapse=wire.Collapse(), filter=wire.SearchFilter())):
        assert parse_search(nothing) == SearchRequest(MatchAll(), limit=5, allow_partial=True)


@pytest.mark.parametrize(
    ("track", "count", "most"), [(-1, False, None), (0, False, None), (7, True, 7), (2**31 - 1, True, None)]
)
def test_how_many_to_count(track: int, count: bool, most: int | None) -> None:
    search = parse_search(raw(track_total_count=track))
    assert (search.count_total, search.count_max) == (count, most)


def test_hits_as_the_sdk_reads_them() -> None:
    rows = [Row((("a", n),), [("c", "x" * 5_000, 5)]) for n in range(2)]
    message = search_message(SearchRequest(MatchAll()), SearchResult(rows, [0.5, math.nan], total=2, next_token=b"on"))
    assert message.consumed.capacity_unit.read == 3
    response, _ = DECODER.decode_response("Search", message.SerializeToString(), "id")
    assert (response.total_count, response.next_token, response.is_all_succeed) == (2, b"on", True)
    part = search_message(SearchRequest(MatchAll()), SearchResult(rows, [0.5, math.nan], total=2, is_complete=False))
    response, _ = DECODER.decode_response("Search", part.SerializeToString(), "id")
    assert (response.total_count, response.next_token, response.is_all_succeed) == (2, b"", False)
    assert response.rows == [([("a", n)], [("c", "x" * 5_000, 5)]) for n in range(2)]
    assert response.search_hits[0].score == 0.5
    assert math.isnan(response.search_hits[1].score)


def test_fragments_as_the_sdk_reads_them() -> None:
    rows = [Row((("a", n),), []) for n in range(2)]
    highlights = [{"t": ["<em>a</em> b", "c"], "u": ["d"]}, {}]
    message = search_message(SearchRequest(MatchAll()), SearchResult(rows, [1.0, 1.0], highlights=highlights))
    response, _ = DECODER.decode_response("Search", message.SerializeToString(), "id")
    read = [
        {field.field_name: list(field.field_fragments) for field in hit.highlight_result.highlight_fields}
        for hit in response.search_hits
    ]
    assert read == highlights


def test_no_hits() -> None:
    message = search_message(SearchRequest(MatchAll()), SearchResult([], []))
    assert (message.total_hits, message.HasField("next_token")) == (-1, False)
    response, _ = DECODER.decode_response("Search", message.SerializeToString(), "id")
    assert (response.rows, response.search_hits, response.next_token) == ([], [], b"")
