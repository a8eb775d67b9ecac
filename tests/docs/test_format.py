"""The page of the format runs, and the magics, versions, sections and keys that it names are those of the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from support.pages import run_page, sections

from lutra.fields.sections import SectionKind
from lutra.objects import owner
from lutra.tables import keyspace
from lutra.vectors.layout import PAGE_BYTES, SectionName

PATH = Path(__file__).parents[2] / "docs" / "format.md"
PAGE = PATH.read_text()


def cells(section: str) -> list[list[str]]:
    """The rows of a section's first table, its head apart."""
    lines = [line for line in sections(PAGE)[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(PATH, monkeypatch) >= 10


def test_magics_and_versions() -> None:
    rows = cells("Magics and versions")
    assert len(rows) == 5
    for what, magic, version, module in rows:
        code = importlib.import_module(module.strip("`"))
        assert (magic.strip("`").encode(), int(version)) == (code.MAGIC, code.FORMAT_VERSION), what


def test_sections() -> None:
    assert {row[0].strip("`") for row in cells("A segment")} == {kind.value for kind in SectionKind}
    assert [row[0].strip("`") for row in cells("Vectors")] == [name.value for name in SectionName]
    assert f"pages of {PAGE_BYTES:,} bytes" in PAGE


def test_keys_of_the_store() -> None:
    told = dict(re.findall(r"^    (\w)[/ ](\S.*?)  +\S", str(keyspace.__doc__), re.MULTILINE))
    assert {row[0].strip("`")[0] for row in cells("Keys of the store")} == set(told)
    assert len(told) == 15


def test_files_are_written_by_who_is_said() -> None:
    for file, _, by in cells("The directory"):
        module = re.search(r"`(lutra\.[\w.]+)`", by)
        assert module, file
        assert importlib.import_module(module[1]).__doc__, file
    assert f"objects/{owner.OWNER}/N" in PAGE
