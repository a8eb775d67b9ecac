"""Aggregations of fields within documents, of keys of objects, of points and addresses: of the rows they are in."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.index.lsm.index import SearchIndex
from lutra.model.aggregations import (
    Avg,
    Count,
    CountResult,
    DistinctCount,
    GroupByField,
    GroupByGeoDistance,
    GroupByRange,
    Max,
    Percentiles,
    PercentilesResult,
    Sum,
    ValueResult,
)
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType
from lutra.model.queries import MatchAll, Range, SearchRequest
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("id", ColumnType.INTEGER),)
AT = FieldSchema("at", FieldType.GEO_POINT)
INNER = FieldSchema("in", FieldType.NESTED, fields=(FieldSchema("n", FieldType.LONG),))
SCHEMA = IndexSchema(
    (
        FieldSchema("id", FieldType.LONG),
        FieldSchema(
            "out",
            FieldType.NESTED,
            fields=(FieldSchema("n", FieldType.LONG), FieldSchema("w", FieldType.KEYWORD), INNER, AT),
        ),
        FieldSchema(
            "json",
            FieldType.JSON,
            json_type=JsonType.OBJECT,
            fields=(FieldSchema("n", FieldType.LONG), FieldSchema("tags", FieldType.KEYWORD, is_array=True)),
        ),
        FieldSchema("place", FieldType.GEO_POINT, is_array=True),
        FieldSchema("host", FieldType.IP),
    )
)
PLACES = ["1,2", "1,2.5", "-0.0,2", "0,2", "-90,180"]
HOSTS = ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "9.255.0.0"]


def random_content(rng: random.Random) -> dict[str, Any]:
    def child(depth: int) -> dict[str, Any]:
        content: dict[str, Any] = {}
        if rng.random() < 0.8:
            content["n"] = rng.randint(-3, 3)
        if depth and rng.random() < 0.8:
            content["w"] = rng.choice(["a", "b", "c"])
        if depth and rng.random() < 0.5:
            content["at"] = rng.choice(PLACES)
        if depth and rng.random() < 0.6:
            content["in"] = [child(0) for _ in range(rng.randint(0, 3))]
        return content

    content: dict[str, Any] = {}
    if rng.random() < 0.9:
        content["out"] = [child(1) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.9:
        content["json"] = {"n": rng.randint(0, 5), "tags": rng.choices("xyz", k=rng.randint(0, 3))}
    if rng.random() < 0.9:
        content["place"] = rng.choices(PLACES, k=rng.randint(1, 3))
    if rng.random() < 0.9:
        content["host"] = rng.choice(HOSTS)
    return content


def made(rng: random.Random, count: int) -> tuple[SearchIndex, list[Row], dict[int, dict[str, Any]]]:
    contents = {number: random_content(rng) for number in range(count)}
    rows = []
    for number, content in contents.items():
        cells = [(name, value if isinstance(value, str) else json.dumps(value), 1) for name, value in content.items()]
        rows.append(Row((("id", number),), sorted([*cells, ("id", number, 1)])))
    index = memory_index(SCHEMA, KEY)
    index.apply(rows)
    return index, rows, contents


def values_of(content: dict[str, Any], path: str) -> list[Any]:
    """All values at a path, through arrays of objects."""
    found: list[Any] = [content]
    for name in path.split("."):
        found = [one[name] for one in found if name in one]
        found = [element for one in found for element in (one if isinstance(one, list) else [one])]
    return found


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 30), st.integers(0, 2**32), st.booleans())
def test_paths(shelf: Shelf, count: int, seed: int, is_stored: bool) -> None:
    rng = random.Random(seed)
    index, rows, contents = made(rng, count)
    view = shared_out(index, rows, rng, shelf) if is_stored else index.view()
    low = rng.randint(0, 10)
    query = MatchAll() if seed % 2 else Range("id", low)
    found = {number: content for number, content in contents.items() if seed % 2 or number >= low}
    for path in ("out.n", "out.in.n", "json.n"):
        values = [value for content in found.values() for value in values_of(content, path)]
        request = SearchRequest(
            query,
            limit=0,
            aggregations=(
                Sum("sum", path),
                Max("max", path),
                Count("count", path),
                Percentiles("middle", path, (50,)),
                DistinctCount("distinct", path, missing=7),
            ),
            group_bys=(GroupByField("by", path, aggregations=(Count("rows", "*"), Avg("avg", path))),),
        )
        came = search(view, request).aggregated
        assert came is not None
        assert came.aggregations["sum"] == ValueResult("sum", sum(values))
        assert came.aggregations["max"] == ValueResult("max", max(values, default=None))
        assert came.aggregations["count"] == CountResult("count", len(values))
        middle = came.aggregations["middle"]
        assert isinstance(middle, PercentilesResult)
        assert middle.items[0][1] == (median(values) if values else None)
        has_none = any(not values_of(content, path) for content in found.values())
        assert came.aggregations["distinct"] == CountResult("distinct", len({*values, *([7] if has_none else [])}))
        for group in came.group_bys["by"].groups:
            own = [values_of(content, path) for content in found.values() if int(group.key) in values_of(content, path)]
            assert (group.rows, group.aggregations["rows"]) == (len(own), CountResult("rows", len(own)))
            together = [value for values in own for value in values]
            assert group.aggregations["avg"] == ValueResult("avg", sum(together) / len(together))
        assert {int(group.key) for group in came.group_bys["by"].groups} == set(values)


def median(values: list[int]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 30), st.integers(0, 2**32))
def test_strings_points_and_addresses(shelf: Shelf, count: int, seed: int) -> None:
    rng = random.Random(seed)
    index, rows, contents = made(rng, count)
    view = shared_out(index, rows, rng, shelf)
    by_range = GroupByRange("by_n", "out.in.n", ((-3, 0), (0, 10)), (DistinctCount("words", "out.w"),))
    by_place = GroupByGeoDistance("by_place", "out.at", GeoPoint(1, 2), ((0, 1), (1, math.inf)))
    request = SearchRequest(
        MatchAll(),
        limit=0,
        aggregations=(
            Count("tags", "json.tags"),
            Count("places", "place"),
            DistinctCount("distinct_places", "place"),
            Count("at", "out.at"),
            DistinctCount("distinct_at", "out.at"),
            DistinctCount("hosts", "host", missing="127.0.0.1"),
        ),
        group_bys=(by_range, by_place, GroupByField("by_host", "host"), GroupByField("by_tag", "json.tags")),
    )
    came = search(view, request).aggregated
    assert came is not None
    places = [tuple(map(float, text.split(","))) for c in contents.values() for text in c.get("place", [])]
    at = [tuple(map(float, text.split(","))) for c in contents.values() for text in values_of(c, "out.at")]
    hosts = {canonical(c["host"]) if "host" in c else "127.0.0.1" for c in contents.values()}
    assert {name: getattr(result, "value", None) for name, result in came.aggregations.items()} == {
        "tags": sum(len(values_of(content, "json.tags")) for content in contents.values()),
        "places": len(places),
        "distinct_places": len(set(places)),
        "at": len(at),
        "distinct_at": len(set(at)),
        "hosts": len(hosts),
    }
    by_tag = {tag: sum(tag in values_of(content, "json.tags") for content in contents.values()) for tag in "xyz"}
    assert {g.key: g.rows for g in came.group_bys["by_tag"].groups} == {tag: n for tag, n in by_tag.items() if n}
    assert {g.key for g in came.group_bys["by_host"].groups} == hosts - {"127.0.0.1"}
    near = sum("1,2" in values_of(content, "out.at") for content in contents.values())
    far = sum(bool({*values_of(content, "out.at")} - {"1,2"}) for content in contents.values())
    assert [group.rows for group in came.group_bys["by_place"].groups] == [near, far]
    for group in came.group_bys["by_n"].groups:
        low, high = group.key
        own = [c for c in contents.values() if any(low <= n < high for n in values_of(c, "out.in.n"))]
        words = {word for content in own for word in values_of(content, "out.w")}
        assert (group.rows, group.aggregations["words"]) == (len(own), CountResult("words", len(words)))


def canonical(host: str) -> str:
    return "10.0.0.1" if host.startswith("::ffff:") else host


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Max("m", "out"), r"\[max agg\] field_name:out type:nested is invalid, allow \[long, double, date\]"),
        (Max("m", "out.w"), r"\[max agg\] field_name:out.w type:keyword is invalid"),
        (Max("m", "out.x"), r"\[max agg\] field: out.x does not exist"),
        (Max("m", "n"), r"\[max agg\] field: n does not exist"),
        (Max("m", "place"), r"\[max agg\] field_name:place type:geo_point is invalid"),
    ],
)
def test_what_does_not_go(asked: Any, message: str) -> None:
    view = memory_index(SCHEMA, KEY).view()
    with pytest.raises(ParameterInvalid, match=message):
        search(view, SearchRequest(MatchAll(), aggregations=(asked,)))
