"""How values of fields are checked and turned into what a table keeps, and back where that is more than reading."""

from __future__ import annotations

import datetime as dt
import json
import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.geo import geo_read_point
from lutra.model.geo import GeoPoint
from lutra.model.indexes import VectorOptions
from lutra.model.values import INT64_MAX, INT64_MIN, Value

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
# An index keeps dates as 64 bits of nanoseconds.
FIRST_DATE: Final = dt.datetime(1677, 9, 22, tzinfo=dt.UTC)
LAST_DATE: Final = dt.datetime(2262, 4, 11, tzinfo=dt.UTC)
EXACT_BELOW: Final = 2**53
"""Up to here a float tells each int from the next."""
_NO_GAPS: Final = frozenset({str, int, bool, bytes, list, tuple, dict, np.ndarray, dt.datetime, GeoPoint})
_GAP_TYPES: Final = frozenset({"NaTType", "NAType"})


def is_gap(value: object) -> bool:
    """Whether a value of a row says that there is none: None, NaN, NaT, and pandas' NA, as frames have them."""
    kind = type(value)
    if kind in _NO_GAPS:
        return False
    if value is None:
        return True
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return kind.__name__ in _GAP_TYPES and kind.__module__.startswith("pandas.")


def encode_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("the text is not valid Unicode: it holds a lone surrogate") from None
    return str(value)


def encode_int(value: object) -> int:
    """An int, or a float that is whole: a frame makes floats of a column of ints that has gaps."""
    if isinstance(value, float | np.floating):
        return _whole(float(value))
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"expected int, got {shown(value)}")
    number = int(value)
    if not INT64_MIN <= number <= INT64_MAX:
        raise ValueError(f"{number} does not fit 64 bits")
    return number


def _whole(value: float) -> int:
    if not value.is_integer():  # nor are NaN and the infinite
        raise TypeError(f"expected int, got float {value!r}")
    if abs(value) > EXACT_BELOW:
        raise ValueError(f"expected int, got float {value!r}: so large a float may be an int that was rounded")
    return int(value)


def encode_float(value: object) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"expected float, got {shown(value)}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"the value is {'NaN' if math.isnan(number) else 'infinite'}")
    return number


def encode_bool(value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"expected bool, got {shown(value)}")
    return bool(value)


def encode_bytes(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"expected bytes, got {shown(value)}")
    return bytes(value)


def moment_of(value: object) -> dt.datetime:
    if not isinstance(value, dt.datetime):
        raise TypeError(f"expected datetime.datetime, got {shown(value)}")
    if value.tzinfo is None:
        raise ValueError("the datetime has no time zone: give it one, for example datetime.UTC")
    return value


def moment_at(us: int) -> dt.datetime:
    """So many microseconds after the epoch. Raises OverflowError where a datetime does not go so far."""
    return _EPOCH + us * _MICROSECOND


def number_of(value: object, noun: str) -> int | float:
    """A number that others are compared with, of any size, not NaN."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"expected {noun}, got {shown(value)}")
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    if math.isnan(number):
        raise ValueError("the value is NaN")
    return number


def point_of(value: object) -> GeoPoint:
    """``value``, a point or its latitude and longitude, as a pair or by name, as a point that there is.

    Raises TypeError, ValueError.
    """
    if isinstance(value, GeoPoint):
        lat, lon = encode_float(value.lat), encode_float(value.lon)
    elif isinstance(value, tuple) and len(value) == 2:
        lat, lon = map(encode_float, value)
    elif isinstance(value, Mapping) and value.keys() == {"lat", "lon"}:  # as Arrow has them
        lat, lon = encode_float(value["lat"]), encode_float(value["lon"])
    else:
        raise TypeError(f"expected lutra.GeoPoint, got {shown(value)}")
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise ValueError(f"({lat}, {lon}) is no point: latitude is -90 to 90, longitude -180 to 180")
    return GeoPoint(lat, lon)


def points_of(values: object, what: str) -> tuple[GeoPoint, ...]:
    """As `point_of`, of a sequence of them."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"{what} takes a list of points, not {type(values).__name__}")
    return tuple(map(point_of, values))


def encode_point(value: object) -> str:
    """As a column keeps it: ``"lat,lon"``, in the digits that give both back. Raises TypeError, ValueError."""
    one = point_of(value)
    return f"{one.lat!r},{one.lon!r}"


def decode_point(value: Any) -> Any:
    """What `encode_point` made; anything else as it is."""
    found = geo_read_point(value) if isinstance(value, str) and value.isascii() else None
    return value if found is None else GeoPoint(*found)


def vector_text(vector: npt.NDArray[np.float32]) -> str:
    """JSON of the shortest digits that give each float32 back."""
    return f"[{', '.join(map(str, vector))}]"


def decode_vector(value: Value, options: VectorOptions | None) -> object:
    if isinstance(value, bytes) and len(value) % 4 == 0:
        return np.frombuffer(value, dtype="<f4")
    if isinstance(value, str):
        elements = decode_json(value)
        if isinstance(elements, list) and options is not None and len(elements) == options.dimension:
            try:
                return np.array(elements, dtype=np.float32)
            except (TypeError, ValueError):
                return value
    return value


def decode_json(value: str) -> object:
    """An array or an object; anything else as it is."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return content if isinstance(content, list | dict) else value


def shown(value: object) -> str:
    if value is None:
        return "None"
    text = repr(value)
    return f"{declaration_text(type(value))} {text if len(text) <= 60 else text[:57] + '...'}"


def declaration_text(declaration: object) -> str:
    """A declaration as it is written: ``int``, ``list[str]``, ``Vector(dimension=4, metric='cosine')``."""
    if isinstance(declaration, type) and typing.get_origin(declaration) is None:
        return str(declaration.__name__)
    return repr(declaration)
