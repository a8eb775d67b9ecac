"""Signing in with the server's access key, and out."""

from __future__ import annotations

import hmac
import math
from typing import Final

from starlette.responses import Response

from lutra.console.request import ConsoleRequest, own_path
from lutra.console.routing import action, page
from lutra.console.sessions import COOKIE

_TOO_MANY: Final = 429


def show(asked: ConsoleRequest) -> Response:
    """The form; who has signed in already goes on."""
    to = own_path(asked.query.get("to"))
    if asked.session is not None:
        return asked.redirect(to or asked.url("instances"))
    return asked.render("sign_in.html", to=to or "", access_key_id="", error=None)


def sign_in(asked: ConsoleRequest) -> Response:
    """Looks at the key, in the same time whatever of it is wrong; after some wrong ones it is not looked at for a
    while."""
    to, given_id, given_secret = (str(asked.form.get(name, "")) for name in ("to", "access_key_id", "secret"))
    attempts, address = asked.attempts, asked.client_address
    pause_s = attempts.pause_s(address)
    if pause_s > 0:
        wait_s = math.ceil(pause_s)
        error = asked.text("Too many wrong keys. Try again in {seconds} s.", seconds=wait_s)
        response = asked.render("sign_in.html", _TOO_MANY, to=to, access_key_id=given_id, error=error)
        response.headers["retry-after"] = str(wait_s)
        return response
    key = asked.credentials
    is_id = hmac.compare_digest(given_id.encode("utf-8", "replace"), key.access_key_id.encode())
    is_secret = hmac.compare_digest(given_secret.encode("utf-8", "replace"), key.access_key_secret.encode())
    if not (is_id and is_secret):
        attempts.wrong(address)
        error = asked.text("This is not the server's access key.")
        return asked.render("sign_in.html", 403, to=to, access_key_id=given_id, error=error)
    attempts.right(address)
    _, cookie = asked.sessions.begin(key.access_key_id)
    response = asked.redirect(own_path(to) or asked.url("instances"))
    asked.set_cookie(response, COOKIE, cookie, asked.limits.session_s)
    return response


def sign_out(asked: ConsoleRequest) -> Response:
    """Ends the sign-in here and wherever its cookie was copied to."""
    if asked.session is not None:
        asked.sessions.end(asked.session)
    response = asked.redirect(asked.url("sign_in"))
    asked.delete_cookie(response, COOKIE)
    return response


ROUTES: Final = (
    page("/sign-in", show, name="sign_in", is_open=True),
    action("/sign-in", sign_in, name="sign_in_sent", is_open=True),
    action("/sign-out", sign_out, name="sign_out"),
)
