"""The search page in a real browser: the form by keyboard, nearness four ways, bars, pages, history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from support import pictures, searched_rows
from support.browser import assert_accessible

from lutra.console.search import address

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGE = "/console/i/test/t/notes/search"


def show(page: Page, spec: Any, path: str = PAGE) -> None:
    page.goto(f"{path}?s={quote(address.written(spec))}")


def spec_of(page: Page) -> Any:
    """The search in the page's address."""
    return address.read(parse_qs(urlsplit(page.url).query)["s"][0])


def send(page: Page) -> None:
    """By the keyboard, from wherever in the form."""
    with page.expect_navigation():
        page.get_by_role("button", name="Search", exact=True).press("Enter")


def keys(page: Page) -> list[str]:
    return page.locator(".hit h3").all_inner_texts()


def total(page: Page) -> int:
    return int(page.locator("#found-title").inner_text().split()[0])


def unfold(page: Page, title: str) -> None:
    summary = page.locator("#search-form summary", has_text=title)
    if summary.locator("..").get_attribute("open") is None:
        summary.press("Enter")


def test_nested_conditions_by_keyboard(browser_page: Page) -> None:
    page = browser_page
    page.goto(PAGE)
    assert_accessible(page)
    page.get_by_role("button", name="Add a condition").press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "SELECT", "focus goes to the new condition"
    page.keyboard.type("year")
    page.keyboard.press("Tab")
    page.keyboard.type("is at least")
    page.keyboard.press("Tab")
    page.keyboard.type("2010")
    page.get_by_role("button", name="Add a group").last.press("Enter")
    page.keyboard.type("none")
    page.keyboard.press("Tab")
    page.keyboard.type("one record of remarks")
    inner = page.locator("fieldset.group fieldset.group")
    inner.get_by_label("Field").press("ArrowDown")
    inner.get_by_label("Operator").select_option("above")
    inner.get_by_label("Value").fill("2")
    assert inner.get_by_label("Field").input_value() == "remarks.stars"
    inner.get_by_role("button", name="Add a condition").press("Enter")
    inner.get_by_role("button", name="Remove the condition").last.press("Enter")
    assert inner.get_by_label("Field").count() == 1
    assert_accessible(page)
    send(page)
    none = {"group": "none", "within": "remarks", "parts": [{"field": "remarks.stars", "op": "above", "value": "2"}]}
    assert spec_of(page)["where"]["parts"] == [{"field": "year", "op": "from", "value": "2010"}, none]
    expected = [n for n in range(60) if n % 20 >= 10 and n % 4 and n % 5 <= 2]
    assert total(page) == len(expected), "records of which none passes: rows that have some"
    assert page.locator("fieldset.group fieldset.group").get_by_label("Value").input_value() == "2"
    page.go_back()
    assert page.get_by_role("heading", name="For example").is_visible()


def test_values_have_controls_of_their_types(browser_page: Page) -> None:
    page = browser_page
    parts = [
        {"field": "at", "op": "between", "value": ["2024-02-01", "2024-04-30T12:00Z"]},
        {"field": "good", "op": "is", "value": True},
        {"field": "kind", "op": "in", "value": ["paper", "blog"]},
        {"field": "place", "op": "around", "value": {"point": "2,10", "metres": "400000"}},
        {"group": "any", "parts": [{"field": "text", "op": "any_words", "value": "river stone moon silver"}]},
        {"field": "small", "op": "has"},
    ]
    show(page, {"where": {"group": "all", "parts": parts}})
    before = total(page)
    assert 0 < before < 60
    assert page.locator('input[type="date"]').first.input_value() == "2024-02-01"
    assert page.locator('input[type="time"]').last.input_value() == "12:00"
    unfold(page, "Conditions")
    assert_accessible(page)
    send(page)
    assert spec_of(page)["where"]["parts"] == parts, "what was shown is what is sent"
    assert total(page) == before
    page.locator('input[type="date"]').first.fill("2024-03-15")
    send(page)
    assert total(page) < before


