"""Style sheets, scripts and pictures."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from lutra.console.request import ConsoleRequest
from lutra.console.routing import page


def show(asked: ConsoleRequest) -> Response:
    """One file, also for who has not signed in: the sign-in page has a style, too."""
    found = asked.assets.response(asked.path["version"], asked.path["name"])
    if found is None:
        raise HTTPException(404)
    return found


ROUTES: Final = (page("/static/{version}/{name:path}", show, name="asset", is_open=True),)
