"""The README's programs run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def _program(name: str) -> str:
    found = re.search(rf"<!-- test: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no program {name!r}"
    return found[1]


def _run(program: str, folder: Path, **environment: str) -> str:
    """What ``program`` prints, run in ``folder``. The SDK warns when imported; that is its own business."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_embedded_program(tmp_path: Path) -> None:
    for _ in range(2):  # a newcomer runs it again
        lines = _run(_program("embedded"), tmp_path).splitlines()
        filtered, both = ["Otters of the river (2024)", "Rivers in winter (2023)"], ["Otters of the river"]
        assert [line.split("  ", 1)[1] for line in lines[:3]] == [*filtered, *both]


def test_program_of_places_records_and_groups(tmp_path: Path) -> None:
    for _ in range(2):
        near, ordered, groups, rooms = _run(_program("anything"), tmp_path).splitlines()
        assert (near, ordered) == ("['mitte']", "['soho', 'mitte']")
        assert "'count': 2, 'latest': datetime.datetime(2021, 9, 1" in groups
        assert rooms == "{'count': 2, 'rooms': 3}"


def test_sdk_program(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", instance="default") as server:
        environment = {
            "LUTRA_ENDPOINT": server.endpoint,
            "LUTRA_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "LUTRA_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
        }
        for _ in range(2):
            (line,) = _run(_program("sdk"), tmp_path, **environment).splitlines()
            assert "('id', '1')" in line
            assert "idea" in line


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing


@pytest.mark.parametrize("target", re.findall(r"^make (\S+)", README, re.MULTILINE))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
