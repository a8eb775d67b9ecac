"""Writes THIRD-PARTY-LICENSES, which every wheel has, from packaging/third-party.toml: ``python -m tools.third_party``.

A test compares them, and looks that no file of others in the package is without an entry.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
LIST: Final = ROOT / "packaging" / "third-party.toml"
LICENSES: Final = ROOT / "THIRD-PARTY-LICENSES"
COMPILED: Final = "compiled"
_LINE: Final = "-" * 100


@dataclass(frozen=True, slots=True)
class Component:
    """Something of others that a wheel has in it. ``license`` is an SPDX expression; ``version`` None: as built."""

    name: str
    license: str
    url: str
    purl: str
    what: str
    folder: str
    text: str
    version: str | None = None


def components() -> list[Component]:
    """As the list has them. Raises TypeError for an entry that lacks something or has what is not known."""
    return [Component(**entry) for entry in tomllib.loads(LIST.read_text())["component"]]


def licenses() -> str:
    """The text of THIRD-PARTY-LICENSES."""
    parts = ["Lutra is licensed under the Apache License 2.0 (LICENSE). Its wheels hold works of others besides:\n"]
    for each in components():
        version = f" {each.version}" if each.version else ""
        parts.append(f"{_LINE}\n{each.name}{version} ({each.license}), {each.url}: {each.what}.\n{_LINE}\n")
        parts.append((ROOT / each.text).read_text().strip() + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    LICENSES.write_text(licenses())
