"""Ranges of a column's values to group by, as Python says them."""

from __future__ import annotations

from dataclasses import dataclass

from lutra.model.geo import GeoPoint


@dataclass(frozen=True, slots=True)
class Ranges:
    """What lies between bounds, before the first and from the last on; made by :meth:`Column.ranges` and
    :meth:`Column.distance_ranges`."""

    column: str
    bounds: tuple[object, ...]
    origin: GeoPoint | None = None
    """Of points: the ranges are of their distance from there, in metres."""
