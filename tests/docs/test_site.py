"""The documentation as a site: built strictly, from files alone, with links that hold and a search that knows words."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tools.docs_site import blank_lines_added, links_rewritten, notebook_pages, pages_of

ROOT = Path(__file__).parents[2]
CONTENT_LENGTH_MIN = 1_000


class Page(HTMLParser):
    """What a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if identity := values.get("id"):
            self.anchors.add(identity)
        if tag == "a" and (link := values.get("href")):
            self.links.append(link)
        if tag in ("link", "script", "img", "iframe", "source") and (link := values.get("href") or values.get("src")):
            self.loaded.append(link)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_all_documents_are_pages(site: Path) -> None:
    for document in (ROOT / "docs").rglob("*.md"):
        place = document.relative_to(ROOT / "docs").with_suffix(".html")
        page = site / (place.with_name("index.html") if place.name == "README.html" else place)
        assert page.stat().st_size > CONTENT_LENGTH_MIN, document
    for example in (ROOT / "examples").glob("*/README.md"):
        assert (site / "examples" / f"{example.parent.name}.html").stat().st_size > CONTENT_LENGTH_MIN, example
    for made in ("changelog", "contributing", "notebook", "design/index"):
        assert (site / f"{made}.html").stat().st_size > CONTENT_LENGTH_MIN, made
    assert len(list((site / "notebook").glob("*.png"))) == 2


def test_links_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) > 60
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            target, anchor = urldefrag(unquote(link))
            if re.match(r"[a-z]+:", target):
                continue
            found = (path.parent / target).resolve() if target else path
            if not found.is_file() or (anchor and found in pages and anchor not in pages[found].anchors):
                broken.append((path.relative_to(site).as_posix(), link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert [link for page in pages.values() for link in page.loaded if re.match(r"(https?:)?//", link)] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import\s*)[\"']?(https?:)?//", style.read_text()), style
    assert "google" not in (site / "index.html").read_text()


def test_the_search_knows_words_of_both_languages(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    texts = {entry["location"]: entry["title"] + " " + entry["text"] for entry in index["docs"]}
    chinese = next(text for place, text in texts.items() if place == "quick-start.zh.html")
    words = re.split(index["config"]["separator"].replace("\\u200b", "\u200b").replace("\\u3000", "\u3000"), chinese)
    assert {"检索", "向量", "协议"} <= set(words)
    assert not [place for place in texts if place.startswith("source/")]


# --- what the hooks do ------------------------------------------------------------------------------------------------


def test_links_go_where_the_site_has_it() -> None:
    of = ROOT / "docs" / "guide" / "search.md"
    text = (
        "[a](rows.md#sort) [b](../server.md) [c](../../src/lutra/model/limits.py) [d](../../README.md) "
        "[e](../design/) [f](https://example.org/) [g](#here) [h](nowhere.md) [i](../../tests)\n```\n[a](rows.md)\n```"
    )
    assert links_rewritten(text, of, "guide/search.md") == (
        "[a](../guide/rows.md#sort) [b](../server.md) [c](../source/src/lutra/model/limits.py.md) [d](../index.md) "
        "[e](../design/index.md) [f](https://example.org/) [g](#here) [h](nowhere.md) [i](../source/tests/index.md)\n"
        "```\n[a](rows.md)\n```"
    )


def test_lists_and_tables_are_seen() -> None:
    code = "```\ntext\n- no list\n| no table |\n```"
    text = f"Three things:\n- one\n- two\n  more\n- three\n\n1. a\nText\n| a |\n|---|\n{code}"
    assert blank_lines_added(text) == (
        f"Three things:\n\n- one\n- two\n  more\n- three\n\n1. a\nText\n\n| a |\n|---|\n{code}"
    )


def test_a_folder_is_in_the_order_of_its_first_page() -> None:
    guide = pages_of("guide")
    assert guide[0] == "guide/README.md"
    assert sorted(guide) == sorted(f"guide/{path.name}" for path in (ROOT / "docs" / "guide").glob("*.md"))
    linked = re.findall(r"\]\(([\w-]+\.md)[#)]", (ROOT / "docs" / "guide" / "README.md").read_text())
    assert guide[1 : 1 + len(set(linked))] == [f"guide/{name}" for name in dict.fromkeys(linked)]
    assert pages_of("design")[0] == "design/index.md"
    assert len(pages_of("design")) == 1 + len(list((ROOT / "docs" / "design").glob("*.md")))


def test_a_notebook_shows_what_its_cells_show() -> None:
    (uri, page), *pictures = notebook_pages(ROOT / "examples" / "lutra.ipynb")
    assert uri == "notebook.md"
    assert isinstance(page, str)
    assert page.startswith("# A tour of Lutra")
    cells = json.loads((ROOT / "examples" / "lutra.ipynb").read_text())["cells"]
    assert page.count("```python\n") == sum(cell["cell_type"] == "code" for cell in cells)
    assert all(isinstance(data, bytes) and data.startswith(b"\x89PNG") for _, data in pictures)
