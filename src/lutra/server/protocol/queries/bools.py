"""Queries combined."""

from __future__ import annotations

from collections.abc import Iterable

from lutra.model.queries import Bool, Query
from lutra.server.protocol.queries.parts import body_of, minimum_of, weight_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.wire import query_pb2 as wire


@parses(wire.QUERY_TYPE_BOOL)
def parse_bool(body: bytes, reader: Reader, depth: int) -> Bool:
    message = body_of(wire.BoolQuery, body)

    def clauses(queries: Iterable[wire.Query]) -> tuple[Query, ...]:
        return tuple(reader.read(query, depth) for query in queries)

    return Bool(
        must=clauses(message.must_queries),
        must_not=clauses(message.must_not_queries),
        filter=clauses(message.filter_queries),
        should=clauses(message.should_queries),
        minimum_should_match=minimum_of(message),
        weight=weight_of(message),
    )
