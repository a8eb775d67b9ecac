"""From the values of table columns, and what requests say, to points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lutra.geo.points import Coordinates
from lutra.kernels.geo import geo_read_point
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import LAT_MAX, LON_MAX, GeoPoint
from lutra.model.indexes import FieldSchema
from lutra.model.values import Value, array_elements

_CHARS_MAX: Final = 1_024
"""Longer text is no point."""
_SHOWN_CHARS: Final = 64


def points_of(field: FieldSchema, value: Value) -> list[tuple[float, float]] | None:
    """The points, latitude and longitude, of a GEO_POINT field's value; None where it is not of the field's type.

    A point is text, ``"lat,lon"`` in degrees, with white space or without. An array is a JSON text of such texts; a
    null is no element, and where any other element is no point the value as a whole is not of the field's type.
    """
    if type(value) is not str:
        return None
    if not field.is_array:
        point = _point(value)
        return None if point is None else [point]
    elements = array_elements(value)
    if elements is None:
        return None
    points = []
    for element in elements:
        point = _point(element)
        if point is None:
            return None
        points.append(point)
    return points


def _point(text: object) -> tuple[float, float] | None:
    return geo_read_point(text) if type(text) is str and len(text) <= _CHARS_MAX and text.isascii() else None


def parsed_point(text: str, what: str) -> GeoPoint:
    """The point that ``text`` of a request is. Raises ParameterInvalid, which calls it ``what``, where it is none."""
    point = _point(text)
    if point is None:
        shown = text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 3]}..."
        raise ParameterInvalid(
            f"{what} must be a point, latitude (-90 to 90) and longitude (-180 to 180) as 'lat,lon', not {shown!r}"
        )
    return GeoPoint(*point)


def check_point(point: GeoPoint, what: str) -> None:
    """Raises ParameterInvalid, which calls the point ``what``, where it is none of the earth's."""
    if not (abs(point.lat) <= LAT_MAX and abs(point.lon) <= LON_MAX):  # and so where either is NaN
        raise ParameterInvalid(
            f"{what} must have a latitude of -90 to 90 and a longitude of -180 to 180, not {point.lat}, {point.lon}"
        )


def coordinates_of(points: Sequence[GeoPoint]) -> Coordinates:
    """float64[n, 2] of ``points``."""
    return np.array([(point.lat, point.lon) for point in points], np.float64).reshape(-1, 2)
