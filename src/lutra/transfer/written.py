"""What text can mean: numbers, dates, places and JSON as people write them."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from typing import Any, Final

from lutra.kernels.geo import geo_read_point
from lutra.model.geo import GeoPoint
from lutra.model.values import INT64_MAX, INT64_MIN

_INT: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_FLOAT: Final = re.compile(r"-?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_LEADING_ZERO: Final = re.compile(r"-?0[0-9]")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,6})?)? ?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_POINT: Final = re.compile(
    r"-?[0-9]{1,2}(?:\.[0-9]+)?, -?[0-9]{1,3}(?:\.[0-9]+)?|-?[0-9]{1,2}\.[0-9]+,-?[0-9]{1,3}\.[0-9]+"
)
"""Not ``1,5`` nor ``1.234,5``, which are numbers of those who write a comma in them."""
_NUMBERS: Final = re.compile(r"[\s,;]+")
_TRUTHS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_DIGITS_MAX: Final = 20
"""Of an int of 64 bits with its sign."""


def guessed(text: str) -> Any:
    """The value that ``text`` most probably is: of bool, int, float, datetime, GeoPoint, list, dict, else str."""
    first = text[:1]
    if first in "[{":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    if _INT.fullmatch(text) and INT64_MIN <= int(text) <= INT64_MAX:
        return int(text)
    if _FLOAT.fullmatch(text) and not _WHOLE.fullmatch(text) and not _LEADING_ZERO.match(text):
        return float(text)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if (moment := moment_in(text)) is not None:
        return moment
    if _POINT.fullmatch(text) and (point := point_in(text)) is not None:
        return point
    return text


def moment_in(text: str) -> dt.datetime | None:
    """A date, or a date and time, as ISO 8601 writes it; UTC where it says no zone."""
    if not text[:4].isdecimal() or not _MOMENT.fullmatch(text):
        return None
    try:
        moment = dt.datetime.fromisoformat(text.replace(" Z", "Z").replace(" +", "+"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def point_in(text: str) -> GeoPoint | None:
    """Latitude and longitude."""
    found = geo_read_point(text.replace(" ", "")) if text.isascii() else None
    return None if found is None else GeoPoint(*found)


def int_in(text: str) -> int:
    """Raises ValueError."""
    plain = text.strip()
    if _WHOLE.fullmatch(plain):
        if len(plain.lstrip("+-0")) > _DIGITS_MAX:
            raise ValueError(f"{plain[:40]}... does not fit 64 bits")
        return int(plain)
    number = float_in(plain)
    if not number.is_integer() or abs(number) > 2**53:
        raise ValueError(f"{plain[:40]!r} is no whole number")
    return int(number)


def float_in(text: str) -> float:
    """Raises ValueError."""
    plain = text.strip()
    if not _FLOAT.fullmatch(plain.removeprefix("+")):
        raise ValueError(f"{plain[:40]!r} is no number")
    return float(plain)


def bool_in(text: str) -> bool:
    """Raises ValueError."""
    truth = _TRUTHS.get(text.strip().lower())
    if truth is None:
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    return truth


def bytes_in(text: str) -> bytes:
    """Of base64. Raises ValueError."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError(f"{text[:40]!r} is not base64") from None


def json_in(text: str) -> Any:
    """Raises ValueError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{text[:40]!r} is not JSON") from None


def numbers_in(text: str) -> list[Any]:
    """Of a vector: JSON, or numbers with spaces, commas or semicolons between them. Raises ValueError."""
    if text.lstrip()[:1] == "[":
        found = json_in(text)
        if not isinstance(found, list):
            raise ValueError("expected a list of numbers")
        return found
    return [float_in(one) for one in _NUMBERS.split(text.strip()) if one]
