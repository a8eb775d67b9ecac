"""From the values of table columns and queries to what a scalar column holds.

A column holds: LONG int64, DATE int64 (nanoseconds since the epoch), DOUBLE float64, BOOLEAN bool; KEYWORD and
FUZZY_KEYWORD str, IP a key of the address (`lutra.scalars.addresses`), FLATTENED leaves (`lutra.scalars.leaves`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.limits import FUZZY_KEYWORD_BYTES_MAX, KEYWORD_BYTES_MAX
from lutra.model.queries import Operand
from lutra.model.values import INT64_MAX, INT64_MIN, Value, array_elements
from lutra.scalars.addresses import address_key, address_text
from lutra.scalars.dates import DateFormats
from lutra.scalars.leaves import leaves_of
from lutra.scalars.operands import Point, Scalar, is_keyword, network_span, operand_reader

__all__ = ["DTYPES", "STRING_TYPES", "Scalar", "ScalarReader"]

_BYTES_MAX: Final = {
    FieldType.KEYWORD: KEYWORD_BYTES_MAX,
    FieldType.FUZZY_KEYWORD: FUZZY_KEYWORD_BYTES_MAX,
    FieldType.FLATTENED: KEYWORD_BYTES_MAX,
}
STRING_TYPES: Final = frozenset({FieldType.KEYWORD, FieldType.FUZZY_KEYWORD, FieldType.IP, FieldType.FLATTENED})
"""Their columns hold ordinals of a dictionary of strings."""

DTYPES: Final[dict[FieldType, npt.DTypeLike]] = {
    FieldType.LONG: np.int64,
    FieldType.DATE: np.int64,
    FieldType.DOUBLE: np.float64,
    FieldType.BOOLEAN: np.bool_,
    **dict.fromkeys(STRING_TYPES, np.int32),
}


def _long(value: object) -> int | None:
    return value if type(value) is int and INT64_MIN <= value <= INT64_MAX else None


def _double(value: object) -> float | None:
    if type(value) is float:
        return None if math.isnan(value) else value + 0.0  # -0.0 becomes 0.0
    if type(value) is int and INT64_MIN <= value <= INT64_MAX:
        return float(value)
    return None


def _finite(value: object) -> float | None:
    number = _double(value)
    return None if number is None or math.isinf(number) else number


def _boolean(value: object) -> bool | None:
    return value if type(value) is bool else None


def _keyword(value: object) -> str | None:
    return value if type(value) is str and is_keyword(value) else None


def _fuzzy_keyword(value: object) -> str | None:
    return value if type(value) is str and is_keyword(value, FUZZY_KEYWORD_BYTES_MAX) else None


def _address(value: object) -> str | None:
    return address_key(value) if type(value) is str else None


class ScalarReader:
    """Reads values of one field, and what they are compared with. ParameterInvalid for a date format that is none."""

    def __init__(self, field: FieldSchema) -> None:
        convert: dict[FieldType, Callable[[object], Scalar | None]] = {
            FieldType.LONG: _long,
            FieldType.DOUBLE: _double,
            FieldType.BOOLEAN: _boolean,
            FieldType.KEYWORD: _keyword,
            FieldType.FUZZY_KEYWORD: _fuzzy_keyword,
            FieldType.FLATTENED: _keyword,
            FieldType.IP: _address,
        }
        self.field = field
        self.has_spans = field.type is FieldType.IP
        """Whether an operand may stand for several values: for the addresses of a network."""
        self.is_many = field.is_array or field.type is FieldType.FLATTENED
        """Whether a value of a column may be several of the field's."""
        dates = DateFormats(field.date_formats) if field.type is FieldType.DATE else None
        self._formats = () if dates is None else dates.formats
        self.element: Callable[[object], Scalar | None] = convert[field.type] if dates is None else dates.to_ns
        # JSON has no infinity: it is what a number became that no double holds.
        self._array_element = _finite if field.type is FieldType.DOUBLE else self.element
        self._operand = operand_reader(field.type, dates)

    def read(self, value: Value) -> list[Scalar] | None:
        """As `elements`, without how many were left out."""
        found = self.elements(value)
        return None if found is None else found[0]

    def elements(self, value: Value | list[Any]) -> tuple[list[Scalar], int] | None:
        """The elements of a column's value and how many were left out, or None where it is not of the field's type.

        An array is a JSON text, or what one was read to. One that holds an element of another type is not of the
        field's type as a whole, nor is one with a number that JSON does not have, or that no double holds: NaN,
        Infinity, 1e400. A null is no element. A text that the field does not hold, as it is too long, say, is left out
        alone.
        """
        if self.field.type is FieldType.FLATTENED:
            assert not isinstance(value, list)
            leaves = leaves_of(value, self.field.is_array)
            return None if leaves is None else ([*leaves[0]], leaves[1])
        if not self.field.is_array:
            scalar = self.element(value)
            return None if scalar is None else ([scalar], 0)
        elements = array_elements(value)
        if elements is None:
            return None
        result, left_out = [], 0
        for element in elements:
            scalar = self._array_element(element)
            if scalar is not None:
                result.append(scalar)
            elif type(element) is str and self.field.type in STRING_TYPES:
                left_out += 1
            else:
                return None
        return result, left_out

    def point(self, operand: Operand) -> Point:
        """Where a query's operand lies among the values. Raises ParameterInvalid for what has no place there."""
        point = self._operand(operand)
        if point is None:
            name, type_name = self.field.name, self.field.type.name
            shown = repr(operand) if len(repr(operand)) <= 64 else f"{repr(operand)[:61]}..."
            form = f" in one of the formats {list(self._formats)}" if self._formats else self._length_of(operand)
            raise ParameterInvalid(f"field [{name}] is of type {type_name}: {shown} is no value of that type{form}")
        return point

    def _length_of(self, operand: Operand) -> str:
        """Says how long a text is, where that is why it is no value."""
        most = _BYTES_MAX.get(self.field.type)
        size_bytes = len(operand.encode(errors="surrogatepass")) if type(operand) is str else 0
        return "" if most is None or size_bytes <= most else f": it has {size_bytes} bytes, more than {most}"

    def span(self, operand: Operand) -> tuple[Point, Point]:
        """The first and the last value that an operand stands for. Raises ParameterInvalid as `point`."""
        span = network_span(operand) if self.has_spans else None
        if span is not None:
            return span
        point = self.point(operand)
        return point, point

    def told(self, scalar: Scalar) -> Scalar:
        """A value as clients are told it."""
        return address_text(scalar) if self.field.type is FieldType.IP and type(scalar) is str else scalar

    def stand_in(self, operand: Operand) -> Scalar:
        """What rows without the field sort as where a sort says so: the greatest value that is not above ``operand``.

        Raises ParameterInvalid as `point` does.
        """
        floor = self.point(operand).floor
        return INT64_MIN if floor is None else floor
