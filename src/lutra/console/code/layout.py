"""Expressions of a program, laid out in lines of a bearable width, in whatever language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 100
_INDENT: Final = "    "


@dataclass(frozen=True, slots=True)
class Item:
    """A part of a group, with what stands before and after it: a name of an argument, say."""

    what: Expression
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Parts between an opening and a close: on one line where that fits, else each on its own.

    ``joint`` comes between them; in lines of their own after the last one, too, where ``is_trailing``. ``fills``: as
    many of them as fit on a line. A chain is a builder's calls, with nothing between them, and its close is a call.
    """

    open: str
    items: tuple[Item, ...]
    close: str
    joint: str = ","
    is_trailing: bool = True
    fills: bool = False
    is_chain: bool = False


Expression = str | Group
"""What is no group stays on its line."""


def flat(expression: Expression) -> str:
    """On one line."""
    if isinstance(expression, str):
        return expression
    joint = "" if expression.is_chain else f"{expression.joint} "
    inside = joint.join(f"{item.before}{flat(item.what)}{item.after}" for item in expression.items)
    return f"{expression.open}{inside}{expression.close}"


def laid_out(expression: Expression, *, before: str = "", after: str = "", indent: str = "") -> list[str]:
    """The lines of an expression with what stands before and after it."""
    line = f"{indent}{before}{flat(expression)}{after}"
    if isinstance(expression, str) or not expression.items or len(line) <= _WIDTH:
        return [line]
    lines = [f"{indent}{before}{expression.open}".rstrip()]
    inner = indent + _INDENT
    if expression.fills:
        lines += _filled(expression, inner)
    else:
        last = len(expression.items) - 1
        for number, item in enumerate(expression.items):
            is_joined = not expression.is_chain and (number < last or expression.is_trailing)
            joint = expression.joint if is_joined else ""
            lines += laid_out(item.what, before=item.before, after=f"{item.after}{joint}", indent=inner)
    if expression.close or not expression.is_chain:
        lines.append(f"{inner if expression.is_chain else indent}{expression.close.lstrip()}{after}")
    else:
        lines[-1] += after
    return lines


def _filled(group: Group, indent: str) -> list[str]:
    lines: list[str] = []
    line = ""
    last = len(group.items) - 1
    for number, item in enumerate(group.items):
        joint = group.joint if number < last or group.is_trailing else ""
        word = f"{item.before}{flat(item.what)}{item.after}{joint}"
        if line and len(indent) + len(line) + len(word) + 1 > _WIDTH:
            lines.append(indent + line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, indent + line]
