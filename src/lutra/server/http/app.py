"""The ASGI application: HTTP on one side, the engine's threads on the other.

The event loop reads heads and bodies, checks who asks, and sends answers. All else of a request runs on one thread of
its operation's lane, in one hop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Protocol

from prometheus_client.registry import Collector

from lutra.instance.doors import EngineDoor
from lutra.model.clock import Clock
from lutra.model.deadline import Deadline
from lutra.model.errors import LutraError, MethodNotAllowed, ParameterInvalid, ServerBusy
from lutra.server.auth.credentials import Credentials
from lutra.server.auth.gate import Gate
from lutra.server.http.body import ClientDisconnect, Receive, RequestBody, declared_bytes
from lutra.server.http.internal import INTERNAL_PATH, Internal, InternalEndpoint
from lutra.server.http.options import ServerOptions
from lutra.server.http.probe import Probe
from lutra.server.http.responses import Header, RequestIds, Responder, Response
from lutra.server.http.service import Service
from lutra.server.lanes.later import Later
from lutra.server.lanes.pool import WorkerPool
from lutra.server.lanes.searches import Searches
from lutra.server.observe.metrics import Metrics
from lutra.server.protocol.operations import OPERATIONS, Lane, find_operation

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CONSOLE_PATH = "/console"
OTHER_OPERATIONS = "other"
_NEED_MEMORY = frozenset({Lane.WRITE, Lane.SEARCH})
_CLOSE: Header = (b"connection", b"close")


class Console(Protocol):
    """What is served below ``/console``: an ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def close(self) -> None:
        """Ends its threads. No request may be under way."""


MakeConsole = Callable[[Metrics], Console]
"""Makes the console of a server whose metrics these are, on its event loop."""


