"""A library holds the files that it was filled from, at the cost of what has changed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import lutra
from examples.assistant.library import Filled, Library, NotFilled, Progress
from examples.assistant.reading import reader
from examples.assistant.sources import Source, SourceError, sources_in
from lutra.embedding.embedder import EmbeddingError, TextEmbedder


class Counting:
    """A model that counts what it embeds, and fails after ``texts_left``."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self.name, self.dimension = embedder.name, embedder.dimension
        self.embedded: list[str] = []
        self.texts_left = 1_000_000

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if len(texts) > self.texts_left:
            raise EmbeddingError("the model is worn out")
        self.texts_left -= len(texts)
        self.embedded += texts
        return self._embedder.embed(texts)

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._embedder.embed_query(texts)


@pytest.fixture
def model(embedder: TextEmbedder) -> Counting:
    made = Counting(embedder)
    lutra.register_model("counting", made)
    return made


def fill(database: lutra.Database, folder: Path) -> Filled:
    return Library.make(database, "counting").fill(sources_in([folder])[0])


def texts(database: lutra.Database, document: str) -> list[str]:
    return [row["text"] for row in Library.open(database).passages.scan(document)]


def test_sources_are_the_files_that_can_be_read(folder: Path, tmp_path: Path) -> None:
    (folder / "out.txt").symlink_to(tmp_path / "elsewhere.txt")
    (tmp_path / "elsewhere.txt").write_text("elsewhere")
    (folder / ".git").mkdir()
    (folder / ".git" / "a.txt").write_text("hidden")
    sources, others = sources_in([folder, folder / "notes.txt"])
    assert [source.id for source in sources] == [
        "documents/animals/otters.en.html",
        "documents/animals/otters.zh-cn.html",
        "documents/broken.pdf",
        "documents/machines.md",
        "documents/notes.txt",
        "documents/rivers.pdf",
        "notes.txt",
    ]
    assert [path.name for path in others] == ["picture.png"]
    with pytest.raises(SourceError, match="is not there"):
        sources_in([folder / "nowhere"])
    (tmp_path / "notes.txt").write_text("another")
    with pytest.raises(SourceError, match="would both be called notes"):
        sources_in([folder / "notes.txt", tmp_path / "notes.txt"])


def test_a_library_has_passages_with_their_places(database: lutra.Database, folder: Path, model: Counting) -> None:
    steps: list[Progress] = []
    library = Library.make(database, "counting")
    filled = library.fill(sources_in([folder])[0], "en", steps.append)
    assert (filled.added, filled.changed, filled.unchanged, filled.removed) == (5, 0, 0, 0)
    assert [id_ for id_, _ in filled.problems] == ["documents/broken.pdf"]
    assert "no PDF that can be read" in filled.problems[0][1]
    assert filled.passages_embedded == len(model.embedded) == library.passages.count()
    assert steps[-1].bytes_done == steps[-1].bytes_in_all > 0
    assert [step.bytes_done for step in steps] == sorted(step.bytes_done for step in steps)

    documents = {row["document"]: row for row in library.listed(100)}
    assert {name.rpartition("/")[2]: (row["language"], row["kind"]) for name, row in documents.items()} == {
        "otters.en.html": ("en", "html"),
        "otters.zh-cn.html": ("zh", "html"),
        "machines.md": ("en", "markdown"),
        "rivers.pdf": ("en", "pdf"),
        "notes.txt": ("en", "text"),
    }
    assert library.languages() == ["en", "zh"]
    assert [row["document"] for row in library.listed(2, "documents/machines.md")] == [
        "documents/notes.txt",
        "documents/rivers.pdf",
    ]
    food = next(row for row in library.passages.scan("documents/animals/otters.en.html") if row["anchor"] == "food")
    assert (food["titles"], food["title"], food["number"]) == (["Otters", "What they eat"], "Otters", 1)
    assert food["text"].startswith("Otters › What they eat\nThey eat fish")
    assert json.loads(food["parts"])[0][0] == "paragraph"
    pages = [row["page"] for row in library.passages.scan("documents/rivers.pdf")]
    assert pages[0] == 1


