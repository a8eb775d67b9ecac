"""What of others is in a wheel is listed, with its licence, and the SBOM has all that is installed."""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from tools import sbom
from tools.third_party import COMPILED, LICENSES, ROOT, components, licenses

PACKAGE = ROOT / "src" / "lutra"
NOTICE = re.compile(rb"copyright \(c\)|licen[sc]ed under|@license|SPDX-License-Identifier", re.IGNORECASE)
OURS = {".py", ".pyi", ".html", ".css", ".js", ".svg", ".json", ".proto", ".typed"}


def of_others(path: Path) -> bool:
    """Whether a file is somebody else's: it says so, or lies in a folder for such."""
    return "vendor" in path.parts or path.suffix not in OURS or NOTICE.search(path.read_bytes()) is not None


def test_the_text_follows_from_the_list() -> None:
    assert licenses() == LICENSES.read_text(), "run: python -m tools.third_party"


def test_every_file_of_others_has_an_entry() -> None:
    folders = [ROOT / each.folder for each in components() if each.folder != COMPILED]
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in {".pyc", ".so"}]
    found = [path for path in files if of_others(path)]
    assert found
    assert [path for path in found if not any(path.is_relative_to(folder) for folder in folders)] == []
    assert all(any(path.is_relative_to(folder) for path in found) for folder in folders)


def test_versions_are_those_of_the_files() -> None:
    for each in components():
        if each.folder != COMPILED:
            said = "".join(path.read_text()[:1_000] for path in sorted((ROOT / each.folder).glob("*.js")))
            assert f"v{each.version}" in said
            assert each.purl.endswith(f"@{each.version}")


def test_what_is_compiled_in_has_entries() -> None:
    """nanobind brings others in its folder ``ext``."""
    nanobind = Path(str(distribution("nanobind").locate_file("nanobind")))
    brought = {path.name.replace("_", "-") for path in (nanobind / "ext").iterdir() if path.is_dir()}
    listed = {each.name for each in components() if each.folder == COMPILED}
    assert {"nanobind", *brought} <= listed
    includes = re.compile(r'#include [<"]([^>"]+\.(?:h|hpp|hh))[>"]')
    own = {path.name for path in (ROOT / "native").rglob("*.h")}
    foreign = {
        name
        for path in (ROOT / "native").rglob("*")
        if path.suffix in {".h", ".cpp"}
        for name in includes.findall(path.read_text())
        if name not in own and not name.startswith(("nanobind/", "sanitizer/", "sys/", "linux/"))
    }
    # Of the compiler and of the C library.
    known = {"immintrin.h", "nmmintrin.h", "fcntl.h", "pthread.h", "sched.h", "unistd.h", "Python.h", "malloc.h"}
    assert foreign <= known


def test_the_bill_is_whole_and_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "DIST", tmp_path / "dist")
    text = sbom.main().read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    lutra = bill["metadata"]["component"]
    assert {each["name"] for each in lutra["components"]} == {each.name for each in components()}
    needed = [Requirement(each) for each in distribution("lutra").requires or ()]
    always = {each.name for each in needed if each.marker is None}
    assert len(always) > 15
    assert always <= {each["name"] for each in bill["components"]}
    assert all(each.get("licenses") for each in [*bill["components"], *lutra["components"]])
