"""What the values of a column look like, and the field that would take them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final, TypeVar

import numpy as np

from lutra.instance.field import FieldDeclaration, Stored
from lutra.instance.nested import Nested, Object
from lutra.instance.text import Text
from lutra.instance.vector import Vector
from lutra.model import limits
from lutra.model.geo import GeoPoint
from lutra.model.values import INT64_MAX, INT64_MIN
from lutra.transfer.conversion import is_point
from lutra.transfer.field_types import declared_type
from lutra.transfer.written import guessed, moment_in

_VECTOR_ELEMENTS_MIN: Final = 8
"""Fewer numbers, of one length in all rows, are a vector only where the column's name says so."""
_VECTOR_NAMES: Final = ("embedding", "vector", "emb", "vec")
_TEXT_BYTES_MIN: Final = 256
_TEXT_WORDS_MIN: Final = 6
"""On average: texts have words to look for, keywords are what they are as a whole."""
_ELEMENTS_SEEN_MAX: Final = 64
"""Of one list of one row."""
_MISTAKES_ONE_IN: Final = 100
_NUMBERS: Final = frozenset({"int", "float"})
_TEXTS: Final = frozenset({"str", "datetime", "int", "float", "bool"})
"""What a column of texts takes, as it is written."""
_WORDS_OF: Final = {"str": "text", "object": "objects", "list": "lists", "datetime": "dates", "geo": "places"}


@dataclass(frozen=True, slots=True)
class Guess:
    """The field that would take the values of a column, and what is to be said of it."""

    declaration: FieldDeclaration
    note: str = ""


@dataclass(slots=True)
class Seen:
    """The values of a column, of some rows."""

    count: int = 0
    example: Any = None
    kinds: Counter[str] = dataclass_field(default_factory=Counter)
    bytes_max: int = 0
    """Of texts, and of what is one if nothing else fits."""
    words: int = 0
    lengths: Counter[int] = dataclass_field(default_factory=Counter)
    """Of lists."""
    elements: Seen | None = None
    inner: dict[str, Seen] = dataclass_field(default_factory=dict)

    def add(self, value: Any) -> None:
        """A value with a type."""
        self.count += 1
        if self.example is None:
            self.example = value
        kind = _kind_of(value)
        self.kinds[kind] += 1
        if isinstance(value, str):
            self._add_text(value)
        elif kind == "list":
            self.lengths[len(value)] += 1
            self.elements = self.elements or Seen()
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
                self.elements.kinds["float" if value.dtype.kind == "f" else "int"] += len(value)
                self.elements.count += len(value)
            else:
                for one in value[:_ELEMENTS_SEEN_MAX]:
                    self.elements.add(one)
        elif kind == "object":
            for name, one in value.items():
                if one is not None:
                    self.inner.setdefault(name, Seen()).add(one)

    def add_text(self, text: str) -> None:
        """What stands in a file that has no types."""
        value = guessed(text)
        self.add(value)
        if not isinstance(value, str):
            self._add_text(text)
        self.example = text if self.count == 1 else self.example

    def _add_text(self, text: str) -> None:
        self.bytes_max = max(self.bytes_max, len(text) if text.isascii() else len(text.encode(errors="replace")))
        self.words += text.count(" ") + 1

    def guess(self, name: str, hint: str | None = None) -> Guess:
        """The field that takes them. ``hint`` is the type that a file says they have."""
        if not self.count:
            declaration = declared_type(hint) if hint and hint != "vector" else str
            return Guess(declaration, "no values among the rows looked at")
        kinds, others = _usual(self.kinds)
        wider = next((one for one in (_NUMBERS, _TEXTS) if kinds <= one and (one is _NUMBERS or "str" in kinds)), kinds)
        if wider is not kinds:  # such a field takes these as well
            others -= sum(self.kinds[one] for one in wider - kinds)
            kinds |= wider & self.kinds.keys()
        guess = self._of_kinds(name, kinds, hint)
        return guess if not others else Guess(guess.declaration, _joined(guess.note, _told(others, self.count)))

    def _of_kinds(self, name: str, kinds: frozenset[str], hint: str | None) -> Guess:
        if kinds <= _NUMBERS:
            return Guess(float if "float" in kinds else int)
        if len(kinds) == 1:
            [kind] = kinds
            if kind in _DECLARATIONS:
                return Guess(_DECLARATIONS[kind], _NOTES.get(kind, ""))
            if kind == "list":
                return self._list(name, is_vector=hint == "vector")
            if kind == "object":
                return self._object()
        note = (
            ""
            if "str" in kinds and len(kinds) == 1
            else f"mixed: {', '.join(sorted(_WORDS_OF.get(one, one) for one in kinds))}"
        )
        if kinds & {"list", "object", "bytes"}:
            return Guess(Stored(str), f"{note}; kept as JSON, not indexed")
        return self._text(note)

    def _text(self, note: str) -> Guess:
        if self.bytes_max > _TEXT_BYTES_MIN or self.words >= _TEXT_WORDS_MIN * self.count:
            return Guess(Text(), note)
        return Guess(str, note)

    def _list(self, name: str, *, is_vector: bool) -> Guess:
        elements = self.elements or Seen()
        kinds = frozenset(elements.kinds)
        if kinds and kinds <= _NUMBERS:
            return self._numbers(name, is_vector, kinds)
        if max(self.lengths) > limits.ARRAY_ELEMENTS_MAX:
            return Guess(Stored(str), f"lists of up to {max(self.lengths):,}; kept as JSON, not indexed")
        if not kinds:
            return Guess(list[str], "empty lists only")
        if kinds == {"str"} or (len(kinds) == 1 and kinds <= {"bool", "datetime", "geo"}):
            [kind] = kinds
            return Guess(
                {"str": list[str], "bool": list[bool], "datetime": list[dt.datetime]}.get(kind, list[GeoPoint])
            )
        fields = elements.fields() if kinds == {"object"} else None
        if fields is None:
            return Guess(Stored(str), "lists of what no field takes; kept as JSON, not indexed")
        return Guess(Nested(fields))

    def _numbers(self, name: str, is_vector: bool, kinds: frozenset[str]) -> Guess:
        """A vector, or a list of numbers."""
        lengths, others = _usual(self.lengths)
        length = max(lengths)
        is_named = any(word in name.lower() for word in _VECTOR_NAMES)
        is_likely = is_vector or is_named or (length >= _VECTOR_ELEMENTS_MIN and "float" in kinds)
        if is_likely and len(lengths) == 1 and 1 <= length <= limits.VECTOR_DIMENSION_MAX:
            return Guess(Vector(length), _told(others, self.count) if others else "")
        length = max(self.lengths)
        note = f"lists of {min(self.lengths):,} to {length:,} numbers" if is_likely else ""
        if length > limits.ARRAY_ELEMENTS_MAX:
            return Guess(Stored(str), f"lists of up to {length:,} numbers; kept as JSON, not indexed")
        return Guess(list[float] if "float" in kinds else list[int], note)

    def _object(self) -> Guess:
        fields = self.fields()
        if not fields:
            return Guess(Stored(str), "objects of what no field takes; kept as JSON, not indexed")
        return Guess(Object(fields))

    def fields(self) -> dict[str, FieldDeclaration] | None:
        """Of objects; None where not all that they have can be a field within another."""
        fields: dict[str, FieldDeclaration] = {}
        for name, seen in self.inner.items():
            declaration = seen.guess(name).declaration
            if isinstance(declaration, Stored) or declaration is bytes or not _is_path_part(name):
                return None
            fields[name] = declaration
        return fields or None