class Application:
    """One server's requests. Made on the event loop it runs on; `close` ends its threads."""

    def __init__(
        self,
        engine: EngineDoor,
        credentials: Credentials,
        clock: Clock,
        options: ServerOptions,
        make_console: MakeConsole | None = None,
        collectors: Iterable[Collector] = (),
        internal: Internal | None = None,
        check: Callable[[], None] | None = None,
        require_room: Callable[[], None] | None = None,
    ) -> None:
        """``collectors``: of the engine, for /metrics. ``internal``: what answers other nodes; None: nobody asks.
        ``check``: raises where the server is not fit to be asked. ``require_room``: where there is no memory for what
        takes much."""
        self.ends_connections = False
        """Whether each answer is the last of its connection: the server is about to stop."""
        self._check = check
        self._require_room = require_room
        self._engine = engine
        self._options = options
        self._gate = Gate(credentials, clock)
        self._metrics = Metrics(collectors)
        searches = Searches(options.index_threads)
        self._service = Service(engine, Responder(clock, credentials.access_key_id), self._metrics, searches)
        self._request_ids = RequestIds()
        self._pools = {lane: _pool(lane, options) for lane in Lane}
        for lane, pool in self._pools.items():
            self._metrics.watch_lane(lane, pool)
        self._health = Probe("health", self._check_engine)
        self._exposition = Probe("metrics", self._metrics.exposition)
        self._in_flight = self._parked = 0
        self._metrics.watch_in_flight(lambda: self._in_flight)
        self._metrics.watch_parked(lambda: self._parked)
        self._body_bytes = 0
        self._console = None if make_console is None else make_console(self._metrics)
        self._internal = None if internal is None else InternalEndpoint(internal)

    def close(self) -> None:
        """Ends the threads, each after the call it makes. No request may be under way."""
        if self._console is not None:
            self._console.close()
        if self._internal is not None:
            self._internal.close()
        for pool in self._pools.values():
            pool.close()
        self._health.close()
        self._exposition.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"not served: {scope['type']}")
        if scope["method"] in ("GET", "HEAD") and scope["path"] in ("/healthz", "/metrics"):
            await _send(send, await self._probe(scope["path"]))
            return
        if self._console is not None:
            if scope["path"] in ("/", CONSOLE_PATH) and scope["method"] in ("GET", "HEAD"):
                await _send(send, _to_console())
                return
            if scope["path"].startswith(CONSOLE_PATH + "/"):
                await self._console(scope, receive, send)
                return
        self._in_flight += 1
        try:
            if self._internal is not None and scope["path"].startswith(INTERNAL_PATH):
                answer = await self._internal(scope, receive)
                self._end_connection(answer)
                await _send(send, answer)
            else:
                await self._serve(scope, receive, send)
        except ClientDisconnect:
            pass
        finally:
            self._in_flight -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = Deadline(self._options.request_timeout_s)
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
            if self._require_room is not None and operation.lane in _NEED_MEMORY:
                self._require_room()
            size = declared_bytes(headers)
            if self._body_bytes + size > self._options.bodies_bytes_max:
                size = 0
                raise ServerBusy("Server is busy.")
            self._body_bytes += size
            try:
                data = await body.read()
                perform = partial(self._service.perform, operation, admission, data, request_id, deadline)
                pool = self._pools[operation.lane]
                outcome = await pool.submit(perform, deadline)
                response = await self._response(outcome, pool, deadline) if isinstance(outcome, Later) else outcome
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
        self._end_connection(response)
        await _send(send, response)
        known = name if name in OPERATIONS else OTHER_OPERATIONS
        seconds = monotonic() - deadline.began_s
        self._metrics.of(known).count(response.status, response.code, seconds, size, len(response.body))

    async def _response(self, later: Later[Response], pool: WorkerPool, deadline: Deadline) -> Response:
        """The response to a request that could not go on: it waits here, and has a thread again when it can."""
        while True:
            is_resumed = False
            self._parked += 1
            try:
                await _ready(later, deadline)
                going_on = pool.submit(later.resume, deadline)
                is_resumed = True
            finally:
                self._parked -= 1
                if not is_resumed:
                    later.cancel()
            outcome = await going_on
            if not isinstance(outcome, Later):
                return outcome
            later = outcome

    async def _probe(self, path: str) -> Response:
        """Health and metrics. They run apart from the lanes and from each other: full lanes are load, not illness."""
        try:
            body = await (self._exposition if path == "/metrics" else self._health).ask()
            status = 200
        except LutraError as error:
            logger.error("%s failed: %s", path, error)
            body, status = b"unavailable\n", 503
        except Exception:
            logger.exception("%s failed", path)
            body, status = b"unavailable\n", 503
        content_type = self._metrics.content_type if path == "/metrics" else b"text/plain; charset=utf-8"
        return Response(status, [(b"content-type", content_type), (b"content-length", b"%d" % len(body))], body)

    def _end_connection(self, response: Response) -> None:
        if self.ends_connections and _CLOSE not in response.headers:
            response.headers.append(_CLOSE)

    def _check_engine(self) -> bytes:
        if self._check is not None:
            self._check()
        for name in self._engine.instance_names():
            self._engine.instance(name).tables.names()
        return b"ok\n"


def _to_console() -> Response:
    return Response(302, [(b"location", CONSOLE_PATH.encode() + b"/"), (b"content-length", b"0")], b"")


def _pool(lane: Lane, options: ServerOptions) -> WorkerPool:
    threads = {
        Lane.POINT: options.point_threads,
        Lane.WRITE: options.write_threads,
        Lane.SCAN: options.scan_threads,
        Lane.SCHEMA: options.schema_threads,
        Lane.SEARCH: options.search_threads,
    }
    if lane is Lane.POINT:
        return WorkerPool(
            lane.value, threads[lane] + options.point_reserve, options.queue_max, reserve=options.point_reserve
        )
    if lane is not Lane.SEARCH:
        return WorkerPool(lane.value, threads[lane], options.queue_max)
    reserve = max(0, options.search_threads - options.search_threads_first)
    return WorkerPool(lane.value, options.search_threads, options.queue_max, options.search_threads_max, reserve)


async def _ready(later: Later[Response], deadline: Deadline) -> None:
    """Returns when it can go on. Raises what is to be told where the deadline passes before."""
    loop = asyncio.get_running_loop()
    is_ready = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(is_ready.set)

    later.when_ready(wake)
    try:
        async with asyncio.timeout(deadline.left_s):
            await is_ready.wait()
    except TimeoutError:
        raise later.error or deadline.error() from None


async def _send(send: Send, response: Response) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "http.response.body", "body": response.body})
