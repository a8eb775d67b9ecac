"""The console's ASGI application, which a server mounts at ``/console``."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from lutra.console.attempts import Attempts
from lutra.console.context import ConsoleContext
from lutra.console.forgery import Forgery
from lutra.console.look import Look
from lutra.console.options import ConsoleOptions
from lutra.console.pages import (
    assets,
    data,
    exports,
    imports,
    indexes,
    instances,
    jobs,
    maps,
    new_table,
    preferences,
    row,
    search,
    sign_in,
    status,
    tables,
)
from lutra.console.routing import Passage
from lutra.console.services import ConsoleServices
from lutra.console.sessions import Sessions
from lutra.instance.engine import Engine
from lutra.model.clock import Clock
from lutra.server.auth.credentials import Credentials
from lutra.server.http.app import Send as HttpSend
from lutra.server.http.body import Receive as HttpReceive
from lutra.server.lanes.pool import WorkerPool
from lutra.server.observe.metrics import Metrics

PREFIX: Final = "/console"
PAGES: Final[tuple[ModuleType, ...]] = (
    assets,
    data,
    exports,
    imports,
    indexes,
    instances,
    jobs,
    maps,
    new_table,
    preferences,
    row,
    search,
    sign_in,
    status,
    tables,
)
"""All modules of pages, by name."""


class Console:
    """One server's console. Made on the event loop it runs on; `close` ends its threads."""

    def __init__(
        self, engine: Engine, credentials: Credentials, clock: Clock, metrics: Metrics, options: ConsoleOptions
    ) -> None:
        self._router = Router(redirect_slashes=False)
        self._context = ConsoleContext(
            services=ConsoleServices(engine, metrics, options),
            credentials=credentials,
            clock=clock,
            look=Look(PREFIX),
            sessions=Sessions(options.session_s, options.sessions_max),
            forgery=Forgery(),
            attempts=Attempts(options.wrong_keys_free),
            pool=WorkerPool("console", options.threads, options.queue_max),
            router=self._router,
        )
        passage = Passage(self._context)
        for module in PAGES:
            self._router.routes.extend(make(passage) for make in module.ROUTES)
        self._router.default = _not_found(passage)

    async def __call__(self, scope: dict[str, Any], receive: HttpReceive, send: HttpSend) -> None:
        # Starlette's messages are any mutable mappings; the server's are dicts.
        await self._router({**scope, "root_path": PREFIX}, receive, cast(Send, send))

    def close(self) -> None:
        """Ends what runs. No request may be under way."""
        self._context.services.close()
        self._context.pool.close()


def _not_found(passage: Passage) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        response = await passage.not_found(Request(scope, receive, send))
        await response(scope, receive, send)

    return application
