"""What aggregations and group-bys should come to, in plain Python, and random ones."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import strategies as st
from support.search_model import ELEMENTS, FILTERS, Model, World, key_order, meant, order_of, sort_key, sorts

from lutra.model.aggregations import (
    Aggregated,
    Aggregation,
    AggregationResult,
    Avg,
    Count,
    CountResult,
    DistinctCount,
    Group,
    GroupBy,
    GroupByField,
    GroupByFilter,
    GroupByRange,
    GroupByResult,
    GroupKeySort,
    GroupSorter,
    Max,
    Min,
    Percentiles,
    PercentilesResult,
    RowCountSort,
    RowsResult,
    SubAggregationSort,
    Sum,
    TopRows,
    ValueResult,
)
from lutra.model.queries import Hit
from lutra.model.rows import PrimaryKey

NUMBERS = ["long", "double"]
MEASURED = [*NUMBERS, "date"]
MISSING: dict[str, list[Any]] = {
    "long": [1, 7, 2.0],
    "double": [0.5, 3, 2.25],
    "boolean": [True],
    "keyword": ["a", "none"],
    "date": [0, 9],
}


# --- random ones -----------------------------------------------------------------------------------------------------


@st.composite
def aggregations(draw: st.DrawFn, arrays: frozenset[str], most: int = 3) -> tuple[Aggregation, ...]:
    result: list[Aggregation] = []
    for number in range(draw(st.integers(0, most))):
        name = f"agg{number}"
        kind = draw(st.sampled_from([Avg, Max, Min, Sum, Count, DistinctCount, Percentiles, TopRows]))
        if kind is TopRows:
            result.append(TopRows(name, draw(st.integers(1, 4)), draw(sorts(arrays))))
            continue
        allowed = NUMBERS if kind is Sum else sorted(ELEMENTS) if kind in (Count, DistinctCount) else MEASURED
        field = draw(st.sampled_from(allowed))
        missing = draw(st.none() | st.sampled_from(MISSING[field]))
        if kind is Count:
            result.append(Count(name, draw(st.sampled_from([field, "*"]))))
        elif kind is Percentiles:
            percentiles = draw(st.lists(st.sampled_from([0.0, 10, 25, 50, 77.5, 100]), min_size=1, max_size=3))
            result.append(Percentiles(name, field, tuple(percentiles), missing))
        else:
            result.append(kind(name, field, missing))
    return tuple(result)


@st.composite
def group_sorts(draw: st.DrawFn, below: Sequence[Aggregation]) -> tuple[GroupSorter, ...]:
    numbers = [wanted.name for wanted in below if not isinstance(wanted, Percentiles | TopRows)]
    sorters: list[Any] = [st.builds(GroupKeySort, st.booleans()), st.builds(RowCountSort, st.booleans())]
    if numbers:
        sorters.append(st.builds(SubAggregationSort, st.sampled_from(numbers), st.booleans()))
    return tuple(draw(st.lists(st.one_of(*sorters), max_size=2)))


@st.composite
def group_bys(draw: st.DrawFn, arrays: frozenset[str], depth: int = 1, most: int = 2) -> tuple[GroupBy, ...]:
    return tuple(draw(group_by(arrays, f"by{number}", depth)) for number in range(draw(st.integers(0, most))))


@st.composite
def group_by(draw: st.DrawFn, arrays: frozenset[str], name: str, depth: int) -> GroupBy:
    below = draw(aggregations(arrays, 2))
    deeper = draw(group_bys(arrays, depth + 1, 1)) if depth < 3 else ()
    kind = draw(st.sampled_from(["field", "field", "range", "filter"]))
    if kind == "range":
        bound = st.sampled_from([-math.inf, -1.5, -1.0, 0.0, 0.5, 1.0, 2.5, 2.0**53, math.inf])
        ranges = draw(st.lists(st.tuples(bound, bound).filter(lambda r: r[0] < r[1]), min_size=1, max_size=4))
        return GroupByRange(name, draw(st.sampled_from(NUMBERS)), tuple(ranges), below, deeper)
    if kind == "filter":
        return GroupByFilter(name, tuple(draw(st.lists(FILTERS, min_size=1, max_size=3))), below, deeper)
    field = draw(st.sampled_from(sorted(ELEMENTS)))
    size, least = draw(st.sampled_from([None, 1, 2, 2000])), draw(st.sampled_from([None, 1, 2]))
    return GroupByField(name, field, size, draw(group_sorts(below)), least, below, deeper)


# --- the model -------------------------------------------------------------------------------------------------------


class AggregationModel:
    def __init__(self, world: World, top_k: int) -> None:
        self.world = world
        self.queries = Model(world, top_k)

    def aggregated(
        self, found: dict[PrimaryKey, float], asked: Sequence[Aggregation], group_bys: Sequence[GroupBy]
    ) -> Aggregated:
        """Of the rows ``found``, with their scores."""
        return Aggregated(
            {wanted.name: self.metric(found, wanted) for wanted in asked},
            {wanted.name: self.grouped(found, wanted) for wanted in group_bys},
        )

    def values(self, key: PrimaryKey, field: str, missing: Any = None) -> list[Any]:
        elements = self.world.rows[key].get(field, [])
        return elements or ([] if missing is None else [meant(field, missing)])

    def metric(self, found: dict[PrimaryKey, float], wanted: Aggregation) -> AggregationResult:
        if isinstance(wanted, TopRows):
            order = sorted(found, key=lambda key: sort_key(self.world, wanted.sort, key, found[key]))
            return RowsResult(wanted.name, [Hit(key, math.nan) for key in order[: wanted.limit]])
        if isinstance(wanted, Count) and wanted.field == "*":
            return CountResult(wanted.name, len(found))
        missing = None if isinstance(wanted, Count) else wanted.missing
        values = [value for key in found for value in self.values(key, wanted.field, missing)]
        match wanted:
            case Count():
                return CountResult(wanted.name, len(values))
            case DistinctCount():
                return CountResult(wanted.name, len(set(values)))
            case Percentiles():
                return PercentilesResult(
                    wanted.name, tuple((p, percentile(sorted(values), p)) for p in wanted.percentiles)
                )
            case Sum():
                return ValueResult(wanted.name, total(values))
            case _ if not values:
                return ValueResult(wanted.name, None)
            case Avg():
                return ValueResult(wanted.name, total(values) / len(values))
            case Min():
                return ValueResult(wanted.name, min(values))
            case Max():
                return ValueResult(wanted.name, max(values))

    def grouped(self, found: dict[PrimaryKey, float], wanted: Any) -> GroupByResult:
        match wanted:
            case GroupByField():
                return self.by_field(found, wanted)
            case GroupByRange():
                ranges = sorted(wanted.ranges)
                members = [
                    [key for key in found if any(a <= value < b for value in self.values(key, wanted.field))]
                    for a, b in ranges
                ]
                return GroupByResult(wanted.name, self.groups(found, wanted, zip(ranges, members, strict=True)))
            case GroupByFilter():
                matches = [[key for key in found if key in self.queries.match(query)] for query in wanted.filters]
                return GroupByResult(wanted.name, self.groups(found, wanted, [(None, match) for match in matches]))
        raise AssertionError(wanted)

    def groups(self, found: dict[PrimaryKey, float], wanted: Any, members: Any) -> list[Group]:
        """``members``: keys of groups, and of the rows in them."""
        result = []
        for key, rows in members:
            below = self.aggregated({row: found[row] for row in rows}, wanted.aggregations, wanted.group_bys)
            result.append(Group(key, len(rows), below.aggregations, below.group_bys))
        return result

    def by_field(self, found: dict[PrimaryKey, float], wanted: GroupByField) -> GroupByResult:
        members: dict[Any, list[PrimaryKey]] = {}
        for key in found:
            for value in set(self.values(key, wanted.field)):
                members.setdefault(value, []).append(key)
        groups = self.groups(found, wanted, members.items())
        least = 1 if wanted.min_doc_count is None else wanted.min_doc_count
        chosen = [group for group in in_order(groups, wanted.sort) if group.rows >= least]
        shown = [Group(text(g.key), g.rows, g.aggregations, g.group_bys) for g in chosen]
        return GroupByResult(wanted.name, shown[: wanted.size or 10])


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool) else repr(value)


def in_order(groups: list[Group], sort: Sequence[GroupSorter]) -> list[Group]:
    """From the last sorter to the first, as sorting is stable."""
    groups = sorted(groups, key=lambda group: order_of(group.key))
    for sorter in reversed(sort or (RowCountSort(),)):
        match sorter:
            case GroupKeySort():
                groups.sort(key=lambda group: order_of(group.key), reverse=sorter.descending)
            case RowCountSort():
                groups.sort(key=lambda group: -group.rows if sorter.descending else group.rows)
            case SubAggregationSort():
                groups.sort(key=lambda group: sub_order(group, sorter))
    return groups


def sub_order(group: Group, sorter: SubAggregationSort) -> tuple[bool, float]:
    result: Any = group.aggregations[sorter.name]
    if result.value is None:
        return True, 0.0
    return False, -float(result.value) if sorter.descending else float(result.value)


def total(values: list[Any]) -> Any:
    if any(isinstance(value, float) for value in values):
        return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
    return sum(values)


def percentile(values: list[Any], percent: float) -> float | None:
    if not values:
        return None
    at = percent / 100 * (len(values) - 1)
    low, high = values[math.floor(at)], values[math.ceil(at)]
    return float(low) if low == high else low * (1 - at % 1) + high * (at % 1)


def assert_same(actual: Any, expected: Any) -> None:
    """Floats within rounding; NaN is NaN."""
    if isinstance(expected, float) or isinstance(actual, float):
        if expected is None or actual is None or math.isnan(expected) or math.isnan(actual):
            assert repr(actual) == repr(expected)
        else:
            assert math.isclose(actual, expected, rel_tol=1e-12, abs_tol=1e-12), (actual, expected)
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), (actual, expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert list(actual) == list(expected)
        for name in expected:
            assert_same(actual[name], expected[name])
    elif is_dataclass(expected) and not isinstance(expected, type):
        assert type(actual) is type(expected)
        for one in fields(expected):
            assert_same(getattr(actual, one.name), getattr(expected, one.name))
    else:
        assert actual == expected


__all__ = ["AggregationModel", "aggregations", "assert_same", "group_bys", "key_order"]
