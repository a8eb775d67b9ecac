"""Random searches of the form: what a model finds that looks at every row; and what are no searches."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import searched_rows as model

from lutra.console.search import address
from lutra.console.search.fields import SearchField, SearchFields
from lutra.console.search.spec import Asked, asked_of
from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model.errors import ObjectNotExist, ParameterInvalid
from lutra.model.queries import SearchResult
from lutra.model.rows import PrimaryKey

ROWS = model.rows_of(seed=7, count=120)
FIELDS = SearchFields(model.SCHEMA, model.KEY)
WORDS = st.sampled_from(model.WORDS)
DAYS = st.sampled_from(["1970-01-01", "1970-01-02", "1970-01-02T12:00", "1970-01-04", "0001-01-01", "2000-02-29"])
POINTS = st.tuples(st.integers(-3, 3), st.integers(-3, 3)).map(lambda point: f"{point[0]},{point[1]}")


class RowVectors:
    """Vectors of the rows there are; texts have none that a test could know."""

    def of_text(self, field: SearchField, text: str, model: str | None) -> npt.NDArray[np.float32]:
        return np.full(model_dimension(field), float(len(text)), np.float32)

    def of_row(self, field: SearchField, key: PrimaryKey) -> npt.NDArray[np.float32]:
        row = next((row for row in ROWS if row["id"] == key[0][1]), None)
        if row is None:
            raise ObjectNotExist("no such row")
        return np.array(row.get("vector", []), np.float32)


def model_dimension(field: SearchField) -> int:
    assert field.schema.vector is not None
    return field.schema.vector.dimension


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    path: Path = tmp_path_factory.mktemp("data")
    engine = Engine.open(path)
    engine.create_instance("tests")
    opened = engine.instance("tests")
    model.fill(opened, ROWS)
    yield opened
    engine.close()


def run(instance: Instance, spec: Any) -> tuple[Asked, SearchResult]:
    asked = asked_of(spec, FIELDS, RowVectors())
    return asked, instance.search(model.TABLE, model.INDEX, asked.request)


def condition(name: str, op: st.SearchStrategy[str], value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda op, value: {"field": name, "op": op, "value": value}, op, value)


def compared(name: str, value: st.SearchStrategy[Any], ordered: bool = True) -> st.SearchStrategy[Any]:
    one = condition(name, st.sampled_from(["is", "is_not"]), value)
    several = condition(name, st.sampled_from(["in", "not_in"]), st.lists(value, min_size=1, max_size=3))
    if not ordered:
        return one | several
    sides = condition(name, st.sampled_from(["from", "above", "to", "below"]), value)
    return one | several | sides | condition(name, st.just("between"), st.lists(value, min_size=2, max_size=2))


def patterns(name: str) -> st.SearchStrategy[Any]:
    begun = condition(name, st.sampled_from(["starts", "ends"]), st.sampled_from(["re", "r", "d", "y", "grey"]))
    return begun | condition(name, st.just("like"), st.sampled_from(["*", "r?d", "gr*", "*e*", "x"]))


def presence(*names: str) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda name, op: {"field": name, "op": op}, st.sampled_from(names), st.sampled_from(["has", "lacks"])
    )


NUMBERS = st.integers(-6, 6) | st.sampled_from([0.5, "3", "-1.5", "1e9", 2**70])
OF_ROWS = st.one_of(
    compared("long", NUMBERS),
    compared("double", NUMBERS),
    condition("flag", st.just("is"), st.booleans()),
    compared("word", WORDS),
    patterns("word"),
    compared("tags", WORDS),
    compared("fuzzy", WORDS, ordered=False),
    patterns("fuzzy"),
    compared("at", DAYS),
    compared("address", st.sampled_from(["10.0.0.1", "10.0.1.0", "10.0.0.0/24", "10.0.0.2/31"])),
    condition(
        "text", st.sampled_from(["any_words", "all_words"]), st.lists(WORDS, min_size=1, max_size=2).map(" ".join)
    ),
    condition("text", st.just("phrase"), st.lists(WORDS, min_size=1, max_size=2).map(" ".join)),
    patterns("text"),
    compared("any.colour", WORDS),
    compared("of.name", WORDS),
    condition(
        "place",
        st.just("around"),
        st.builds(lambda p, m: {"point": p, "metres": m}, POINTS, st.sampled_from([1, 150_000.5])),
    ),
    condition("place", st.just("box"), st.just({"top_left": "1,-1", "bottom_right": "-2,2"})),
    presence("long", "word", "tags", "at", "text", "place", "vector", "any", "any.colour", "any.size", "of.name"),
)
OF_ITEMS = st.one_of(
    compared("items.sku", WORDS), compared("items.price", NUMBERS), presence("items.sku", "items.price")
)
HOWS = st.sampled_from(["all", "any", "none"])


def groups(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda how, parts: {"group": how, "parts": parts}, HOWS, st.lists(parts, max_size=3))


WITHIN = st.builds(lambda group: {**group, "within": "items"}, groups(st.recursive(OF_ITEMS, groups, max_leaves=3)))
WHERE = groups(st.recursive(OF_ROWS | WITHIN, groups, max_leaves=6))
SORTABLE = ["long", "double", "flag", "word", "tags", "at", "any.colour", "of.name"]
SORT = st.lists(
    st.builds(
        lambda name, down: {"by": "field", "field": name, "descending": down}, st.sampled_from(SORTABLE), st.booleans()
    ),
    max_size=2,
)
NEAR = st.builds(
    lambda field, vector, top: {"field": field, "by": "vector", "vector": vector, "top": top},
    st.sampled_from(["vector", "items.vector"]),
    st.lists(st.integers(-4, 4), min_size=model.DIMENSION, max_size=model.DIMENSION),
    st.sampled_from([1, 5, 1000]),
)


def is_deep(part: Any, depth: int = 1) -> bool:
    return "group" in part and (depth > 6 or any(is_deep(one, depth + 1) for one in part["parts"]))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(WHERE, SORT, st.none() | st.sampled_from(["word", "long"]), st.integers(0, 5), st.integers(0, 100))
def test_finds_what_a_model_finds(
    instance: Instance, where: Any, sort: list[Any], collapse: str | None, offset: int, limit: int
) -> None:
    spec = {"where": where, "sort": sort, "collapse": collapse, "offset": offset, "limit": limit}
    if is_deep(where):
        return
    expected = model.found_by(ROWS, spec)
    asked, result = run(instance, spec)
    assert [row.key[0][1] for row in result.rows] == [row["id"] for row in expected[offset : offset + limit]]
    if collapse is None:
        assert result.total == len(expected)
    assert not asked.is_scored


@settings(max_examples=100)
@given(WHERE, NEAR, SORT)
def test_finds_the_nearest_that_a_model_finds(instance: Instance, where: Any, near: Any, sort: list[Any]) -> None:
    spec = {"where": where, "near": near, "sort": sort, "limit": min(100, near["top"])}
    if is_deep(where):
        return
    _, result = run(instance, spec)
    expected = [row["id"] for row in model.found_by(ROWS, spec)]
    assert [row.key[0][1] for row in result.rows] == expected[:100]
    assert result.total == len(expected)
    assert all(math.isnan(score) == bool(sort) for score in result.scores)


@settings(max_examples=60)
@given(WHERE, st.sampled_from(["word", "tags", "long", "flag", "items.sku", "of.name"]), st.integers(1, 4))
def test_aggregates_what_a_model_does(instance: Instance, where: Any, field: str, size: int) -> None:
    if is_deep(where):
        return
    each = [{"of": "sum", "field": "long"}, {"by": "value", "field": "flag"}]
    aggregations = [
        {"of": "count"},
        {"of": "max", "field": "long"},
        {"by": "value", "field": field, "size": size, "each": each},
    ]
    _, result = run(instance, {"where": where, "limit": 0, "aggregations": aggregations})
    rows = model.found_by(ROWS, {"where": where})
    aggregated = result.aggregated
    assert aggregated is not None
    longs = [row["long"] for row in rows if "long" in row]
    assert aggregated.aggregations["count"].value == len(rows)  # type: ignore[union-attr]
    assert aggregated.aggregations["max_long"].value == (max(longs) if longs else None)  # type: ignore[union-attr]
    groups = aggregated.group_bys[f"by_{field}"].groups
    flat = [
        {**row, field: [one["sku"] for one in row.get("items", [])] or None} if field == "items.sku" else row
        for row in rows
    ]

    def values(row: Any) -> list[Any]:
        return (row[field] or []) if field == "items.sku" else model.values_of(row, field)

    assert [(group.key, group.rows) for group in groups] == model.counted(
        [{"x": values(row)} for row in flat], "x", size
    )
    for group in groups:
        members = [row for row in flat if group.key in {str(one).lower() for one in values(row)}]
        own = [row["long"] for row in members if "long" in row]
        assert group.aggregations["sum_long"].value == sum(own)  # type: ignore[union-attr]
        assert sum(one.rows for one in group.group_bys["by_flag"].groups) == sum("flag" in row for row in members)


WHOLE: dict[str, Any] = {
    "words": {"text": "red grey", "fields": ["text"], "match": "any", "weight": 2},
    "near": {"field": "vector", "by": "row", "key": "[4]", "top": 5, "min_score": 0.1, "weight": 1.5},
    "where": {
        "group": "all",
        "parts": [
            {"field": "at", "op": "between", "value": ["1970-01-01", "1970-01-03T00:00"]},
            {"group": "any", "within": "items", "parts": [{"field": "items.price", "op": "in", "value": [1, "2"]}]},
            {"field": "place", "op": "polygon", "value": ["-3,-3", "-3,3", "3,3", "3,-3"]},
            {"field": "address", "op": "is", "value": "10.0.0.0/16"},
        ],
    },
    "sort": [{"by": "score"}, {"by": "distance", "field": "place", "point": "0,0"}, {"by": "key", "descending": True}],
    "collapse": "word",
    "limit": 10,
    "offset": 0,
    "columns": ["word", "text"],
    "aggregations": [
        {"of": "percentiles", "field": "double", "percents": [50, 99]},
        {"by": "range", "field": "long", "bounds": [0, 2]},
        {"by": "interval", "field": "double", "every": 0.5},
        {"by": "date", "field": "at", "every": 1, "unit": "day", "zone": "Europe/Berlin"},
        {"by": "distance", "field": "place", "point": "0,0", "bounds": [100000, 200000]},
        {"by": "cell", "field": "place", "precision": 3, "size": 5, "each": [{"of": "avg", "field": "long"}]},
    ],
    "explain": True,
    "view": "grid",
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        [
            "\ud800",
            "items",
            "items.sku",
            "hidden",
            "vector",
            "any",
            "1e400",
            "0001-01-01T00:00+14:00",
            "9999-12-31",
            "AAAA",
            "x" * 5000,
        ]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(
        st.sampled_from(["field", "op", "group", "by", "of", "parts", "value"]), st.text(max_size=3), max_size=3
    ),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of all that is in a value of JSON, itself too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))]


def changed(value: Any, at: tuple[Any, ...], to: Any) -> Any:
    if not at:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = changed(value[at[0]], at[1:], to)
    return copy


def test_a_whole_search_is_one(instance: Instance) -> None:
    asked, result = run(instance, WHOLE)
    assert asked.view == "grid"
    assert asked.is_scored
    assert result.total >= len(result.rows) > 0
    assert result.stats.explanation is not None


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(places(WHOLE)), JUNK)
@example(("aggregations", 1, "bounds", 0), 10**400)
@example(("where", "parts", 0, "value", 1), "9999-12-31")
@example(("near", "key"), "[9223372036854775808]")
def test_what_makes_no_sense_is_told(instance: Instance, at: tuple[Any, ...], junk: Any) -> None:
    spec = changed(WHOLE, at, junk)
    try:
        _, result = run(instance, spec)
    except ParameterInvalid as error:
        str(error).encode()
    else:
        assert result.total >= 0


@settings(max_examples=100)
@given(
    st.recursive(
        JUNK, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    )
)
def test_what_is_no_search_at_all_is_told(instance: Instance, spec: Any) -> None:
    try:
        run(instance, spec)
    except ParameterInvalid as error:
        str(error).encode()


@settings(max_examples=50)
@given(WHERE)
def test_addresses_give_back_what_was_written(where: Any) -> None:
    spec = {"where": where}
    assert address.read(address.written(spec)) == json.loads(json.dumps(spec))
