"""Which function parses which type of query: each says so itself, by `parses`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Query
from lutra.server.wire import query_pb2 as wire

if TYPE_CHECKING:
    from lutra.server.protocol.queries.reader import Reader

Parse = Callable[[bytes, "Reader", int], Query]
"""Of the body of a query, which stands at a depth. Queries within it are read by ``reader.read(message, depth)``.

Raises ParameterInvalid.
"""
P = TypeVar("P", bound=Parse)

_PARSES: dict[int, Parse] = {}


def parses(kind: int) -> Callable[[P], P]:
    """Makes a function the one that parses queries of the type ``kind``, a wire.QUERY_TYPE_X."""

    def register(parse: P) -> P:
        _PARSES[kind] = parse
        return parse

    return register


def parse_of(kind: int) -> Parse:
    """The function for a type of query. Raises ParameterInvalid where there is none."""
    parse = _PARSES.get(kind)
    if parse is None:
        raise ParameterInvalid(_unserved(kind))
    return parse


def _unserved(kind: int) -> str:
    if kind == wire.QUERY_TYPE_UNSPECIFIED:
        return "a query has no type"
    names = wire.QueryType.DESCRIPTOR.values_by_number
    name = names[kind].name.removeprefix("QUERY_TYPE_") if kind in names else str(kind)
    return f"query type {name} is not supported"
