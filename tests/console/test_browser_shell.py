"""Signing in, languages and colours in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.browser import assert_accessible, page_of, sign_in
from support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def test_sign_in_with_a_wrong_key_then_the_right_one_and_out(browser: Browser, console_server: ServerProcess) -> None:
    with page_of(browser, console_server.endpoint, signed_in=False) as page:
        page.goto("/")
        assert page.url.endswith("/console/sign-in?to=%2Fconsole%2F")
        assert_accessible(page)
        sign_in(page, secret="wrong")
        assert page.get_by_role("alert").inner_text() == "This is not the server's access key."
        assert_accessible(page)
        sign_in(page)
        page.get_by_role("link", name="test").click()
        assert page.get_by_role("heading", level=1).inner_text() == "test"
        assert_accessible(page)
        page.get_by_role("button", name="Sign out").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Sign in"
        page.go_back()
        page.reload()
        assert page.get_by_role("heading", level=1).inner_text() == "Sign in", "what was there is not shown again"


def test_in_chinese_and_dark(browser_page: Page) -> None:
    page = browser_page
    page.get_by_label("Language").select_option("zh")
    page.wait_for_selector("html[lang=zh]")
    page.get_by_label("配色").select_option("dark")
    page.wait_for_selector("html[data-theme=dark]")
    assert page.get_by_role("heading", level=1).inner_text() == "实例"
    assert_accessible(page)


def test_by_keyboard_alone(browser_page: Page) -> None:
    page = browser_page
    page.goto("/console/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
