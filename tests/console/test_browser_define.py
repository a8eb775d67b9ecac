"""Tables and indexes by form in a real browser: by mouse and by keyboard, with all kinds of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import described
from support.browser import assert_accessible
from support.server import ServerProcess

from lutra.model.indexes import FieldType

if TYPE_CHECKING:
    from playwright.sync_api import Page


def program(page: Page) -> str:
    """The one that is shown."""
    return page.locator("[data-program]:not([hidden])").inner_text()


def choose(page: Page, input_id: str, value: str, shows: str) -> None:
    """Chooses what changes the form, and waits until it has the input that this shows."""
    page.locator(f"#{input_id}").select_option(value)
    page.wait_for_selector(f"#{shows}")


def add_field(page: Page, number: int, name: str, type_: FieldType, **options: str) -> None:
    """Adds a row to the fields of the new index and fills it in; ``options`` are texts by name."""
    row = f"input-index-fields-{number}"
    if number:
        page.locator("#input-index-fields-add").click()
        page.locator(f"#{row}-name:focus").wait_for()
    page.locator(f"#{row}-name").fill(name)
    if type_ is not FieldType.KEYWORD:
        page.locator(f"#{row}-type").select_option(type_.name)
        # The server's next state of the form has come: it has what its type calls for, and the focus again.
        page.locator(f"[data-shown-type={type_.name}] #{row}-type:focus").wait_for()
    for option, value in options.items():
        page.wait_for_selector(f"#{row}-{option}")
        if page.locator(f"select#{row}-{option}").count():
            page.locator(f"#{row}-{option}").select_option(value)
        else:
            page.locator(f"#{row}-{option}").fill(value)


def test_a_table_and_an_index_of_all_kinds_by_mouse(browser_page: Page, console_server: ServerProcess) -> None:
    page = browser_page
    page.goto("/console/i/test")
    page.get_by_role("link", name="New table").click()
    page.get_by_label("Name of the table").fill("by_mouse")
    page.get_by_role("button", name="+ Key column").click()
    page.locator("#input-key-1-name").fill("number")
    page.locator("#input-key-1-type").select_option("AUTO_INCREMENT")
    page.locator("[data-program=python]").filter(has_text="PK_AUTO_INCR").wait_for()
    assert '"by_mouse"' in program(page)
    page.get_by_label("Make a search index, too").check()
    page.wait_for_selector("#input-index-name")
    plain = {FieldType.NESTED: None, FieldType.JSON: None, FieldType.VECTOR: None, FieldType.TEXT: None}
    for number, type_ in enumerate(one for one in FieldType if one not in plain):
        add_field(page, number, f"a_{type_.name.lower()}", type_)
    add_field(page, number + 1, "v", FieldType.VECTOR, dimension="4", metric="DOT_PRODUCT")
    add_field(page, number + 2, "t", FieldType.TEXT)
    choose(page, f"input-index-fields-{number + 2}-analyzer", "split", f"input-index-fields-{number + 2}-delimiter")
    page.locator(f"#input-index-fields-{number + 2}-delimiter").fill(",")
    add_field(page, number + 3, "n", FieldType.NESTED)
    page.get_by_role("button", name="+ Field within n").click()
    page.locator(f"#input-index-fields-{number + 3}-fields-0-name").fill("sku")
    assert_accessible(page)
    page.get_by_label("Language").last.select_option("java")
    page.locator("[data-program=java]").filter(has_text="sku").wait_for()
    assert "new SplitAnalyzerParameter().setDelimiter" in program(page)
    page.get_by_role("button", name="Remove a_geo_point").click()
    page.get_by_role("button", name="Remove a_geo_point").wait_for(state="detached")
    page.get_by_role("button", name="Create the table").click()
    assert page.get_by_role("status").first.inner_text() == "Table by_mouse was created."
    assert_accessible(page)
    [schema] = described.search_indexes(console_server, "by_mouse").values()
    fields = {field.name: field for field in schema.fields}
    assert fields["v"].vector is not None
    assert fields["v"].vector.dimension == 4
    assert fields["t"].text is not None
    assert fields["t"].text.analyzer == "split"
    assert [below.name for below in fields["n"].fields] == ["sku"]
    assert "a_geo_point" not in fields
    assert {"a_long", "a_ip", "a_flattened", "a_date"} <= fields.keys()


def test_a_table_by_keyboard_changed_and_deleted(browser_page: Page, console_server: ServerProcess) -> None:
    page = browser_page
    page.goto("/console/i/test/new-table")
    page.get_by_label("Name of the table").focus()
    page.keyboard.type("by_keyboard")
    page.keyboard.press("Enter")  # which sends nothing
    page.locator("#input-key-add").focus()
    page.keyboard.press("Enter")
    page.locator("#input-key-1-name:focus").wait_for()
    page.keyboard.type("number")
    page.keyboard.press("Tab")
    page.keyboard.type("INT")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Create the table").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/t/by_keyboard")
    key = console_server.client().describe_table("by_keyboard").table_meta.schema_of_primary_key
    assert key == [("id", "STRING"), ("number", "INTEGER")]

    page.get_by_label("Versions of a column").fill("0")
    page.get_by_role("button", name="Change the options").click()
    assert page.locator("#input-max_versions-problem").inner_text() == "A whole number from 1 to 2,147,483,647."
    assert_accessible(page)
    page.get_by_label("Versions of a column").fill("7")
    page.get_by_role("button", name="Change the options").click()
    assert console_server.client().describe_table("by_keyboard").table_options.max_version == 7

    page.get_by_role("link", name="Indexes", exact=True).click()
    page.get_by_role("link", name="New search index").click()
    page.locator("#input-fields-0-name").fill("kind")
    page.locator("#input-fields-0-name").press("Tab")
    page.get_by_role("button", name="Create the index").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/indexes/search")
    page.get_by_role("button", name="+ Field").click()
    page.locator("#input-fields-0-name").fill("likes")
    choose(page, "input-fields-0-type", "VECTOR", "input-fields-0-dimension")
    page.locator("#input-fields-0-dimension").fill("0")
    page.get_by_role("button", name="Change the index").click()
    assert page.locator("#input-fields-0-dimension-problem").inner_text() == "A whole number from 1 to 4,096."
    assert_accessible(page)
    page.locator("#input-fields-0-dimension").fill("3")
    page.get_by_label("Drop kind").check()
    page.get_by_role("button", name="Change the index").click()
    page.wait_for_selector("main .notice.good")
    [schema] = described.search_indexes(console_server, "by_keyboard").values()
    assert [(field.name, field.type) for field in schema.fields] == [("likes", FieldType.VECTOR)]

    page.get_by_label("Name of the index").fill("wrong")
    page.get_by_role("button", name="Delete the index").click()
    assert page.get_by_role("alert").inner_text() == "This is not the index's name: nothing was deleted."
    page.get_by_role("link", name="Overview").click()
    page.get_by_label("Name of the table").fill("by_mouse")
    page.get_by_role("button", name="Delete the table").click()
    assert page.get_by_role("alert").inner_text() == "This is not the table's name: nothing was deleted."
    assert "by_keyboard" in console_server.client().list_table()
    page.get_by_label("Name of the table").fill("by_keyboard")
    page.get_by_label("Name of the table").press("Enter")
    page.wait_for_url("**/console/i/test")
    assert "by_keyboard" not in console_server.client().list_table()
    assert_accessible(page)


def test_the_pages_in_chinese_and_dark(browser_page: Page) -> None:
    page = browser_page
    page.goto("/console/i/test/new-table")
    page.get_by_label("Language").first.select_option("zh")
    page.wait_for_selector("html[lang=zh]")
    page.get_by_label("配色").select_option("dark")
    page.wait_for_selector("html[data-theme=dark]")
    assert page.get_by_role("heading", level=1).inner_text() == "创建数据表"
    assert_accessible(page)
    page.goto("/console/i/test")
    assert_accessible(page)
