"""The guide uses all that there is: every public name, every method, every keyword."""

import ast
import inspect
import re
import types
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from support.pages import programs

import lutra

PAGES = [page.read_text() for page in sorted((Path(__file__).parents[2] / "docs" / "guide").glob("*.md"))]
PUBLIC = [name for name in lutra.__all__ if not name.startswith("_")]
CLASSES = {name: value for name in PUBLIC if isinstance(value := getattr(lutra, name), type)}
DOCUMENTED = {name: value for name, value in CLASSES.items() if not issubclass(value, Exception)}

DECLARATIONS = ("Nested", "Object", "Order", "Stored", "Text", "Vector")
"""What programs write and do not read."""
INNER = ("Text.options",)
"""What only Lutra itself calls."""


class Used(ast.NodeVisitor):
    """What programs of the guide use: names of attributes, and the keywords of each that is called."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.keywords: defaultdict[str, set[str]] = defaultdict(set)
        for page in PAGES:
            for program in programs(page):
                self.visit(ast.parse(program))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.names.add(node.attr)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            self.keywords[node.func.attr] |= {keyword.arg for keyword in node.keywords if keyword.arg is not None}
        self.generic_visit(node)


USED = Used()


def members() -> Iterator[tuple[str, object]]:
    """Of each public class what Lutra gives it: how a dict or a sequence is used is known."""
    for of, kind in DOCUMENTED.items():
        known = {name for base in kind.__mro__ if not base.__module__.startswith("lutra") for name in vars(base)}
        for name in sorted({*dir(kind)} - known - {inner for inner in dir(kind) if inner.startswith("_")}):
            value = inspect.getattr_static(kind, name)
            is_written = isinstance(value, types.MemberDescriptorType) and of in DECLARATIONS
            if not is_written and f"{of}.{name}" not in INNER:
                yield f"{of}.{name}", value


MEMBERS = dict(members())


def test_every_public_name_is_told_of() -> None:
    assert [name for name in PUBLIC if not any(re.search(rf"\b{name}\b", page) for page in PAGES)] == []


def test_every_method_and_property_is_used() -> None:
    assert [member for member in MEMBERS if member.partition(".")[2] not in USED.names] == []


def test_every_keyword_is_used() -> None:
    functions = {member: value for member, value in MEMBERS.items() if inspect.isfunction(value)}
    functions |= {name: value for name in PUBLIC if inspect.isfunction(value := getattr(lutra, name))}
    del functions["connect_async"], functions["restore_async"]  # that they take what their twins take is tested beside
    unused = [
        f"{keyword}= of {name}"
        for name, function in functions.items()
        for keyword, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and keyword not in USED.keywords[name.rpartition(".")[2]]
    ]
    assert unused == []
