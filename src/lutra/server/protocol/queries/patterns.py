"""Strings like a pattern: prefix, suffix and wildcard."""

from __future__ import annotations

from lutra.model.queries import Prefix, Suffix, Wildcard
from lutra.server.protocol.queries.parts import body_of, field_of, weight_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.wire import query_pb2 as wire


@parses(wire.QUERY_TYPE_PREFIX)
def parse_prefix(body: bytes, reader: Reader, depth: int) -> Prefix:
    message = body_of(wire.PrefixQuery, body)
    return Prefix(field_of(message), message.prefix, weight_of(message))


@parses(wire.QUERY_TYPE_SUFFIX)
def parse_suffix(body: bytes, reader: Reader, depth: int) -> Suffix:
    message = body_of(wire.SuffixQuery, body)
    return Suffix(field_of(message), message.suffix, weight_of(message))


@parses(wire.QUERY_TYPE_WILDCARD)
def parse_wildcard(body: bytes, reader: Reader, depth: int) -> Wildcard:
    message = body_of(wire.WildcardQuery, body)
    return Wildcard(field_of(message), message.value, weight_of(message))
