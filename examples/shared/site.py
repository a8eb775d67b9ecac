"""A small application with pages in the console's style, served on this machine only.

It has what the console's pages expect: languages, colours, tokens against forged forms, the content policy. Nobody
signs in: whoever can reach this machine's own addresses may use it, and no other site can in their name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from jinja2 import PackageLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lutra.console.assets import Assets
from lutra.console.body import UnreadBody
from lutra.console.forgery import FIELD, HEADER, VISIT_COOKIE, Forgery
from lutra.console.languages import LANGUAGES, translate
from lutra.console.look import THEMES, Look
from lutra.console.policy import HEADERS
from lutra.console.preferred import LANGUAGE_COOKIE, THEME_COOKIE, Preferring
from lutra.console.request import own_path, too_large
from lutra.model.errors import AuthFailed, LutraError, ParameterInvalid, RequestTimeout
from lutra.server.protocol.errors import status_of, told

Handler = Callable[["Asked"], Response]

HOST: Final = "127.0.0.1"
_HOSTS: Final = ("127.0.0.1", "localhost")
_SEE_OTHER: Final = 303
_BODY_TIMEOUT_S: Final = 30.0
_KEPT_S: Final = 365 * 24 * 3_600
_FIELDS_MAX: Final = 100
_FORGED: Final = "This form is not one of this page, or is too old. Load the page again, and send it once more."

logger = logging.getLogger(__name__)


class Site:
    """Pages of one example. ``package`` has ``templates`` and ``static``; ``chinese`` its texts, by the English ones.

    Handlers are plain functions, each run on a thread. Templates extend the console's ``base.html``; ``own("x.css")``
    is the address of a file of ``package``.
    """

    def __init__(self, package: str, *, chinese: Mapping[str, str], form_bytes_max: int) -> None:
        self.form_bytes_max = form_bytes_max
        self.forgery = Forgery()
        self._chinese = chinese
        self._own = Assets(package)
        self.look = Look(
            "",
            loader=PackageLoader(package, "templates"),
            translated=self.text,
            own=lambda name: f"/own/{self._own.version}/{name}",
        )
        self._routes = [
            Route("/static/{version}/{name:path}", self._asset(self.look.assets), methods=["GET"]),
            Route("/own/{version}/{name:path}", self._asset(self._own), methods=["GET"]),
            Route("/preferences", self._endpoint(_keep_preferences), methods=["POST"]),
        ]

    def text(self, language: str, message: str, **values: object) -> str:
        """A text of the example, else of the console, in a language."""
        if language == "zh" and message in self._chinese:
            return self._chinese[message].format_map(values) if values else self._chinese[message]
        return translate(language, message, **values)

    def page(self, path: str, handler: Handler) -> None:
        """For GET."""
        self._routes.append(Route(path, self._endpoint(handler), methods=["GET"]))

    def action(self, path: str, handler: Handler) -> None:
        """For POST: the form is read, within ``form_bytes_max``, and its token checked before the handler is called."""
        self._routes.append(Route(path, self._endpoint(handler), methods=["POST"]))

    def application(self) -> Starlette:
        """The ASGI application."""
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[*_HOSTS])  # no name of another site's leads here
        application = Starlette(routes=self._routes, middleware=[hosts], exception_handlers={404: self._missing})
        application.router.redirect_slashes = False
        return application

    def serve(self, port: int, told: Callable[[str], object]) -> None:
        """Serves until it is interrupted; ``told`` is called with the address. Port 0 takes a free one.

        Raises OSError where the port is taken.
        """
        listening = socket.create_server((HOST, port))
        config = uvicorn.Config(
            self.application(), log_level="warning", server_header=False, timeout_graceful_shutdown=5
        )
        with listening, contextlib.suppress(KeyboardInterrupt):  # which is how it ends
            told(f"http://{HOST}:{listening.getsockname()[1]}/")
            uvicorn.Server(config).run(sockets=[listening])

    def _asset(self, assets: Assets) -> Callable[[Request], Awaitable[Response]]:
        def found(asked: Asked) -> Response:
            response = assets.response(asked.request.path_params["version"], asked.request.path_params["name"])
            if response is None:
                raise HTTPException(404)
            return response

        return self._endpoint(found)

    def _endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = UnreadBody(request, _BODY_TIMEOUT_S)
            asked = Asked(self, request)
            try:
                if request.method == "POST":
                    asked.form = await _form(request, self.form_bytes_max)
                    self._check_genuine(asked)
                response = await run_in_threadpool(handler, asked)
            except (LutraError, HTTPException) as error:
                response = asked.refused(error)
            except ClientDisconnect:
                response = Response(status_code=400)
            finally:
                await asked.form.close()
            if request.method == "POST" and not await body.discard():
                response.headers["connection"] = "close"
            return asked.finished(response)

        return endpoint

    def _check_genuine(self, asked: Asked) -> None:
        """That a page of this site sent it. Raises AuthFailed."""
        headers = asked.request.headers
        origin = headers.get("origin")
        token = asked.form.get(FIELD) or headers.get(HEADER)
        is_foreign = origin is not None and urlsplit(origin).netloc != headers.get("host", "")
        if is_foreign or not self.forgery.is_genuine(token if isinstance(token, str) else None, asked.visit):
            raise AuthFailed(asked.text(_FORGED))

    async def _missing(self, request: Request, error: Exception) -> Response:
        asked = Asked(self, request)
        return asked.finished(asked.refused(HTTPException(404)))


class Asked(Preferring):
    """A request, and the answers it can get."""

    def __init__(self, site: Site, request: Request) -> None:
        self.request = request
        self.form = FormData()
        """Of a POST; empty for others."""
        self._site = site
        known = request.cookies.get(VISIT_COOKIE)
        self._is_new = not known
        self.visit = known or site.forgery.new_visit()

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    def text(self, message: str, **values: object) -> str:
        """A text in the language of who asks."""
        return self._site.text(self.language, message, **values)

    def render(self, template: str, status: int = 200, **context: Any) -> Response:
        """A page."""
        page = self.fragment(template, **context)
        return Response(page, status, {"cache-control": "no-store"}, "text/html; charset=utf-8")

    def fragment(self, template: str, **context: Any) -> str:
        """Part of a page, for its script; or all of it."""
        url = self.request.url
        about = {
            "language": self.language,
            "theme": self.theme,
            "csrf_token": self._site.forgery.token(self.visit),
            "signed_in": False,
            "notice": None,
            "here": url.path,
            "here_with_query": f"{url.path}?{url.query}" if url.query else url.path,
        }
        return self._site.look.render(template, {**about, **context})

    def json(self, value: Any, status: int = 200) -> Response:
        return JSONResponse(value, status, {"cache-control": "no-store"})

    def redirect(self, path: str) -> Response:
        return RedirectResponse(path, _SEE_OTHER)

    def refused(self, error: LutraError | HTTPException) -> Response:
        """What tells of an error."""
        if isinstance(error, HTTPException):
            code, message, status = "", self.text("There is no such page."), error.status_code
        else:
            code, message = told(error)
            status = status_of(code)
            if status >= 500:
                logger.error("%s failed", self.request.url.path, exc_info=error)
        if self.wants_json:
            return self.json({"code": code, "message": message}, status)
        return self.render("error.html", status, code=code, message=message, request_id="", status_code=status)

    def finished(self, response: Response) -> Response:
        """With what every answer has."""
        if self._is_new:
            self.set_cookie(response, VISIT_COOKIE, self.visit)
        for header, value in HEADERS.items():
            response.headers.setdefault(header, value)
        return response

    def set_cookie(self, response: Response, name: str, value: str, max_age_s: int | None = None) -> None:
        """One that scripts cannot read and other sites do not send."""
        response.set_cookie(name, value, max_age=max_age_s, httponly=True, samesite="strict")


def _keep_preferences(asked: Asked) -> Response:
    response = asked.redirect(own_path(asked.form.get("to")) or "/")
    for cookie, known in ((LANGUAGE_COOKIE, LANGUAGES), (THEME_COOKIE, THEMES)):
        chosen = asked.form.get(cookie)
        if isinstance(chosen, str) and chosen in known:
            asked.set_cookie(response, cookie, chosen, _KEPT_S)
    return response


async def _form(request: Request, bytes_max: int) -> FormData:
    """The form of a POST. Raises ParameterInvalid, RequestBodyTooLarge, RequestTimeout."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise too_large(bytes_max)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    pieces = _bounded(request, bytes_max)
    parser: MultiPartParser | FormParser
    if kind == "multipart/form-data":
        parser = MultiPartParser(
            request.headers, pieces, max_files=_FIELDS_MAX, max_fields=_FIELDS_MAX, max_part_size=bytes_max
        )
    else:
        parser = FormParser(request.headers, pieces)
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            return await parser.parse()
    except TimeoutError:
        raise RequestTimeout("Request timeout.") from None
    except (MultiPartException, UnicodeDecodeError) as error:
        raise ParameterInvalid(f"The form cannot be read: {error}.") from None


async def _bounded(request: Request, bytes_max: int) -> AsyncGenerator[bytes, None]:
    taken = 0
    async for piece in request.stream():
        taken += len(piece)
        if taken > bytes_max:
            raise too_large(bytes_max)
        yield piece
