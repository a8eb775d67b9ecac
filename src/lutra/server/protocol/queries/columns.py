"""Conditions on the values of one field: term, terms, range, exists."""

from __future__ import annotations

from lutra.kernels.plainbuffer import decode_variant
from lutra.model.queries import Exists, Range, Term, Terms
from lutra.model.values import KeyMarker, Value
from lutra.server.protocol.parsing import parse_value
from lutra.server.protocol.queries.parts import body_of, field_of, weight_of
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.queries.registry import parses
from lutra.server.wire import query_pb2 as wire


@parses(wire.QUERY_TYPE_TERM)
def parse_term(body: bytes, reader: Reader, depth: int) -> Term:
    message = body_of(wire.TermQuery, body)
    field = field_of(message)
    return Term(field, parse_value(message.term, f"the term of field [{field}]"), weight_of(message))


@parses(wire.QUERY_TYPE_TERMS)
def parse_terms(body: bytes, reader: Reader, depth: int) -> Terms:
    message = body_of(wire.TermsQuery, body)
    field = field_of(message)
    values = tuple(parse_value(term, f"a term of field [{field}]") for term in message.terms)
    return Terms(field, values, weight_of(message))


@parses(wire.QUERY_TYPE_RANGE)
def parse_range(body: bytes, reader: Reader, depth: int) -> Range:
    message = body_of(wire.RangeQuery, body)
    field = field_of(message)
    return Range(
        field,
        lower=_bound(message.range_from, field),
        upper=_bound(message.range_to, field),
        # Node leaves `false` out, Java sends both always: absent means exclusive, as protobuf has it.
        include_lower=message.include_lower,
        include_upper=message.include_upper,
    )


def _bound(data: bytes, field: str) -> Value | None:
    """A bound of a range; SDKs leave it out, or send an infinity, where the side is open."""
    if not data or isinstance(decode_variant(data), KeyMarker):
        return None
    return parse_value(data, f"a bound of the range of field [{field}]")


@parses(wire.QUERY_TYPE_EXISTS)
def parse_exists(body: bytes, reader: Reader, depth: int) -> Exists:
    return Exists(field_of(body_of(wire.ExistsQuery, body)))
