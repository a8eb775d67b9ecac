"""Which function parses which type of query: each says so itself, by `parses`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lutra.model.queries import Query
from lutra.model.registry import Registry
from lutra.server.wire import query_pb2 as wire

if TYPE_CHECKING:
    from lutra.server.protocol.queries.reader import Reader

Parse = Callable[[bytes, "Reader", int], Query]
"""Of the body of a query, which stands at a depth. Queries within it are read by ``reader.read(message, depth)``.

Raises ParameterInvalid.
"""


def _unserved(kind: int) -> str:
    if kind == wire.QUERY_TYPE_UNSPECIFIED:
        return "a query has no type"
    names = wire.QueryType.DESCRIPTOR.values_by_number
    name = names[kind].name.removeprefix("QUERY_TYPE_") if kind in names else str(kind)
    return f"query type {name} is not supported"


_PARSES: Registry[int, Parse] = Registry(_unserved)

parses = _PARSES.serves
"""Makes a function the one that parses queries of a type, a wire.QUERY_TYPE_X."""

parse_of = _PARSES.of
"""The function for a type of query. Raises ParameterInvalid where there is none."""
