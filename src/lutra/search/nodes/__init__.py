"""The kinds of queries, a module each: how one is checked, and what it does in a part of an index.

A new kind is a new module, named here so that it is there.
"""

from lutra.search.nodes import (
    bool,
    const_score,
    dis_max,
    exists,
    function_score,
    functions_score,
    geo_bounding_box,
    geo_distance,
    geo_polygon,
    knn,
    match,
    match_all,
    match_phrase,
    nested,
    prefix,
    range,
    suffix,
    term,
    terms,
    wildcard,
)

__all__ = [
    "bool",
    "const_score",
    "dis_max",
    "exists",
    "function_score",
    "functions_score",
    "geo_bounding_box",
    "geo_distance",
    "geo_polygon",
    "knn",
    "match",
    "match_all",
    "match_phrase",
    "nested",
    "prefix",
    "range",
    "suffix",
    "term",
    "terms",
    "wildcard",
]
