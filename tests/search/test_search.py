"""Search against a plain Python model: random schemas, rows, queries, sorts and pages."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.search_model import QUERIES, World, expected_order, sorts, worlds

from lutra.model.queries import MatchAll, Query, ScoreSort, SearchRequest
from lutra.search import Answer, search


def pages(world: World, request: SearchRequest) -> list[Answer]:
    answers = [search(world.index.view(), request)]
    while answers[-1].next_token:
        assert len(answers) <= len(world.rows) + 1, "paging does not end"
        following = SearchRequest(request.query, limit=request.limit, token=answers[-1].next_token, count_total=True)
        answers.append(search(world.index.view(), following))
    return answers


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds(), QUERIES, st.data(), st.integers(1, 8), st.integers(0, 4))
def test_search(world: World, query: Query, data: st.DataObject, limit: int, offset: int) -> None:
    sort = data.draw(sorts(world.arrays))
    request = SearchRequest(query, sort, offset, limit, count_total=True)
    expected = expected_order(world, request, limit)
    answers = pages(world, request)
    hits = [hit for answer in answers for hit in answer.hits]
    got = [hit.key for hit in hits]
    scored = any(isinstance(sorter, ScoreSort) for sorter in sort)
    assert got == [key for key, _ in expected[offset:]]
    assert {answer.total for answer in answers} == {len(expected)}
    for hit, (_, score) in zip(hits, expected[offset:], strict=True):
        assert (hit.score == pytest.approx(score)) if scored else math.isnan(hit.score)
    assert all(len(answer.hits) == limit for answer in answers[:-1])


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.data())
def test_pages_while_rows_change(world: World, data: st.DataObject) -> None:
    """Rows that stay are seen exactly once, whatever happens to others between pages."""
    sort = data.draw(sorts(frozenset()).filter(lambda sort: not any(isinstance(s, ScoreSort) for s in sort)))
    stay = set(world.rows) if len(world.rows) < 2 else set(data.draw(st.sets(st.sampled_from(list(world.rows)))))
    request = SearchRequest(MatchAll(), sort, limit=2)
    answer = search(world.index.view(), request)
    seen = [hit.key for hit in answer.hits]
    for _ in range(len(world.rows) + 2):
        if not answer.next_token:
            break
        for key in list(world.rows):
            if key not in stay:
                world.index.apply([], [key])
        answer = search(world.index.view(), SearchRequest(MatchAll(), limit=2, token=answer.next_token))
        seen += [hit.key for hit in answer.hits]
    assert not answer.next_token
    assert len(seen) == len(set(seen))
    assert stay <= set(seen)
