"""What queries are made of."""

from __future__ import annotations

from lutra.model.queries import Bool, KnnVector, Query
from lutra.model.scoring import ConstScore, DisMax, FunctionScore, FunctionsScore


def reasons_within(query: Query) -> tuple[Query, ...]:
    """The queries within ``query`` that may be why a row matches it, about the same rows or documents.

    So not those that must not match, nor those that only functions of scores go by, nor what a nested query asks of the
    documents within.
    """
    match query:
        case Bool(must=must, filter=within, should=should):
            return (*must, *within, *should)
        case KnnVector(filter=inner):
            return () if inner is None else (inner,)
        case ConstScore(filter=inner) | FunctionScore(query=inner) | FunctionsScore(query=inner):
            return (inner,)
        case DisMax(queries=queries):
            return queries
    return ()
