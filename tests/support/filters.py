"""What a filter means, in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lutra.instance.expression import (
    And,
    Between,
    Comparison,
    Expression,
    Not,
    OneOf,
    Operator,
    Or,
    Present,
    StartsWith,
)

COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: lambda a, b: a == b,
    Operator.LESS_THAN: lambda a, b: a < b,
    Operator.LESS_EQUAL: lambda a, b: a <= b,
    Operator.GREATER_THAN: lambda a, b: a > b,
    Operator.GREATER_EQUAL: lambda a, b: a >= b,
}


def holds(expression: Expression, row: dict[str, Any]) -> bool:
    """Whether a row of these values, or lists of elements, satisfies a filter."""

    def any_value(column: str, test: Callable[[Any], bool]) -> bool:
        value = row.get(column)
        values = value if isinstance(value, list) else [] if value is None else [value]
        return any(test(value) for value in values)

    match expression:
        case And(parts):
            return all(holds(part, row) for part in parts)
        case Or(parts):
            return any(holds(part, row) for part in parts)
        case Not(part):
            return not holds(part, row)
        case Present(column):
            return any_value(column, lambda value: True)
        case StartsWith(column, prefix):
            return any_value(column, lambda value: value.startswith(prefix))
        case OneOf(column, values):
            return any_value(column, lambda value: value in values)
        case Between(column, low, high):
            return any_value(column, lambda value: low <= value <= high)
        case Comparison(column, operator, operand):
            return any_value(column, lambda value: COMPARE[operator](value, operand))
    raise AssertionError(expression)
