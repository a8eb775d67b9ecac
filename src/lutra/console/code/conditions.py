"""Queries as conditions of the embedded API: ``lutra.col("year") >= 2020`` and what joins them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from lutra.console.code.layout import Expression, Group, Item
from lutra.console.code.literals import python_string
from lutra.console.code.writer import Unsayable
from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPoint, GeoPolygon
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.nested import Nested
from lutra.model.queries import Bool, Exists, MatchAll, Prefix, Query, Range, Term, Terms
from lutra.model.scoring import ConstScore
from lutra.scalars.dates import DEFAULT_FORMATS, DateFormats

_NS_PER_US: Final = 1_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_STRINGS: Final = frozenset({FieldType.KEYWORD, FieldType.FUZZY_KEYWORD, FieldType.IP, FieldType.FLATTENED})


class Conditions:
    """Of one table, whose index has ``schema``."""

    def __init__(self, schema: IndexSchema) -> None:
        self._schema = schema

    def of_all(self, wanted: Sequence[Query]) -> Expression | None:
        """What holds where all of ``wanted`` do; None where that is always."""
        parts = [made for one in wanted if (made := self.of(one)) is not None]
        return self._joined("&", parts) if parts else None

    def of(self, query: Query, path: str = "") -> Expression | None:
        """The condition that a query is, of the records at ``path`` or of rows; None where it always holds.

        Raises Unsayable.
        """
        match query:
            case MatchAll():
                return None
            case ConstScore(inner):
                return self.of(inner, path)
            case Bool():
                return self._bool(query, path)
            case Nested(inner_path, inner):
                holds = self.of(inner, inner_path)
                name = self._column(inner_path, path)
                if holds is None:
                    return f"{name}.exists()"
                return Group(f"{name}.any(", (Item(holds),), ")", is_trailing=False)
        return self._leaf(query, path)

    def _bool(self, query: Bool, path: str) -> Expression | None:
        parts = [made for one in (*query.must, *query.filter) if (made := self.of(one, path)) is not None]
        least = query.minimum_should_match
        if least is None:
            least = 0 if query.must or query.filter else 1
        if query.should and str(least) != "0":
            if str(least) != "1":
                raise Unsayable(f"{least} of several conditions")
            others = [self.of(one, path) for one in query.should]
            if None not in others:
                parts.append(self._joined("|", [one for one in others if one is not None]))
        for one in query.must_not:
            made = self.of(one, path)
            if made is None:
                raise Unsayable("what no row can match")
            parts.append(Group("~(", (Item(made),), ")", is_trailing=False))
        return self._joined("&", parts) if parts else None

    def _joined(self, operator: str, parts: Sequence[Expression]) -> Expression:
        if len(parts) == 1:
            return parts[0]
        last = len(parts) - 1
        items = tuple(
            Item(part, before="(", after=")" + (f" {operator}" if number < last else ""))
            for number, part in enumerate(parts)
        )
        return Group("(", items, ")", joint="", is_trailing=False)

    def _leaf(self, query: Query, path: str) -> Expression:
        match query:
            case Exists(field):
                return f"{self._column(field, path)}.exists()"
            case Prefix(field, prefix):
                self._check(field, _STRINGS, "the begin of a word")
                return f"{self._column(field, path)}.starts_with({python_string(prefix)})"
            case Term(field, value):
                return self._equal(field, value, path)
            case Terms(field, values):
                inside = tuple(Item(self.operand(field, one)) for one in values)
                return Group(f"{self._column(field, path)}.is_in([", inside, "])", is_trailing=False, fills=True)
            case Range():
                return self._range(query, path)
            case GeoDistance(field, centre, distance_m):
                return f"{self._column(field, path)}.within({distance_m!r}, {point(centre)})"
            case GeoBoundingBox(field, top_left, bottom_right):
                return f"{self._column(field, path)}.in_box({point(top_left)}, {point(bottom_right)})"
            case GeoPolygon(field, points):
                corners = tuple(Item(point(one)) for one in points)
                return Group(f"{self._column(field, path)}.in_polygon([", corners, "])", is_trailing=False)
        raise Unsayable(f"{type(query).__name__} as a condition")

    def _equal(self, field: str, value: Any, path: str) -> str:
        name = self._column(field, path)
        if isinstance(value, bool):
            return f"{name}.is_{str(value).lower()}()"
        return f"{name} == {self.operand(field, value)}"

    def _range(self, query: Range, path: str) -> Expression:
        name = self._column(query.field, path)
        lower, upper = (None if one is None else self.operand(query.field, one) for one in (query.lower, query.upper))
        if lower is not None and upper is not None and query.include_lower and query.include_upper:
            return f"{name}.between({lower}, {upper})"
        parts: list[Expression] = []
        if lower is not None:
            parts.append(f"{name} {'>=' if query.include_lower else '>'} {lower}")
        if upper is not None:
            parts.append(f"{name} {'<=' if query.include_upper else '<'} {upper}")
        return self._joined("&", parts) if parts else f"{name}.exists()"

    def operand(self, path: str, value: Any) -> str:
        """A value of a field, as Python has it. Raises Unsayable where the field is asked for words."""
        field = self._schema.field(path)
        if field is not None and field.type is FieldType.TEXT:
            raise Unsayable(f"a comparison with the words of {path}")
        if field is not None and field.type is FieldType.DATE:
            return moment(_moment_of(field, value))
        return python_string(value) if isinstance(value, str) else repr(value)

    def _check(self, path: str, types: frozenset[FieldType], what: str) -> None:
        field = self._schema.field(path)
        if field is not None and field.type not in types:
            raise Unsayable(f"{what} of field {path}")

    def _column(self, field: str, path: str) -> str:
        """Within records, fields go by the names that they have there."""
        name = field.removeprefix(f"{path}.") if path else field
        return f"lutra.col({python_string(name)})"


def point(given: GeoPoint) -> str:
    """As a pair."""
    return f"({given.lat!r}, {given.lon!r})"


def moment(value: dt.datetime) -> str:
    """A moment with its zone."""
    return f"dt.datetime.fromisoformat({python_string(value.isoformat())})"


def _moment_of(field: FieldSchema, value: Any) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    count_ns = DateFormats(field.date_formats or DEFAULT_FORMATS).to_ns(value)
    if count_ns is None:
        raise Unsayable(f"{value!r} of field {field.name}, which is no date in its formats")
    return _EPOCH + dt.timedelta(microseconds=count_ns // _NS_PER_US)
