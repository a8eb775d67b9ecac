"""Calls of other nodes of a cluster, on the server's own port, below ``/_lutra/``.

They have threads of their own: a gateway's thread that waits for another node holds none that the other needs for an
answer, so nodes that ask each other never wait in a circle.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from lutra.model.errors import LutraError, RequestBodyTooLarge, RequestTimeout
from lutra.server.http.body import Receive, RequestBody
from lutra.server.http.responses import Header, Response
from lutra.server.lanes.pool import WorkerPool

logger = logging.getLogger(__name__)

INTERNAL_PATH: Final = "/_lutra/"
BODY_BYTES_MAX: Final = 64 * 1024 * 1024
_BODY_TIMEOUT_S: Final = 30.0
_QUEUE_MAX: Final = 1_024


class Internal(Protocol):
    """What answers other nodes (`lutra.cluster.methods`). Thread-safe."""

    @property
    def lanes(self) -> Mapping[str, int]:
        """So many threads each."""

    def admit(self, method: str, headers: Sequence[Header]) -> str | None:
        """The lane of a call, by its head; None where it is refused."""

    def answer(self, method: str, headers: Sequence[Header], body: bytes) -> tuple[int, bytes]:
        """Makes a call: an HTTP status and what is said. Never raises."""


class InternalEndpoint:
    """Made on the event loop it runs on; `close` ends its threads."""

    def __init__(self, internal: Internal) -> None:
        self._internal = internal
        self._pools = {lane: WorkerPool(lane, threads, _QUEUE_MAX) for lane, threads in internal.lanes.items()}

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    async def __call__(self, scope: dict[str, Any], receive: Receive) -> Response:
        """Raises ClientDisconnect."""
        method = scope["path"][len(INTERNAL_PATH) :]
        headers: Sequence[Header] = scope["headers"]
        lane = self._internal.admit(method, headers) if scope["method"] == "POST" else None
        if lane is None:
            # The time: who has the secret sees whether it is its clock that is wrong, or this one's.
            return _response(403, b"%d" % time.time(), closes=True)
        try:
            body = await RequestBody(receive, _BODY_TIMEOUT_S, BODY_BYTES_MAX).read()
        except (RequestBodyTooLarge, RequestTimeout):
            return _response(413, b"", closes=True)
        call: Callable[[], tuple[int, bytes]] = lambda: self._internal.answer(method, headers, body)  # noqa: E731
        try:
            status, answer = await self._pools[lane].submit(call)
        except LutraError:  # too many wait
            return _response(503, b"")
        except Exception:
            logger.exception("a call of another node failed: %s", method)
            return _response(500, b"")
        return _response(status, answer)


def _response(status: int, body: bytes, *, closes: bool = False) -> Response:
    headers: list[Header] = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % len(body)),
        *([(b"connection", b"close")] if closes else []),
    ]
    return Response(status, headers, body)
