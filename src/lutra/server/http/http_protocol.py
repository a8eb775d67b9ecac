"""HTTP/1.1 with bounds: uvicorn's protocol, and limits on what a client may hold without sending a request.

uvicorn bounds a connection that is idle between requests. What it leaves open is closed here: too many connections, a
head that does not end, in bytes or in time, and a client that does not take its response.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lutra.server.http.options import ServerOptions

logger = logging.getLogger(__name__)

WARNING_INTERVAL_S: Final = 10.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. Bounds on the body are the application's: it can answer."""

    _warned_s: ClassVar[float] = -math.inf

    def __init__(self, *, options: ServerOptions, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._options = options
        self._head_bytes = 0
        self._is_in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._options.connections_max:
            self._warn_of_refusal()
            transport.abort()
            return
        self._head_timer = self.loop.call_later(self._options.head_timeout_s, self._give_up, "no request came in time")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in_head:
            return
        # The head, or the first piece of the next one, has not ended within these bytes.
        self._head_bytes += len(data)
        if self._head_bytes > self._options.head_bytes_max:
            self._give_up("the request head is too large")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(
                self._options.head_timeout_s, self._give_up, "the request head did not end in time"
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(
                self._options.write_timeout_s, self._give_up, "the response was not taken in time"
            )

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._write_timer = None
        super().connection_lost(exc)

    def _warn_of_refusal(self) -> None:
        """Says so once in a while: who opens too many connections must not fill the log as well."""
        now_s = self.loop.time()
        if now_s - BoundedHttpProtocol._warned_s >= WARNING_INTERVAL_S:
            BoundedHttpProtocol._warned_s = now_s
            logger.warning("connections are being refused: %d are open", self._options.connections_max)

    def _give_up(self, reason: str) -> None:
        if not self.transport.is_closing():
            logger.info("closed a connection: %s", reason)
            self.transport.abort()