_Of = TypeVar("_Of", str, int)


def _usual(counts: Counter[_Of]) -> tuple[frozenset[_Of], int]:
    """What values are but for a few, and how many these are: one in a hundred is taken for a mistake."""
    total, others = counts.total(), 0
    usual = set(counts)
    for one, count in reversed(counts.most_common()):
        if (others + count) * _MISTAKES_ONE_IN > total:
            break
        usual.discard(one)
        others += count
    return frozenset(usual), others


def _told(others: int, count: int) -> str:
    return f"{others:,} of {count:,} look otherwise: such rows are rejected"


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _kind_of(value: Any) -> str:
    """Of bool, int, float, str, datetime, geo, bytes, list, object, null."""
    if isinstance(value, str):
        return "str" if moment_in(value) is None else "datetime"
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, int | np.integer):
        return "int" if INT64_MIN <= value <= INT64_MAX else "str"  # of a float not all digits would be left
    if isinstance(value, float | np.floating):
        return "float"
    if isinstance(value, dt.date):
        return "datetime"
    if isinstance(value, GeoPoint):
        return "geo"
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, Mapping):
        return "geo" if is_point(value) else "object"
    if isinstance(value, list | tuple | np.ndarray):
        return "list"
    return "null" if value is None else "str"


def _is_path_part(name: str) -> bool:
    return bool(limits.NAME_PATTERN.fullmatch(name))


_DECLARATIONS: Final[dict[str, FieldDeclaration]] = {
    "bool": bool,
    "datetime": dt.datetime,
    "geo": GeoPoint,
    "bytes": bytes,
}
_NOTES: Final = {"datetime": "UTC where it says no zone"}
