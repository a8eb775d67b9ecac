"""Searches against the reference through the life of an index: buffered, flushed, merged, opened again."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.folders import folder_in_memory
from support.indexes import index_in, resources_in
from support.same import assert_same
from support.worlds.aggregations import aggregations, group_bys
from support.worlds.expected import expected_hits
from support.worlds.expected_groups import expected_aggregates
from support.worlds.queries import queries
from support.worlds.sorts import sorts
from support.worlds.world import World, worlds

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.model.indexes import FieldType
from lutra.model.queries import SearchRequest
from lutra.model.rows import PrimaryKey, Row
from lutra.search import search

EAGER = Policy(flush_age_s=3_600, fan_in=2, segments_max=3, size_floor_bytes=1)
REQUESTS = 4
COLLAPSED = (FieldType.LONG, FieldType.DOUBLE, FieldType.KEYWORD)


@st.composite
def requests(draw: st.DrawFn, world: World) -> SearchRequest:
    singles = [one.name for one in world.schema.fields if one.type in COLLAPSED and not one.is_array]
    return SearchRequest(
        draw(queries(world.schema)),
        draw(sorts(world.schema)),
        draw(st.integers(0, 3)),
        draw(st.integers(1, 8)),
        count_total=True,
        aggregations=draw(aggregations(world.schema, 2)),
        group_bys=draw(group_bys(world.schema, 1, 1)),
        collapse=draw(st.none() | st.sampled_from(singles)) if singles else None,
        filter=draw(st.none() | queries(world.schema, 2, False)),
    )


def check(index: SearchIndex, world: World, request: SearchRequest) -> None:
    """What `index` says is what the buffer of ``world`` says, to the last byte of the token."""
    whole, answer = search(world.index.view(), request), search(index.view(), request)
    assert list(map(repr, answer.hits)) == list(map(repr, whole.hits))
    assert (answer.total, answer.next_token) == (whole.total, whole.next_token)
    assert_same(answer.aggregated, whole.aggregated)


def check_buffer(world: World, request: SearchRequest) -> None:
    """What the buffer of ``world`` says is what the reference says."""
    assert request.limit is not None
    expected = expected_hits(world, request, request.limit)
    answer = search(world.index.view(), request)
    assert [hit.key for hit in answer.hits] == [
        key for key, _ in expected[request.offset : request.offset + request.limit]
    ]
    assert answer.total == len(expected_hits(world, replace(request, collapse=None), request.limit))
    assert_same(answer.aggregated, expected_aggregates(world, request, request.limit))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lutra-test-", dir=folder_in_memory()) as name:
        yield Path(name)


def lives(folder: Path, world: World, asked: list[SearchRequest], rng: random.Random) -> None:
    """Rows come in any order, some of them twice and some that are deleted again, with flushes between."""
    for request in asked:
        check_buffer(world, request)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        resources = resources_in(Path(name), policy=EAGER)
        try:
            index = opened(resources, world)
            for rows, dead in changes(world, rng):
                index.apply(rows, dead)
                if rng.random() < 0.3:
                    index.reached(Progress(1, True))
                    index.flush()
                if rng.random() < 0.2:
                    index.maintain()
            for _ in range(2):  # in a buffer and in segments; in segments alone
                for request in asked:
                    check(index, world, request)
                index.reached(Progress(1, True))
                index.flush()
            index.compact()
            for request in asked:
                check(index, world, request)
            index.close()
            index = opened(resources, world)
            for request in asked:
                check(index, world, request)
            index.close()
        finally:
            resources.close()


def opened(resources: Resources, world: World) -> SearchIndex:
    index = index_in(resources, world.schema, world.index.key_columns)
    index.open()
    return index


def changes(world: World, rng: random.Random) -> Iterator[tuple[list[Row], list[PrimaryKey]]]:
    """At the end of them all rows are there, and no others."""
    rows = list(world.written.values())
    rng.shuffle(rows)
    for number, row in enumerate(rows):
        if rng.random() < 0.3:  # another row's values, of which nothing may be left
            yield [Row(row.key, rng.choice(rows).cells)], []
            if rng.random() < 0.5:
                yield [], [row.key]
        yield [row], []
        if number and rng.random() < 0.1:
            again = rows[rng.randrange(number)]
            yield [], [again.key]
            yield [again], []


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data(), st.integers(0, 2**32))
def test_lives(folder: Path, world: World, data: st.DataObject, seed: int) -> None:
    asked = [data.draw(requests(world)) for _ in range(REQUESTS)]
    lives(folder, world, asked, random.Random(seed))


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.data(), st.integers(0, 2**32))
def test_many_lives(folder: Path, world: World, data: st.DataObject, seed: int) -> None:
    asked = [data.draw(requests(world)) for _ in range(REQUESTS)]
    lives(folder, world, asked, random.Random(seed))
