from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import lutra
from lutra.demo.documentation import Entry, read_standard_library
from lutra.demo.library import TABLE, Library

MODULES = {"json", "json.decoder", "re", "subprocess", "shutil", "gzip", "bz2", "random", "heapq", "string", "time"}


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return [entry for entry in read_standard_library() if entry.module in MODULES]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> Path:
    data = tmp_path_factory.mktemp("demo")
    with lutra.connect(data) as db:
        Library.fill(db, data, entries)
    return data


@pytest.fixture
def library(data: Path) -> Iterator[Library]:
    with lutra.connect(data) as db:
        yield Library.open(db, data)


def test_every_entry_is_a_row(library: Library, entries: list[Entry]) -> None:
    assert library.table.count() == len(entries) == library.about.rows
    row = library.table.get("json.dumps")
    assert row is not None
    assert (row["module"], row["kind"]) == ("json", "function")
    assert row["summary"].startswith("Serialize")
    assert "skipkeys" in row["doc"]
    assert row["embedding"].shape == (256,)


@pytest.mark.parametrize(
    ("question", "where", "expected"),
    [
        ("split a string by a regular expression", None, "re.Pattern.split"),
        ("copy a directory tree recursively", None, "shutil.copytree"),
        ("run a command and capture its output", None, "subprocess."),
        ("priority queue", None, "heapq"),
        ("compress a file", lutra.col("module") == "bz2", "bz2."),
        ("convert an object to a JSON string", lutra.col("kind") == "function", "json.dump"),
    ],
)
def test_answers_make_sense(library: Library, question: str, where: lutra.Expression | None, expected: str) -> None:
    names = [row["name"] for row in library.search(question, where, limit=3)]
    assert any(name.startswith(expected) for name in names), names


def test_a_question_of_unknown_words_is_refused(library: Library) -> None:
    with pytest.raises(lutra.ParameterInvalid, match="no word of 'zyzzyva'"):
        library.search("zyzzyva")


def test_filling_again_reuses_refreshes_and_removes(tmp_path: Path, entries: list[Entry]) -> None:
    stages: list[tuple[str, int]] = []

    def fill(some: list[Entry]) -> Library:
        stages.clear()
        return Library.fill(db, tmp_path, some, lambda stage, rows: stages.append((stage, rows)))

    with lutra.connect(tmp_path) as db:
        fill(entries)
        assert stages[0] == ("learning", 0)
        assert stages[-1] == ("writing", len(entries))
        fill(entries)
        assert stages == [], "the same entries are not written again"

        changed = [replace(entries[0], summary="quite another summary"), *entries[2:]]
        library = fill(changed)
        assert library.table.count() == len(changed)
        assert library.table.get(entries[1].name) is None
        assert (library.table.get(entries[0].name) or {})["summary"] == "quite another summary"

        library.table.delete(entries[0].name)
        with pytest.raises(lutra.Corruption, match="rows: run `lutra demo"):
            Library.open(db, tmp_path)
        assert fill(changed).table.count() == len(changed), "a row that got lost comes back"


def test_a_table_of_an_earlier_version_is_replaced(tmp_path: Path, entries: list[Entry]) -> None:
    with lutra.connect(tmp_path) as db:
        db.create_table(TABLE, {"name": str}, {"other": int}).put({"name": "old", "other": 1})
        assert Library.fill(db, tmp_path, entries).table.count() == len(entries)


def test_a_broken_off_filling_is_no_library(tmp_path: Path, entries: list[Entry]) -> None:
    class BrokenOff(Exception):
        pass

    def stop(stage: str, rows: int) -> None:
        if (stage, rows) == ("writing", 200):
            raise BrokenOff

    with lutra.connect(tmp_path) as db:
        with pytest.raises(BrokenOff):
            Library.fill(db, tmp_path, entries, stop)
        assert not Library.is_in(tmp_path)
        with pytest.raises(lutra.ObjectNotExist, match="holds no demo data: run `lutra demo"):
            Library.open(db, tmp_path)
        assert Library.fill(db, tmp_path, entries).table.count() == len(entries)


def test_damage_is_named(tmp_path: Path, entries: list[Entry]) -> None:
    with lutra.connect(tmp_path) as db:
        Library.fill(db, tmp_path, entries)
        (tmp_path / "demo" / "embedder.npz").unlink()
        with pytest.raises(lutra.Corruption, match=r"embedder\.npz is missing: run `lutra demo"):
            Library.open(db, tmp_path)
        (tmp_path / "demo" / "about.json").write_text(json.dumps({"version": 0}))
        assert not Library.is_in(tmp_path)
        assert Library.fill(db, tmp_path, entries).search("priority queue")
