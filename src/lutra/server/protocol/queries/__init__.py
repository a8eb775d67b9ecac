"""The kinds of queries on the wire, a module each or a family: the bytes of a body to `lutra.model`.

A module says by `parses` which types it reads. A new one is named here so that it is there. What a query's operands
have to be, `lutra.search.nodes` says: here is checked what only the wire can get wrong.
"""

from lutra.server.protocol.queries import bools, columns, geo, knn, match_all, nested, patterns, scores, words
from lutra.server.protocol.queries.reader import Reader, parse_query

__all__ = [
    "Reader",
    "bools",
    "columns",
    "geo",
    "knn",
    "match_all",
    "nested",
    "parse_query",
    "patterns",
    "scores",
    "words",
]
