"""A server with a console, a client that has signed in to it, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from support.browser import chromium, page_of
from support.console_client import ConsoleClient
from support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def console_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server for the tests of a module; its instance is ``test``, and it takes files of 32 MB."""
    arguments = ("--console-upload-mb", "32")
    with ServerProcess(tmp_path_factory.mktemp("console") / "data", arguments=arguments) as server:
        yield server


@pytest.fixture
def console(console_server: ServerProcess) -> ConsoleClient:
    """Somebody who has signed in."""
    client = ConsoleClient(console_server.endpoint)
    assert client.sign_in().status == 303
    return client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a module. Its driver has the thread's event loop meanwhile: another module may need one, too."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser_page(browser: Browser, console_server: ServerProcess) -> Iterator[Page]:
    """A page of somebody who has signed in."""
    with page_of(browser, console_server.endpoint) as page:
        yield page
