"""Groups by queries: the rows that match each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lutra.model import limits
from lutra.model.aggregations import GroupByFilter
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.binding import LevelBinder, binds_group_by
from lutra.search.aggregations.by_range import PlacesGrouping, assigned_to_places
from lutra.search.aggregations.grouping import Assigned
from lutra.search.aggregations.level import Level
from lutra.search.aggregations.rows import Rows
from lutra.search.nodes.node import Condition

_WHAT: Final = "group_by_filter"


class FilterGrouping(PlacesGrouping):
    def __init__(self, name: str, level: Level, filters: Sequence[Condition]) -> None:
        super().__init__(name, level, [None] * len(filters))
        self._filters = filters

    def assign(self, rows: Rows) -> Assigned:
        docs, found = rows.documents(), []
        for condition in self._filters:
            rows.search.deadline.check()
            found.append(np.flatnonzero(rows.search.node(condition).matches().has(docs)))
        return assigned_to_places(found, True)


@binds_group_by(GroupByFilter)
def bind_by_filter(wanted: GroupByFilter, binder: LevelBinder) -> FilterGrouping:
    if not 1 <= len(wanted.filters) <= limits.GROUP_BY_FILTERS_MAX:
        raise ParameterInvalid(
            f"[{_WHAT}] has {len(wanted.filters)} filters, must have 1 to {limits.GROUP_BY_FILTERS_MAX}"
        )
    filters = [binder.filter(query).condition for query in wanted.filters]
    return FilterGrouping(wanted.name, binder.below(wanted), filters)
