"""What a query on one scalar field means: the values it asks for, and whether one value of a column is such.

A search asks columns of an index for the values; a scan asks value by value. Both go by what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lutra.model.queries import Exists, Operand, Prefix, Range, Term, Terms
from lutra.model.values import Value
from lutra.scalars.operands import Scalar
from lutra.scalars.values import ScalarReader

FieldQuery = Term | Terms | Range | Prefix | Exists


@dataclass(frozen=True, slots=True)
class Interval:
    """Values of a field between two of them; None leaves a side open."""

    lower: Scalar | None
    upper: Scalar | None
    include_lower: bool
    include_upper: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What some operands stand for together: values, and intervals that do not touch, ascending."""

    values: tuple[Scalar, ...]
    intervals: tuple[Interval, ...] = ()


def wanted_of(reader: ScalarReader, operands: Sequence[Operand]) -> Wanted:
    """The values of the field that equal one of ``operands``, or lie in the networks that these are.

    Raises ParameterInvalid for what cannot be compared.
    """
    if not reader.has_spans:
        return Wanted(tuple(values_of(reader, operands)))
    spans = sorted((first.floor, last.floor) for first, last in map(reader.span, operands))
    merged: list[tuple[Any, Any]] = []
    for first, last in spans:
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return Wanted(
        tuple(first for first, last in merged if first == last),
        tuple(Interval(first, last, True, True) for first, last in merged if first != last),
    )


def values_of(reader: ScalarReader, operands: Sequence[Operand]) -> list[Scalar]:
    """The values of the field that equal one of ``operands``. Raises ParameterInvalid for what cannot be compared."""
    points = [reader.point(operand) for operand in operands]
    return [point.floor for point in points if point.is_value and point.floor is not None]


def interval_of(reader: ScalarReader, query: Range) -> Interval | None:
    """The values that ``query`` lets pass; None where it lets none. Raises ParameterInvalid as `values_of` does."""
    # From a network on means from its first address on, and above it means above its last.
    lower = None if query.lower is None else reader.span(query.lower)[0 if query.include_lower else 1]
    upper = None if query.upper is None else reader.span(query.upper)[1 if query.include_upper else 0]
    if upper is not None and upper.floor is None:  # below all values
        return None
    return Interval(
        lower=None if lower is None else lower.floor,
        upper=None if upper is None else upper.floor,
        # What lies between two values is above its floor, whether or not the bound is included.
        include_lower=query.include_lower and (lower is None or lower.is_value),
        include_upper=query.include_upper or (upper is not None and not upper.is_value),
    )


def value_test(reader: ScalarReader, query: FieldQuery) -> Callable[[Value], bool]:
    """A function that says whether a row whose column holds a value matches ``query``.

    It does where an element matches; a value that is not of the field's type has none. Raises ParameterInvalid as
    `values_of` does.
    """
    holds = _element_test(reader, query)

    def passes(value: Value) -> bool:
        elements = reader.read(value)
        return elements is not None and any(map(holds, elements))

    return passes


def _element_test(reader: ScalarReader, query: FieldQuery) -> Callable[[Any], bool]:
    match query:
        case Exists():
            return lambda element: True
        case Prefix(_, prefix):
            return lambda element: bool(element.startswith(prefix))
        case Range():
            return _interval_test(interval_of(reader, query))
        case Term(_, value):
            operands: Sequence[Operand] = (value,)
        case Terms(_, operands):
            pass
    wanted = wanted_of(reader, operands)
    values, within = frozenset(wanted.values), [_interval_test(interval) for interval in wanted.intervals]
    return lambda element: element in values or any(holds(element) for holds in within)


def _interval_test(interval: Interval | None) -> Callable[[Any], bool]:
    if interval is None:
        return lambda element: False
    lower: Any = interval.lower
    upper: Any = interval.upper
    include_lower, include_upper = interval.include_lower, interval.include_upper

    # Strings are in the order of their code points here, and of their UTF-8 bytes in an index: it is one.
    def holds(element: Any) -> bool:
        above = lower is None or element > lower or (include_lower and element == lower)
        return above and (upper is None or element < upper or (include_upper and element == upper))

    return holds
