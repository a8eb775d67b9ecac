"""Conditions of a form: groups of and, or, not, within each other, and what each says of a field.

::

    {"group": "all" | "any" | "none", "within": path of a nested field, "parts": [...]}
    {"field": "year", "op": "from", "value": 2000}

A group ``within`` a nested field is about one of its documents. A group without parts says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lutra.console.search import bounds
from lutra.console.search.faults import Faults
from lutra.console.search.fields import WORDS, SearchField, SearchFields
from lutra.console.search.node import Node
from lutra.console.search.values import Day, operand_of, point_of
from lutra.geo.shapes import shape_of
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.geo import GeoBoundingBox, GeoDistance, GeoPolygon
from lutra.model.nested import Nested
from lutra.model.queries import (
    Bool,
    Exists,
    Match,
    MatchPhrase,
    Operand,
    Operator,
    Prefix,
    Query,
    Range,
    Suffix,
    Term,
    Terms,
    Wildcard,
)

GROUPS: Final = ("all", "any", "none")
_METRES_MAX: Final = 50_000_000.0
"""More than the earth is round."""
_PATTERNS: Final[dict[str, Callable[[str, str], Query]]] = {"starts": Prefix, "ends": Suffix, "like": Wildcard}
_WORDS: Final[dict[str, Callable[[str, str], Query]]] = {
    "any_words": Match,
    "all_words": lambda field, text: Match(field, text, Operator.AND),
    "phrase": MatchPhrase,
}


class Conditions:
    """Reads the conditions of one form, and gathers what is wrong with them."""

    def __init__(self, fields: SearchFields, faults: Faults) -> None:
        self._fields = fields
        self._faults = faults
        self._count = 0

    def query(self, node: Node) -> Query | None:
        """What all of them together ask for; None where that is nothing."""
        return self._part(node, "", 1)

    def _part(self, node: Node, space: str, depth: int) -> Query | None:
        self._count += 1
        if self._count > bounds.CONDITIONS_MAX:
            raise node.wrong("At most {most} conditions are allowed.", most=bounds.CONDITIONS_MAX)
        if isinstance(node.value, dict) and "group" in node.value:
            return self._group(node, space, depth)
        return self._condition(node, space)

    def _group(self, node: Node, space: str, depth: int) -> Query | None:
        node.object(("group", "within", "parts"))
        if depth > bounds.GROUP_DEPTH_MAX:
            raise node.wrong("Groups can be {most} deep.", most=bounds.GROUP_DEPTH_MAX)
        how, within = node.need("group").one_of(GROUPS), node.get("within")
        path = None if within is None else self._space(within, space)
        parts = node.get("parts")
        queries: list[Query] = []
        for part in () if parts is None else parts.items(bounds.CONDITIONS_MAX):
            with self._faults.gathered():
                query = self._part(part, space if path is None else path, depth + 1)
                if query is not None:
                    queries.append(query)
        if not queries:
            return None
        together = _together(how, tuple(queries))
        return together if path is None else Nested(path, together)

    def _space(self, node: Node, space: str) -> str:
        path = node.one_of(self._fields.spaces or ("",))
        if not path.startswith(f"{space}." if space else ""):
            raise node.wrong("{path} is not within {space}.", path=path, space=space)
        return path

    def _condition(self, node: Node, space: str) -> Query:
        node.object(("field", "op", "value"))
        named = node.need("field")
        field = self._fields.named(named)
        if field.space != space:
            if not field.space:
                raise named.wrong("{name} belongs to the row: it stands outside this group.", name=field.name)
            raise named.wrong("{name} is in {space}: it stands in a group of that.", name=field.name, space=field.space)
        if not field.operators:
            raise named.wrong("The field {name} is not indexed, so it cannot be searched.", name=field.name)
        op = node.need("op").one_of(field.operators)
        if op in ("has", "lacks"):
            has = Exists(field.name)
            return has if op == "has" else Bool(must_not=(has,))
        value = node.need("value")
        if op in WORDS:
            return _WORDS[op](field.name, value.text(bounds.WORDS_BYTES_MAX))
        if op in _PATTERNS:
            return _pattern(op, field, value)
        if field.kind.is_located:
            return _place(op, field, value)
        return _comparison(op, field, value)


def _together(how: str, queries: tuple[Query, ...]) -> Query:
    if how == "none":
        return Bool(must_not=queries)
    if len(queries) == 1:
        return queries[0]
    return Bool(filter=queries) if how == "all" else Bool(should=queries, minimum_should_match=1)


def _comparison(op: str, field: SearchField, value: Node) -> Query:
    name = field.name
    if op in ("in", "not_in"):
        values = value.items(bounds.LIST_VALUES_MAX)
        if not values:
            raise value.wrong("A value is missing.")
        query = _one_of(name, [operand_of(one, field.schema) for one in values])
    elif op == "between":
        bounds_of = value.items(2)
        if len(bounds_of) != 2:
            raise value.wrong("Two values are needed here.")
        low, high = (operand_of(one, field.schema) for one in bounds_of)
        query = _range(name, "from", low, "to", high)
    elif op in ("is", "is_not"):
        query = _equal(name, operand_of(value, field.schema))
    else:
        query = _range(name, op, operand_of(value, field.schema))
    return Bool(must_not=(query,)) if op in ("is_not", "not_in") else query


def _equal(name: str, value: Operand | Day) -> Query:
    if isinstance(value, Day):
        return _range(name, "from", value, "to", value)
    return Term(name, value)


def _one_of(name: str, values: list[Operand | Day]) -> Query:
    plain = tuple(one for one in values if not isinstance(one, Day))
    queries: list[Query] = [Terms(name, plain)] if plain else []
    queries += [_equal(name, one) for one in values if isinstance(one, Day)]
    return queries[0] if len(queries) == 1 else Bool(should=tuple(queries), minimum_should_match=1)


def _range(name: str, op: str, value: Operand | Day, other_op: str = "", other: Operand | Day | None = None) -> Query:
    """On one side of a value, or between two. A day lies wholly within what begins or ends with it."""
    given = _side(op, value) | ({} if other is None else _side(other_op, other))
    if "nothing" in given:  # after the last day that there is
        return Bool(must_not=(Exists(name),), filter=(Exists(name),))
    return Range(name, **given) if given else Exists(name)


def _side(op: str, value: Operand | Day) -> dict[str, Any]:
    if not isinstance(value, Day):
        if op in ("from", "above"):
            return {"lower": value, "include_lower": op == "from"}
        return {"upper": value, "include_upper": op == "to"}
    if op == "from":
        return {"lower": value.start}
    if op == "below":
        return {"upper": value.start, "include_upper": False}
    if op == "above":
        return {"lower": value.end} if value.end is not None else {"nothing": True}
    return {} if value.end is None else {"upper": value.end, "include_upper": False}


def _pattern(op: str, field: SearchField, value: Node) -> Query:
    text = value.text(limits.PREFIX_BYTES_MAX)
    if op == "like" and len(text) > limits.WILDCARD_CHARS_MAX:
        raise value.wrong(
            "The text is too long: at most {most} characters are allowed.", most=limits.WILDCARD_CHARS_MAX
        )
    return _PATTERNS[op](field.name, text)


def _place(op: str, field: SearchField, value: Node) -> Query:
    query: GeoBoundingBox | GeoDistance | GeoPolygon
    if op == "around":
        value.object(("point", "metres"))
        centre, metres = point_of(value.need("point")), value.need("metres").number_within(0, _METRES_MAX)
        if not metres:
            raise value.need("metres").wrong("This must be more than 0.")
        query = GeoDistance(field.name, centre, float(metres))
    elif op == "box":
        value.object(("top_left", "bottom_right"))
        query = GeoBoundingBox(field.name, point_of(value.need("top_left")), point_of(value.need("bottom_right")))
    else:
        query = GeoPolygon(field.name, tuple(map(point_of, value.items(bounds.POLYGON_POINTS_MAX))))
    try:
        shape_of(query, op)
    except ParameterInvalid as error:
        raise value.wrong("This is no shape: {reason}", reason=str(error).partition("] ")[2]) from None
    return query
