"""Rows that hold a document that matches."""

from __future__ import annotations

from lutra.model.errors import ParameterInvalid
from lutra.model.nested import InnerHits, Nested, ScoreMode
from lutra.server.protocol.highlight_messages import parse_highlight
from lutra.server.protocol.parsing import enum_of
from lutra.server.protocol.queries.parts import body_of, weight_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.protocol.sorts.registry import parse_sorter
from lutra.server.wire import nested_pb2 as nested
from lutra.server.wire import query_pb2 as wire


@parses(wire.QUERY_TYPE_NESTED)
def parse_nested(body: bytes, reader: Reader, depth: int) -> Nested:
    message = body_of(nested.NestedQuery, body)
    if not message.path:
        raise ParameterInvalid("a NestedQuery has no [path]")
    if not message.HasField("query"):
        raise ParameterInvalid(f"the NestedQuery of path [{message.path}] has no [query]")
    mode = ScoreMode.AVG
    if message.HasField("score_mode"):
        mode = enum_of(ScoreMode, message.score_mode, f"score mode of path [{message.path}]")
    return Nested(
        message.path,
        reader.read(message.query, depth),
        mode,
        weight_of(message),
        _inner_hits(message.inner_hits, reader) if message.HasField("inner_hits") else None,
    )


def _inner_hits(message: nested.InnerHits, reader: Reader) -> InnerHits:
    return InnerHits(
        tuple(parse_sorter(sorter, reader) for sorter in message.sort.sorter),
        message.offset,
        message.limit if message.HasField("limit") else InnerHits().limit,
        parse_highlight(message.highlight) if message.highlight.highlight_parameters else None,
    )
