"""What is where on the earth, against a plain model, whatever parts rows are in; and what is refused."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.geo_model import Place, Ring, arc_m, in_rectangle
from support.geo_rows import KEY, SCHEMA, Points, rows_of
from support.indexes import memory_index
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoDistanceSort, GeoPoint, GeoPolygon
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.nested import InnerHits, Nested
from lutra.model.queries import Bool, Exists, FieldSort, Prefix, Query, Range, SearchRequest, Term, Terms
from lutra.model.rows import Row
from lutra.search import search

TOWNS = [(30.0, 120.0), (30.1, 120.2), (-33.9, 151.2), (0.0, 180.0), (0.0, -180.0), (1.0, 179.5), (-1.0, -179.5)]
TOWNS += [(90.0, 0.0), (89.9, 77.0), (-90.0, 10.0), (51.5, 0.0), (51.5, -0.1)]
RINGS = [
    [(29.0, 119.0), (31.0, 119.0), (31.0, 121.0), (29.0, 121.0)],
    [(30.0, 120.0), (31.0, 121.0), (29.5, 121.5)],
    [(-5.0, 175.0), (5.0, 175.0), (5.0, -179.75), (-5.0, -179.75)],
    [(80.0, 0.0), (80.0, 120.0), (80.0, -120.0)],
]

places = st.sampled_from(TOWNS) | st.tuples(st.floats(-90, 90), st.floats(-180, 180))
points = places.map(lambda place: GeoPoint(*place))
names = st.sampled_from(["at", "stops"])
contents: st.SearchStrategy[Points] = st.fixed_dictionaries(
    {}, optional={"at": st.lists(places, min_size=1, max_size=1), "stops": st.lists(places, max_size=3)}
)


@st.composite
def boxes(draw: st.DrawFn) -> GeoBoundingBox:
    one, other = draw(places), draw(places)
    top, bottom = max(one[0], other[0]), min(one[0], other[0])
    return GeoBoundingBox(draw(names), GeoPoint(top, one[1]), GeoPoint(bottom, other[1]))


leaves = (
    boxes()
    | st.builds(GeoDistance, names, points, st.sampled_from([1.0, 30_000.0, 120_000.0, 1e7]) | st.floats(0.1, 3e7))
    | st.builds(GeoPolygon, names, st.sampled_from(RINGS).map(lambda ring: tuple(GeoPoint(*place) for place in ring)))
    | st.builds(Exists, names)
)
several = st.lists(leaves, max_size=2).map(tuple)
queries = leaves | st.builds(Bool, several, several, several, several)


def place_of(point: GeoPoint) -> Place:
    return point.lat, point.lon


def holds(query: Query, row: Points) -> bool:
    match query:
        case Bool():
            required = all(holds(part, row) for part in query.must + query.filter)
            needed = 1 if query.should and not query.must and not query.filter else 0
            excluded = any(holds(part, row) for part in query.must_not)
            return required and not excluded and sum(holds(part, row) for part in query.should) >= needed
        case Exists(name):
            return bool(row.get(name))
        case GeoDistance(name, centre, distance_m):
            return any(arc_m(place_of(centre), place) <= distance_m for place in row.get(name, ()))
        case GeoBoundingBox(name, top_left, bottom_right):
            corners = (*place_of(top_left), *place_of(bottom_right))
            return any(in_rectangle(place, *corners) for place in row.get(name, ()))
        case GeoPolygon(name, ring):
            return any(map(Ring.of([place_of(point) for point in ring]).holds, row.get(name, ())))
    raise AssertionError(query)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(contents, max_size=25), st.lists(queries, min_size=1, max_size=5), st.integers(0, 2**32))
def test_queries(shelf: Shelf, rows: list[Points], asked: list[Query], seed: int) -> None:
    index = memory_index(SCHEMA, KEY)
    view = shared_out(index, rows_of(dict(enumerate(rows))), random.Random(seed), shelf)
    for query in asked:
        answer = search(view, SearchRequest(query, limit=100, count_total=True, explain=True))
        expected = [number for number, row in enumerate(rows) if holds(query, row)]
        assert [hit.key[0][1] for hit in answer.hits] == expected
        assert answer.total == len(expected)


def ring(*places: Place) -> GeoPolygon:
    return GeoPolygon("at", tuple(GeoPoint(*place) for place in places))


HERE = GeoPoint(0.0, 0.0)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (GeoDistance("at", HERE, 0.0), "distance must be more than 0 metres, and finite, not 0.0"),
        (GeoDistance("at", HERE, -1.0), "distance must be more than 0"),
        (GeoDistance("at", HERE, math.inf), "finite"),
        (GeoDistance("at", HERE, math.nan), "finite"),
        (GeoDistance("at", GeoPoint(91.0, 0.0), 1.0), "center_point must have a latitude of -90 to 90"),
        (GeoDistance("at", GeoPoint(0.0, math.nan), 1.0), "center_point"),
        (GeoDistance("n", HERE, 1.0), r"\[geo_distance query\] field: n type: long is invalid, allow \[geo_point\]"),
        (GeoDistance("x", HERE, 1.0), r"\[geo_distance query\] field: x does not exist"),
        (GeoBoundingBox("at", GeoPoint(1.0, 0.0), GeoPoint(1.1, 1.0)), "top_left, at latitude 1.0, is south of"),
        (GeoBoundingBox("at", GeoPoint(1.0, 181.0), HERE), "top_left must have"),
        (GeoBoundingBox("at", HERE, GeoPoint(-91.0, 0.0)), "bottom_right must have"),
        (ring(), "at least 3 points that differ"),
        (ring((0, 0), (1, 1), (0, 0), (1, 1)), "at least 3 points that differ"),
        (ring((0, 0), (1, 1), (1, 0), (0, 1)), "crosses or touches itself"),
        (ring((0, 0), (1, 1), (1, 200)), "point 2 must have"),
        (ring(*[(n / 100, 0.0) for n in range(1_001)]), "takes at most 1000 points, not 1001"),
    ],
)
def test_what_is_refused(query: Query, says: str) -> None:
    with pytest.raises(ParameterInvalid, match=says):
        search(memory_index(SCHEMA, KEY).view(), SearchRequest(query))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (Term("at", "1,2"), "term"),
        (Terms("at", ("1,2",)), "terms"),
        (Range("at", "1,2"), "range"),
        (Prefix("at", "1"), "prefix"),
    ],
)
def test_points_are_not_compared(query: Query, name: str) -> None:
    with pytest.raises(ParameterInvalid, match=rf"\[{name} query\] field: at type: geo_point is invalid, allow \["):
        search(memory_index(SCHEMA, KEY).view(), SearchRequest(query))
    with pytest.raises(ParameterInvalid, match=r"at is of type GEO_POINT: it cannot be sorted by"):
        search(memory_index(SCHEMA, KEY).view(), SearchRequest(Exists("at"), (FieldSort("at"),)))


def test_what_is_asked_twice_is_looked_for_once() -> None:
    index = memory_index(SCHEMA, KEY)
    index.apply(rows_of({1: {"at": [(1.0, 1.0)]}}))
    box: Callable[[], Query] = lambda: GeoBoundingBox("at", GeoPoint(2.0, 0.0), GeoPoint(0.0, 2.0))  # noqa: E731
    answer = search(index.view(), SearchRequest(Bool(must=(box(), Bool(filter=(box(),)))), limit=1))
    assert len(answer.hits) == 1
    assert answer.stats.parts[0].conditions == 3


def test_points_within_nested_documents(shelf: Shelf) -> None:
    """One item has to be near and cheap; which of them are shown comes by distance."""
    at, price = FieldSchema("at", FieldType.GEO_POINT), FieldSchema("price", FieldType.LONG)
    schema = IndexSchema((FieldSchema("items", FieldType.NESTED, fields=(at, price)),))
    items = {
        1: [("30.0,120.0", 9), ("51.5,0.0", 1)],
        2: [("30.0,120.1", 1), ("30.0,120.0", 2), ("51.5,0.0", 9)],
        3: [("51.5,0.0", 1)],
        4: [],
    }
    rows = [
        Row((("id", n),), [("items", json.dumps([{"at": where, "price": price} for where, price in own]), 1)])
        for n, own in items.items()
    ]
    here = GeoPoint(30.0, 120.0)
    near = Bool(must=(GeoDistance("items.at", here, 20_000), Range("items.price", upper=5)))
    inner = InnerHits(sort=(GeoDistanceSort("items.at", (here,)),))
    query = Nested("items", near, inner_hits=inner)
    buffer = memory_index(schema, KEY)
    buffer.apply(rows)
    view = shared_out(memory_index(schema, KEY), rows, random.Random(1), shelf)
    for one in (buffer.view(), view):
        answer = search(one, SearchRequest(query))
        assert [hit.key[0][1] for hit in answer.hits] == [2]
        assert [hit.offsets for hit in answer.inner_hits[0]["items"]] == [(1,), (0,)]
        with pytest.raises(ParameterInvalid, match=r"items\.at is in the nested field items"):
            search(one, SearchRequest(Exists("items"), (GeoDistanceSort("items.at", (here,)),)))
        with pytest.raises(ParameterInvalid, match=r"items\.at"):
            search(one, SearchRequest(GeoDistance("items.at", here, 20_000)))
