"""What all requests to one console share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.routing import Router

from lutra.console.attempts import Attempts
from lutra.console.forgery import Forgery
from lutra.console.look import Look
from lutra.console.services import ConsoleServices
from lutra.console.sessions import Sessions
from lutra.model.clock import Clock
from lutra.server.auth.credentials import Credentials
from lutra.server.lanes.pool import WorkerPool


@dataclass(slots=True)
class ConsoleContext:
    """Made once by `lutra.console.app.Console`."""

    services: ConsoleServices
    credentials: Credentials
    clock: Clock
    look: Look
    sessions: Sessions
    forgery: Forgery
    attempts: Attempts
    pool: WorkerPool
    router: Router

    def url(self, name: str, /, **parts: Any) -> str:
        """The address of a route. Raises starlette.routing.NoMatchFound where there is none of that name."""
        return self.look.prefix + str(self.router.url_path_for(name, **parts))
