"""Objects in the value of a column: JSON, read once for all fields below it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn, Protocol

from lutra.fields.kind import Column
from lutra.model.values import Value

Object = Mapping[str, Any]
_NO_TEXT: Final = object()


class ObjectsColumn(Column, Protocol):
    """A column whose values are objects."""

    def stage_read(self, doc: int, value: Any) -> bool:
        """As `stage`, of what JSON was read to."""


def read_json(value: Value) -> Any:
    """What a column's value says. Where it is no JSON, as where there is a NaN in it, `objects_in` finds nothing."""
    if type(value) is not str:
        return _NO_TEXT
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NO_TEXT


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def objects_in(value: Any) -> list[Object] | None:
    """The objects of an array, or the one that there is without; None for anything else. A null is no object."""
    if type(value) is dict:
        return [value]
    if type(value) is not list:
        return None
    objects = [element for element in value if element is not None]
    return objects if all(type(element) is dict for element in objects) else None


def flat(values: Iterable[Any]) -> list[Any]:
    """With the elements of arrays in place of these."""
    return [element for value in values for element in (value if type(value) is list else [value])]


def staged(column: Column, types: frozenset[type], doc: int, value: Any) -> bool:
    """Hands a field's value to its column, as that reads values of the table; `Column.stage`.

    ``types``: those of arrays and objects that the field takes for a value. They are text there, too, so that each kind
    reads them as it always does.
    """
    if isinstance(value, list | dict):
        return type(value) in types and column.stage(doc, json.dumps(value))
    # No number of JSON is infinite: this was one that no double holds.
    return not (type(value) is float and math.isinf(value)) and column.stage(doc, value)