def test_near_to_a_vector_a_text_a_row_and_a_picture(browser_page: Page) -> None:
    page = browser_page
    page.goto(PAGE)
    unfold(page, "Nearness")
    page.get_by_label("Vector field").select_option("small")
    page.get_by_label("Near to").select_option("vector")
    page.get_by_label("Vector, as a list of numbers").fill("[20.1, 1, -20.1]")
    page.get_by_label("How many neighbours").fill("5")
    send(page)
    assert keys(page)[:2] == ["20", "21"]
    assert page.get_by_label("Vector, as a list of numbers").input_value() == "[20.1, 1, -20.1]"
    with page.expect_navigation():
        page.locator(".hit").nth(1).get_by_role("link", name="More like this (small)").press("Enter")
    assert keys(page)[0] == "21"
    assert spec_of(page) == {"near": {"field": "small", "by": "row", "key": "[21]"}}
    unfold(page, "Nearness")
    page.get_by_label("Key of the row: id").fill("33")
    send(page)
    assert keys(page)[0] == "33"
    page.get_by_label("Vector field").select_option("looks")
    page.get_by_label("Near to").select_option("picture")
    page.get_by_label("Picture (PNG").set_input_files(
        {"name": "blue.png", "mimeType": "image/png", "buffer": pictures.encoded(pictures.ball("blue"))}
    )
    page.get_by_text("Its vector is here: blue.png").wait_for()
    send(page)
    assert keys(page)[0] == "2"
    assert (
        page.locator(".hit img.picture").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 120
    )
    assert_accessible(page)
    page.get_by_label("Near to").select_option("vector")
    page.get_by_label("Vector, as a list of numbers").fill("[1, 2")
    send(page)
    control = page.get_by_label("Vector, as a list of numbers")
    assert control.get_attribute("aria-invalid") == "true"
    assert control.evaluate("one => document.activeElement === one")
    assert_accessible(page)


def test_a_row_is_shown_on_the_map(browser_page: Page) -> None:
    page = browser_page
    show(page, {"where": {"group": "all", "parts": [{"field": "text", "op": "all_words", "value": "number13"}]}})
    with page.expect_navigation():
        page.get_by_role("link", name="Map (small)").press("Enter")
    assert page.locator("#map-row a").first.inner_text() == "13"


def test_fields_of_all_kinds_have_a_control(browser_page: Page) -> None:
    page = browser_page
    rows = searched_rows.rows_of(seed=3, count=40)
    parts = [
        {"field": "any.colour", "op": "is_not", "value": "red"},
        {"field": "address", "op": "is", "value": "10.0.0.0/16"},
        {"field": "long", "op": "above", "value": "-9007199254740993"},
        {"field": "fuzzy", "op": "like", "value": "*e*"},
    ]
    where = {"group": "all", "parts": parts}
    show(page, {"where": where, "limit": 10}, "/console/i/test/t/things/search")
    unfold(page, "Conditions")
    assert page.get_by_label("Path in any").first.input_value() == "colour"
    send(page)
    assert spec_of(page)["where"] == where, "what was shown is what is sent, whole numbers of 64 bits, too"
    assert total(page) == len(searched_rows.found_by(rows, {"where": where}))
    first = page.get_by_role("group", name="Condition").first
    first.get_by_label("Field").select_option("flag")
    assert first.get_by_label("Path in").is_hidden()
    assert first.get_by_label("Operator").locator("option").all_inner_texts() == [
        "is",
        "has a value",
        "has no value",
    ]
    first.get_by_label("Value").select_option("false")
    send(page)
    parts[0] = {"field": "flag", "op": "is", "value": False}
    assert spec_of(page)["where"] == where
    assert total(page) == len(searched_rows.found_by(rows, {"where": where}))
    assert_accessible(page)


def test_the_code_of_a_search(browser_page: Page) -> None:
    page = browser_page
    show(page, {"words": {"text": "river"}, "limit": 3})
    page.get_by_role("link", name="The code of this search").press("Enter")
    for language, written in (("go", "MatchQuery"), ("embedded", 'text="river"')):
        page.locator("#language-of-code").select_option(language)
        assert written in page.locator("[data-program]:visible").inner_text()
    assert_accessible(page)


def test_near_to_a_text(browser_page: Page) -> None:
    page = browser_page
    page.goto("/console/i/test/t/letters/search")
    unfold(page, "Nearness")
    page.get_by_label("Vector field").select_option("meaning")
    page.get_by_label("Text").fill("foxes and other animals")
    assert page.get_by_label("Model").locator("option").all_inner_texts()[0].startswith("wordllama")
    send(page)
    assert keys(page)[0] == "fox"


def test_the_model_of_a_field_stays_chosen_among_others_that_fit(browser_page: Page) -> None:
    page = browser_page
    page.goto("/console/i/test/t/tales/search")
    unfold(page, "Nearness")
    page.get_by_label("Vector field").select_option("meaning")
    models = page.get_by_label("Model")
    assert models.locator("option").count() > 1
    page.get_by_label("Text").fill("fox")
    for _ in range(2):  # the form as it comes back asks for the same
        assert models.input_value().startswith("tfidf:")
        send(page)
        assert spec_of(page)["near"]["model"].startswith("tfidf:")
        assert keys(page)[0] == "0", "the fox"


