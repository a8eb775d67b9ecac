"""The README's programs run as they stand there, and what documents link to is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

from lutra.model import limits

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


def test_three_nodes_come_up_as_it_says_and_its_program_asks_each_of_them(tmp_path: Path) -> None:
    (command,) = re.findall(r"<!-- test: nodes -->\n```sh\n\.venv/bin/lutra (.*?) +#.*\n```", README)
    key = {"LUTRA_ACCESS_KEY_ID": ACCESS_KEY_ID, "LUTRA_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET}
    environment = os.environ | key | {"XDG_STATE_HOME": str(tmp_path / "state")}
    lutra = [sys.executable, "-m", "lutra.cli.main", *command.split(), "--ports", "0,0,0", "--memory-mb", "64"]
    with subprocess.Popen(lutra, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as nodes:
        try:
            assert nodes.stdout is not None
            endpoints = [nodes.stdout.readline().split()[2] for _ in range(3)]
            for visits in (1, 2):
                printed = _run(_program("cluster"), tmp_path, LUTRA_ENDPOINTS=" ".join(endpoints), **key)
                assert printed.strip() == f"('otters', {visits})"
            (line,) = _run(_program("sdk"), tmp_path, LUTRA_ENDPOINT=endpoints[1], **key).splitlines()
            assert "('id', '1')" in line
        finally:
            nodes.terminate()


QUICK_STARTS = sorted((ROOT / "docs").glob("quick-start*.md"))


@pytest.mark.parametrize("page", QUICK_STARTS, ids=lambda page: page.name)
def test_quick_starts_have_the_same_programs(page: Path) -> None:
    programs = dict(re.findall(r"<!-- test: (\w+) -->\n```python\n(.*?)```", page.read_text(), re.DOTALL))
    assert {"embedded", "sdk"} <= set(programs)
    assert programs == {name: _program(name) for name in programs}


def test_the_quick_start_shows_what_is_printed(tmp_path: Path) -> None:
    shown = re.search(r"```text\n(.*?)```", (ROOT / "docs" / "quick-start.md").read_text(), re.DOTALL)
    assert shown
    assert _run(_program("embedded"), tmp_path) == shown[1]


def test_figures_in_short_stand_in_their_sections() -> None:
    figures = (ROOT / "docs" / "figures.md").read_text()
    sections = {
        _anchor(heading): text
        for heading, text in re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", figures, re.DOTALL | re.MULTILINE)
    }
    lines = re.findall(r"^\|.*\| (.*?) \| \[.*?\]\(#(.*?)\) \|$", sections.pop("in-short"), re.MULTILINE)
    assert len(lines) >= 15
    for result, anchor in lines:
        for number in re.findall(r"\d[\d,.]*\d|\d+", result):
            assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d]|[.,]\d)", sections[anchor]), (result, anchor)


DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text):
        path = document.parent / target if target else document
        assert path.exists(), f"{document.name} links to {target}"
        headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE) if heading else []
        assert not heading or heading in map(_anchor, headings), f"{document.name} links to {target}#{heading}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_documents_hold_no_marks_of_a_conflict(document: Path) -> None:
    assert not re.search(r"^(<{7}|>{7})( |$)", document.read_text(), re.MULTILINE)


def test_design_notes_are_numbered_without_gaps() -> None:
    notes = sorted((ROOT / "docs" / "design").glob("*.md"))
    assert [note.name[:4] for note in notes] == [f"{number:04}" for number in range(1, len(notes) + 1)]


@pytest.mark.parametrize("target", re.findall(r"^make (\S+)", README, re.MULTILINE))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_limits_are_those_of_the_code() -> None:
    found = re.search(r"<!-- limits -->\n(.*?)<!-- /limits -->", README, re.DOTALL)
    assert found
    said = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", found[1])]
    mb = 1024 * 1024
    assert said == [
        *(limits.KEY_COLUMNS_MAX, limits.KEY_VALUE_BYTES_MAX, limits.ROW_BYTES_MAX // mb),
        *(limits.COLUMN_VALUE_BYTES_MAX // mb, limits.COLUMNS_PER_WRITE_MAX),
        *(limits.TABLES_PER_INSTANCE_MAX, limits.INDEXES_PER_TABLE_MAX, limits.SECONDARY_INDEXES_MAX),
        *(limits.INDEX_FIELDS_MAX, limits.VECTOR_FIELDS_MAX, limits.VECTOR_DIMENSION_MAX),
        *(limits.TOP_K_MAX, limits.SEARCH_LIMIT_MAX, limits.SEARCH_LIMIT_INDEX_ONLY_MAX),
        limits.SEARCH_TIMEOUT_MS_MAX // 1_000,
        *(limits.BODY_BYTES_MAX // mb, limits.BATCH_WRITE_ROWS_MAX, limits.BATCH_GET_ROWS_MAX, limits.RANGE_ROWS_MAX),
    ]
