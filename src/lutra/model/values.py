"""Values of columns and keys, and the types they have.

A value is a plain Python object: ``int`` (64-bit signed), ``float``, ``bool``, ``str`` or ``bytes``.
"""

from __future__ import annotations

import enum
import json
from typing import Any, Final

from lutra.model.limits import ARRAY_ELEMENTS_MAX

Value = int | float | bool | str | bytes
"""What an attribute column can hold."""

KeyValue = int | str | bytes
"""What a primary-key column can hold."""

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


class KeyMarker(enum.Enum):
    """Key values that stand for something other than themselves (protocol, PlainBuffer variant types)."""

    INF_MIN = 9
    """Before every value; a range bound."""
    INF_MAX = 10
    """After every value; a range bound."""
    AUTO_INCREMENT = 11
    """The server chooses: larger than every earlier value of the same partition key."""


INF_MIN: Final = KeyMarker.INF_MIN
INF_MAX: Final = KeyMarker.INF_MAX
AUTO_INCREMENT: Final = KeyMarker.AUTO_INCREMENT


class ColumnType(enum.Enum):
    """Type of a value. Keys can be INTEGER, STRING or BINARY."""

    INTEGER = "INTEGER"
    DOUBLE = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    STRING = "STRING"
    BINARY = "BINARY"


KEY_TYPES: Final = frozenset({ColumnType.INTEGER, ColumnType.STRING, ColumnType.BINARY})

_TYPE_OF: Final[dict[type, ColumnType]] = {
    int: ColumnType.INTEGER,
    float: ColumnType.DOUBLE,
    bool: ColumnType.BOOLEAN,
    str: ColumnType.STRING,
    bytes: ColumnType.BINARY,
}


def array_elements(value: Value | list[Any]) -> list[Any] | None:
    """What an array's column holds, a JSON text or what one was read to, but for nulls, which are no elements.

    None where it is no array, or one of more elements than there may be.
    """
    elements: Any = value
    if type(value) is str:
        try:
            elements = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if type(elements) is not list or len(elements) > ARRAY_ELEMENTS_MAX:
        return None
    return [element for element in elements if element is not None]


def type_of(value: object) -> ColumnType | None:
    """The column type of ``value``, or None where it is not a column value (markers, None, …)."""
    return _TYPE_OF.get(type(value))
