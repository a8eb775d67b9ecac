"""Aggregations and group-bys come to what plain Python comes to, however rows are shared out to parts."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.same import assert_same
from support.shared_out import shared_out
from support.stored_segments import Shelf
from support.worlds.aggregations import aggregations, group_bys
from support.worlds.expected_groups import expected_aggregates
from support.worlds.queries import queries
from support.worlds.world import World, worlds

from lutra.index.lsm.view import IndexView
from lutra.model.aggregations import Aggregated
from lutra.model.deadline import NEVER
from lutra.model.queries import PartStats, SearchRequest
from lutra.search import search
from lutra.search.aggregations import AggregationCollector
from lutra.search.candidates import find_candidates
from lutra.search.matching import matching_of
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import plan_of
from lutra.search.statistics import gather_statistics


@st.composite
def requests(draw: st.DrawFn, world: World) -> SearchRequest:
    return SearchRequest(
        draw(queries(world.schema, 3)),
        limit=draw(st.integers(0, 3)),
        aggregations=draw(aggregations(world.schema)),
        group_bys=draw(group_bys(world.schema)),
    )


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data())
def test_of_a_buffer(world: World, data: st.DataObject) -> None:
    request = data.draw(requests(world))
    answer = search(world.index.view(), request)
    assert_same(answer.aggregated, expected_aggregates(world, request, request.limit or 0))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data(), st.integers(0, 2**32))
def test_of_segments_merged_in_any_grouping(shelf: Shelf, world: World, data: st.DataObject, seed: int) -> None:
    rng = random.Random(seed)
    request = data.draw(requests(world))
    view = shared_out(world.index, list(world.written.values()), rng, shelf)
    assert_same(
        merged_at_random(view, request, rng), expected_aggregates(world, request, request.limit or 0) or Aggregated()
    )


def merged_at_random(view: IndexView, request: SearchRequest, rng: random.Random) -> Aggregated:
    """The states of the parts two by two in random order, each sent at random."""
    plan = plan_of(view, request)
    searches = [PartSearch(part, PartStats(part.rows), NEVER) for part in view.parts]
    find_candidates((one, searches) for one in plan.conditions)
    gather_statistics(plan.scored_roots, searches)
    collector = AggregationCollector(plan.aggregations)

    def sent(state: Any) -> Any:
        return collector.decode(collector.encode(state)) if rng.random() < 0.5 else state

    states = [collector.collect(matching_of(search, plan.root, plan.needs_scores)) for search in searches]
    states += [collector.merge([])] * rng.randrange(2)
    while len(states) > 1:
        some = [states.pop(rng.randrange(len(states))) for _ in range(2)]
        states.append(collector.merge([sent(one) for one in some]))
    return collector.results(sent(collector.merge(states)))
