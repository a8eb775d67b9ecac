"""The tables of an instance, and one table."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from lutra.console.request import ConsoleRequest
from lutra.console.routing import page


def show_all(asked: ConsoleRequest) -> Response:
    instance = asked.instance
    tables = [
        {"name": name, "indexes": [index for _, index in instance.list_search_indexes(name)]}
        for name in sorted(instance.tables.names())
    ]
    return asked.render("tables.html", instance=instance.name, tables=tables)


def show(asked: ConsoleRequest) -> Response:
    table = asked.table
    return asked.render("overview.html", **asked.table_context("overview"), key=table.key, fields=table.fields)


ROUTES: Final = (
    page("/i/{instance}", show_all, name="tables"),
    page("/i/{instance}/t/{table}", show, name="table"),
)
