"""Groups by distance and by cells of a grid come to what plain Python comes to, whatever parts rows are in."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.geo_model import Place, arc_m, text
from support.geo_rows import KEY, SCHEMA, Points, rows_of
from support.indexes import memory_index
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.geo.grid import cell_of, cells_of
from lutra.index.lsm.view import IndexView
from lutra.model.aggregations import (
    Aggregated,
    Count,
    CountResult,
    DistinctCount,
    GroupBy,
    GroupByField,
    GroupByGeoDistance,
    GroupByGeoGrid,
    GroupByRange,
    Sum,
    ValueResult,
)
from lutra.model.deadline import NEVER
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import MatchAll, PartStats, Query, Range, SearchRequest
from lutra.search import search
from lutra.search.aggregations import AggregationCollector
from lutra.search.matching import matching_of
from lutra.search.nodes.node import PartSearch
from lutra.search.plan import plan_of

CHARACTERS = "0123456789bcdefghjkmnpqrstuvwxyz"
OPEN = math.inf

places = st.tuples(
    st.sampled_from([-90.0, 90.0, 0.0, 30.0, 30.001, 45.0]), st.sampled_from([-180.0, 180.0, 0.0, 120.0, 120.001])
) | st.tuples(st.floats(-90, 90), st.floats(-180, 180))
contents: st.SearchStrategy[Points] = st.fixed_dictionaries(
    {}, optional={"at": st.lists(places, min_size=1, max_size=1), "stops": st.lists(places, max_size=4)}
)
bounds_m = st.sampled_from([-OPEN, 0.0, 1.0, 111.2, 20_000.0, 5e6, 1.1e7, OPEN])
ranges = st.lists(st.tuples(bounds_m, bounds_m).filter(lambda one: one[0] < one[1]), min_size=1, max_size=3).map(tuple)


@st.composite
def group_bys(draw: st.DrawFn) -> GroupBy:
    field = draw(st.sampled_from(["at", "stops"]))
    below = (GroupByRange("below", "n", ((0.0, 4.0), (2.0, 9.0)), (Sum("sum", "n"),)),)
    if draw(st.booleans()):
        origin = GeoPoint(*draw(places))
        return GroupByGeoDistance("by", field, origin, draw(ranges), (Sum("sum", "n"),), below)
    precision = draw(st.integers(1, 12))
    return GroupByGeoGrid("by", field, precision, draw(st.sampled_from([None, 1, 3])), (Sum("sum", "n"),), below)


def geohash(place: Place, length: int) -> str:
    """By halving, as it was first told."""
    bounds = [[-90.0, 90.0], [-180.0, 180.0]]
    text, bits = "", 0
    for place_of_bit in range(5 * length):
        own = bounds[1 - place_of_bit % 2]
        middle = (own[0] + own[1]) / 2
        upper = place[1 - place_of_bit % 2] >= middle
        own[0 if upper else 1] = middle
        bits = bits << 1 | upper
        if place_of_bit % 5 == 4:
            text += CHARACTERS[bits & 31]
    return text


def expected_of(wanted: GroupBy, rows: list[Points], matching: list[int]) -> list[tuple[object, list[int]]]:
    """Keys, and the rows of each group, in order."""
    groups: dict[object, set[int]] = {}
    if isinstance(wanted, GroupByGeoDistance):
        origin = (wanted.origin.lat, wanted.origin.lon)
        listed: list[tuple[object, list[int]]] = []
        for begin, end in wanted.ranges:
            begin = max(begin, 0.0)
            own = [n for n in matching if any(begin <= arc_m(origin, p) < end for p in rows[n].get(wanted.field, ()))]
            listed.append(((begin, end), own))
        return listed
    assert isinstance(wanted, GroupByGeoGrid)
    for number in matching:
        for place in rows[number].get(wanted.field, ()):
            groups.setdefault(geohash(place, wanted.precision), set()).add(number)
    order = sorted(groups, key=lambda key: (-len(groups[key]), key))
    return [(key, sorted(groups[key])) for key in order[: wanted.size or 10]]


def check(found: Aggregated | None, wanted: GroupBy, rows: list[Points], matching: list[int]) -> None:
    assert found is not None
    groups = found.group_bys["by"].groups
    expected = expected_of(wanted, rows, matching)
    keys = [group.key.hash if isinstance(wanted, GroupByGeoGrid) else group.key for group in groups]
    assert keys == [key for key, _ in expected]
    for group, (_, own) in zip(groups, expected, strict=True):
        assert group.rows == len(own)
        assert group.aggregations["sum"] == ValueResult("sum", sum(own))
        for (begin, end), below in zip(((0, 4), (2, 9)), group.group_bys["below"].groups, strict=True):
            inside = [n for n in own if begin <= n < end]
            assert (below.rows, below.aggregations["sum"]) == (len(inside), ValueResult("sum", sum(inside)))


def by_states(view: IndexView, request: SearchRequest) -> Aggregated:
    """The states of all parts, sent and merged."""
    plan = plan_of(view, request)
    collector = AggregationCollector(plan.aggregations)
    searches = [PartSearch(part, PartStats(part.rows), NEVER) for part in view.parts]
    states = [collector.collect(matching_of(search, plan.root, plan.needs_scores)) for search in searches]
    sent = [collector.decode(collector.encode(state)) for state in states]
    return collector.results(collector.merge([collector.merge(sent[:1]), collector.merge(sent[1:])]))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(contents, max_size=20), group_bys(), st.booleans(), st.integers(0, 2**32))
def test_groups(shelf: Shelf, rows: list[Points], wanted: GroupBy, some: bool, seed: int) -> None:
    index = memory_index(SCHEMA, KEY)
    written = rows_of(dict(enumerate(rows)))
    query: Query = Range("n", lower=2, upper=11) if some else MatchAll()
    matching = [n for n in range(len(rows)) if not some or 2 <= n <= 11]
    request = SearchRequest(query, limit=0, group_bys=(wanted,))
    index.apply(written)
    check(search(index.view(), request).aggregated, wanted, rows, matching)
    view = shared_out(memory_index(SCHEMA, KEY), written, random.Random(seed), shelf)
    check(search(view, request).aggregated, wanted, rows, matching)
    check(by_states(view, request), wanted, rows, matching)


def test_below_other_groups() -> None:
    """Where rows stand in several groups, and so several times."""
    rows: list[Points] = [{"stops": [(1.0, 1.0), (60.0, 60.0)]}, {"stops": [(1.0, 1.0)]}, {}]
    index = memory_index(SCHEMA, KEY)
    index.apply(rows_of(dict(enumerate(rows))))
    below = GroupByGeoGrid("grid", "stops", 1)
    outer = GroupByGeoDistance("far", "stops", GeoPoint(1.0, 1.0), ((0, 1), (0, 1e8)), (), (below,))
    found = search(index.view(), SearchRequest(MatchAll(), limit=0, group_bys=(outer,))).aggregated
    assert found is not None
    told = [
        [(group.key.hash, group.rows) for group in one.group_bys["grid"].groups]
        for one in found.group_bys["far"].groups
    ]
    assert told == [[("s", 2), ("v", 1)]] * 2


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(contents, max_size=20), st.none() | places, st.integers(0, 2**32))
def test_counts(shelf: Shelf, rows: list[Points], missing: Place | None, seed: int) -> None:
    written = rows_of(dict(enumerate(rows)))
    view = shared_out(memory_index(SCHEMA, KEY), written, random.Random(seed), shelf)
    stand_in = None if missing is None else text(missing)
    wanted = (Count("count", "stops"), DistinctCount("points", "stops", stand_in), DistinctCount("at", "at"))
    request = SearchRequest(MatchAll(), limit=0, aggregations=wanted)
    stops = [place for row in rows for place in row.get("stops", ())]
    others = [missing for row in rows if not row.get("stops") and missing is not None]
    expected = {
        "count": CountResult("count", len(stops)),
        "points": CountResult("points", len({*stops, *others})),
        "at": CountResult("at", len({row["at"][0] for row in rows if "at" in row})),
    }
    found = search(view, request).aggregated
    assert found is not None
    assert found.aggregations == by_states(view, request).aggregations == expected


@given(places, st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_cells(place: Place, precision: int) -> None:
    cell = cell_of(int(cells_of(np.array([place]), precision)[0]), precision)
    assert cell.hash == geohash(place, precision)
    assert cell.bottom_right.lat <= place[0] <= cell.top_left.lat
    assert cell.top_left.lon <= place[1] <= cell.bottom_right.lon
    lat_bits = precision * 5 // 2
    assert cell.top_left.lat - cell.bottom_right.lat == pytest.approx(180 / 2**lat_bits)
    assert cell.bottom_right.lon - cell.top_left.lon == pytest.approx(360 / 2 ** (precision * 5 - lat_bits))


HERE = GeoPoint(0.0, 0.0)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (GroupByGeoDistance("g", "n", HERE, ((0, 1),)), r"field_name:n type:long is invalid, allow \[geo_point\]"),
        (GroupByGeoDistance("g", "x", HERE, ((0, 1),)), r"\[group_by_geo_distance\] field: x does not exist"),
        (GroupByGeoDistance("g", "at", HERE, ()), "has 0 ranges, must have 1 to 10"),
        (GroupByGeoDistance("g", "at", HERE, ((0, 1),) * 11), "has 11 ranges"),
        (GroupByGeoDistance("g", "at", HERE, ((1, 1),)), "it ends before it begins"),
        (GroupByGeoDistance("g", "at", GeoPoint(91.0, 0.0), ((0, 1),)), r"\[group_by_geo_distance\] origin must have"),
        (GroupByGeoGrid("g", "at", 0), r"\[group_by_geo_grid\] precision is 0, must be in \[1, 12\]"),
        (GroupByGeoGrid("g", "at", 13), "precision is 13"),
        (GroupByGeoGrid("g", "at", 5, 0), "size is 0"),
        (GroupByGeoGrid("g", "n", 5), "field_name:n type:long"),
        (GroupByField("g", "at"), "field_name:at type:geo_point is invalid"),
        (GroupByGeoGrid("g", "flat", 5), "flat was created without sort_and_agg"),
    ],
)
def test_what_is_refused(wanted: GroupBy, says: str) -> None:
    schema = IndexSchema((*SCHEMA.fields, FieldSchema("flat", FieldType.GEO_POINT, sort_and_aggregate=False)))
    with pytest.raises(ParameterInvalid, match=says):
        search(memory_index(schema, KEY).view(), SearchRequest(MatchAll(), group_bys=(wanted,)))
