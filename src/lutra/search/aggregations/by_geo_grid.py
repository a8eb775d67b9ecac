"""Groups by cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lutra.geo.grid import PRECISION_MAX, cell_of, cells_of
from lutra.model.aggregations import GroupByGeoGrid
from lutra.model.errors import ParameterInvalid
from lutra.search.aggregations.binding import LevelBinder, binds_group_by
from lutra.search.aggregations.by_field import row_keys, size_of
from lutra.search.aggregations.grouping import Assigned, Buckets, Chosen, Grouping, SortValues, ordered
from lutra.search.aggregations.level import Level
from lutra.search.aggregations.located import points_per_row, row_points
from lutra.search.aggregations.rows import Rows

_WHAT: Final = "group_by_geo_grid"


class GeoGridGrouping(Grouping):
    """The ``size`` cells with the most rows; of as many rows in the order of their geohashes."""

    def __init__(self, name: str, level: Level, field: str, spaces: Sequence[str], precision: int, size: int) -> None:
        super().__init__(name, level)
        self._field = field
        self._spaces = spaces
        self._precision = precision
        self._size = size

    def spread(self, rows: Rows) -> int:
        return points_per_row(rows, self._field, self._spaces)

    def assign(self, rows: Rows) -> Assigned:
        found = row_points(rows, self._field, self._spaces)
        return Assigned(found.rows, (row_keys(cells_of(found.coordinates, self._precision)),), found.is_once)

    def choose(self, buckets: Buckets, mine: range, sort_values: SortValues) -> Sequence[Chosen]:
        rows, column = buckets.rows[mine.start : mine.stop], buckets.columns[0]
        order = ordered(self.sort, np.arange(len(mine)), rows, sort_values)[: self._size] + mine.start
        return [Chosen(cell_of(column.key(bucket), self._precision), bucket) for bucket in order.tolist()]


@binds_group_by(GroupByGeoGrid)
def bind_by_geo_grid(wanted: GroupByGeoGrid, binder: LevelBinder) -> GeoGridGrouping:
    field = binder.schema_field(_WHAT, wanted.field, lambda kind: kind.is_located)
    if not 1 <= wanted.precision <= PRECISION_MAX:
        raise ParameterInvalid(f"[{_WHAT}] precision is {wanted.precision}, must be in [1, {PRECISION_MAX}]")
    size = size_of(_WHAT, wanted.size)
    spaces = binder.spaces(field.name)
    return GeoGridGrouping(wanted.name, binder.below(wanted), field.name, spaces, wanted.precision, size)
