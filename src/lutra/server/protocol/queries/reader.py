"""Reads a tree of queries. A query on the wire is a type and the bytes of its body, whose parts are queries again."""

from __future__ import annotations

from lutra.model.queries import Query
from lutra.model.query_size import QuerySize
from lutra.server.protocol.queries.registry import parse_of
from lutra.server.wire import query_pb2 as wire


class Reader:
    """Reads the queries of one tree, and counts them."""

    def __init__(self) -> None:
        self._size = QuerySize()

    def read(self, message: wire.Query, depth: int = 0) -> Query:
        """A query within one that stands at ``depth``; 0 where it is the root.

        Raises ParameterInvalid where it is malformed, not served, too deep or too large.
        """
        self._size.count(depth + 1)
        return parse_of(message.type)(message.query, self, depth + 1)


def parse_query(message: wire.Query) -> Query:
    """A whole tree. Raises as `Reader.read`."""
    return Reader().read(message)
