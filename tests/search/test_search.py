"""Search against a plain Python model: random schemas, rows, queries, sorts and pages."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.reference.answer import sort_of
from support.worlds.expected import expected_hits
from support.worlds.queries import queries
from support.worlds.sorts import sorts
from support.worlds.world import World, worlds

from lutra.model.queries import MatchAll, ScoreSort, SearchRequest
from lutra.search import Answer, search


def pages(world: World, request: SearchRequest) -> list[Answer]:
    answers = [search(world.index.view(), request)]
    while answers[-1].next_token:
        assert len(answers) <= len(world.written) + 1, "paging does not end"
        following = SearchRequest(request.query, limit=request.limit, token=answers[-1].next_token, count_total=True)
        answers.append(search(world.index.view(), following))
    return answers


@settings(max_examples=35, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds(), st.data(), st.integers(1, 8), st.integers(0, 4))
def test_search(world: World, data: st.DataObject, limit: int, offset: int) -> None:
    sort = data.draw(sorts(world.schema))
    request = SearchRequest(data.draw(queries(world.schema)), sort, offset, limit, count_total=True)
    expected = expected_hits(world, request, limit)
    answers = pages(world, request)
    hits = [hit for answer in answers for hit in answer.hits]
    got = [hit.key for hit in hits]
    scored = any(isinstance(sorter, ScoreSort) for sorter in sort_of(world.schema, request))
    assert got == [key for key, _ in expected[offset:]]
    assert {answer.total for answer in answers} == {len(expected)}
    for hit, (_, score) in zip(hits, expected[offset:], strict=True):
        assert (hit.score == pytest.approx(score)) if scored else math.isnan(hit.score)
    assert all(len(answer.hits) == limit for answer in answers[:-1])


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.data())
def test_pages_while_rows_change(world: World, data: st.DataObject) -> None:
    """Rows that stay are seen exactly once, whatever happens to others between pages."""
    sort = data.draw(sorts(world.schema, with_scores=False))
    stay = set(world.written)
    if len(stay) > 1:
        stay = data.draw(st.sets(st.sampled_from(list(world.written))))
    request = SearchRequest(MatchAll(), sort, limit=2)
    answer = search(world.index.view(), request)
    seen = [hit.key for hit in answer.hits]
    for _ in range(len(world.written) + 2):
        if not answer.next_token:
            break
        for key in list(world.written):
            if key not in stay:
                world.index.apply([], [key])
        answer = search(world.index.view(), SearchRequest(MatchAll(), limit=2, token=answer.next_token))
        seen += [hit.key for hit in answer.hits]
    assert not answer.next_token
    assert len(seen) == len(set(seen))
    assert stay <= set(seen)
