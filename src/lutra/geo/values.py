"""From the values of table columns to points."""

from __future__ import annotations

import json
from typing import Any

from lutra.kernels.geo import geo_read_point
from lutra.model.indexes import FieldSchema
from lutra.model.limits import ARRAY_ELEMENTS_MAX
from lutra.model.values import Value

_CHARS_MAX = 1_024
"""Longer text is no point."""


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
    try:
        elements: Any = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if type(elements) is not list or len(elements) > ARRAY_ELEMENTS_MAX:
        return None
    points = []
    for element in elements:
        if element is None:
            continue
        point = _point(element)
        if point is None:
            return None
        points.append(point)
    return points


def _point(text: object) -> tuple[float, float] | None:
    return geo_read_point(text) if type(text) is str and len(text) <= _CHARS_MAX and text.isascii() else None
