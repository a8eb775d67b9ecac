"""What a query compares a field with, and where that lies among the values the field can hold.

An operand need not be such a value: 0.5 is none of a LONG field, a time between two milliseconds none of a DATE field
of ``epoch_millis``. Converted like a stored value it would find what it must not, so it is kept as a `Point`: equality
with what lies between two values holds of neither, and a bound there lets pass what its right neighbour would.

Operands of another type than the field's are coerced where they say the same, as Elasticsearch does it: numbers and
booleans as text, and text that is a number, a boolean or a date.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from lutra.model.indexes import FieldType
from lutra.model.limits import FUZZY_KEYWORD_BYTES_MAX, KEYWORD_BYTES_MAX
from lutra.model.queries import Operand
from lutra.model.values import INT64_MAX, INT64_MIN
from lutra.scalars.addresses import address_key, network_keys
from lutra.scalars.dates import DateFormats, datetime_ns

Scalar = int | float | bool | str
"""A value as a scalar column holds it."""

_NUMBER_CHARS_MAX: Final = 400
"""Longer text is no number: the greatest double has 309 digits, and matching takes time by the square."""
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUTHS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Point:
    """An operand's place: at ``floor``, or, where it is no ``is_value``, between it and the next value.

    ``floor`` is the greatest value of the field's type that is not above the operand; None where it is below them all.
    """

    floor: Scalar | None
    is_value: bool


def operand_reader(kind: FieldType, dates: DateFormats | None) -> Callable[[Operand], Point | None]:
    """Reads operands of a field of scalars; gives None for those that cannot be compared with it.

    ``dates`` goes with DATE.
    """
    if dates is not None:
        return lambda operand: _date(operand, dates)
    return _READERS[kind]


def _long(operand: Operand) -> Point | None:
    number = _exact(operand)
    return None if number is None else _whole_point(number)


def _double(operand: Operand) -> Point | None:
    number = _number(operand)
    return None if number is None else _double_point(number)


def _boolean(operand: Operand) -> Point | None:
    truth = operand if type(operand) is bool else _TRUTHS.get(operand) if type(operand) is str else None
    return None if truth is None else Point(truth, True)


def _keyword(operand: Operand) -> Point | None:
    if type(operand) is bool:
        return Point("true" if operand else "false", True)
    if type(operand) is int:
        return Point(str(operand), True)
    return Point(operand, True) if type(operand) is str and is_keyword(operand) else None


def _fuzzy_keyword(operand: Operand) -> Point | None:
    point = _keyword(operand)
    is_short = point is not None and type(point.floor) is str and is_keyword(point.floor, FUZZY_KEYWORD_BYTES_MAX)
    return point if is_short else None


def _leaf(operand: Operand) -> Point | None:
    """Of a FLATTENED field, whose leaves are text, numbers as they are written."""
    return Point(repr(operand), True) if type(operand) is float else _keyword(operand)


def _address(operand: Operand) -> Point | None:
    key = address_key(operand) if type(operand) is str else None
    return None if key is None else Point(key, True)


def network_span(operand: Operand) -> tuple[Point, Point] | None:
    """The first and the last address of a network in CIDR notation; None where that is none."""
    keys = network_keys(operand) if type(operand) is str else None
    return None if keys is None else (Point(keys[0], True), Point(keys[1], True))


def is_keyword(text: str, bytes_max: int = KEYWORD_BYTES_MAX) -> bool:
    """Whether a KEYWORD field holds ``text``: it is Unicode, and not too long."""
    if len(text) > bytes_max:
        return False
    if text.isascii():
        return True
    try:
        return len(text.encode()) <= bytes_max
    except UnicodeEncodeError:  # half a surrogate pair, from a JSON escape
        return False


_READERS: Final[dict[FieldType, Callable[[Operand], Point | None]]] = {
    FieldType.LONG: _long,
    FieldType.DOUBLE: _double,
    FieldType.BOOLEAN: _boolean,
    FieldType.KEYWORD: _keyword,
    FieldType.FUZZY_KEYWORD: _fuzzy_keyword,
    FieldType.FLATTENED: _leaf,
    FieldType.IP: _address,
}


def _date(operand: Operand, dates: DateFormats) -> Point | None:
    if isinstance(operand, dt.datetime):
        return None if operand.tzinfo is None else _whole_point(datetime_ns(operand))
    if type(operand) is str:
        parsed_ns = dates.parsed_ns(operand)
        if parsed_ns is not None:
            return _whole_point(parsed_ns)
    number = _exact(operand)
    if number is None or dates.unit_ns is None:
        return None
    if isinstance(number, float) and math.isinf(number):
        return _whole_point(number)
    return _whole_point(Fraction(number) * dates.unit_ns)


def _number(operand: Operand) -> int | float | None:
    """The number that ``operand`` is, or is the text of; None where it is none. It may be infinite, not NaN."""
    if type(operand) is int:
        return operand
    if type(operand) is float:
        return None if math.isnan(operand) else operand
    if type(operand) is not str or len(operand) > _NUMBER_CHARS_MAX:
        return None
    if _WHOLE.fullmatch(operand):
        return int(operand)
    number = float(operand) if _DECIMAL.fullmatch(operand) else math.inf
    return number if math.isfinite(number) else None


def _exact(operand: Operand) -> float | Fraction | None:
    """As `_number`, but of a decimal text what it says, not the double that is nearest."""
    number = _number(operand)
    if type(operand) is str and type(number) is float and number:  # a double: so the exponent is no vast one
        return Fraction(operand)
    return number


def _whole_point(number: float | Fraction) -> Point:
    """Among 64-bit integers."""
    if number < INT64_MIN:
        return Point(None, False)
    if number > INT64_MAX:
        return Point(INT64_MAX, False)
    floor = math.floor(number)
    return Point(floor, floor == number)


def _double_point(number: float) -> Point:
    """Among doubles, the infinities included; ``number`` may be an int of any size."""
    try:
        nearest = float(number)
    except OverflowError:
        nearest = math.inf if number > 0 else -math.inf
    if nearest == number:  # Python compares ints with floats exactly
        return Point(nearest + 0.0, True)  # -0.0 becomes 0.0
    return Point(nearest if nearest < number else math.nextafter(nearest, -math.inf), False)
