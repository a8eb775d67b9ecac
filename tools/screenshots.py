"""Takes the pictures of docs/console.md, in a real browser, over the demo's table.

python -m tools.screenshots [--data demo-data] [--out docs/pictures]

`lutra demo` fills the table first where it is not there. Needs Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import tablestore as ots
from PIL import Image
from playwright.sync_api import Page, sync_playwright

KEY: Final = ("screenshots", "a-secret-of-a-throw-away-server")
TABLE: Final = "/console/i/default/t/python_stdlib"
WIDTH: Final = 1280
_COLOURS: Final = 128
_ASKED_S: Final = 25.0
"""Some points of the charts, which are noted every 5 s."""
_NEAR: Final = {"field": "embedding", "by": "text", "text": "compress a file"}
_CONDITION: Final = {"field": "kind", "op": "is", "value": "function"}


def search(**more: Any) -> str:
    """The address of a search."""
    return f"{TABLE}/search?{urlencode({'s': json.dumps(more)})}"


@contextmanager
def served(data: Path) -> Iterator[str]:
    """The address of a server over the demo's table."""
    run = [sys.executable, "-m", "lutra.cli.main"]
    subprocess.run([*run, "demo", "--data", str(data)], check=True, stdout=subprocess.DEVNULL)
    environment = os.environ | {"LUTRA_ACCESS_KEY_ID": KEY[0], "LUTRA_ACCESS_KEY_SECRET": KEY[1]}
    process = subprocess.Popen(
        [*run, "serve", "--data", str(data), "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise RuntimeError("the server did not start")
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)


class Camera:
    """Goes through the pages."""

    def __init__(self, page: Page, out: Path) -> None:
        self._page = page
        self._out = out

    def take(
        self,
        name: str,
        address: str,
        height: int = 800,
        *,
        wait_for: str = "h1",
        below: str = "",
        then: Callable[[Page], object] = lambda page: None,
    ) -> None:
        """A picture of a page once ``wait_for`` is there and ``then`` is done; from the element ``below`` on."""
        page = self._page
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.goto(address)
        page.wait_for_selector(wait_for)
        then(page)
        if below:
            page.evaluate("place => document.querySelector(place).scrollIntoView()", below)
        page.wait_for_timeout(700)
        path = self._out / f"console-{name}.png"
        page.screenshot(path=path)
        with Image.open(path) as taken:  # a quarter of the bytes, and nobody sees it
            taken.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"console-{name}.png", flush=True)

    def choose(self, label: str, value: str) -> None:
        """One of the preferences on top."""
        self._page.get_by_label(label, exact=True).select_option(value)
        self._page.wait_for_load_state()


def _define(page: Page) -> None:
    """A table with a search index, begun."""
    page.get_by_label("Name of the table").fill("articles")
    page.get_by_label("Make a search index, too").check()
    page.locator("#input-index-fields-0-name").fill("title")
    page.locator("[data-program=python]").filter(has_text="title").wait_for()


def _fields(page: Page) -> None:
    page.get_by_label("Name of the index").fill("of_summaries")
    page.locator("#input-fields-0-name").fill("summary")
    page.locator("#input-fields-0-type").select_option("TEXT")
    page.locator("[data-shown-type=TEXT] #input-fields-0-type:focus").wait_for()
    page.locator("[data-program=python]").filter(has_text="summary").wait_for()


def _ask(endpoint: str) -> None:
    """Searches and reads by the official SDK, so that the server has something to tell."""
    client = ots.OTSClient(endpoint, *KEY, "default", logger_name="screenshots")
    query = ots.SearchQuery(ots.MatchQuery("doc", "compress archive"), limit=10)
    columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL_FROM_INDEX)
    end_s = time.monotonic() + _ASKED_S
    while time.monotonic() < end_s:
        client.search("python_stdlib", "search", query, columns)
        client.get_row("python_stdlib", [("name", "zipfile.ZipFile")])
        time.sleep(0.01)


def _import(camera: Camera, page: Page) -> None:
    """What would become of a file, and what became of it."""
    rows = [
        f"n{number},An otter of the river {number},2024-05-{1 + number % 30:02},{number / 2}" for number in range(400)
    ]
    rows[40] = "n40,A date that is none,soon,1"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "notes.csv"
        file.write_text("\n".join(["id,title,seen,weight", *rows]))
        page.goto("/console/i/default/import")
        page.get_by_label("File").set_input_files(str(file))
        page.get_by_role("button", name="Send and look at it").click()
        page.wait_for_url("**/uploads/*")
        camera.take("import-plan", page.url, 1100)
        page.get_by_role("button", name="Import", exact=True).click()
        page.wait_for_url("**/jobs/*")
        page.get_by_role("link", name="See the rows").wait_for()
        camera.take("job", page.url, 700)


def take_all(page: Page, out: Path, endpoint: str) -> None:
    camera = Camera(page, out)
    camera.take("sign-in", "/console/", 620)
    page.get_by_label("Access key id").fill(KEY[0])
    page.get_by_label("Access key secret").fill(KEY[1])
    page.locator("main form button").click()
    page.wait_for_selector("h1")
    camera.take("instances", "/console/", 520)
    camera.take("tables", "/console/i/default", 560)
    camera.take("new-table", "/console/i/default/new-table", 1150, then=_define)
    camera.take("overview", TABLE, 900)
    camera.take("indexes", f"{TABLE}/indexes", 900)
    camera.take("new-index", f"{TABLE}/new-index", 1000, then=_fields)
    camera.take("data", f"{TABLE}/data", 900)
    camera.take("row", f"{TABLE}/data/row?{urlencode({'key': json.dumps(['zipfile.ZipFile'])})}", 900)
    _import(camera, page)
    near = {"near": _NEAR, "where": {"group": "all", "parts": [_CONDITION]}, "limit": 6}
    camera.take("search", search(**near), 1350)
    kinds = {"by": "value", "field": "kind", "size": 8}
    words = {"words": {"text": "compress archive", "fields": ["doc"], "match": "any"}, "aggregations": [kinds]}
    camera.take("groups", search(**words, limit=4), 1500)
    camera.take("explain", search(**near, explain=True), 1100, below=".explained")
    camera.take("map", f"{TABLE}/map?colour=kind", 950, wait_for="canvas")
    _ask(endpoint)
    camera.take("status", "/console/status", 1900)
    camera.choose("Colours", "dark")
    camera.take("map-dark", f"{TABLE}/map?colour=kind", 950, wait_for="canvas")
    camera.choose("Language", "zh")
    camera.take("search-zh", search(**near), 1200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("demo-data"))
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    options.out.mkdir(parents=True, exist_ok=True)
    with served(options.data) as endpoint, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(base_url=endpoint, locale="en-GB")
        context.set_default_timeout(60_000)
        take_all(context.new_page(), options.out, endpoint)
        browser.close()


if __name__ == "__main__":
    main()
