"""Values of rows in the words that JSON has."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import numpy as np

from lutra.model.geo import GeoPoint


def to_jsonable(value: Any) -> Any:
    """What stands in JSON for a value that it has no word for: ``json.dumps(results, default=lutra.to_jsonable)``.

    Vectors are lists, of the shortest digits that give each float32 back; datetimes are text of ISO 8601 with its
    zone, bytes are base64, points are ``{"lat": …, "lon": …}``. Numbers of numpy are numbers. What
    ``json.loads`` makes of vectors and points, ``put`` takes; of datetimes and bytes it takes the values only:
    ``datetime.fromisoformat(text)``, ``base64.b64decode(text)``. Raises TypeError for any other type, as ``default``
    is to.
    """
    if isinstance(value, np.ndarray):
        return list(map(float, map(str, value))) if value.dtype == np.float32 and value.ndim == 1 else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, GeoPoint):
        return {"lat": value.lat, "lon": value.lon}
    to_list = getattr(value, "to_list", None)
    if callable(to_list):  # results of a search, and groups
        return to_list()
    raise TypeError(f"JSON has no word for a {type(value).__name__}")


def plain(value: Any) -> Any:
    """``value``, one of a row's, with `to_jsonable` of all that is in it. Raises TypeError."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return to_jsonable(value)
