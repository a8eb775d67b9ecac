"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REQUIRED = "LUTRA_BROWSER_REQUIRED"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
_SERIOUS = ("serious", "critical")
WAIT_MS = 60_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; the test is skipped where none is installed, unless one is required."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get(REQUIRED):
            raise RuntimeError("Chromium is not installed, and tests in a browser are required")
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, endpoint: str, *, signed_in: bool = True, locale: str = "en-GB") -> Iterator[Page]:
    """A page in a profile of its own. What goes wrong in its scripts fails the test."""
    context = browser.new_context(locale=locale, viewport={"width": 1280, "height": 900}, base_url=endpoint)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
    try:
        if signed_in:
            sign_in(page)
        yield page
        expected = [text for text in errors if "Failed to load resource" not in text]
        assert not expected, f"errors in the page's scripts: {expected}"
    finally:
        context.close()


def sign_in(page: Page, access_key_id: str = ACCESS_KEY_ID, secret: str = ACCESS_KEY_SECRET) -> None:
    page.goto("/console/sign-in")
    page.get_by_label("Access key id").fill(access_key_id)
    page.get_by_label("Access key secret").fill(secret)
    page.locator("main form button").click()


def assert_accessible(page: Page) -> None:
    """That axe finds nothing serious."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    serious = [
        f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:5]]}"
        for one in found
        if one["impact"] in _SERIOUS
    ]
    assert not serious, "\n".join(serious)
