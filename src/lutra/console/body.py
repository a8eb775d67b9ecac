"""What is left of a request's body when its answer is ready."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.types import Message

_DISCARD_BYTES_MAX: Final = 64 * 1024 * 1024


class UnreadBody:
    """Knows how much of a request's body has come, from before anybody reads it.

    Browsers send a whole request before they read an answer: one that came earlier, and a closed connection, would show
    them a broken one in place of the error.
    """

    def __init__(self, request: Request, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._has_ended = False
        self._receive = request.receive
        announced = request.headers.get("content-length", "0")
        self._is_discarded = not announced.isdecimal() or int(announced) <= _DISCARD_BYTES_MAX
        request._receive = self._noted

    async def discard(self) -> bool:
        """Takes what is left without keeping it, in bounds, and says whether the body has ended."""
        taken = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while self._is_discarded and not self._has_ended and taken <= _DISCARD_BYTES_MAX:
                    message = await self._noted()
                    taken += len(message.get("body", b""))
        except TimeoutError:
            pass
        return self._has_ended

    async def _noted(self) -> Message:
        message = await self._receive()
        self._has_ended = self._has_ended or not message.get("more_body", False)
        return message
