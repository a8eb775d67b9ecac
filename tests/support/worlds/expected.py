"""The hits that a request should find in a world, in order."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume
from support.reference.answer import matches, ordered
from support.reference.space import Scores
from support.worlds.world import World

from lutra.model.queries import KnnVector, ScoreSort, SearchRequest
from lutra.model.rows import PrimaryKey
from lutra.search import search

ROWS_MAX = 1_000


def expected_hits(world: World, request: SearchRequest, page: int) -> list[tuple[PrimaryKey, float]]:
    """Key and score of each. ``page``: the limit of the first request, which says how many neighbours there are."""
    space = world.space
    found = matches(space, request, page)
    assume(not space.is_close)
    if not isinstance(request.query, KnnVector):
        found = as_rounded(world, request, found)
    return [(one.key, found[one]) for one in ordered(space, request, found)]


def as_rounded(world: World, request: SearchRequest, found: Scores) -> Scores:
    """The scores of the index's buffer, once they were seen to be right but for rounding, which may decide an order."""
    every = SearchRequest(request.query, (ScoreSort(),), limit=ROWS_MAX, filter=request.filter)
    scores = {hit.key: hit.score for hit in search(world.index.view(), every).hits}
    assert {one.key for one in found} == set(scores)
    assert all(map(math.isfinite, scores.values()))
    for one, score in found.items():
        assert scores[one.key] == pytest.approx(score, rel=1e-6, abs=1e-9), one.key
    return {one: scores[one.key] for one in found}
