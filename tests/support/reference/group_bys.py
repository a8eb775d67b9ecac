"""Group-bys: which documents are in which group, and in which order groups come."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

from support.geo_model import arc_m
from support.reference.aggregations import metric, values_of
from support.reference.documents import Document
from support.reference.intervals import Histogram, begin_of, number_of
from support.reference.sorts import Reversed
from support.reference.space import Scores, Space
from support.reference.values import stand_in

from lutra.model.aggregations import (
    Aggregated,
    Aggregation,
    CompositeSource,
    Group,
    GroupBy,
    GroupByComposite,
    GroupByDateHistogram,
    GroupByField,
    GroupByFilter,
    GroupByGeoDistance,
    GroupByHistogram,
    GroupByRange,
    GroupByResult,
    GroupKeySort,
    GroupSorter,
    RowCountSort,
    SubAggregationSort,
)
from lutra.model.indexes import FieldType

Members = Iterable[tuple[Any, list[Document]]]
"""Keys of groups, and the documents in them."""
GROUPS_MAX = 2_000


def aggregated(
    space: Space, found: Scores, aggregations: Sequence[Aggregation], group_bys: Sequence[GroupBy]
) -> Aggregated:
    """One level, of the documents ``found`` with their scores."""
    return Aggregated(
        {wanted.name: metric(space, found, wanted) for wanted in aggregations},
        {wanted.name: _GROUPED[type(wanted)](space, found, wanted) for wanted in group_bys},
    )


def groups_of(space: Space, found: Scores, wanted: Any, members: Members) -> list[Group]:
    """Each with what it comes to."""
    result = []
    for key, documents in members:
        own = {one: found[one] for one in documents}
        below = aggregated(space, own, wanted.aggregations, wanted.group_bys)
        result.append(Group(key, len(own), below.aggregations, below.group_bys))
    return result


def by_key(found: Scores, keys: Callable[[Document], Iterable[Any]]) -> dict[Any, list[Document]]:
    """A document is in the group of each of its keys, once."""
    members: dict[Any, list[Document]] = {}
    for one in found:
        for key in set(keys(one)):
            members.setdefault(key, []).append(one)
    return members


def by_field(space: Space, found: Scores, wanted: GroupByField) -> GroupByResult:
    members = by_key(found, lambda one: values_of(space, one, wanted.field))
    groups = groups_of(space, found, wanted, members.items())
    least = 1 if wanted.min_doc_count is None else wanted.min_doc_count
    chosen = [group for group in in_order(groups, wanted.sort) if group.rows >= least]
    shown = [Group(key_text(g.key), g.rows, g.aggregations, g.group_bys) for g in chosen]
    return GroupByResult(wanted.name, shown[: wanted.size or 10])


def by_range(space: Space, found: Scores, wanted: GroupByRange) -> GroupByResult:
    """The beginning belongs to a range, the end does not."""
    members = [
        (span, [one for one in found if any(span[0] <= v < span[1] for v in values_of(space, one, wanted.field))])
        for span in sorted(wanted.ranges)
    ]
    return GroupByResult(wanted.name, groups_of(space, found, wanted, members))


def by_geo_distance(space: Space, found: Scores, wanted: GroupByGeoDistance) -> GroupByResult:
    """Along the great circle, in metres; no distance is below 0."""
    origin = (wanted.origin.lat, wanted.origin.lon)
    away = {one: [arc_m(origin, place) for place in values_of(space, one, wanted.field)] for one in found}
    ends = {end for span in wanted.ranges for end in span}
    if any(math.isclose(metres, end, rel_tol=1e-7) for own in away.values() for metres in own for end in ends):
        space.doubts.append("a distance")
    members = [
        (span, [one for one in found if any(span[0] <= metres < span[1] for metres in away[one])])
        for span in [(0.0 if begin == -math.inf else begin, end) for begin, end in wanted.ranges]
    ]
    return GroupByResult(wanted.name, groups_of(space, found, wanted, members))


def by_filter(space: Space, found: Scores, wanted: GroupByFilter) -> GroupByResult:
    matches = [space.match(query) for query in wanted.filters]
    members = [(None, [one for one in found if one in scores]) for scores in matches]
    return GroupByResult(wanted.name, groups_of(space, found, wanted, members))


def by_interval(space: Space, found: Scores, wanted: Histogram) -> GroupByResult:
    """Without a least number of documents those between two ends are shown that have none, too."""
    members = by_key(found, lambda one: interval_numbers(space, one, wanted))
    least = wanted.min_doc_count
    if least is None:
        least = 1 if None in (wanted.field_range or (None,)) else 0
    if not least:
        ends = [end if end is None else number_of(end, wanted) for end in bounds_of(space, wanted)]
        first = min(members, default=None) if ends[0] is None else ends[0]
        last = max(members, default=None) if ends[1] is None else ends[1]
        for number in range(first, last + 1) if first is not None and last is not None else ():
            members.setdefault(number, [])
    shown = [(begin_of(number, wanted, is_whole(space, wanted)), documents) for number, documents in members.items()]
    groups = [group for group in groups_of(space, found, wanted, shown) if group.rows >= least]
    return GroupByResult(wanted.name, in_order(groups, wanted.sort))


def is_whole(space: Space, wanted: Histogram) -> bool:
    return space.field(wanted.field).type is not FieldType.DOUBLE


def bounds_of(space: Space, wanted: Histogram) -> list[Any]:
    """Of the range within which values count; None leaves a side open."""
    field = space.field(wanted.field)
    ends = [end if end is None else stand_in(field, end) for end in wanted.field_range or (None, None)]
    is_date = isinstance(wanted, GroupByDateHistogram)
    return [end // 10**6 if is_date and end is not None else end for end in ends]


def interval_numbers(space: Space, one: Document, wanted: Histogram) -> list[int]:
    """Where the values of a document lie; an infinite one is in no interval."""
    low, high = bounds_of(space, wanted)
    return [
        number_of(value, wanted)
        for value in values_of(space, one, wanted.field, wanted.missing)
        if not math.isinf(value) and (low is None or value >= low) and (high is None or value <= high)
    ]


def composite(space: Space, found: Scores, wanted: GroupByComposite) -> GroupByResult:
    """Each combination of the keys of its sources; what has none of a source is there, and comes first."""
    members = by_key(found, lambda one: product(*(source_keys(space, one, source) for source in wanted.sources)))

    def order(keys: tuple[Any, ...]) -> list[Any]:
        placed = [(key is not None, 0 if key is None else key) for key in keys]
        return [
            Reversed(one) if source.sort and source.sort[0].descending else one  # type: ignore[union-attr]
            for one, source in zip(placed, wanted.sources, strict=True)
        ]

    size = wanted.size or 10
    if wanted.suggested_size is not None:
        size = min(wanted.suggested_size, GROUPS_MAX)
    chosen = sorted(members, key=order)
    shown = [(tuple(None if key is None else key_text(key) for key in keys), members[keys]) for keys in chosen[:size]]
    token = "more" if len(chosen) > size else None
    return GroupByResult(wanted.name, groups_of(space, found, wanted, shown), token)


def source_keys(space: Space, one: Document, source: CompositeSource) -> list[Any]:
    """None stands for what is not there."""
    if isinstance(source, GroupByField):
        keys = values_of(space, one, source.field)
    else:
        keys = [begin_of(number, source, is_whole(space, source)) for number in interval_numbers(space, one, source)]
    return list(set(keys)) or [None]


def key_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool) else repr(value)


def in_order(groups: list[Group], sort: Sequence[GroupSorter]) -> list[Group]:
    """From the last sorter to the first, as sorting is stable."""
    groups = sorted(groups, key=lambda group: group.key)
    for sorter in reversed(sort or (RowCountSort(),)):
        match sorter:
            case GroupKeySort():
                groups.sort(key=lambda group: group.key, reverse=sorter.descending)
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


_GROUPED: dict[type, Callable[[Space, Scores, Any], GroupByResult]] = {
    GroupByField: by_field,
    GroupByRange: by_range,
    GroupByFilter: by_filter,
    GroupByGeoDistance: by_geo_distance,
    GroupByHistogram: by_interval,
    GroupByDateHistogram: by_interval,
    GroupByComposite: composite,
}
