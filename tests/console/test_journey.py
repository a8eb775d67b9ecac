"""The three steps, as a person takes them: an index is created, a file is imported, and it is searched; in a browser,
from signing in to signing out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from support.browser import assert_accessible, page_of, sign_in
from support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROWS = 10_000
ANIMALS = ("otter", "heron", "beaver", "trout", "kingfisher")
PLACES = ("river", "coast", "lake", "marsh")


def write_file(path: Path) -> None:
    """10,000 notes; the one of row 7,777 is about something of its own."""
    lines = ["id,title,place,year"]
    for number in range(ROWS):
        title = f"A {ANIMALS[number % 5]} seen for the {number}th time"
        if number == 7_777:
            title = "Repairing the gearbox of a motorcycle"
        lines.append(f"n{number:05},{title},{PLACES[number % 4]},{1990 + number % 30}")
    path.write_text("\n".join(lines))


def test_create_import_search_explain_edit_delete(
    browser: Browser, console_server: ServerProcess, tmp_path: Path
) -> None:
    write_file(tmp_path / "notes.csv")
    with page_of(browser, console_server.endpoint, signed_in=False) as page:
        page.goto("/")
        sign_in(page)
        page.get_by_role("link", name="test", exact=True).click()
        _create(page)
        _import(page, tmp_path / "notes.csv")
        _search(page)
        _explain(page)
        _edit_and_delete(page)
        page.get_by_role("button", name="Sign out").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Sign in"
    client = console_server.client()
    assert "notes" in client.list_table()
    _, row, _ = client.get_row("notes", [("id", "n00004")])
    assert {name: value for name, value, _ in row.attribute_columns}["place"] == "harbour"
    _, gone, _ = client.get_row("notes", [("id", "n07777")])
    assert gone is None


def _create(page: Page) -> None:
    """A table whose titles a model makes vectors of."""
    page.get_by_role("link", name="New table").click()
    page.get_by_label("Name of the table").fill("notes")
    page.get_by_label("Make a search index, too").check()
    for number, (name, type_) in enumerate(
        (("title", "TEXT"), ("place", "KEYWORD"), ("year", "LONG"), ("meaning", "VECTOR"))
    ):
        row = f"#input-index-fields-{number}"
        if number:
            page.locator("#input-index-fields-add").click()
            page.locator(f"{row}-name:focus").wait_for()
        page.locator(f"{row}-name").fill(name)
        if type_ != "KEYWORD":
            page.locator(f"{row}-type").select_option(type_)
            page.locator(f"[data-shown-type={type_}] {row}-type:focus").wait_for()
    page.locator("#input-index-fields-3-dimension").fill("256")
    page.locator("#input-index-fields-3-metric").select_option("COSINE")
    page.locator("#input-index-fields-3-embed").fill("title")
    page.locator("#input-index-fields-3-model").fill("wordllama")
    page.get_by_role("button", name="Create the table").click()
    assert page.get_by_role("status").first.inner_text() == "Table notes was created."


def _import(page: Page, file: Path) -> None:
    page.get_by_role("link", name="Import", exact=True).click()
    page.get_by_label("File").set_input_files(str(file))
    page.get_by_role("button", name="Send and look at it").click()
    page.wait_for_url("**/uploads/*")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/jobs/*")
    page.get_by_role("link", name="See the rows").wait_for()
    assert page.get_by_role("definition").first.inner_text() == f"{ROWS:,}"


def _search(page: Page) -> None:
    """By words and a condition; then by meaning, in words that the row does not have."""
    page.get_by_role("link", name="See the rows").click()
    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_label("Words").fill("kingfisher")
    _unfold(page, "Conditions")
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Field", exact=True).select_option("place")
    page.get_by_label("Value").fill("coast")
    _send(page)
    assert page.locator("#found-title").inner_text() == "500 rows"
    assert page.locator(".hit mark").first.inner_text() == "kingfisher"
    page.get_by_role("link", name="Clear the form").click()
    _unfold(page, "Nearness")
    page.get_by_label("Vector field").select_option("meaning")
    page.get_by_label("Text").fill("fixing an engine")
    _send(page)
    assert page.locator(".hit h3").first.inner_text() == "n07777"
    assert_accessible(page)


def _explain(page: Page) -> None:
    page.get_by_role("link", name="Explain").click()
    explained = page.get_by_label("What the search did")
    explained.wait_for()
    assert "true neighbours found" in explained.inner_text()
    assert_accessible(page)


def _edit_and_delete(page: Page) -> None:
    page.get_by_role("link", name="n07777").first.click()
    page.get_by_role("link", name="Back to the rows").click()
    page.get_by_role("link", name="n00004").click()
    page.get_by_role("textbox", name="place", exact=True).fill("harbour")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("status").first.inner_text() == "The row is saved."
    page.get_by_role("link", name="Back to the rows").click()
    page.get_by_label("Go to id").fill("n07777")
    page.get_by_role("button", name="Show rows").click()
    page.get_by_label("Select row n07777").check()
    page.get_by_role("button", name="Delete selected rows").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    assert page.get_by_role("status").first.inner_text() == "1 row is deleted."


def _unfold(page: Page, title: str) -> None:
    summary = page.locator("#search-form summary", has_text=title)
    if summary.locator("..").get_attribute("open") is None:
        summary.click()


def _send(page: Page) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name="Search", exact=True).click()
