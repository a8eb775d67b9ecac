"""Sorters on the wire, a module each, to and from `lutra.model`.

A module says by `parses` and `writes` which one it is for. A new one is named here so that it is there.
"""

from lutra.server.protocol.sorts import doc, field, geo_distance, key, score
from lutra.server.protocol.sorts.sort import parse_sort, sort_message

__all__ = ["doc", "field", "geo_distance", "key", "parse_sort", "score", "sort_message"]
