"""Reading a request's body from ASGI, in bounds of size and time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid, RequestBodyTooLarge, RequestTimeout
from lutra.server.auth.gate import TOO_LARGE

Receive = Callable[[], Awaitable[dict[str, Any]]]

DISCARD_BYTES_MAX: Final = 64 * 1024 * 1024
_DIGITS: Final = re.compile(rb"\d{1,18}")


class ClientDisconnect(Exception):
    """The client went away before its request was complete."""


def declared_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The Content-Length, or the most there may be where a request does not say.

    Raises ParameterInvalid, RequestBodyTooLarge.
    """
    for name, value in headers:
        if name == b"content-length":
            if _DIGITS.fullmatch(value) is None:
                raise ParameterInvalid("Invalid header: 'content-length'.")
            size = int(value)
            if size > limits.BODY_BYTES_MAX:
                raise RequestBodyTooLarge(TOO_LARGE)
            return size
        if name == b"transfer-encoding":
            return limits.BODY_BYTES_MAX
    return 0


class RequestBody:
    """The body of one request: read whole, or thrown away."""

    def __init__(self, receive: Receive, timeout_s: float, bytes_max: int = limits.BODY_BYTES_MAX) -> None:
        """``bytes_max``: of all of it."""
        self._receive = receive
        self._timeout_s = timeout_s
        self._bytes_max = bytes_max
        self._has_more = True

    async def read(self) -> bytes:
        """All of it. Raises RequestBodyTooLarge, RequestTimeout, ClientDisconnect."""
        try:
            async with asyncio.timeout(self._timeout_s):
                piece, has_more = await self._next()
                if not has_more:
                    return piece
                pieces, size = [piece], len(piece)
                while has_more:
                    piece, has_more = await self._next()
                    pieces.append(piece)
                    size += len(piece)
                    if size > self._bytes_max:
                        raise RequestBodyTooLarge(TOO_LARGE)
        except TimeoutError:
            raise RequestTimeout("Request timeout.") from None
        return b"".join(pieces)

    async def discard(self) -> bool:
        """Takes what is left without keeping it, in bounds, and says whether the body has ended.

        Clients send a whole request before they read an answer: one that came earlier, and a closed connection, would
        show them a broken pipe in place of the error.
        """
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                while self._has_more and size <= DISCARD_BYTES_MAX:
                    piece, _ = await self._next()
                    size += len(piece)
        return not self._has_more

    async def _next(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._has_more = message.get("more_body", False)
        return message.get("body", b""), self._has_more
