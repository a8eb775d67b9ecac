"""Virtual fields: fed from a table column of another name, whose values may be of another type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

from lutra.fields.capabilities import FieldPart
from lutra.fields.kind import Column
from lutra.model.arrays import Docs
from lutra.model.indexes import FieldSchema
from lutra.model.values import Value

Convert = Callable[[Any], Any]
"""From what the source column holds to what the field takes; what means nothing to the field stays as it is."""

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMBER_CHARS_MAX: Final = 400


def as_string(value: Any) -> Any:
    """Numbers as text: as Python writes them, so that each is read back as the same number."""
    return str(value) if type(value) is int or type(value) is float else value


def as_whole(value: Any) -> Any:
    """The whole number that a text is."""
    return int(value) if type(value) is str and _WHOLE.fullmatch(value) else value


def as_decimal(value: Any) -> Any:
    """The number that a text is."""
    if type(value) is not str or len(value) > _NUMBER_CHARS_MAX or not _DECIMAL.fullmatch(value):
        return value
    number = float(value)
    return number if math.isfinite(number) else value


class VirtualColumn:
    """A `lutra.fields.kind.Column` of a virtual field: one of its kind's, which gets values as they are converted."""

    def __init__(self, column: Column, convert: Convert) -> None:
        """``convert``: of one element, where the field is an array."""
        self._column = column
        self._of_element = convert
        self._convert = of_elements(convert) if column.field.is_array else convert

    @property
    def field(self) -> FieldSchema:
        return self._column.field

    def stage(self, doc: int, value: Value) -> bool:
        return self._column.stage(doc, self._convert(value))

    def settle(self) -> int:
        return self._column.settle()

    def publish(self) -> None:
        self._column.publish()

    def view(self, size: int) -> FieldPart:
        return self._column.view(size)

    @property
    def size_bytes(self) -> int:
        return self._column.size_bytes

    def compacted(self, renumber: Docs) -> VirtualColumn:
        return VirtualColumn(self._column.compacted(renumber), self._of_element)


def of_elements(convert: Convert) -> Convert:
    """Converts the elements of an array, which is a JSON text."""

    def converted(value: Any) -> Any:
        try:
            elements = json.loads(value)
        except (TypeError, ValueError, RecursionError):
            return value
        if type(elements) is not list:
            return value
        return json.dumps([convert(element) for element in elements])

    return converted
