"""Aggregations and group-bys, a module each: how one is checked, and what it does in a part of an index.

A new kind is a new module, named here so that it is there. A `Metric` has a state for all groups at once; a `Grouping`
says which groups rows are in, and `level` does the rest: numbers them, looks at each with what is asked below, merges.
"""

from lutra.search.aggregations import (
    by_composite,
    by_date,
    by_field,
    by_filter,
    by_geo_distance,
    by_geo_grid,
    by_histogram,
    by_range,
    distinct,
    numbers,
    percentiles,
    top_rows,
)
from lutra.search.aggregations.binding import LevelBinder
from lutra.search.aggregations.collector import AggregationCollector
from lutra.search.aggregations.level import Level, LevelState
from lutra.search.aggregations.results import estimated

__all__ = [
    "AggregationCollector",
    "Level",
    "LevelBinder",
    "LevelState",
    "by_composite",
    "by_date",
    "by_field",
    "by_filter",
    "by_geo_distance",
    "by_geo_grid",
    "by_histogram",
    "by_range",
    "distinct",
    "estimated",
    "numbers",
    "percentiles",
    "top_rows",
]