def test_bars_add_conditions_and_pages_lead_on(browser_page: Page) -> None:
    page = browser_page
    page.goto(PAGE)
    unfold(page, "Aggregations")
    page.get_by_role("button", name="Add an aggregation").press("Enter")
    page.get_by_label("Aggregation", exact=True).and_(page.locator("select")).select_option("value")
    assert page.get_by_label("Field").last.input_value() == "id", "the first that can be grouped"
    page.get_by_label("Field").last.select_option("kind")
    page.get_by_role("button", name="Add one of each group").press("Enter")
    page.get_by_label("Aggregation", exact=True).and_(page.locator("select")).last.select_option("avg")
    page.get_by_label("Field").last.select_option("year")
    send(page)
    assert_accessible(page)
    assert total(page) == 60
    assert page.get_by_role("row", name="news 20 33.3 %").is_visible()
    page.get_by_role("button", name="blog").press("Enter")
    page.wait_for_url("**add=**")
    assert total(page) == 20
    unfold(page, "Conditions")
    assert page.get_by_role("group", name="Condition").get_by_label("Value").input_value() == "blog"
    show(page, {"limit": 10})
    page.get_by_role("button", name="Later rows").press("Enter")
    page.wait_for_url("**offset=10**")
    assert keys(page) == [str(number) for number in range(10, 20)]
    assert page.get_by_text("11 to 20 of 60").is_visible()
    page.go_back()
    assert keys(page)[0] == "0"


def test_what_is_wrong_is_shown_at_its_control_and_scripts_in_rows_are_text(browser_page: Page) -> None:
    page = browser_page
    part = {"field": "year", "op": "from", "value": "soon"}
    show(page, {"where": {"group": "all", "parts": [{"group": "any", "parts": [part]}]}, "limit": 10})
    control = page.get_by_label("Value")
    assert control.get_attribute("aria-invalid") == "true"
    told = page.locator(f"#{control.get_attribute('aria-describedby')}")
    assert told.inner_text() == "This must be a number."
    assert control.evaluate("one => document.activeElement === one")
    assert page.get_by_role("alert").get_by_role("link").count() == 1
    assert_accessible(page)
    control.fill("2007")
    page.get_by_label("Words").fill("document")
    send(page)
    assert keys(page) == ["7"]
    assert page.title() != "broken"
    assert page.locator(".hit mark").first.inner_text() == "document"
    assert "<b>bold</b>" in page.locator(".hit").inner_text()


def test_in_chinese_dark_and_narrow(browser_page: Page) -> None:
    page = browser_page
    page.get_by_label("Language").select_option("zh")
    page.wait_for_selector("html[lang=zh]")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 800})
    aggregations = [{"by": "date", "field": "at", "unit": "month"}, {"of": "avg", "field": "year"}]
    words = {"text": "river", "fields": ["text"]}
    for view in ("cards", "grid"):
        show(page, {"words": words, "aggregations": aggregations, "view": view, "explain": True})
        for title in ("向量检索", "条件", "统计聚合", "排序、分页与列"):
            unfold(page, title)
        assert_accessible(page)
        is_wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not is_wide, "the page itself does not scroll sideways"


def test_searches_before_are_kept_in_the_browser(browser_page: Page) -> None:
    page = browser_page
    page.goto(PAGE)
    page.get_by_label("Words").fill("silver moon")
    send(page)
    page.get_by_role("link", name="Clear the form").click()
    unfold(page, "Searches before this")
    page.get_by_role("link", name="silver moon").click()
    page.wait_for_url("**s=**")
    assert page.get_by_label("Words").input_value() == "silver moon"
    unfold(page, "Searches before this")
    page.get_by_role("button", name="Forget them").click()
    page.reload()
    assert page.get_by_text("Searches before this").count() == 0


def test_keys_of_several_kinds(browser_page: Page) -> None:
    page = browser_page
    page.goto("/console/i/test/t/goods/search?index=goods_first")
    unfold(page, "Nearness")
    page.get_by_label("Vector field").select_option("v")
    page.get_by_label("Near to").select_option("row")
    page.get_by_label("Key of the row: shop").fill("north")
    page.get_by_label("Key of the row: code").fill("03 ff")
    send(page)
    assert keys(page)[:2] == ["north, 03ff", "north, 02ff"]
    assert page.get_by_label("Key of the row: code").input_value() == "03ff"
    assert "index=goods_first" in page.url
