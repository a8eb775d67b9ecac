"""A request to the console, as handlers get it, and the answers they give."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lutra.console.assets import Assets
from lutra.console.attempts import Attempts
from lutra.console.context import ConsoleContext
from lutra.console.languages import translate
from lutra.console.navigation import MAIN
from lutra.console.options import ConsoleOptions
from lutra.console.preferred import Preferring
from lutra.console.services import ConsoleServices
from lutra.console.sessions import Session, Sessions
from lutra.console.tabs import TABS
from lutra.instance.database import layout_of
from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.instance.jsonable import to_jsonable
from lutra.instance.layout import INDEX_NAME, Layout
from lutra.instance.table import Table
from lutra.model.errors import ObjectNotExist, RequestBodyTooLarge, RequestTimeout
from lutra.server.auth.credentials import Credentials
from lutra.server.observe.metrics import Metrics

NOTICE_COOKIE = "lutra_notice"
_SEE_OTHER = 303
_NOTICE_CHARS_MAX = 500


class ConsoleRequest(Preferring):
    """One request. What it is about is looked up where it is asked for, and raises ObjectNotExist where it is gone."""

    def __init__(self, request: Request, context: ConsoleContext, session: Session | None, bound_to: str) -> None:
        self.request = request
        self.session = session
        self.form: FormData = FormData()
        """Of a POST; empty for others."""
        self._context = context
        self.bound_to = bound_to
        """What the tokens of its forms are bound to."""

    # --- what it is about ---------------------------------------------------------------------------------------

    @property
    def path(self) -> Mapping[str, str]:
        """The named parts of the path."""
        return self.request.path_params

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    @property
    def services(self) -> ConsoleServices:
        return self._context.services

    @property
    def engine(self) -> Engine:
        return self.services.engine

    @property
    def metrics(self) -> Metrics:
        return self.services.metrics

    @property
    def assets(self) -> Assets:
        return self._context.look.assets

    @property
    def credentials(self) -> Credentials:
        """The server's access key. Never for a page or a log."""
        return self._context.credentials

    @property
    def sessions(self) -> Sessions:
        return self._context.sessions

    @property
    def attempts(self) -> Attempts:
        return self._context.attempts

    @property
    def limits(self) -> ConsoleOptions:
        return self.services.options

    @cached_property
    def instance(self) -> Instance:
        """The instance of the path. Raises ObjectNotExist."""
        return self.engine.instance(self.path["instance"])

    @cached_property
    def layout(self) -> Layout:
        """How the rows of the path's table look, by the search index that ``index=`` names, else by the one that Python
        made, else by the first. Raises ObjectNotExist."""
        name = self.path["table"]
        if name not in self.instance.tables.names():
            raise ObjectNotExist(self.text("There is no table {table}.", table=name))
        index = self.query.get("index") or None
        indexes = sorted(found for _, found in self.instance.list_search_indexes(name))
        if index is None and INDEX_NAME not in indexes and len(indexes) > 1:
            index = indexes[0]
        return layout_of(self.instance, name, index)

    @cached_property
    def table(self) -> Table:
        """The table of the path, with that layout. Raises ObjectNotExist."""
        engine, instance = self.engine, self.instance.name
        return Table(lambda: engine.instance(instance), self.layout)

    # --- who asks -----------------------------------------------------------------------------------------------

    @property
    def client_address(self) -> str:
        return self.request.client.host if self.request.client is not None else ""

    def text(self, message: str, **values: object) -> str:
        """A text in the language of who asks."""
        return translate(self.language, message, **values)

    # --- bodies -------------------------------------------------------------------------------------------------

    async def stream(self, bytes_max: int | None = None) -> AsyncGenerator[bytes, None]:
        """The pieces of the body. Raises RequestBodyTooLarge beyond ``bytes_max``, or what an upload may have, and
        RequestTimeout."""
        most = self.limits.upload_bytes_max if bytes_max is None else bytes_max
        taken = 0
        pieces = aiter(self.request.stream())
        while True:
            try:
                # Not wait_for: until Python 3.12 it forgets a cancellation that comes with the piece, and with it the
                # end that is set to all of the body.
                async with asyncio.timeout(self.limits.body_timeout_s):
                    piece = await anext(pieces, b"")
            except TimeoutError:
                raise RequestTimeout("Request timeout.") from None
            if not piece:
                return
            taken += len(piece)
            if taken > most:
                raise too_large(most)
            yield piece

    # --- answers ------------------------------------------------------------------------------------------------

    def url(self, name: str, /, **parts: object) -> str:
        """The address of a route, by its name. ``index`` of the request goes along where a table's page is meant."""
        return self._context.url(name, **parts)

    def table_context(self, tab: str) -> dict[str, Any]:
        """What ``table.html`` needs of a page of one table; ``tab``: the key of its tab."""
        return {"instance": self.path["instance"], "table": self.path["table"], "tab": tab}

    def rendered(self, template: str, **context: Any) -> str:
        """A page's text, or that of a part of one."""
        return self._context.look.render(template, {**self._page_context(), **context})

    def render(self, template: str, status: int = 200, **context: Any) -> Response:
        """A page."""
        page = self.rendered(template, **context)
        response = Response(page, status, {"cache-control": "no-store"}, "text/html; charset=utf-8")
        if NOTICE_COOKIE in self.request.cookies:
            self.delete_cookie(response, NOTICE_COOKIE)
        return response

    def redirect(self, url: str, notice: str | None = None) -> Response:
        """Leads to another page, which shows ``notice`` once."""
        response = RedirectResponse(url, _SEE_OTHER)
        if notice is not None:
            self.set_cookie(response, NOTICE_COOKIE, quote(notice[:_NOTICE_CHARS_MAX]), max_age_s=60)
        return response

    def json(self, value: Any, status: int = 200) -> Response:
        """An answer to a script; vectors, dates and bytes become JSON as `lutra.to_jsonable` makes them."""
        body = json.dumps(value, ensure_ascii=False, default=to_jsonable, allow_nan=False)
        return Response(body, status, {"cache-control": "no-store"}, "application/json")

    def set_cookie(self, response: Response, name: str, value: str, max_age_s: int | None = None) -> None:
        """One that scripts cannot read and other sites do not send."""
        response.set_cookie(
            name,
            value,
            max_age=max_age_s,
            path=self._context.look.prefix or "/",
            secure=self.request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def delete_cookie(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path=self._context.look.prefix or "/", httponly=True, samesite="strict")

    def _page_context(self) -> dict[str, Any]:
        return {
            "asked": self,
            "language": self.language,
            "theme": self.theme,
            "csrf_token": self._context.forgery.token(self.bound_to),
            "signed_in": self.session is not None,
            "url": self.url,
            "navigation": [(message, self.url(name)) for message, name in MAIN],
            "tabs": TABS,
            "notice": self.notice,
            "error": None,
            "here": self.request.url.path,
            "here_with_query": self.here,
        }

    @property
    def here(self) -> str:
        """The address of the page, with its query."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    @cached_property
    def notice(self) -> str | None:
        """What the page before wants said here."""
        text = self.request.cookies.get(NOTICE_COOKIE)
        return unquote(text)[:_NOTICE_CHARS_MAX] if text else None


def own_path(to: object) -> str | None:
    """``to`` where it is a path on this server, and not another site in disguise; else None."""
    if not isinstance(to, str) or not to.startswith("/") or to.startswith("//") or "\\" in to:
        return None
    return to if all(" " < one < "\x7f" for one in to) else None


def too_large(bytes_max: int) -> RequestBodyTooLarge:
    return RequestBodyTooLarge(f"At most {bytes_max:,} bytes can be sent at once.")
