"""Points on the earth, and what is asked about them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lutra.model.nested import NestedFilter
    from lutra.model.queries import SortMode

LAT_MAX: Final = 90.0
LON_MAX: Final = 180.0


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """Degrees: ``lat`` from -90 to 90, ``lon`` from -180 to 180."""

    lat: float
    lon: float


class DistanceType(enum.IntEnum):
    """How a distance is measured; the numbers are the protocol's GeoDistanceType.

    ARC: along the great circle of a sphere of 6,371,008.7714 m. PLANE: as if the earth were flat, which is faster and
    wrong far away and at the poles.
    """

    ARC = 0
    PLANE = 1


@dataclass(frozen=True, slots=True)
class GeoBoundingBox:
    """Rows with a point between two corners, borders included; across the date line where left is east of right."""

    field: str
    top_left: GeoPoint
    bottom_right: GeoPoint


@dataclass(frozen=True, slots=True)
class GeoDistance:
    """Rows with a point no farther from ``centre`` than ``distance_m``, along the great circle."""

    field: str
    centre: GeoPoint
    distance_m: float


@dataclass(frozen=True, slots=True)
class GeoPolygon:
    """Rows with a point within a ring, borders included.

    Edges are straight on a map of latitudes and longitudes, and go the shorter way round, so they may cross the date
    line. A ring that goes round the earth holds the pole that it is nearer to.
    """

    field: str
    points: tuple[GeoPoint, ...]


@dataclass(frozen=True, slots=True)
class GeoCell:
    """A cell of a grid: its geohash, and the corners between which it lies."""

    hash: str
    top_left: GeoPoint
    bottom_right: GeoPoint


@dataclass(frozen=True, slots=True)
class GeoDistanceSort:
    """By the distance of a row's points from ``points``. Rows without a point come last.

    ``mode`` says which distance counts where there are several, of points and of origins; None: the least, or the
    greatest where the sort is descending.
    """

    field: str
    points: tuple[GeoPoint, ...]
    descending: bool = False
    mode: SortMode | None = None
    distance_type: DistanceType = DistanceType.ARC
    nested_filter: NestedFilter | None = None
    """As of a FieldSort."""
