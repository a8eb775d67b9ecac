"""All instances."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page
from lutra.model.errors import ObjectAlreadyExist, ParameterInvalid


def show(asked: ConsoleRequest) -> Response:
    return _shown(asked)


def create(asked: ConsoleRequest) -> Response:
    """Makes an instance."""
    name = str(asked.form.get("name", "")).strip()
    try:
        asked.engine.create_instance(name)
    except ParameterInvalid:
        return _shown(asked, status=400, name=name, problem=asked.text("A name has 2 to 64 letters, digits, - and _."))
    except ObjectAlreadyExist:
        problem = asked.text("There is an instance of this name already.")
        return _shown(asked, status=400, name=name, problem=problem)
    return asked.redirect(asked.url("tables", instance=name), asked.text("Instance {name} was created.", name=name))


def _shown(asked: ConsoleRequest, *, status: int = 200, name: str = "", problem: str | None = None) -> Response:
    instances = [
        {"name": one, "tables": len(asked.engine.instance(one).tables.names())} for one in asked.engine.instance_names()
    ]
    return asked.render("instances.html", status, instances=instances, name=name, problem=problem)


ROUTES: Final = (
    page("/", show, name="instances"),
    action("/", create, name="create_instance"),
)
