"""The page as a server on this machine alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from examples.assistant.answering import Answerer
from examples.assistant.conversations import Conversations
from examples.assistant.library import Library
from examples.assistant.web.chat import ChatPages
from examples.assistant.web.documents import DocumentPages
from examples.shared.site import Site

FORM_BYTES_MAX: Final = 64 * 1024
_CHINESE: Final = Path(__file__).with_name("zh.json")


def site_of(library: Library, conversations: Conversations, answerer: Answerer) -> Site:
    """All pages."""
    chinese = json.loads(_CHINESE.read_text(encoding="utf-8"))
    site = Site("examples.assistant.web", chinese=chinese, form_bytes_max=FORM_BYTES_MAX)
    ChatPages(library, conversations, answerer).add_to(site)
    DocumentPages(library).add_to(site)
    return site


def run(
    library: Library,
    conversations: Conversations,
    answerer: Answerer,
    port: int,
    told: Callable[[str], object],
) -> None:
    """Serves until it is interrupted; ``told`` is called with the address. Raises OSError where the port is taken."""
    site_of(library, conversations, answerer).serve(port, told)
