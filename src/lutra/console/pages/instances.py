"""All instances."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from lutra.console.request import ConsoleRequest
from lutra.console.routing import page


def show(asked: ConsoleRequest) -> Response:
    instances = [
        {"name": name, "tables": len(asked.engine.instance(name).tables.names())}
        for name in asked.engine.instance_names()
    ]
    return asked.render("instances.html", instances=instances)


ROUTES: Final = (page("/", show, name="instances"),)
