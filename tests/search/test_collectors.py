"""Partial states of collectors: merged in whatever grouping, sent or not, they come to the same."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.search_parts import shared_out
from support.worlds.queries import queries
from support.worlds.sorts import sorts
from support.worlds.world import World, worlds

from lutra.index.lsm.view import IndexView
from lutra.model.deadline import NEVER
from lutra.model.errors import Corruption
from lutra.model.queries import PartStats, PrimaryKeySort, SearchRequest, Sorter
from lutra.search import search
from lutra.search.candidates import find_candidates
from lutra.search.collectors import Collector, CountCollector, Top, TopCollector
from lutra.search.collectors.top import merged
from lutra.search.matching import Matching, matching_of
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import Plan, plan_of
from lutra.search.sorts.key import ByKey
from lutra.search.sorts.score import ByScore
from lutra.search.statistics import gather_statistics


def matchings(view: IndexView, plan: Plan) -> list[Matching]:
    searches = [PartSearch(part, PartStats(part.rows), NEVER) for part in view.parts]
    gather_statistics(plan.scored_roots, searches)  # else words score by what each part has of them alone
    find_candidates((condition, searches) for condition in plan.conditions)
    return [matching_of(one, plan.root, plan.is_scoring) for one in searches]


def grouped(collector: Collector[Any], states: list[Any], rng: random.Random) -> Any:
    """All ``states`` as one: merged two by two in random order, each sent at random, many times over."""
    states = list(states)
    while len(states) > 1:
        some = [states.pop(rng.randrange(len(states))) for _ in range(2)]
        states.append(collector.merge([sent(collector, one) if rng.random() < 0.5 else one for one in some]))
    return sent(collector, states[0]) if rng.random() < 0.5 else states[0]


def sent(collector: Collector[Any], state: Any) -> Any:
    return collector.decode(collector.encode(state))


def hits_of(top: Top, offset: int, limit: int) -> list[tuple[bytes, str, list[Any]]]:
    """Key, score and sort keys of each."""
    hits = []
    for run, at in merged(top.runs, offset, limit):
        [key], [score] = top.runs[run].keys([at]), top.runs[run].scores([at])
        hits.append((key, repr(score), top.runs[run].marks(at)))
    return hits


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds(), st.data(), st.integers(1, 8), st.integers(0, 4), st.integers(0, 2**32))
def test_any_grouping_comes_to_the_same(world: World, data: st.DataObject, limit: int, offset: int, seed: int) -> None:
    rng = random.Random(seed)
    query = data.draw(queries(world.schema))
    order: tuple[Sorter, ...] = (*data.draw(sorts(world.schema)), PrimaryKeySort())
    request = SearchRequest(query, order, offset, limit, count_total=True)
    view = shared_out(world.index, list(world.written.values()), rng)
    plan = plan_of(view, request)
    found = matchings(view, plan)
    whole = search(world.index.view(), request)
    marks = None
    for _ in range(3):
        top = TopCollector(plan.order, offset + limit, marks, plan.is_scoring)
        states = [top.collect(one) for one in found]
        together = top.merge(states)
        expected = hits_of(together, offset, limit)
        assert marks is not None or [world.index.view().decode_key(key) for key, *_ in expected] == [
            hit.key for hit in whole.hits
        ]
        in_groups = grouped(top, states, rng)
        assert hits_of(in_groups, offset, limit) == expected
        assert in_groups.left == together.left
        if not expected:
            break
        marks = expected[-1][2]
    count = CountCollector()
    assert grouped(count, [count.collect(one) for one in found], rng) == whole.total


def test_the_state_of_nothing() -> None:
    top, count = TopCollector((ByKey(False),), 3), CountCollector()
    assert hits_of(top.merge([]), 0, 3) == hits_of(sent(top, top.merge([])), 0, 3) == []
    assert count.merge([]) == sent(count, 0) == 0


GOOD: dict[str, Any] = {"left": 1, "hits": [[[0.5, {"bytes": "YQ=="}], 0.5]]}


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {**GOOD, "left": 0},
        {**GOOD, "left": "1"},
        {**GOOD, "left": True},
        {**GOOD, "hits": [[[{"bytes": "YQ=="}], 0.5]]},
        {**GOOD, "hits": [[[0.5, "a"], 0.5]]},
        {**GOOD, "hits": [[[0.5, {"bytes": "?"}], 0.5]]},
        {**GOOD, "hits": [[[0.5, {"bytes": "YQ=="}], "x"]]},
        {**GOOD, "hits": [[[[], {"bytes": "YQ=="}], 0.5]]},
    ],
)
def test_a_state_that_makes_no_sense_is_refused(content: Any) -> None:
    top = TopCollector((ByScore(True), ByKey(False)), 3)
    assert hits_of(top.decode(json.dumps(GOOD).encode()), 0, 3) == [(b"a", "0.5", [0.5, b"a"])]
    with pytest.raises(Corruption):
        top.decode(json.dumps(content).encode())
    with pytest.raises(Corruption):
        CountCollector().decode(b"1")
