"""Filters as people type them: ``kind = function and (module = json or name startswith csv)``.

::

    filter     = all ("or" all)*
    all        = part ("and" part)*
    part       = "not" part | "(" filter ")" | comparison
    comparison = column ("=" | "!=" | "<" | "<=" | ">" | ">=") value
               | column ["not"] "in" "(" value ("," value)* ")"
               | column "startswith" value | column "exists" | column "missing"

A value is a word, or text in single or double quotes. Key words may be in upper case.
"""

from __future__ import annotations

import datetime as dt
import re
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from lutra.instance.expression import Column, Expression, col
from lutra.instance.field import FieldDeclaration, Stored
from lutra.instance.layout import KeyDeclaration
from lutra.instance.nested import Object
from lutra.instance.vector import Vector
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.suggestions import suggestion
from lutra.transfer.written import guessed

if TYPE_CHECKING:
    from lutra.instance.table import Table

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<quoted>'[^']*'|"[^"]*")|(?P<sign>==|!=|<>|<=|>=|[=<>(),])|(?P<word>[^\s=<>!(),'"]+))"""
)
_COMPARISONS: Final[dict[str, Callable[[Column, object], Expression]]] = {
    "=": Column.__eq__,
    "==": Column.__eq__,
    "!=": Column.__ne__,
    "<>": Column.__ne__,
    "<": Column.__lt__,
    "<=": Column.__le__,
    ">": Column.__gt__,
    ">=": Column.__ge__,
}
_TOO_FINE: Final = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_TRUTHS: Final = {"true": True, "false": False}

Declarations = Mapping[str, KeyDeclaration | FieldDeclaration]
"""What each column holds, by name."""


def parse_where(text: str, columns: Declarations) -> Expression:
    """The filter that ``text`` means over ``columns``. Raises ParameterInvalid, with the place."""
    return _Parser(text, columns).parse()


def parse_where_of(text: str, table: Table) -> Expression:
    """The filter that ``text`` means over the columns of a table. Raises ParameterInvalid, with the place."""
    columns: Declarations = {**table.key, **table.fields}
    return _Parser(text, columns, is_open=not table.fields).parse()


class _Parser:
    def __init__(self, text: str, columns: Declarations, *, is_open: bool = False) -> None:
        """``is_open``: whether there may be other columns, of any type."""
        self._text = text
        self._columns = columns
        self._is_open = is_open
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def parse(self) -> Expression:
        expression = self._any()
        if not self._at_end():
            raise self._error("expected 'and' or 'or'")
        return expression

    def _split(self) -> typing.Iterator[tuple[str, str, int]]:
        """``(kind, token, position)`` for each token; kind is "quoted", "sign" or "word"."""
        position = 0
        end = len(self._text.rstrip())
        while position < end:
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise ParameterInvalid(f"filter: cannot read {self._text[position:].strip()[:20]!r}")
            kind = str(match.lastgroup)
            yield kind, match[kind], match.start(kind)
            position = match.end()

    def _any(self) -> Expression:
        expression = self._all()
        while self._accept("or"):
            expression = expression | self._all()
        return expression

    def _all(self) -> Expression:
        expression = self._part()
        while self._accept("and"):
            expression = expression & self._part()
        return expression

    def _part(self) -> Expression:
        self._depth += 1
        if self._depth > limits.QUERY_DEPTH_MAX:
            raise self._error(f"nested deeper than {limits.QUERY_DEPTH_MAX} levels")
        if self._accept("not"):
            expression = ~self._part()
        elif self._accept("("):
            expression = self._any()
            self._expect(")")
        else:
            expression = self._comparison()
        self._depth -= 1
        return expression

    def _comparison(self) -> Expression:
        name = self._column()
        column = col(name)
        if self._accept("exists"):
            return column.exists()
        if self._accept("missing"):
            return column.is_missing()
        if self._accept("startswith"):
            return column.starts_with(self._token("a value"))
        if self._accept("not"):
            self._expect("in")
            return ~column.is_in(self._values(name))
        if self._accept("in"):
            return column.is_in(self._values(name))
        for sign, compare in _COMPARISONS.items():
            if self._accept(sign):
                return compare(column, self._value(name))
        raise self._error(f"expected a comparison after {name!r}: = != < <= > >= in startswith exists missing")

    def _values(self, name: str) -> list[object]:
        self._expect("(")
        values = [self._value(name)]
        while self._accept(","):
            values.append(self._value(name))
        self._expect(")")
        return values

    def _column(self) -> str:
        name = self._token("a column")
        if self._declaration(name) is None and not self._is_open:
            self._next -= 1
            known = f"{', '.join(self._columns)}{suggestion(name, self._columns)}"
            raise self._error(f"there is no column {name!r}", f": use {known}")
        return name

    def _declaration(self, name: str) -> KeyDeclaration | FieldDeclaration | None:
        """Of a column, or of what is at a path into one of objects."""
        found = self._columns.get(name)
        if found is not None:
            return found
        column, *path = name.split(".")
        found = self._columns.get(column)
        for key in path:
            if not isinstance(found, Object):
                return None
            found = found.fields.get(key, str if not found.fields else None)
        return found

    def _value(self, name: str) -> object:
        text = self._token("a value")
        try:
            declaration = self._declaration(name)
            return guessed(text) if declaration is None else _read_value(text, declaration)
        except (ValueError, KeyError):
            self._next -= 1
            raise self._error(f"{text!r} is no value for column {name!r}") from None

    def _token(self, what: str) -> str:
        if self._at_end():
            raise self._error(f"expected {what}")
        kind, token, _ = self._tokens[self._next]
        if kind == "sign":
            raise self._error(f"expected {what}")
        self._next += 1
        return token[1:-1] if kind == "quoted" else token

    def _accept(self, wanted: str) -> bool:
        if self._at_end():
            return False
        kind, token, _ = self._tokens[self._next]
        if kind == "quoted" or token.lower() != wanted:
            return False
        self._next += 1
        return True

    def _expect(self, wanted: str) -> None:
        if not self._accept(wanted):
            raise self._error(f"expected {wanted!r}")

    def _at_end(self) -> bool:
        return self._next >= len(self._tokens)

    def _error(self, complaint: str, advice: str = "") -> ParameterInvalid:
        place = "at its end" if self._at_end() else f"at {self._text[self._tokens[self._next][2] :][:20]!r}"
        return ParameterInvalid(f"filter: {complaint}, {place}{advice}")


def _read_value(text: str, declaration: KeyDeclaration | FieldDeclaration) -> object:
    """``text`` as the type that the column holds. Raises ValueError, KeyError."""
    if isinstance(declaration, Vector):
        raise ValueError("a vector has no written form")
    if isinstance(declaration, Stored):
        declaration = declaration.type
    if typing.get_origin(declaration) is list:
        declaration = typing.get_args(declaration)[0]
    if declaration is bool:
        return _TRUTHS[text.lower()]
    if declaration is float:
        return float(text)
    if declaration is str:
        return text
    if declaration is bytes:
        return text.encode()
    if declaration is dt.datetime:
        if _TOO_FINE.search(text):  # which Python would cut off
            raise ValueError("a datetime has microseconds at most")
        moment = dt.datetime.fromisoformat(text)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return int(text) if _WHOLE.fullmatch(text) else float(text)
