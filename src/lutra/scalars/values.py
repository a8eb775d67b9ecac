"""From the values of table columns and queries to what a scalar column holds.

A column holds: LONG int64, DATE int64 (nanoseconds since the epoch), DOUBLE float64, BOOLEAN bool, KEYWORD str.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.limits import ARRAY_ELEMENTS_MAX
from lutra.model.queries import Operand
from lutra.model.values import INT64_MAX, INT64_MIN, Value
from lutra.scalars.dates import DateFormats
from lutra.scalars.operands import Point, Scalar, is_keyword, operand_reader

__all__ = ["DTYPES", "Scalar", "ScalarReader"]

DTYPES: Final[dict[FieldType, npt.DTypeLike]] = {
    FieldType.LONG: np.int64,
    FieldType.DATE: np.int64,
    FieldType.DOUBLE: np.float64,
    FieldType.BOOLEAN: np.bool_,
    FieldType.KEYWORD: np.int32,
}
"""KEYWORD columns hold ordinals of their dictionary."""


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


class ScalarReader:
    """Reads values of one field, and what they are compared with. ParameterInvalid for a date format that is none."""

    def __init__(self, field: FieldSchema) -> None:
        convert: dict[FieldType, Callable[[object], Scalar | None]] = {
            FieldType.LONG: _long,
            FieldType.DOUBLE: _double,
            FieldType.BOOLEAN: _boolean,
            FieldType.KEYWORD: _keyword,
        }
        self.field = field
        dates = DateFormats(field.date_formats) if field.type is FieldType.DATE else None
        self._formats = () if dates is None else dates.formats
        self.element: Callable[[object], Scalar | None] = convert[field.type] if dates is None else dates.to_ns
        # JSON has no infinity: it is what a number became that no double holds.
        self._array_element = _finite if field.type is FieldType.DOUBLE else self.element
        self._operand = operand_reader(field.type, dates)

    def read(self, value: Value) -> list[Scalar] | None:
        """The elements of a column's value, or None where it is not of the field's type.

        An array is a JSON text. One that holds an element of another type is not of the field's type as a whole, nor is
        one with a number that JSON does not have, or that no double holds: NaN, Infinity, 1e400. A null is no element.
        """
        if not self.field.is_array:
            scalar = self.element(value)
            return None if scalar is None else [scalar]
        if type(value) is not str:
            return None
        try:
            elements: Any = json.loads(value)
        except (ValueError, RecursionError):
            return None
        if type(elements) is not list or len(elements) > ARRAY_ELEMENTS_MAX:
            return None
        result = []
        for element in elements:
            if element is None:
                continue
            scalar = self._array_element(element)
            if scalar is None:
                return None
            result.append(scalar)
        return result

    def point(self, operand: Operand) -> Point:
        """Where a query's operand lies among the values. Raises ParameterInvalid for what has no place there."""
        point = self._operand(operand)
        if point is None:
            name, type_name = self.field.name, self.field.type.name
            shown = repr(operand) if len(repr(operand)) <= 64 else f"{repr(operand)[:61]}..."
            form = f" in one of the formats {list(self._formats)}" if self._formats else ""
            raise ParameterInvalid(f"field [{name}] is of type {type_name}: {shown} is no value of that type{form}")
        return point

    def stand_in(self, operand: Operand) -> Scalar:
        """What rows without the field sort as where a sort says so: the greatest value that is not above ``operand``.

        Raises ParameterInvalid as `point` does.
        """
        floor = self.point(operand).floor
        return INT64_MIN if floor is None else floor
