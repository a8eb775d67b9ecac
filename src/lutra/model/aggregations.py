"""What a search says of all rows that match, beside those it returns: aggregations, group-bys, and their results.

Each has a ``name``, by which its result is found; no two at one level have the same. Fields may have several values a
row: aggregations count each of them; a row is in each group that one of its values says, once. ``missing`` is the value
that rows without the field count with; without it they are left out. Dates are given as such, and come out in
milliseconds since the epoch.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Protocol

from lutra.model.geo import GeoPoint
from lutra.model.queries import Hit, Operand, Query, Sorter
from lutra.model.rows import Row

# Aggregations


@dataclass(frozen=True, slots=True)
class Avg:
    """The average of a field of numbers or dates."""

    name: str
    field: str
    missing: Operand | None = None


@dataclass(frozen=True, slots=True)
class Max:
    """The greatest value of a field of numbers or dates."""

    name: str
    field: str
    missing: Operand | None = None


@dataclass(frozen=True, slots=True)
class Min:
    """The least value of a field of numbers or dates."""

    name: str
    field: str
    missing: Operand | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a field of numbers."""

    name: str
    field: str
    missing: Operand | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many values a field has; how many rows there are, where ``field`` is ``*``."""

    name: str
    field: str


@dataclass(frozen=True, slots=True)
class DistinctCount:
    """How many different values a field has."""

    name: str
    field: str
    missing: Operand | None = None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Values of a field of numbers or dates below which so many percent of them are; ``percentiles``: 0 to 100.

    Between two values it is as far from the lower one as the percentile is between theirs.
    """

    name: str
    field: str
    percentiles: tuple[float, ...]
    missing: Operand | None = None


@dataclass(frozen=True, slots=True)
class TopRows:
    """The first rows in an order; by primary key where ``sort`` is empty."""

    name: str
    limit: int
    sort: tuple[Sorter, ...] = ()


Aggregation = Avg | Max | Min | Sum | Count | DistinctCount | Percentiles | TopRows

# Group-bys


@dataclass(frozen=True, slots=True)
class GroupKeySort:
    """By what the group has in common: the field's value, or where an interval begins."""

    descending: bool = False


@dataclass(frozen=True, slots=True)
class RowCountSort:
    descending: bool = True


@dataclass(frozen=True, slots=True)
class SubAggregationSort:
    """By the result of one of the aggregations within the group, which is a number; groups without one come last."""

    name: str
    descending: bool = False


GroupSorter = GroupKeySort | RowCountSort | SubAggregationSort


class GroupBy(Protocol):
    """Sorts rows into groups, and looks at each with aggregations and group-bys of its own.

    Groups come by row count, the greatest first, unless there is a ``sort``, and then by key.
    """

    @property
    def name(self) -> str: ...

    @property
    def aggregations(self) -> tuple[Aggregation, ...]: ...

    @property
    def group_bys(self) -> tuple[GroupBy, ...]: ...


