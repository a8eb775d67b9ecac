"""All kinds are asked by what they can, and known in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import lutra
from lutra.fields.kinds import KINDS
from lutra.model.indexes import FieldType

SOURCE = Path(lutra.__file__).parent
KNOW_KINDS = ("fields", "model", "scalars", "vectors", "text", "geo")
"""The kinds themselves, the nouns, and the engines below them."""
TABLES_OF_TYPES = {"instance/field.py", "instance/layout.py", "server/protocol/index_messages.py"}
"""Where names of other worlds are turned into types and back: Python's, and the wire's."""
FACES_OF_TYPES = ("console/code/", "console/define/", "console/search/")
"""Where people choose types, give values of them and read them in programs: each has controls and words of its own."""


def mentions(path: Path) -> list[str]:
    """The members of FieldType that a module names."""
    return [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "FieldType"
    ]


def test_every_type_has_its_kind() -> None:
    assert set(KINDS) == set(FieldType)
    assert all(kind.type is type_ for type_, kind in KINDS.items())


def test_nobody_else_asks_for_a_type() -> None:
    modules = [path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] not in KNOW_KINDS]
    assert len(modules) > 100
    found = [place for path in modules for place in mentions(path)]
    known = [place for place in found if place.split(":")[0] in TABLES_OF_TYPES or place.startswith(FACES_OF_TYPES)]
    assert sorted(set(found) - set(known)) == []


def test_a_mention_is_found() -> None:
    assert mentions(SOURCE / "fields" / "text.py")
