"""Words of a text: match and match phrase."""

from __future__ import annotations

from lutra.model.queries import Match, MatchPhrase, Operator
from lutra.server.protocol.parsing import enum_of
from lutra.server.protocol.queries.parts import body_of, field_of, minimum_of, weight_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.wire import query_pb2 as wire


@parses(wire.QUERY_TYPE_MATCH)
def parse_match(body: bytes, reader: Reader, depth: int) -> Match:
    message = body_of(wire.MatchQuery, body)
    field = field_of(message)
    operator = Operator.OR
    if message.HasField("operator"):
        operator = enum_of(Operator, message.operator, f"operator of the match of field [{field}]")
    return Match(field, message.text, operator, minimum_of(message), weight_of(message))


@parses(wire.QUERY_TYPE_MATCH_PHRASE)
def parse_match_phrase(body: bytes, reader: Reader, depth: int) -> MatchPhrase:
    message = body_of(wire.MatchPhraseQuery, body)
    return MatchPhrase(field_of(message), message.text, message.slop, weight_of(message))
