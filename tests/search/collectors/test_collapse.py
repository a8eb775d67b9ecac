"""One row of each value of a field, against plain Python; states merged in any grouping, sent or not."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.shared_out import shared_out
from support.stored_segments import Shelf
from support.worlds.expected import expected_hits
from support.worlds.queries import queries
from support.worlds.sorts import sorts
from support.worlds.world import World, worlds

from lutra.index.lsm.view import IndexView
from lutra.model.deadline import NEVER
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import FieldSort, MatchAll, PartStats, PrimaryKeySort, ScoreSort, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search
from lutra.search.candidates import find_candidates
from lutra.search.collectors import CollapseCollector, Top
from lutra.search.matching import matching_of
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import plan_of
from lutra.search.sorts.key import ByKey
from lutra.search.sorts.score import ByScore
from lutra.search.statistics import gather_statistics


def states_of(view: IndexView, request: SearchRequest) -> tuple[CollapseCollector, list[Top]]:
    plan = plan_of(view, request)
    searches = [PartSearch(part, PartStats(part.rows), NEVER) for part in view.parts]
    gather_statistics(plan.scored_roots, searches)
    find_candidates((condition, searches) for condition in plan.conditions)
    assert request.collapse is not None
    collector = CollapseCollector(plan.order, plan.offset + plan.limit, request.collapse, plan.is_scoring)
    return collector, [collector.collect(matching_of(one, plan.root, plan.is_scoring, plan.filter)) for one in searches]


def keys_of(collector: CollapseCollector, state: Top, request: SearchRequest) -> list[bytes]:
    assert request.limit is not None
    return [state.runs[run].keys([at])[0] for run, at in collector.places(state, request.offset, request.limit)]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data(), st.integers(1, 6), st.integers(0, 3), st.integers(0, 2**32))
def test_one_of_each_value(shelf: Shelf, world: World, data: st.DataObject, limit: int, offset: int, seed: int) -> None:
    rng = random.Random(seed)
    types = (FieldType.LONG, FieldType.DOUBLE, FieldType.KEYWORD)
    fields = [field.name for field in world.schema.fields if field.type in types and not field.is_array]
    assume(fields)
    request = SearchRequest(
        data.draw(queries(world.schema)),
        data.draw(sorts(world.schema)),
        offset,
        limit,
        count_total=True,
        collapse=data.draw(st.sampled_from(fields)),
        filter=data.draw(st.none() | queries(world.schema, 2, False)),
    )
    expected = [key for key, _ in expected_hits(world, request, limit)][offset : offset + limit]
    matching = expected_hits(world, replace(request, collapse=None), limit)
    view = shared_out(world.index, list(world.written.values()), rng, shelf)
    answer = search(view, request)
    assert [hit.key for hit in answer.hits] == expected
    assert answer.total == len(matching)
    assert answer.next_token == b""

    collector, states = states_of(view, request)
    while len(states) > 1:
        some = [states.pop(rng.randrange(len(states))) for _ in range(2)]
        states.append(collector.merge([collector.decode(collector.encode(one)) for one in some]))
    assert [view.decode_key(key) for key in keys_of(collector, states[0], request)] == expected


def test_values_that_have_all_the_first_rows(shelf: Shelf) -> None:
    """1,000 rows of one value come first, of the next 100, then one row each: each round leaves out whole values."""
    index = memory_index(
        IndexSchema((FieldSchema("group", FieldType.LONG), FieldSchema("n", FieldType.LONG))),
        (KeyColumn("id", ColumnType.INTEGER),),
    )
    groups = [0] * 1_000 + [1] * 100 + list(range(2, 40))
    rows = [Row((("id", n),), [("group", group, 1), ("n", -n, 1)]) for n, group in enumerate(groups)]
    for view in (shared_out(index, rows, random.Random(1), shelf), shared_out(index, rows, random.Random(2), shelf)):
        for sort, expected in (
            ((PrimaryKeySort(),), [0, 1_000, *range(1_100, 1_138)]),
            ((FieldSort("n"),), [1_137 - n for n in range(38)] + [1_099, 999]),
        ):
            answer = search(view, SearchRequest(MatchAll(), sort, limit=100, collapse="group"))
            assert [hit.key[0][1] for hit in answer.hits] == expected


GOOD: dict[str, Any] = {"hits": [[[0.5, {"bytes": "YQ=="}], 0.5, "x"], [[0.4, {"bytes": "Yg=="}], 0.4, None]]}


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"hits": [GOOD["hits"][0], [*GOOD["hits"][1][:2], "x"]]},
        {"hits": [[[{"bytes": "YQ=="}], 0.5, 1]]},
        {"hits": [[[0.5, {"bytes": "YQ=="}], 0.5]]},
        {"hits": [[[0.5, {"bytes": "YQ=="}], 0.5, []]]},
    ],
)
def test_a_state_that_makes_no_sense_is_refused(content: Any) -> None:
    collector = CollapseCollector((ByScore(True), ByKey(False)), 3, "f")
    request = SearchRequest(MatchAll(), (ScoreSort(),), limit=3)
    assert keys_of(collector, collector.decode(json.dumps(GOOD).encode()), request) == [b"a", b"b"]
    with pytest.raises(Corruption):
        collector.decode(json.dumps(content).encode())


FIELDS = (
    FieldSchema("long", FieldType.LONG),
    FieldSchema("longs", FieldType.LONG, is_array=True),
    FieldSchema("flag", FieldType.BOOLEAN),
    FieldSchema("text", FieldType.TEXT),
    FieldSchema("unsorted", FieldType.LONG, sort_and_aggregate=False),
)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("x", r"\[collapse\] field_name: x does not exist"),
        ("flag", r"\[collapse\] field_name: flag type: boolean is invalid, allow \[long, double, keyword\]"),
        ("text", "type: text is invalid"),
        ("longs", "type: array of long is invalid"),
        ("unsorted", "without sort_and_agg"),
    ],
)
def test_fields_that_cannot_be_collapsed(field: str, says: str) -> None:
    index = memory_index(IndexSchema(FIELDS), (KeyColumn("id", ColumnType.INTEGER),))
    with pytest.raises(ParameterInvalid, match=says):
        search(index.view(), SearchRequest(MatchAll(), collapse=field))


def test_a_token_does_not_go_with_it() -> None:
    index = memory_index(IndexSchema(FIELDS), (KeyColumn("id", ColumnType.INTEGER),))
    index.apply([Row((("id", n),), [("long", n, 1)]) for n in range(3)])
    request = SearchRequest(MatchAll(), limit=1)
    with pytest.raises(ParameterInvalid, match=r"\[collapse\] cannot go with \[token\]"):
        search(index.view(), replace(request, token=search(index.view(), request).next_token, collapse="long"))