def test_what_has_not_changed_is_not_embedded_again(database: lutra.Database, folder: Path, model: Counting) -> None:
    fill(database, folder)
    model.embedded.clear()
    again = fill(database, folder)
    assert (again.unchanged, again.added, again.changed, again.removed, again.passages_embedded) == (5, 0, 0, 0, 0)
    assert model.embedded == []

    machines = folder / "machines.md"
    machines.write_text(machines.read_text().replace("every night", "every hour"))
    changed = fill(database, folder)
    assert (changed.unchanged, changed.changed, changed.passages_embedded, changed.passages_reused) == (4, 1, 1, 1)
    assert [text.splitlines()[0] for text in model.embedded] == ["Machines › Backups"]
    assert "every hour" in texts(database, "documents/machines.md")[0]

    machines.write_text("# Machines\n\n## Passwords\nGone.")
    assert fill(database, folder).changed == 1
    assert texts(database, "documents/machines.md") == ["Machines › Passwords\nGone."]


def test_files_that_go_are_gone_and_broken_ones_stay_as_they_were(
    database: lutra.Database, folder: Path, model: Counting
) -> None:
    fill(database, folder)
    (folder / "notes.txt").unlink()
    (folder / "rivers.pdf").write_bytes(b"%PDF-1.4 broken by now")
    (folder / "machines.md").write_bytes(b"\xff\xff\xff")
    before = texts(database, "documents/rivers.pdf")
    filled = fill(database, folder)
    assert (filled.removed, filled.unchanged, filled.changed) == (1, 2, 0)
    assert sorted(id_ for id_, _ in filled.problems) == [
        "documents/broken.pdf",
        "documents/machines.md",
        "documents/rivers.pdf",
    ]
    assert texts(database, "documents/notes.txt") == []
    assert Library.open(database).documents.get("documents/notes.txt") is None
    assert texts(database, "documents/rivers.pdf") == before != []


def test_a_filling_that_breaks_off_goes_on(database: lutra.Database, tmp_path: Path, model: Counting) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / "a.md").write_text(
        "\n".join(f"# Part {number}\nOtters eat crabs, {number} a day." for number in range(50))
    )
    (folder / "b.md").write_text("# Last\nOtters sleep.")
    model.texts_left = 40
    with pytest.raises(EmbeddingError, match="worn out"):
        fill(database, folder)
    assert len(texts(database, "long/a.md")) == 32, "what was embedded is kept"
    assert Library.open(database).listed(10) == []
    model.texts_left = 1_000
    model.embedded.clear()
    filled = fill(database, folder)
    assert (filled.passages_embedded, filled.passages_reused) == (19, 32)
    assert len(texts(database, "long/a.md")) == 50

    # One that broke off, and whose file is gone, is removed.
    (folder / "c.md").write_text("# Other\nOtters eat fish.")
    model.texts_left = 0
    with pytest.raises(EmbeddingError):
        fill(database, folder)
    (folder / "c.md").unlink()
    assert fill(database, folder).removed == 1


def test_another_model_begins_anew(database: lutra.Database, folder: Path, model: Counting) -> None:
    fill(database, folder)
    lutra.register_model("another", model)
    library = Library.make(database, "another")
    assert library.passages.count() == 0
    assert Library.open(database).model == "another"


def test_nothing_is_there_before_the_first_filling(database: lutra.Database) -> None:
    with pytest.raises(NotFilled, match=r"run `python -m examples\.assistant fill` first"):
        Library.open(database)


def test_a_file_too_large_is_told(
    database: lutra.Database, folder: Path, model: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "FILE_BYTES_MAX", 100)
    problems = dict(fill(database, folder).problems)
    assert "larger than" in problems["documents/animals/otters.en.html"]
    missing = Source("x", folder / "missing.txt")
    assert Library.open(database).fill([missing]).problems == [("x", os.strerror(2))]
