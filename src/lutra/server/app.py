"""The ASGI application: HTTP on one side, the engine's threads on the other.

The event loop reads heads and bodies, checks who asks, and sends answers. All else of a request runs on one thread of
its operation's lane, in one hop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any

from lutra.instance.engine import Engine
from lutra.model.clock import Clock
from lutra.model.errors import LutraError, MethodNotAllowed, ParameterInvalid, ServerBusy
from lutra.server.body import ClientDisconnect, Receive, RequestBody, declared_bytes
from lutra.server.credentials import Credentials
from lutra.server.gate import Gate
from lutra.server.metrics import Metrics
from lutra.server.operations import OPERATIONS, Lane, find_operation
from lutra.server.options import ServerOptions
from lutra.server.pool import WorkerPool
from lutra.server.responses import Header, RequestIds, Responder, Response
from lutra.server.service import Service

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

OTHER_OPERATIONS = "other"
PROBE_TIMEOUT_S = 5.0
_CLOSE: Header = (b"connection", b"close")


class Application:
    """One server's requests. Made on the event loop it runs on; `close` ends its threads."""

    def __init__(self, engine: Engine, credentials: Credentials, clock: Clock, options: ServerOptions) -> None:
        self._engine = engine
        self._options = options
        self._gate = Gate(credentials, clock)
        self._metrics = Metrics(engine, clock)
        self._service = Service(engine, Responder(clock, credentials.access_key_id), self._metrics)
        self._request_ids = RequestIds()
        threads = {
            Lane.POINT: options.point_threads,
            Lane.WRITE: options.write_threads,
            Lane.SCAN: options.scan_threads,
        }
        self._pools = {lane: WorkerPool(lane.value, count, options.queue_max) for lane, count in threads.items()}
        for lane, pool in self._pools.items():
            self._metrics.watch_lane(lane, pool)
        self._in_flight = 0
        self._metrics.watch_in_flight(lambda: self._in_flight)
        self._body_bytes = 0

    def close(self) -> None:
        """Ends the threads, each after the call it makes. No request may be under way."""
        for pool in self._pools.values():
            pool.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"not served: {scope['type']}")
        if scope["method"] in ("GET", "HEAD") and scope["path"] in ("/healthz", "/metrics"):
            await _send(send, await self._probe(scope["path"]))
            return
        self._in_flight += 1
        try:
            await self._serve(scope, receive, send)
        except ClientDisconnect:
            pass
        finally:
            self._in_flight -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = perf_counter()
        request_id = self._request_ids.next()
        # Where the endpoint ends in a slash, Python and Go ask for `//Operation`, and sign `/Operation`.
        name: str = scope["path"].lstrip("/")
        body = RequestBody(receive, self._options.body_timeout_s)
        signing_key = None
        size = 0
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed("Only POST method for requests is supported.")
            operation = find_operation(name)
            if scope["query_string"]:
                raise ParameterInvalid("A query string is not supported.")
            headers = scope["headers"]
            admission = self._gate.admit(name.encode(), headers)
            signing_key = admission.signing_key
            size = declared_bytes(headers)
            if self._body_bytes + size > self._options.bodies_bytes_max:
                size = 0
                raise ServerBusy("Server is busy.")
            self._body_bytes += size
            try:
                data = await body.read()
                perform = partial(self._service.perform, operation, admission, data, request_id)
                response = await self._pools[operation.lane].submit(perform)
            finally:
                self._body_bytes -= size
        except LutraError as error:
            has_ended = await body.discard()
            response = self._service.refuse(error, name, request_id, signing_key)
            if not has_ended:
                response.headers.append(_CLOSE)
        except ClientDisconnect:
            raise
        except Exception as error:
            response = self._service.fail(error, name, request_id, signing_key)
            response.headers.append(_CLOSE)
        await _send(send, response)
        known = name if name in OPERATIONS else OTHER_OPERATIONS
        seconds = perf_counter() - started_s
        self._metrics.of(known).count(response.status, response.code, seconds, size, len(response.body))

    async def _probe(self, path: str) -> Response:
        """Health and metrics. They run apart from the lanes: full lanes are load, not illness."""
        work = self._metrics.exposition if path == "/metrics" else self._check_engine
        try:
            body = await asyncio.wait_for(asyncio.to_thread(work), PROBE_TIMEOUT_S)
            status = 200
        except Exception:
            logger.exception("%s failed", path)
            body, status = b"unavailable\n", 503
        content_type = self._metrics.content_type if path == "/metrics" else b"text/plain; charset=utf-8"
        return Response(status, [(b"content-type", content_type), (b"content-length", b"%d" % len(body))], body)

    def _check_engine(self) -> bytes:
        for name in self._engine.instance_names():
            self._engine.instance(name).tables.names()
        return b"ok\n"


async def _send(send: Send, response: Response) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "http.response.body", "body": response.body})
