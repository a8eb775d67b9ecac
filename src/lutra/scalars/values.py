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
from lutra.model.limits import ARRAY_ELEMENTS_MAX, KEYWORD_BYTES_MAX
from lutra.model.values import INT64_MAX, INT64_MIN, Value
from lutra.scalars.dates import DateFormats

Scalar = int | float | bool | str
"""A value as a scalar column holds it."""

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


def _boolean(value: object) -> bool | None:
    return value if type(value) is bool else None


def _keyword(value: object) -> str | None:
    if type(value) is not str or len(value) > KEYWORD_BYTES_MAX:
        return None
    if value.isascii():
        return value
    try:
        return value if len(value.encode()) <= KEYWORD_BYTES_MAX else None
    except UnicodeEncodeError:  # half a surrogate pair, from a JSON escape
        return None


class ScalarReader:
    """Reads values of one field. Raises ParameterInvalid for a date format that is none."""

    def __init__(self, field: FieldSchema) -> None:
        convert: dict[FieldType, Callable[[object], Scalar | None]] = {
            FieldType.LONG: _long,
            FieldType.DOUBLE: _double,
            FieldType.BOOLEAN: _boolean,
            FieldType.KEYWORD: _keyword,
        }
        self.field = field
        if field.type is FieldType.DATE:
            self._formats: tuple[str, ...] = DateFormats(field.date_formats).formats
            self.element: Callable[[object], Scalar | None] = DateFormats(field.date_formats).to_ns
        else:
            self._formats = ()
            self.element = convert[field.type]

    def read(self, value: Value) -> list[Scalar] | None:
        """The elements of a column's value, or None where it does not fit the field.

        An array that holds one element which does not fit does not fit as a whole.
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
            scalar = self.element(element)
            if scalar is None:
                return None
            result.append(scalar)
        return result

    def operand(self, value: Value) -> Scalar:
        """A value given in a query or as a sort's stand-in; ParameterInvalid where it is not of the field's type."""
        scalar = self.element(value)
        if scalar is None:
            name, type_name = self.field.name, self.field.type.name
            shown = repr(value) if len(repr(value)) <= 64 else f"{repr(value)[:61]}..."
            form = f" in one of the formats {list(self._formats)}" if self._formats else ""
            raise ParameterInvalid(f"field [{name}] is of type {type_name}: {shown} is no value of that type{form}")
        return scalar
