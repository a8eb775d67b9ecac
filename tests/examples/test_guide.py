"""The pages of the guide run from top to bottom, and what they show is what comes out."""

from pathlib import Path

import pytest
from support.pages import blocks, code_lines, run_page, sections

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [*sorted((DOCS / "guide").glob("*.md")), DOCS / "index.md", DOCS / "cluster.md", DOCS / "coming-from.md"]
FIRST_STEPS = {name: text for name, text in sections(PAGES[-1].read_text()).items() if "```py\n" in text}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(page, monkeypatch) > 0, "it shows nothing"


@pytest.mark.parametrize("store", FIRST_STEPS)
def test_first_steps_are_no_longer_than_those_of_others(store: str) -> None:
    theirs, ours = (code_lines(blocks(FIRST_STEPS[store], language)) for language in ("py", "python"))
    assert 0 < ours <= theirs


def test_first_steps_of_four_stores_are_compared() -> None:
    assert list(FIRST_STEPS) == ["Chroma", "LanceDB", "Qdrant", "sqlite-utils"]