@dataclass(frozen=True, slots=True)
class GroupByField:
    """A group for each value of a field; ``size`` of them (None: 10).

    Keys are strings: of BOOLEAN ``true`` and ``false``, of DATE milliseconds since the epoch.
    """

    name: str
    field: str
    size: int | None = None
    sort: tuple[GroupSorter, ...] = ()
    min_doc_count: int | None = None
    """Of groups with fewer rows nothing is said; None: 1."""
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupByRange:
    """A group for each of ``ranges`` of a field of numbers: from the first (included) up to the second (not included).

    They come in order of the first number, then of the second, those without rows too. Keys are the ranges.
    """

    name: str
    field: str
    ranges: tuple[tuple[float, float], ...]
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupByFilter:
    """A group for each of ``filters``, in their order: the rows that match it. Keys are None."""

    name: str
    filters: tuple[Query, ...]
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupByGeoDistance:
    """A group for each of ``ranges`` of the distance from ``origin``, along the great circle, in metres.

    Otherwise as `GroupByRange`; a row with several points is in each group that the distance of one says.
    """

    name: str
    field: str
    origin: GeoPoint
    ranges: tuple[tuple[float, float], ...]
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupByGeoGrid:
    """A group for each cell of a grid that has points; ``size`` of them (None: 10), those with the most rows first.

    ``precision``: how many characters the cells' geohashes have, from 1 (5,000 km wide) to 12 (37 mm). Keys are
    `lutra.model.geo.GeoCell`.
    """

    name: str
    field: str
    precision: int
    size: int | None = None
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupByHistogram:
    """A group for each ``interval`` of a field of numbers that has values. Keys are where they begin.

    Intervals begin at multiples of ``interval``, shifted by ``offset``. Values outside ``field_range`` (both ends
    belong to it) are left out. ``min_doc_count`` 0 shows intervals without rows as well, over the whole ``field_range``
    or else between others; None means 0 with a ``field_range`` of two ends, and 1 without.
    """

    name: str
    field: str
    interval: int | float
    offset: int | float | None = None
    missing: Operand | None = None
    field_range: tuple[Operand | None, Operand | None] | None = None
    min_doc_count: int | None = None
    sort: tuple[GroupSorter, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()


class DateTimeUnit(enum.IntEnum):
    """The numbers are the protocol's. Weeks begin on Monday."""

    YEAR = 1
    QUARTER_YEAR = 2
    MONTH = 3
    WEEK = 4
    DAY = 5
    HOUR = 6
    MINUTE = 7
    SECOND = 8
    MILLISECOND = 9


@dataclass(frozen=True, slots=True)
class DateTimeValue:
    value: int
    unit: DateTimeUnit


@dataclass(frozen=True, slots=True)
class GroupByDateHistogram:
    """A group for each ``interval`` of a DATE field that has values. Keys: where it begins, in ms since the epoch.

    Intervals are those of clock and calendar in ``time_zone``: an offset such as ``+08:00``, or a name such as
    ``Europe/Berlin``; None: UTC. A day of 25 hours is one day. Otherwise as `GroupByHistogram`.
    """

    name: str
    field: str
    interval: DateTimeValue
    time_zone: str | None = None
    offset: DateTimeValue | None = None
    missing: Operand | None = None
    field_range: tuple[Operand | None, Operand | None] | None = None
    min_doc_count: int | None = None
    sort: tuple[GroupSorter, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()


CompositeSource = GroupByField | GroupByHistogram | GroupByDateHistogram


@dataclass(frozen=True, slots=True)
class GroupByComposite:
    """A group for each combination of the groups of ``sources``, in the order of their keys, source by source.

    Of a source its field, its interval and the direction of its first sorter count. Keys are tuples of strings; None
    stands for rows without the field, and comes first. ``size`` (None: 10) groups come at a time, after those that
    ``token`` remembers; ``suggested_size`` is a size that may exceed what there may be.
    """

    name: str
    sources: tuple[CompositeSource, ...]
    size: int | None = None
    suggested_size: int | None = None
    token: str | None = None
    aggregations: tuple[Aggregation, ...] = ()
    group_bys: tuple[GroupBy, ...] = ()


# Results


@dataclass(frozen=True, slots=True)
class ValueResult:
    """Of Avg, Max, Min and Sum. None where there was no value; a sum of LONG is exact, whatever its size."""

    name: str
    value: int | float | None


@dataclass(frozen=True, slots=True)
class CountResult:
    """Of Count and DistinctCount. ``is_exact``: counted one by one, not estimated by a sketch."""

    name: str
    value: int
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class PercentilesResult:
    """``items``: percentile and value; None where there was no value. ``is_exact`` as in `CountResult`.

    ``is_whole``: of whole numbers or dates.
    """

    name: str
    items: tuple[tuple[float, float | None], ...]
    is_exact: bool = True
    is_whole: bool = field(default=False, compare=False)


@dataclass(slots=True)
class RowsResult:
    """Of TopRows. ``rows`` have the columns that the search asks for; they are read once it is over."""

    name: str
    hits: list[Hit]
    rows: list[Row] = field(default_factory=list)


AggregationResult = ValueResult | CountResult | PercentilesResult | RowsResult


@dataclass(frozen=True, slots=True)
class Group:
    """One group: what it has in common, its rows, and what they come to. What ``key`` is the group-by says."""

    key: Any
    rows: int
    aggregations: dict[str, AggregationResult]
    group_bys: dict[str, GroupByResult]


@dataclass(frozen=True, slots=True)
class GroupByResult:
    """The groups of one group-by, in order. ``token`` (of a GroupByComposite): more groups follow.

    ``is_exact``: no group was left out of account because there were too many.
    """

    name: str
    groups: list[Group]
    token: str | None = None
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Aggregated:
    """The results of one level, by name."""

    aggregations: dict[str, AggregationResult] = field(default_factory=dict)
    group_bys: dict[str, GroupByResult] = field(default_factory=dict)
