"""Random aggregations and group-bys, nested to three levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from support.worlds.contents import DATES, PLACES
from support.worlds.queries import queries
from support.worlds.schemas import SCALARS, leaves_of
from support.worlds.sorts import sorts

from lutra.model.aggregations import (
    Aggregation,
    Avg,
    CompositeSource,
    Count,
    DateTimeUnit,
    DateTimeValue,
    DistinctCount,
    GroupBy,
    GroupByComposite,
    GroupByDateHistogram,
    GroupByField,
    GroupByFilter,
    GroupByGeoDistance,
    GroupByHistogram,
    GroupByRange,
    GroupKeySort,
    GroupSorter,
    Max,
    Min,
    Percentiles,
    RowCountSort,
    SubAggregationSort,
    Sum,
    TopRows,
)
from lutra.model.geo import GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema

LEVELS_MAX = 3
NUMBERS = (FieldType.LONG, FieldType.DOUBLE)
MEASURED = (*NUMBERS, FieldType.DATE)
MISSING: dict[FieldType, list[Any]] = {
    FieldType.LONG: [1, 7, 2.0],
    FieldType.DOUBLE: [0.5, 3, 2.25],
    FieldType.BOOLEAN: [True],
    FieldType.KEYWORD: ["a", "none"],
}


def fields_of(schema: IndexSchema, types: Sequence[FieldType]) -> list[FieldSchema]:
    return [field for field in leaves_of(schema, None) if field.type in types]


def missing_of(field: FieldSchema) -> list[Any]:
    return DATES[field.date_formats] if field.type is FieldType.DATE else MISSING[field.type]


@st.composite
def aggregation(draw: st.DrawFn, schema: IndexSchema, name: str) -> Aggregation:
    kinds: list[Any] = [TopRows, Count]
    kinds += [DistinctCount] if fields_of(schema, SCALARS) else []
    kinds += [Sum] if fields_of(schema, NUMBERS) else []
    kinds += [Avg, Max, Min, Percentiles] if fields_of(schema, MEASURED) else []
    kind = draw(st.sampled_from(kinds))
    if kind is TopRows:
        return TopRows(name, draw(st.integers(1, 4)), draw(sorts(schema)))
    if kind is Count:
        return Count(name, draw(st.sampled_from(["*", *(field.name for field in fields_of(schema, SCALARS))])))
    types = NUMBERS if kind is Sum else SCALARS if kind is DistinctCount else MEASURED
    field = draw(st.sampled_from(fields_of(schema, types)))
    missing = draw(st.none() | st.sampled_from(missing_of(field)))
    if kind is Percentiles:
        percentiles = draw(st.lists(st.sampled_from([0.0, 10, 25, 50, 77.5, 100]), min_size=1, max_size=3))
        return Percentiles(name, field.name, tuple(percentiles), missing)
    made: Aggregation = kind(name, field.name, missing)
    return made


@st.composite
def aggregations(draw: st.DrawFn, schema: IndexSchema, most: int = 3) -> tuple[Aggregation, ...]:
    return tuple(draw(aggregation(schema, f"agg{number}")) for number in range(draw(st.integers(0, most))))


def group_sorts(below: Sequence[Aggregation]) -> st.SearchStrategy[tuple[GroupSorter, ...]]:
    numbers = [wanted.name for wanted in below if not isinstance(wanted, Percentiles | TopRows)]
    sorters: list[Any] = [st.builds(GroupKeySort, st.booleans()), st.builds(RowCountSort, st.booleans())]
    if numbers:
        sorters.append(st.builds(SubAggregationSort, st.sampled_from(numbers), st.booleans()))
    return st.lists(st.one_of(*sorters), max_size=2).map(tuple)


@st.composite
def group_bys(draw: st.DrawFn, schema: IndexSchema, level: int = 1, most: int = 2) -> tuple[GroupBy, ...]:
    return tuple(draw(group_by(schema, f"by{number}", level)) for number in range(draw(st.integers(0, most))))


@st.composite
def group_by(draw: st.DrawFn, schema: IndexSchema, name: str, level: int) -> GroupBy:
    below = draw(aggregations(schema, 2))
    deeper = draw(group_bys(schema, level + 1, 1)) if level < LEVELS_MAX else ()
    numbers, grouped = fields_of(schema, NUMBERS), fields_of(schema, SCALARS)
    dates = fields_of(schema, (FieldType.DATE,))
    kinds = ["filter", *(["field"] * 3 if grouped else []), *(["range", "histogram"] if numbers else [])]
    places = fields_of(schema, (FieldType.GEO_POINT,))
    kinds += ["distance"] if places else []
    kinds += (["dates"] * 2 if dates else []) + (["composite"] if grouped else [])
    kind = draw(st.sampled_from(kinds))
    if kind in ("histogram", "dates"):
        made = draw(histograms(name, draw(st.sampled_from(dates if kind == "dates" else numbers))))
        return replace(
            made,
            field_range=draw(st.none() | spans(schema.field(made.field))),
            min_doc_count=draw(st.sampled_from([None, 1, 2])),
            sort=draw(group_sorts(below)),
            aggregations=below,
            group_bys=deeper,
        )
    if kind == "composite":
        sources = tuple(draw(composite_source(schema, f"s{n}")) for n in range(draw(st.integers(1, 3))))
        size, suggested = draw(st.sampled_from([None, 1, 2, 7])), draw(st.sampled_from([None, None, 2, 5_000]))
        return GroupByComposite(name, sources, size, suggested, None, below, deeper)
    if kind == "filter":
        filters = draw(st.lists(queries(schema, 2, False), min_size=1, max_size=3))
        return GroupByFilter(name, tuple(filters), below, deeper)
    if kind == "distance":
        ends = st.sampled_from([0.0, 1_000.0, 70_000.0, 5e6, 1.2e7, math.inf])
        spans_m = draw(st.lists(st.tuples(ends, ends).filter(lambda r: r[0] < r[1]), min_size=1, max_size=3))
        origin = GeoPoint(*draw(st.sampled_from(PLACES)))
        return GroupByGeoDistance(name, draw(st.sampled_from(places)).name, origin, tuple(spans_m), below, deeper)
    if kind == "range":
        bound = st.sampled_from([-math.inf, -1.5, -1.0, 0.0, 0.5, 1.0, 2.5, 2.0**53, math.inf])
        ranges = draw(st.lists(st.tuples(bound, bound).filter(lambda r: r[0] < r[1]), min_size=1, max_size=4))
        return GroupByRange(name, draw(st.sampled_from(numbers)).name, tuple(ranges), below, deeper)
    field = draw(st.sampled_from(grouped))
    size, least = draw(st.sampled_from([None, 1, 2, 2000])), draw(st.sampled_from([None, 1, 2]))
    return GroupByField(name, field.name, size, draw(group_sorts(below)), least, below, deeper)


def spans(field: FieldSchema | None) -> st.SearchStrategy[tuple[Any, Any]]:
    """Of histograms: few enough intervals to show those that are empty."""
    assert field is not None
    ends: list[Any] = [-2, 0, 1, 3]
    if field.type is FieldType.DATE:
        ends = DATES[field.date_formats] if "yyyy-MM-dd'T'HH:mm:ssXXX" in field.date_formats else ends
        return st.sampled_from([(ends[0], ends[0]), (None, ends[0]), (ends[0], None)])
    low = st.none() | st.sampled_from(ends[:2])
    return st.tuples(low, st.none() | st.sampled_from(ends[2:]))


ZONES = [None, "+08:00", "-09:30", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu"]


@st.composite
def histograms(draw: st.DrawFn, name: str, field: FieldSchema) -> GroupByHistogram | GroupByDateHistogram:
    missing = draw(st.none() | st.sampled_from(missing_of(field)))
    if field.type is not FieldType.DATE:
        whole = field.type is FieldType.LONG and draw(st.booleans())
        interval = draw(st.sampled_from([1, 2, 3] if whole else [0.5, 1.5, 2, 4.0]))
        offset = draw(st.none() | st.sampled_from([-1, 1, 5] if whole else [0.25, -1, 2.5]))
        return GroupByHistogram(name, field.name, interval, offset, missing)
    unit, zone = draw(st.sampled_from(DateTimeUnit)), draw(st.sampled_from(ZONES))
    is_clock = unit in (DateTimeUnit.HOUR, DateTimeUnit.MINUTE, DateTimeUnit.SECOND, DateTimeUnit.MILLISECOND)
    if is_clock and zone is not None and zone[0] not in "+-":
        zone = None
    ms = st.builds(DateTimeValue, st.integers(-3, 3), st.just(DateTimeUnit.MILLISECOND))
    shifted = draw(st.none() | ms) if is_clock else None
    return GroupByDateHistogram(name, field.name, DateTimeValue(draw(st.integers(1, 3)), unit), zone, shifted, missing)


@st.composite
def composite_source(draw: st.DrawFn, schema: IndexSchema, name: str) -> CompositeSource:
    sort = draw(st.sampled_from([(), (GroupKeySort(False),), (GroupKeySort(True),)]))
    field = draw(st.sampled_from(fields_of(schema, SCALARS)))
    if field.type in MEASURED and draw(st.booleans()):
        return replace(draw(histograms(name, field)), sort=sort)
    return GroupByField(name, field.name, sort=sort)
