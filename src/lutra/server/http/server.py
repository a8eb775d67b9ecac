"""Runs the application: one process, one port, a clean stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from types import FrameType
from typing import Any, cast

import uvicorn
from prometheus_client.registry import Collector
from uvicorn.server import HANDLED_SIGNALS

from lutra.instance.doors import EngineDoor
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import StorageFailure
from lutra.server.auth.credentials import Credentials
from lutra.server.http.app import Application, MakeConsole, Send
from lutra.server.http.body import Receive
from lutra.server.http.http_protocol import BoundedHttpProtocol
from lutra.server.http.internal import Internal
from lutra.server.http.options import ServerOptions

logger = logging.getLogger(__name__)

# How long a thread may hold the interpreter's lock while others wait for it. The default of 5 ms would let one large
# request delay many small ones by as much.
SWITCH_INTERVAL_S = 0.001
_FRESH_S = 0.5
"""A connection that was taken as the server stops gets so long to send its request."""
_LOOK_S = 0.01


class AddressError(StorageFailure):
    """The address cannot be listened on."""


def run_server(
    engine: EngineDoor,
    credentials: Credentials,
    options: ServerOptions,
    *,
    on_listening: Callable[[str], None],
    clock: Clock | None = None,
    make_console: MakeConsole | None = None,
    collectors: Iterable[Collector] = (),
    internal: Internal | None = None,
    check: Callable[[], None] | None = None,
    before_stop: Callable[[], None] | None = None,
    require_room: Callable[[], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then answers what is under way and returns. The engine stays open.

    ``make_console``: what makes the pages below ``/console``; None: there are none. ``collectors``: what /metrics tells
    of the engine (`lutra.server.observe.engine_metrics`). ``internal``: what answers other nodes of a cluster.
    ``check``: raises where the server is not fit to be asked, which GET /healthz tells. ``before_stop`` is called by a
    thread of its own at the first signal: meanwhile all is answered as ever, but that each answer ends its connection,
    so that none is left for a request to be lost on. A second Ctrl-C does not wait for it. ``require_room``: raises
    ServerBusy where there is no memory for writes and searches.

    ``on_listening`` is given the endpoint, ``http://HOST:PORT``, once it accepts connections. Raises AddressError.
    """
    _raise_descriptor_limit()
    # Below an error it tells of what clients do wrong, as often as they do.
    logging.getLogger("uvicorn.error").setLevel(max(logging.ERROR, logging.getLogger().level))
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    listener = _listen(options)
    holder = _ApplicationHolder(
        lambda: Application(
            engine,
            credentials,
            clock or SystemClock(),
            options,
            make_console,
            collectors,
            internal,
            check,
            require_room,
        )
    )
    config = uvicorn.Config(
        holder,
        # A factory, not a class: uvicorn only calls it.
        http=cast(Any, partial(BoundedHttpProtocol, options=options)),
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=options.connections_max,
        timeout_keep_alive=options.keep_alive_s,
        timeout_graceful_shutdown=options.drain_s,
    )
    server = _Server(config, partial(on_listening, endpoint_of(listener)), before_stop, holder.end_connections)
    # What the start has made stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        holder.close()
        gc.unfreeze()  # so that all is let go at the end of the process


def endpoint_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(options: ServerOptions) -> socket.socket:
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((options.host, options.port), family=family, backlog=options.connections_max)
    except OSError as error:
        raise AddressError(f"cannot listen on {options.host} port {options.port}: {error.strerror}") from error


def _raise_descriptor_limit() -> None:
    """As many open files as the system allows: a connection is one, and so is each file of the store."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _ApplicationHolder:
    """Makes the application at the first request: it needs the running loop, which uvicorn starts."""

    def __init__(self, make: Callable[[], Application]) -> None:
        self._make = make
        self._application: Application | None = None
        self._ends_connections = False

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if self._application is None:
            self._application = self._make()
            self._application.ends_connections = self._ends_connections
        await self._application(scope, receive, send)

    def end_connections(self) -> None:
        """From now on each answer is the last of its connection."""
        self._ends_connections = True
        if self._application is not None:
            self._application.ends_connections = True

    def close(self) -> None:
        if self._application is not None:
            self._application.close()


class _Server(uvicorn.Server):
    """Uvicorn's server that says when it listens, and that ends a process by returning, not by its signal."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], None],
        before_stop: Callable[[], None] | None,
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._before_stop = before_stop
        self._on_stopping = on_stopping
        self._is_stopping = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        def stop(number: int, frame: FrameType | None) -> None:
            logger.info("stopping: %s", signal.Signals(number).name)
            if self._before_stop is None or (self._is_stopping and number == signal.SIGINT):
                self.handle_exit(number, frame)
            elif not self._is_stopping:
                self._is_stopping = True
                stopper = threading.Thread(
                    target=self._stop_after, args=(self._before_stop, number), name="lutra-stop", daemon=True
                )
                stopper.start()

        before = {number: signal.signal(number, stop) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no connection any more; those that were just taken may have their request on its way, and get it
        answered."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        until_s = time.monotonic() + _FRESH_S
        while self._has_fresh_connections() and time.monotonic() < until_s:
            await asyncio.sleep(_LOOK_S)
        await super().shutdown(sockets)

    def _has_fresh_connections(self) -> bool:
        """Whether there are some on which no request has begun yet."""
        return any(getattr(each, "cycle", None) is None for each in self.server_state.connections)

    def _stop_after(self, before_stop: Callable[[], None], number: int) -> None:
        self._on_stopping()
        try:
            before_stop()
        except Exception:
            logger.exception("what was to be done before the stop failed")
        finally:
            self.handle_exit(number, None)
