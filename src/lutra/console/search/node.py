"""Pieces of a form's JSON, each with its place: what is not as expected is told with that."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import Any, Final

from lutra.console.search.faults import Wrong
from lutra.model.values import INT64_MAX, INT64_MIN

_NUMBER_CHARS_MAX: Final = 64
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def read_json(text: str) -> Any:
    """Raises `Wrong` where it is no JSON: NaN and Infinity are none."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Node(None).wrong("This is no JSON.") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


class Node:
    """A value of JSON, and where it is: ``where.parts.0``."""

    __slots__ = ("place", "value")

    def __init__(self, value: Any, place: str = "") -> None:
        self.value = value
        self.place = place

    def wrong(self, message: str, **values: Any) -> Wrong:
        """What is to be raised where it is not as it should be."""
        return Wrong(self.place, message, **values)

    # --- objects and lists --------------------------------------------------------------------------------------

    def object(self, known: Collection[str]) -> Node:
        """Itself, where it is an object that has no keys but ``known``."""
        if not isinstance(self.value, dict):
            raise self.wrong("This must be an object.")
        for name in self.value:
            if name not in known:
                raise self.wrong("There is no {name} here.", name=name[:_NUMBER_CHARS_MAX])
        return self

    def get(self, name: str) -> Node | None:
        """What an object has there; null is nothing."""
        value = self.value.get(name)
        return None if value is None else Node(value, f"{self.place}.{name}" if self.place else name)

    def need(self, name: str) -> Node:
        """As `get`, where there must be something."""
        found = self.get(name)
        if found is None:
            raise Node(None, f"{self.place}.{name}" if self.place else name).wrong("A value is missing.")
        return found

    def items(self, most: int) -> list[Node]:
        """The elements of a list of at most ``most``."""
        if not isinstance(self.value, list):
            raise self.wrong("This must be a list.")
        if len(self.value) > most:
            raise self.wrong("At most {most} are allowed here.", most=most)
        return [Node(one, f"{self.place}.{number}") for number, one in enumerate(self.value)]

    # --- values -------------------------------------------------------------------------------------------------

    def text(self, bytes_max: int) -> str:
        """A text that is not empty."""
        if not isinstance(self.value, str):
            raise self.wrong("This must be a text.")
        try:
            size_bytes = len(self.value.encode())
        except UnicodeEncodeError:
            raise self.wrong("The text holds half a character.") from None
        if not size_bytes:
            raise self.wrong("A value is missing.")
        if size_bytes > bytes_max:
            raise self.wrong("The text is too long: at most {most} bytes are allowed.", most=bytes_max)
        return self.value

    def one_of(self, known: Collection[str]) -> str:
        if not isinstance(self.value, str) or self.value not in known:
            raise self.wrong("This must be one of {known}.", known=", ".join(known))
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("This must be true or false.")
        return self.value

    def number(self) -> int | float:
        """A finite number, also as text: a browser's own numbers are exact up to 2^53 only."""
        value = self.value
        if isinstance(value, str):
            text = value.strip()
            is_short = len(text) <= _NUMBER_CHARS_MAX
            if is_short and _WHOLE.fullmatch(text):
                value = int(text)
            else:
                value = float(text) if is_short and _DECIMAL.fullmatch(text) else None
        if isinstance(value, int) and not isinstance(value, bool) and INT64_MIN <= value <= INT64_MAX:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(number := _double(value)):
            raise self.wrong("This must be a number.")
        return number

    def whole(self, least: int, most: int) -> int:
        """A whole number in these bounds."""
        value = self.number()
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or not least <= value <= most:
            raise self.wrong("This must be a whole number from {least} to {most}.", least=least, most=most)
        return value

    def number_within(self, least: float, most: float) -> int | float:
        """A number in these bounds."""
        value = self.number()
        if not least <= value <= most:
            raise self.wrong("This must be a number from {least} to {most}.", least=least, most=most)
        return value


def _double(value: int | float) -> float:
    """The nearest double; infinite where there is none."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
