"""Every row."""

from __future__ import annotations

from lutra.model.queries import MatchAll
from lutra.server.protocol.queries.parts import body_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.wire import query_pb2 as wire


@parses(wire.QUERY_TYPE_MATCH_ALL)
def parse_match_all(body: bytes, reader: Reader, depth: int) -> MatchAll:
    body_of(wire.MatchAllQuery, body)
    return MatchAll()
