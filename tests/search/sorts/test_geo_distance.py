"""Sorts by distance against plain Python, page by page, whatever parts rows are in."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.geo_model import arc_m, plane_m
from support.geo_rows import KEY, SCHEMA, Points, rows_of
from support.indexes import memory_index
from support.shared_out import buffer_of, shared_out
from support.stored_segments import Shelf

from lutra.model.errors import ParameterInvalid
from lutra.model.geo import DistanceType, GeoDistanceSort, GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import FieldSort, MatchAll, SearchRequest, SortMode
from lutra.search import search

places = st.tuples(st.sampled_from([-90.0, 90.0, 0.0, 30.0, 30.5]), st.sampled_from([-180.0, 180.0, 0.0, 120.0]))
points = places.map(lambda place: GeoPoint(*place))
contents: st.SearchStrategy[Points] = st.fixed_dictionaries(
    {}, optional={"at": st.lists(places, min_size=1, max_size=1), "stops": st.lists(places, max_size=3)}
)
sorters = st.builds(
    GeoDistanceSort,
    st.sampled_from(["at", "stops"]),
    st.lists(points, min_size=1, max_size=2).map(tuple),
    st.booleans(),
    st.none() | st.sampled_from(SortMode),
    st.sampled_from(DistanceType),
)


def place_of(sorter: GeoDistanceSort, row: Points) -> tuple[bool, float]:
    measure = arc_m if sorter.distance_type is DistanceType.ARC else plane_m
    all_m = [
        [measure((origin.lat, origin.lon), place) for origin in sorter.points] for place in row.get(sorter.field, ())
    ]
    if not all_m:
        return True, 0.0
    mode = sorter.mode
    if mode is SortMode.AVG:
        value = sum(sum(own) / len(own) for own in all_m) / len(all_m)
    else:
        least = mode is SortMode.MIN or (mode is None and not sorter.descending)
        value = (min if least else max)(distance_m for own in all_m for distance_m in own)
    return False, -value if sorter.descending else value


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(contents, max_size=20),
    st.lists(sorters, min_size=1, max_size=2),
    st.integers(1, 9),
    st.integers(0, 2**32),
)
def test_pages(shelf: Shelf, rows: list[Points], sort: list[GeoDistanceSort], limit: int, seed: int) -> None:
    """Pages are of other parts by turns, as after merges: a token means the same in all of them."""
    rng = random.Random(seed)
    index = memory_index(SCHEMA, KEY)
    views = [shared_out(index, rows_of(dict(enumerate(rows))), rng, shelf) for _ in range(2)]
    expected = sorted(range(len(rows)), key=lambda n: [*(place_of(sorter, rows[n]) for sorter in sort), n])
    found: list[Any] = []
    request = SearchRequest(MatchAll(), tuple(sort), limit=limit)
    for page in range(len(rows) + 1):
        answer = search(views[page % 2], request)
        found += [hit.key[0][1] for hit in answer.hits]
        if not answer.next_token:
            break
        request = SearchRequest(MatchAll(), limit=limit, token=answer.next_token)
    assert found == expected


def test_the_nearest_of_many(shelf: Shelf) -> None:
    """Of so many that most are ruled out by a sample."""
    rng = random.Random(1)
    here = (12.0, 34.0)
    rows: dict[int, Points] = {
        n: {"at": [(rng.uniform(-90, 90), rng.uniform(-180, 180))] if n % 9 else [here]} if n % 3 else {}
        for n in range(9_000)
    }
    index = memory_index(SCHEMA, KEY)
    buffer = buffer_of(index, rows_of(rows))
    segment = shelf.open(shelf.build([buffer], SCHEMA)[0], SCHEMA)
    far = (GeoPoint(-12.0, 34.0),)
    sorters = [
        GeoDistanceSort("at", (GeoPoint(*here),)),
        GeoDistanceSort("at", far),
        GeoDistanceSort("at", far, descending=True),
        GeoDistanceSort("at", (*far, GeoPoint(60.0, 179.0))),
        GeoDistanceSort("at", (*far, GeoPoint(60.0, 179.0)), mode=SortMode.MAX),
        GeoDistanceSort("at", far, distance_type=DistanceType.PLANE),
    ]
    for sorter, part in itertools.product(sorters, (buffer, segment)):
        view = replace(index.view(), parts=(part,))
        answer = search(view, SearchRequest(MatchAll(), (sorter,), limit=30, count_total=True))
        expected = sorted(rows, key=lambda n: (place_of(sorter, rows[n]), n))[:30]
        assert [hit.key[0][1] for hit in answer.hits] == expected
        assert answer.total == len(rows)


HERE = (GeoPoint(0.0, 0.0),)


@pytest.mark.parametrize(
    ("sorter", "says"),
    [
        (GeoDistanceSort("x", HERE), "field: x does not exist"),
        (GeoDistanceSort("n", HERE), "n is of type LONG, not GEO_POINT"),
        (GeoDistanceSort("at", ()), "takes 1 to 100 points, not 0"),
        (GeoDistanceSort("at", HERE * 101), "not 101"),
        (GeoDistanceSort("at", (GeoPoint(0.0, 180.5),)), "point 0 must have"),
    ],
)
def test_what_is_refused(sorter: GeoDistanceSort, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(memory_index(SCHEMA, KEY).view(), SearchRequest(MatchAll(), (sorter,)))


def test_a_field_without_sort_and_agg_is_not_sorted_by() -> None:
    schema = IndexSchema((FieldSchema("at", FieldType.GEO_POINT, sort_and_aggregate=False),))
    with pytest.raises(ParameterInvalid, match="was created without sort_and_agg"):
        search(memory_index(schema, KEY).view(), SearchRequest(MatchAll(), (GeoDistanceSort("at", HERE),)))


def test_a_token_of_another_kind_of_mark_is_refused() -> None:
    from lutra.search.token import Token

    key = memory_index(SCHEMA, KEY)
    key.apply(rows_of({1: {"at": [(1.0, 1.0)]}, 2: {}}))
    sort = (GeoDistanceSort("at", HERE),)
    answer = search(key.view(), SearchRequest(MatchAll(), sort, limit=1))
    token = Token.decode(answer.next_token)
    for mark in ("x", 1, True, -1.0, float("inf"), b""):
        forged = Token(token.sort, (mark, *token.marks[1:]), token.top_k)
        with pytest.raises(ParameterInvalid, match="token"):
            search(key.view(), SearchRequest(MatchAll(), limit=1, token=forged.encode()))
    other = Token((FieldSort("n"),), token.marks, token.top_k)
    with pytest.raises(ParameterInvalid, match="token"):
        search(key.view(), SearchRequest(MatchAll(), limit=1, token=other.encode()))
