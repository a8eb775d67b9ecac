"""The tables of an instance, and one table: what it is, its options, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from lutra.console.code import TITLES
from lutra.console.define.entered import Entered
from lutra.console.define.facts import table_facts, tables_of
from lutra.console.define.programs import schema_code
from lutra.console.define.table_form import entered_options, update_of
from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page
from lutra.instance.database import delete_with_indexes
from lutra.model.errors import LutraError
from lutra.model.schema import TableUpdate

_TABLES_SHOWN: Final = 200
_TABLES_SEEN_AT_ONCE: Final = 20
"""Where there are more, they can be looked for by name."""


def show_all(asked: ConsoleRequest) -> Response:
    instance = asked.instance
    part = asked.query.get("name", "").strip()
    there = sorted(instance.tables.names())
    names = [name for name in there if part.lower() in name.lower()]
    return asked.render(
        "tables.html",
        instance=instance.name,
        tables=tables_of(instance, names[:_TABLES_SHOWN]),
        part=part,
        total=len(names),
        is_sought=bool(part) or len(there) > _TABLES_SEEN_AT_ONCE,
    )


def show(asked: ConsoleRequest) -> Response:
    return _shown(asked)


def alter(asked: ConsoleRequest) -> Response:
    """Changes a table's options and stream."""
    name, instance = asked.path["table"], asked.instance
    schema = instance.tables.describe(name).schema
    entered = Entered.of_form(asked.form.multi_items(), asked.text)
    update = update_of(entered, schema)
    if update is None:
        return _shown(asked, entered, status=400)
    if update != TableUpdate():
        try:
            instance.update_table(name, update)
        except LutraError as error:
            entered.note("", str(error))
            return _shown(asked, entered, status=400)
    return asked.redirect(_address(asked), asked.text("The options of {table} are as entered.", table=name))


def delete(asked: ConsoleRequest) -> Response:
    """Deletes a table with its indexes and rows, where its name was typed."""
    name, instance = asked.path["table"], asked.instance
    if asked.form.get("typed") != name:
        problem = asked.text("This is not the table's name: nothing was deleted.")
        return _shown(asked, status=400, delete_problem=problem)
    delete_with_indexes(instance, name)
    return asked.redirect(
        asked.url("tables", instance=instance.name), asked.text("Table {table} was deleted.", table=name)
    )


def _shown(
    asked: ConsoleRequest, entered: Entered | None = None, *, status: int = 200, delete_problem: str | None = None
) -> Response:
    facts = table_facts(asked.instance, asked.path["table"])
    schema = facts.description.schema
    schemas = {one.name: one.description.schema for one in facts.indexes if one.description is not None}
    options: Mapping[str, str] = entered_options(schema)
    return asked.render(
        "overview.html",
        status,
        **asked.table_context("overview"),
        facts=facts,
        schema=schema,
        made={one.name: one.embedding for one in schema.declared},
        options=entered or Entered(options, asked.text),
        delete_problem=delete_problem,
        code=schema_code(asked, schema, schemas),
        languages_of_code=TITLES,
    )


def _address(asked: ConsoleRequest) -> str:
    return asked.url("table", instance=asked.path["instance"], table=asked.path["table"])


ROUTES: Final = (
    page("/i/{instance}", show_all, name="tables"),
    page("/i/{instance}/t/{table}", show, name="table"),
    action("/i/{instance}/t/{table}/alter", alter, name="alter_table"),
    action("/i/{instance}/t/{table}/delete", delete, name="delete_table"),
)
