"""A table's rows in a real browser: a file is imported, and its rows are looked at, edited, inserted and deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browser import assert_accessible, page_of
from support.console_client import ConsoleClient
from support.console_forms import inputs
from support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROWS = 10_000
SCRIPT = "<script>0</script><img src=x onerror=\"document.title = 'run'\">"
BROKEN = 5_000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 rows as CSV, one with a year that is none, one with a script."""
    path = tmp_path_factory.mktemp("files") / "library.csv"
    lines = ["code,title,year,junk"]
    for number in range(ROWS):
        title = SCRIPT.replace('"', '""') if number == 3 else f"Book {number}"
        lines.append(f'b{number:05},"{title}",{"soon" if number == BROKEN else 1900 + number % 120},x')
    path.write_text("\n".join(lines))
    return path


def test_a_file_is_imported_and_its_rows_are_changed(browser_page: Page, file: Path) -> None:
    page = browser_page
    _import(page, file)
    page.get_by_role("link", name="See the rows").click()
    assert page.get_by_role("heading", level=1).inner_text() == "books"
    assert_accessible(page)
    assert page.title() != "run", "a script in a value is text"
    assert page.get_by_role("cell", name="document.title").inner_text() == SCRIPT
    _look(page)
    _edit(page)
    _insert(page)
    _delete(page)


