"""By how far points are from others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import Located, located
from lutra.geo.distances import distances
from lutra.geo.values import coordinates_of
from lutra.kernels.geo import GeoShape, geo_distances
from lutra.kernels.row_mask import RowMask
from lutra.model.geo import DistanceType, GeoDistanceSort, GeoPoint
from lutra.model.queries import SortMode
from lutra.scalars.sorting import reduced, spread
from lutra.search.binder import Binder
from lutra.search.level import FoundKeys, Keys, Level
from lutra.search.mark import Mark
from lutra.search.nodes.node import PartSearch
from lutra.search.scores import Docs, Scores
from lutra.search.sorts.nested import Within, bind_within
from lutra.search.sorts.ordering import Ordering
from lutra.search.sorts.registry import binds
from lutra.search.sorts.values import NumberLevel

_RADIUS_MIN_M: Final = 1e-3
"""A circle has some."""


@binds(GeoDistanceSort)
def bind(sorter: GeoDistanceSort, binder: Binder) -> ByGeoDistance:
    mode = sorter.mode
    if mode is None:
        mode = SortMode.MAX if sorter.descending else SortMode.MIN
    within = bind_within("geo_distance_sort", sorter, binder)
    return ByGeoDistance(sorter.field, sorter.points, sorter.descending, mode, sorter.distance_type, within)


@dataclass(frozen=True, slots=True)
class ByGeoDistance(Ordering):
    """Marks are metres. Rows without a point come last."""

    field: str
    points: tuple[GeoPoint, ...]
    descending: bool
    mode: SortMode
    distance_type: DistanceType
    within: Within | None
    """None: the points are the rows' own."""

    def level(self, search: PartSearch, scores: Scores) -> Level:
        if self.within is not None:
            return self._nested_level(search, self.within)
        return GeoDistanceLevel(located(search.part, self.field), self)

    def _nested_level(self, search: PartSearch, within: Within) -> NumberLevel:
        points = located(within.search(search).part, self.field).points(within.matching(search).ids())
        origins = coordinates_of(self.points)
        found = geo_distances(points.coordinates, origins, int(self.distance_type), int(self.mode))
        owners, metres = reduced(within.owners(search, points.documents().astype(np.int64)), found, self.mode)
        size = search.part.size
        return NumberLevel(spread(owners, metres, size), RowMask.of_rows(owners, size), self.descending)

    def fits(self, mark: Mark) -> bool:
        return mark is None or (isinstance(mark, float) and 0 <= mark < math.inf)


class GeoDistanceLevel:
    """Distances in a part: of all documents where they are asked for, else of those alone that are."""

    def __init__(self, part: Located, order: ByGeoDistance) -> None:
        self._part = part
        self._order = order
        self._all: npt.NDArray[np.float64] | None = None

    @property
    def descending(self) -> bool:
        return self._order.descending

    def arrays(self) -> Sequence[Keys]:
        return (DistanceKeys(self),)

    def after(self, mark: Mark) -> tuple[RowMask, RowMask]:
        found = self.of(None)
        absent = np.isnan(found)
        if mark is None:
            return RowMask.none(len(found)), RowMask(absent)
        assert isinstance(mark, float)
        beyond = found < mark if self.descending else found > mark
        return RowMask(beyond | absent), RowMask(found == mark)

    def marks(self, docs: Docs) -> list[Mark]:
        return [None if math.isnan(distance_m) else distance_m for distance_m in self.of(docs).tolist()]

    def nearest(self, mask: RowMask, within_m: float) -> Docs | None:
        """The documents of ``mask`` that are no farther, and perhaps others; None where that takes a look at all."""
        order = self._order
        if order.descending or order.mode is not SortMode.MIN or order.distance_type is not DistanceType.ARC:
            return None
        found = RowMask.none(mask.rows)
        for point in order.points:
            circle = GeoShape.circle(point.lat, point.lon, max(within_m, _RADIUS_MIN_M))
            found = found | self._part.within(circle).mask()
        return (found & mask).ids()

    def of(self, docs: Docs | None) -> npt.NDArray[np.float64]:
        """float64, metres, NaN where there is no point: of ``docs``, in whatever order, or of all documents."""
        order = self._order
        if self._all is None and docs is not None:
            if len(docs) < 2 or bool(np.all(docs[1:] > docs[:-1])):
                return distances(self._part, order.points, docs, order.mode, order.distance_type)
            distinct, places = np.unique(docs, return_inverse=True)
            return distances(self._part, order.points, distinct, order.mode, order.distance_type)[places]
        if self._all is None:
            self._all = distances(self._part, order.points, None, order.mode, order.distance_type)
        return self._all if docs is None else self._all[docs]


@dataclass(frozen=True, slots=True)
class DistanceKeys(FoundKeys):
    """Metres, or less than nothing where the farthest come first; infinite where there is no point."""

    level: GeoDistanceLevel

    def take(self, docs: Docs | None) -> npt.NDArray[np.float64]:
        found = self.level.of(docs)
        keys = -found if self.level.descending else found.copy()
        keys[np.isnan(keys)] = np.inf
        return keys

    def split(self, mask: RowMask, bound: float) -> tuple[RowMask, RowMask]:
        docs = None if math.isinf(bound) else self.level.nearest(mask, bound)
        keys = self.take(docs)
        below, equal = keys < bound, keys == bound
        if docs is None:
            return mask & RowMask(below), mask & RowMask(equal)
        return RowMask.of_rows(docs[below], mask.rows), RowMask.of_rows(docs[equal], mask.rows)
