"""What aggregations and group-bys come to, of documents that a query found."""

from __future__ import annotations

import math
from typing import Any

from support.reference.documents import Document
from support.reference.sorts import sort_key
from support.reference.space import Scores, Space
from support.reference.values import stand_in

from lutra.model.aggregations import (
    Aggregation,
    AggregationResult,
    Avg,
    Count,
    CountResult,
    DistinctCount,
    Max,
    Min,
    Percentiles,
    PercentilesResult,
    RowsResult,
    Sum,
    TopRows,
    ValueResult,
)
from lutra.model.indexes import FieldType
from lutra.model.queries import Hit

NS_PER_MS = 1_000_000


def values_of(space: Space, one: Document, name: str, missing: Any = None) -> list[Any]:
    """Those of documents within count, too. Dates are milliseconds; ``missing`` stands for what is not there."""
    field, nested = space.field(name), space.schema.space_of(name)
    holders = list(one.below(nested)) if nested else [one]
    elements = [element for holder in holders for element in holder.elements.get(name, [])]
    if not elements and missing is not None:
        elements = [stand_in(field, missing)]
    return [milliseconds(element) for element in elements] if field.type is FieldType.DATE else elements


def milliseconds(ns: Any) -> Any:
    """A whole number where it is one."""
    return ns // NS_PER_MS if ns % NS_PER_MS == 0 else ns / NS_PER_MS


def metric(space: Space, found: Scores, wanted: Aggregation) -> AggregationResult:
    if isinstance(wanted, TopRows):
        order = sorted(found, key=lambda one: sort_key(space, wanted.sort, one, found[one]))
        return RowsResult(wanted.name, [Hit(one.key, math.nan) for one in order[: wanted.limit]])
    if isinstance(wanted, Count) and wanted.field == "*":
        return CountResult(wanted.name, len(found))
    missing = None if isinstance(wanted, Count) else wanted.missing
    values = [value for one in found for value in values_of(space, one, wanted.field, missing)]
    match wanted:
        case Count():
            return CountResult(wanted.name, len(values))
        case DistinctCount():
            return CountResult(wanted.name, len(set(values)))
        case Percentiles():
            items = tuple((percent, percentile(sorted(values), percent)) for percent in wanted.percentiles)
            return PercentilesResult(wanted.name, items)
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


def total(values: list[Any]) -> Any:
    """Exact; infinite or NaN where a value is."""
    if any(isinstance(value, float) for value in values):
        return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
    return sum(values)


def percentile(values: list[Any], percent: float) -> float | None:
    """Of sorted values; between two of them it is as far from the lower one as the percentile is between theirs."""
    if not values:
        return None
    at = percent / 100 * (len(values) - 1)
    low, high = values[math.floor(at)], values[math.ceil(at)]
    return float(low) if low == high else low * (1 - at % 1) + high * (at % 1)
