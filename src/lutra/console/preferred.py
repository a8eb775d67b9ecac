"""How somebody wants pages: in which language and colours, as cookies say it; and whether pages are wanted at all."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from starlette.requests import Request

from lutra.console.languages import LANGUAGES, preferred
from lutra.console.look import THEMES

LANGUAGE_COOKIE: Final = "lutra_language"
THEME_COOKIE: Final = "lutra_theme"


class Preferring:
    """Part of a request to pages in the console's style."""

    request: Request

    @property
    def wants_json(self) -> bool:
        """Whether a script asks, not a person."""
        return "application/json" in self.request.headers.get("accept", "")

    @cached_property
    def language(self) -> str:
        chosen = self.request.cookies.get(LANGUAGE_COOKIE)
        return chosen if chosen in LANGUAGES else preferred(self.request.headers.get("accept-language"))

    @property
    def theme(self) -> str:
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else THEMES[0]