def _import(page: Page, file: Path) -> None:
    page.goto("/console/i/test")
    page.get_by_role("link", name="Import a file").click()
    page.wait_for_url("**/import")
    assert_accessible(page)
    with page.expect_file_chooser() as chosen:
        page.get_by_label("File").click()
    chosen.value.set_files(str(file))
    page.get_by_role("button", name="Send and look at it").click()
    page.wait_for_url("**/uploads/*")
    assert_accessible(page)
    page.get_by_label("Table", exact=True).fill("books")
    page.get_by_label("code is a key").check()
    page.get_by_label("Name of title in the table").fill("name")
    page.get_by_label("Type of year").select_option("int")
    page.get_by_label("Leave junk out").check()
    page.get_by_role("button", name="Show what would become of it").click()
    assert page.get_by_label("Name of title in the table").input_value() == "name"
    assert page.get_by_label("code is a key").is_checked()
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/jobs/*")
    assert page.get_by_role("progressbar").is_visible()
    page.get_by_role("heading", name="Rejected rows").wait_for()
    assert_accessible(page)
    assert page.get_by_role("definition").all_inner_texts() == [f"{ROWS - 1:,}", "1"]
    row = page.get_by_role("row", name="soon")
    assert row.get_by_role("rowheader").inner_text() == f"{BROKEN + 1:,}"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all of them").click()
    told = json.loads(Path(download.value.path()).read_text())
    assert (told["row"], told["values"]["year"]) == (BROKEN + 1, "soon")


def _look(page: Page) -> None:
    keys = page.locator("tbody th")
    assert keys.first.inner_text() == "b00000"
    page.get_by_role("link", name="Next").first.click()
    page.wait_for_url("**from=**")
    assert keys.first.inner_text() == "b00050"
    page.get_by_role("link", name="Last").first.click()
    page.wait_for_url("**place=last**")
    assert keys.last.inner_text() == f"b{ROWS - 1:05}"
    page.get_by_label("Filter").fill("year = 1907 and name startswith 'Book 12'")
    page.get_by_role("button", name="Show rows").click()
    page.wait_for_url("**where=**")
    assert keys.all_inner_texts() == ["b00127", "b01207"]
    page.get_by_label("Filter").fill("yeer = 1907")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert "there is no column" in page.get_by_role("alert").inner_text()
    assert_accessible(page)


def _edit(page: Page) -> None:
    page.goto("/console/i/test/t/books/data?prefix=b00003")
    page.get_by_role("link", name="b00003").click()
    assert page.get_by_role("textbox", name="name", exact=True).input_value() == SCRIPT
    assert_accessible(page)
    page.get_by_role("textbox", name="name", exact=True).fill("A <b>new</b> name")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("status").inner_text() == "The row is saved."
    assert page.get_by_role("textbox", name="name", exact=True).input_value() == "A <b>new</b> name"
    page.get_by_role("textbox", name="year", exact=True).fill("never")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("textbox", name="year", exact=True).get_attribute("aria-invalid") == "true"
    assert_accessible(page)


def _insert(page: Page) -> None:
    page.goto("/console/i/test/t/books/data")
    page.get_by_role("link", name="Insert a row").click()
    assert_accessible(page)
    page.get_by_role("textbox", name="code", exact=True).fill("a-first")
    page.get_by_role("textbox", name="year", exact=True).fill("2024")
    page.get_by_role("button", name="Insert").click()
    assert page.get_by_role("status").inner_text() == "The row is inserted."
    page.get_by_role("link", name="Back to the rows").click()
    assert page.locator("tbody th").first.inner_text() == "a-first"


def _delete(page: Page) -> None:
    page.get_by_label("Select row a-first").check()
    page.get_by_label("Select row b00001").check()
    page.get_by_text("2 selected").wait_for()
    page.get_by_role("button", name="Delete selected rows").click()
    assert_accessible(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    assert page.get_by_role("status").inner_text() == "2 rows are deleted."
    assert page.locator("tbody th").all_inner_texts()[:2] == ["b00000", "b00002"]


def test_a_conflicting_edit_is_refused_and_told(
    browser_page: Page, console: ConsoleClient, browser: Browser, console_server: ServerProcess
) -> None:
    plan = console.upload("/i/test/uploads?name=few.csv", b"id,name,year\na,Ann,1\nb,Bo,2\n").json()["location"]
    job = console.post(plan, {**inputs(console.get(plan).html), "start": "1"}).headers["location"]
    mine = browser_page
    mine.goto(job)
    mine.get_by_role("link", name="See the rows").wait_for()
    mine.goto("/console/i/test/t/few/data/row?key=%5B%22a%22%5D")
    with page_of(browser, console_server.endpoint) as theirs:
        theirs.goto("/console/i/test/t/few/data/row?key=%5B%22a%22%5D")
        theirs.get_by_role("textbox", name="year", exact=True).fill("77")
        theirs.get_by_role("button", name="Save").click()
        theirs.get_by_role("status").wait_for()
    mine.get_by_role("textbox", name="name", exact=True).fill("Mine")
    mine.get_by_role("button", name="Save").click()
    alert = mine.get_by_role("alert")
    assert "Somebody changed this row meanwhile: nothing was saved." in alert.inner_text()
    assert alert.get_by_role("row", name="year").get_by_role("cell").inner_text() == "77"
    assert_accessible(mine)
    assert mine.get_by_role("textbox", name="name", exact=True).input_value() == "Mine"
    assert mine.get_by_role("textbox", name="year", exact=True).input_value() == "77"
    mine.get_by_role("button", name="Save").click()
    assert mine.get_by_role("status").inner_text() == "The row is saved."


def test_what_is_wrong_has_the_focus(browser_page: Page, console: ConsoleClient) -> None:
    """A keyboard goes on there, and a screen reader begins there."""
    plan = console.upload("/i/test/uploads?name=focus.csv", b"id,name,year\na,Ann,1970\n").json()["location"]
    page = browser_page
    page.goto(plan)
    page.get_by_label("Table", exact=True).fill("9 lives")
    page.get_by_role("button", name="Import", exact=True).click()
    page.locator("[role=alert]:focus").wait_for()
    form = inputs(console.get(plan).html)
    job = console.post(plan, {**form, "table": "focus", "key-0": "on", "start": "1"}).headers["location"]
    page.goto(job)
    page.get_by_role("link", name="See the rows").click()
    page.get_by_role("link", name="a", exact=True).click()
    page.get_by_role("textbox", name="year", exact=True).fill("soon")
    page.get_by_role("button", name="Save").click()
    page.locator("textarea[aria-invalid=true]:focus").wait_for()


def test_a_vector_unfolds_when_it_is_asked_for(browser_page: Page, console: ConsoleClient) -> None:
    rows = "".join(json.dumps({"id": n, "embedding": [n / 10 + i for i in range(16)]}) + "\n" for n in range(3))
    plan = console.upload("/i/test/uploads?name=points.jsonl", rows.encode()).json()["location"]
    job = console.post(plan, {**inputs(console.get(plan).html), "start": "1"}).headers["location"]
    page = browser_page
    page.goto(job)
    page.get_by_role("link", name="See the rows").click()
    first = page.locator("details.fold").first
    assert first.locator("summary").inner_text() == "16 × float32 0, 1, 2, …"
    first.locator("summary").click()
    first.locator("pre:not(:empty)").wait_for()
    assert first.locator("pre").inner_text().startswith("0.0, 1.0, 2.0, 3.0")
    assert first.locator("pre").inner_text().count(",") == 15
