"""Aggregations and group-bys on the wire, a module each or a family, and their results.

A module says by `speaks_aggregation` and `speaks_group_by` which ones it is for. A new one is named here so that it is
there.
"""

from lutra.server.protocol.aggregations import (
    by_field,
    by_filter,
    by_geo,
    by_range,
    composite,
    histograms,
    top_rows,
    values,
)
from lutra.server.protocol.aggregations.level import aggregated_messages, parse_aggregations, parse_group_bys

__all__ = [
    "aggregated_messages",
    "by_field",
    "by_filter",
    "by_geo",
    "by_range",
    "composite",
    "histograms",
    "parse_aggregations",
    "parse_group_bys",
    "top_rows",
    "values",
]
