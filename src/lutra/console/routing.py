"""Routes, and what every request passes before its handler: sign-in, forged forms, limits; and what errors become."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from lutra.console.body import UnreadBody
from lutra.console.context import ConsoleContext
from lutra.console.forgery import FIELD, HEADER, VISIT_COOKIE
from lutra.console.policy import HEADERS
from lutra.console.request import ConsoleRequest, too_large
from lutra.console.sessions import COOKIE
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import AuthFailed, IndexDamaged, LutraError, ParameterInvalid, RequestTimeout, StorageFailure
from lutra.server.http.responses import RequestIds
from lutra.server.protocol.errors import INTERNAL_CODE, status_of, told

Handler = Callable[[ConsoleRequest], Response]
StreamHandler = Callable[[ConsoleRequest], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]
ConsoleRoute = Callable[["Passage"], Route]
"""A route of a console that is still to be made."""

logger = logging.getLogger(__name__)
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_FORGED: Final = "This form is not one of this page, or is too old. Load the page again, and send it once more."


def page(path: str, handler: Handler, *, name: str, is_open: bool = False) -> ConsoleRoute:
    """A page, for GET. ``is_open``: also for who has not signed in."""
    return lambda passage: Route(path, passage.shown(handler, is_open=is_open), methods=["GET"], name=name)


def action(path: str, handler: Handler, *, name: str, is_open: bool = False) -> ConsoleRoute:
    """What changes something, or asks by a form, for POST: its form is read and its token checked before."""
    return lambda passage: Route(path, passage.done(handler, is_open=is_open), methods=["POST"], name=name)


def upload(path: str, handler: StreamHandler, *, name: str) -> ConsoleRoute:
    """A POST whose body the handler streams; its token comes in a header."""
    return lambda passage: Route(path, passage.taken(handler), methods=["POST"], name=name)


class Passage:
    """What stands before all handlers of one console."""

    def __init__(self, context: ConsoleContext) -> None:
        self._context = context
        self._request_ids = RequestIds()

    def shown(self, handler: Handler, *, is_open: bool) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, is_open, lambda asked: self._on_thread(handler, asked))

        return endpoint

    def done(self, handler: Handler, *, is_open: bool) -> Endpoint:
        async def work(asked: ConsoleRequest) -> Response:
            asked.form = await self._form(asked, is_open=is_open)
            try:
                self._check_genuine(asked, asked.form.get(FIELD))
                return await self._on_thread(handler, asked)
            finally:
                await asked.form.close()

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, is_open, work)

        return endpoint

    def taken(self, handler: StreamHandler) -> Endpoint:
        async def work(asked: ConsoleRequest) -> Response:
            self._check_genuine(asked, None)
            _check_announced(asked.request, asked.limits.upload_bytes_max)
            return await handler(asked)

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, False, work)

        return endpoint

    async def _answer(
        self, request: Request, is_open: bool, work: Callable[[ConsoleRequest], Awaitable[Response]]
    ) -> Response:
        context = self._context
        body = UnreadBody(request, context.services.options.body_timeout_s)
        session = context.sessions.find(request.cookies.get(COOKIE))
        visit = request.cookies.get(VISIT_COOKIE)
        new_visit = context.forgery.new_visit() if session is None and not visit else None
        asked = ConsoleRequest(request, context, session, session.id if session else visit or new_visit or "")
        if session is None and not is_open:
            response = self._to_sign_in(asked)
        else:
            try:
                response = await work(asked)
            except (LutraError, HTTPException) as error:
                response = self.refused(asked, error)
            except ClientDisconnect:
                response = Response(status_code=400)
            except Exception as error:
                response = self.failed(asked, error)
        if request.method == "POST" and not await body.discard():
            response.headers["connection"] = "close"
        if new_visit is not None:
            asked.set_cookie(response, VISIT_COOKIE, new_visit)
        for header, value in HEADERS.items():
            response.headers.setdefault(header, value)
        return response

    async def _on_thread(self, handler: Handler, asked: ConsoleRequest) -> Response:
        deadline = Deadline(asked.limits.request_timeout_s)

        def call() -> Response:
            with working_for(deadline):
                return handler(asked)

        return await self._context.pool.submit(call, deadline)

    async def _form(self, asked: ConsoleRequest, *, is_open: bool) -> FormData:
        """The form of a POST, of bounded size. Raises ParameterInvalid, RequestBodyTooLarge."""
        request, limits = asked.request, asked.limits
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        bytes_max, fields_max = limits.form_bytes_max, limits.form_fields_max
        if is_open:
            bytes_max, fields_max = limits.open_form_bytes_max, limits.open_form_fields_max
        _check_announced(request, bytes_max)
        pieces = asked.stream(bytes_max)
        parser: MultiPartParser | FormParser
        if kind == _MULTIPART:
            parser = MultiPartParser(
                request.headers, pieces, max_files=fields_max, max_fields=fields_max, max_part_size=bytes_max
            )
        elif kind == _FORM:
            parser = FormParser(request.headers, pieces, max_fields=fields_max, max_part_size=bytes_max)
        else:
            raise ParameterInvalid(f"A form is sent as {_FORM} or {_MULTIPART}.")
        try:
            # All of it within the time of one piece: what drips would hold a connection for days.
            async with asyncio.timeout(limits.body_timeout_s):
                return await parser.parse()
        except TimeoutError:
            raise RequestTimeout("Request timeout.") from None
        except (MultiPartException, UnicodeDecodeError) as error:
            raise ParameterInvalid(f"The form cannot be read: {error}.") from None

    def _check_genuine(self, asked: ConsoleRequest, token: object) -> None:
        """That a page of this console sent it: by its token, and by what browsers say of where it comes from.

        Raises AuthFailed.
        """
        headers = asked.request.headers
        origin, host = headers.get("origin"), headers.get("host", "")
        is_foreign = origin is not None and urlsplit(origin).netloc != host
        sent = token if isinstance(token, str) else headers.get(HEADER)
        if is_foreign or not self._context.forgery.is_genuine(sent, asked.bound_to):
            raise AuthFailed(asked.text(_FORGED))

    def _to_sign_in(self, asked: ConsoleRequest) -> Response:
        if asked.wants_json or asked.request.method != "GET":
            return self.refused(asked, AuthFailed(asked.text("Sign in first: this page needs an access key.")), 401)
        return asked.redirect(asked.url("sign_in") + "?" + urlencode({"to": asked.here}))

    def refused(self, asked: ConsoleRequest, error: LutraError | HTTPException, status: int | None = None) -> Response:
        """The answer that tells of an error."""
        if isinstance(error, HTTPException):
            code, message, status = "", asked.text("There is no such page."), error.status_code
        else:
            code, message = told(error)
            status = status_of(code) if status is None else status
            if isinstance(error, IndexDamaged | StorageFailure) or code == INTERNAL_CODE:
                return self.failed(asked, error)
        return self._error_page(asked, status, code, message)

    def failed(self, asked: ConsoleRequest, error: Exception) -> Response:
        """The answer where something failed inside: logged with an id, and told by its kind at most."""
        request_id = self._request_ids.next()
        code, message = told(error)
        logger.error("console request %s (%r) failed", request_id, asked.request.url.path, exc_info=error)
        return self._error_page(asked, status_of(code), code, message, request_id)

    def _error_page(
        self, asked: ConsoleRequest, status: int, code: str, message: str, request_id: str = ""
    ) -> Response:
        if asked.wants_json:
            return asked.json({"code": code, "message": message, "request_id": request_id}, status)
        return asked.render("error.html", status, code=code, message=message, request_id=request_id, status_code=status)

    async def not_found(self, request: Request) -> Response:
        """The answer where there is no such page."""
        return await self._answer(request, False, _missing)


async def _missing(asked: ConsoleRequest) -> Response:
    raise HTTPException(404)


def _check_announced(request: Request, bytes_max: int) -> None:
    """Raises RequestBodyTooLarge before a body is read that says that it is too large."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise too_large(bytes_max)
