"""Language and colours, kept in cookies."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from lutra.console.languages import LANGUAGES
from lutra.console.look import THEMES
from lutra.console.preferred import LANGUAGE_COOKIE, THEME_COOKIE
from lutra.console.request import ConsoleRequest, own_path
from lutra.console.routing import action

_KEPT_S: Final = 365 * 24 * 3_600


def change(asked: ConsoleRequest) -> Response:
    """Keeps what was chosen, and leads back to where it was."""
    response = asked.redirect(own_path(asked.form.get("to")) or asked.url("instances"))
    for cookie, known in ((LANGUAGE_COOKIE, LANGUAGES), (THEME_COOKIE, THEMES)):
        chosen = asked.form.get(cookie)
        if isinstance(chosen, str) and chosen in known:
            asked.set_cookie(response, cookie, chosen, _KEPT_S)
    return response


ROUTES: Final = (action("/preferences", change, name="preferences", is_open=True),)
