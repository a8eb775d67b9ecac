"""The documentation's site in a browser: its search finds words, and nothing is asked of anybody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import assert_accessible, chromium, page_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def page(endpoint: str) -> Iterator[Page]:
    with chromium() as browser, page_of(browser, endpoint, signed_in=False) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        yield page
        assert len(asked) > 10
        assert [url for url in asked if not url.startswith((endpoint, "data:", "blob:"))] == []


@pytest.mark.parametrize(
    ("words", "place"),
    [("向量", "/quick-start.zh.html"), ("ScoreSort", "/search-reference.html"), ("checksum footer", "/format.html")],
)
def test_a_search(page: Page, words: str, place: str) -> None:
    page.goto("/index.html")
    box = page.get_by_role("textbox", name="Search")
    box.click()
    page.get_by_text("Type to start searching").wait_for()  # what is typed before that is not heard
    box.fill(words)
    box.press("End")  # it listens to keys, not to what is put there
    page.locator(f".md-search-result__link[href*='{place}']").first.wait_for()


@pytest.mark.parametrize("place", ["index", "quick-start.zh", "search-reference", "sdk/java", "notebook", "figures"])
def test_pages_can_be_used_by_all(page: Page, place: str) -> None:
    page.goto(f"/{place}.html")
    assert page.locator("h1").count() == 1
    for scheme, background in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(30, 33, 41)")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait_for_function("colour => getComputedStyle(document.body).backgroundColor === colour", arg=background)
        assert_accessible(page)
