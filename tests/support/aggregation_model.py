"""What aggregations and group-bys should come to, in plain Python, and random ones."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import product
from typing import Any

from hypothesis import strategies as st
from support.search_model import ELEMENTS, FILTERS, Model, Reversed, World, key_order, meant, order_of, sort_key, sorts

from lutra.model.aggregations import (
    Aggregated,
    Aggregation,
    AggregationResult,
    Avg,
    CompositeSource,
    Count,
    CountResult,
    DateTimeUnit,
    DateTimeValue,
    DistinctCount,
    Group,
    GroupBy,
    GroupByComposite,
    GroupByDateHistogram,
    GroupByField,
    GroupByFilter,
    GroupByHistogram,
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
    kind = draw(st.sampled_from(["field", "field", "range", "filter", "histogram", "dates", "composite"]))
    if kind in ("histogram", "dates"):
        return draw(histograms(name, kind == "dates", below, deeper))
    if kind == "composite":
        sources = [draw(composite_source(f"s{n}")) for n in range(draw(st.integers(1, 3)))]
        size, suggested = draw(st.sampled_from([None, 1, 2, 7])), draw(st.sampled_from([None, None, 2, 5_000]))
        return GroupByComposite(name, tuple(sources), size, suggested, None, below, deeper)
    if kind == "range":
        bound = st.sampled_from([-math.inf, -1.5, -1.0, 0.0, 0.5, 1.0, 2.5, 2.0**53, math.inf])
        ranges = draw(st.lists(st.tuples(bound, bound).filter(lambda r: r[0] < r[1]), min_size=1, max_size=4))
        return GroupByRange(name, draw(st.sampled_from(NUMBERS)), tuple(ranges), below, deeper)
    if kind == "filter":
        return GroupByFilter(name, tuple(draw(st.lists(FILTERS, min_size=1, max_size=3))), below, deeper)
    field = draw(st.sampled_from(sorted(ELEMENTS)))
    size, least = draw(st.sampled_from([None, 1, 2, 2000])), draw(st.sampled_from([None, 1, 2]))
    return GroupByField(name, field, size, draw(group_sorts(below)), least, below, deeper)


@st.composite
def histograms(
    draw: st.DrawFn, name: str, is_date: bool, below: Any = (), deeper: Any = (), is_source: bool = False
) -> GroupByHistogram | GroupByDateHistogram:
    field = "date" if is_date else draw(st.sampled_from(NUMBERS))
    missing = draw(st.none() | st.sampled_from(MISSING[field]))
    field_range, least, sort = None, None, ()
    if not is_source:
        bound = st.none() | st.sampled_from([-2, 0, 1, 3])
        field_range = draw(st.none() | st.tuples(bound, bound))
        if field_range is not None and None not in field_range:
            field_range = min(field_range), max(field_range)
        least, sort = draw(st.sampled_from([None, 1, 2])), draw(group_sorts(below))
        if field == "long" or is_date:  # of doubles there is one that is far away
            least = draw(st.sampled_from([least, 0]))
    common = (missing, field_range, least, sort, below, deeper)
    if is_date:
        unit = draw(st.sampled_from(UNITS))
        offset = draw(st.none() | st.builds(DateTimeValue, st.integers(-3, 3), st.just(DateTimeUnit.MILLISECOND)))
        return GroupByDateHistogram(name, field, DateTimeValue(draw(st.integers(1, 3)), unit), None, offset, *common)
    whole = field == "long" and draw(st.booleans())
    interval = draw(st.sampled_from([1, 2, 3] if whole else [0.5, 1.5, 2, 4.0]))
    offset_of = draw(st.none() | st.sampled_from([-1, 1, 5] if whole else [0.25, -1, 2.5]))
    return GroupByHistogram(name, field, interval, offset_of, *common)


UNITS = [DateTimeUnit.MILLISECOND, DateTimeUnit.SECOND, DateTimeUnit.DAY]


@st.composite
def composite_source(draw: st.DrawFn, name: str) -> CompositeSource:
    sort = draw(st.sampled_from([(), (GroupKeySort(False),), (GroupKeySort(True),)]))
    kind = draw(st.sampled_from(["field", "field", "histogram", "dates"]))
    if kind == "field":
        return GroupByField(name, draw(st.sampled_from(sorted(ELEMENTS))), sort=sort)
    return replace(draw(histograms(name, kind == "dates", is_source=True)), sort=sort)


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
            case GroupByHistogram() | GroupByDateHistogram():
                return self.by_interval(found, wanted)
            case GroupByComposite():
                return self.composite(found, wanted)
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

    def by_interval(
        self, found: dict[PrimaryKey, float], wanted: GroupByHistogram | GroupByDateHistogram
    ) -> GroupByResult:
        members: dict[Any, list[PrimaryKey]] = {}
        for key in found:
            for begin in set(self.intervals(key, wanted)):
                members.setdefault(begin, []).append(key)
        least = wanted.min_doc_count
        if least is None:
            least = 1 if None in (wanted.field_range or (None,)) else 0
        if not least:
            for begin in empty_intervals(wanted, list(members)):
                members.setdefault(begin, [])
        groups = [group for group in self.groups(found, wanted, members.items()) if group.rows >= least]
        return GroupByResult(wanted.name, in_order(groups, wanted.sort))

    def intervals(self, key: PrimaryKey, wanted: GroupByHistogram | GroupByDateHistogram) -> list[Any]:
        """Where those of a row begin."""
        low, high = wanted.field_range or (None, None)
        return [
            begin_of(value, wanted)
            for value in self.values(key, wanted.field, wanted.missing)
            if not math.isinf(value) and (low is None or value >= low) and (high is None or value <= high)
        ]

    def composite(self, found: dict[PrimaryKey, float], wanted: GroupByComposite) -> GroupByResult:
        members: dict[Any, list[PrimaryKey]] = {}
        for key in found:
            for keys in product(*(self.source_keys(key, source) for source in wanted.sources)):
                members.setdefault(keys, []).append(key)

        def order(keys: tuple[Any, ...]) -> list[Any]:
            placed = [(key is not None, order_of(key) if key is not None else 0) for key in keys]
            return [
                Reversed(one) if source.sort and source.sort[0].descending else one
                for one, source in zip(placed, wanted.sources, strict=True)
            ]

        size = wanted.size or 10
        if wanted.suggested_size is not None:
            size = min(wanted.suggested_size, 2_000)
        chosen = sorted(members, key=order)
        shown = [(tuple(None if key is None else text(key) for key in keys), members[keys]) for keys in chosen[:size]]
        token = "more" if len(chosen) > size else None
        return GroupByResult(wanted.name, self.groups(found, wanted, shown), token)

    def source_keys(self, key: PrimaryKey, source: CompositeSource) -> list[Any]:
        keys: list[Any] = (
            self.values(key, source.field) if isinstance(source, GroupByField) else self.intervals(key, source)
        )
        return list(set(keys)) or [None]


UNIT_MS = {DateTimeUnit.MILLISECOND: 1, DateTimeUnit.SECOND: 1_000, DateTimeUnit.DAY: 86_400_000}


def step_of(wanted: GroupByHistogram | GroupByDateHistogram) -> tuple[Any, Any]:
    """Interval and offset."""
    if isinstance(wanted, GroupByHistogram):
        return wanted.interval, wanted.offset or 0
    return wanted.interval.value * UNIT_MS[wanted.interval.unit], wanted.offset.value if wanted.offset else 0


def begin_of(value: Any, wanted: GroupByHistogram | GroupByDateHistogram) -> Any:
    interval, offset = step_of(wanted)
    is_whole = all(isinstance(one, int) for one in (interval, offset)) and wanted.field != "double"
    offset %= interval
    if is_whole:
        return (value - offset) // interval * interval + offset
    # As doubles are: of great ones the difference to the offset is rounded.
    return float(math.floor((float(value) - offset) / interval) * interval + offset)


def empty_intervals(wanted: GroupByHistogram | GroupByDateHistogram, begins: list[Any]) -> list[Any]:
    """All between the ends."""
    low, high = wanted.field_range or (None, None)
    first = min(begins, default=None) if low is None else begin_of(low, wanted)
    last = max(begins, default=None) if high is None else begin_of(high, wanted)
    if first is None or last is None:
        return []
    count = round((last - first) / step_of(wanted)[0])
    return [first + step * step_of(wanted)[0] for step in range(count + 1)]


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
            if one.name == "token":  # what it says is not told
                assert (actual.token is None) == (expected.token is None)
            else:
                assert_same(getattr(actual, one.name), getattr(expected, one.name))
    else:
        assert actual == expected


__all__ = ["AggregationModel", "aggregations", "assert_same", "group_bys", "key_order"]
