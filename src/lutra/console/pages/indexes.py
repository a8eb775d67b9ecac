"""The indexes of a table: search indexes with their fields and how far they are, and secondary ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from lutra.console.define.editing import Edit
from lutra.console.define.entered import Entered
from lutra.console.define.facts import index_facts, table_facts
from lutra.console.define.index_form import NEW_FIELD, days_text, fields_of, index_of, ttl_of
from lutra.console.define.models import declare, made_fields
from lutra.console.define.programs import schema_code
from lutra.console.define.table_form import secondary_of
from lutra.console.pages.new_table import choices
from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page
from lutra.instance.layout import INDEX_NAME
from lutra.model.errors import LutraError, MetaNotMatch
from lutra.model.indexes import IndexSchema, IndexUpdate
from lutra.model.limits import NAME_PATTERN
from lutra.model.schema import DeclaredField, TableSchema


def show_all(asked: ConsoleRequest) -> Response:
    return _all_shown(asked, Entered({}, asked.text))


def create_secondary(asked: ConsoleRequest) -> Response:
    """Makes a secondary index."""
    name, entered = asked.path["table"], Entered.of_form(asked.form.multi_items(), asked.text)
    index = secondary_of(entered)
    if not entered.problems:
        entered.check("", lambda: asked.instance.create_secondary_index(name, index))
    if entered.problems:
        return _all_shown(asked, entered, status=400)
    return asked.redirect(_all_address(asked), asked.text("Secondary index {index} was created.", index=index.name))


def drop_secondary(asked: ConsoleRequest) -> Response:
    """Drops a secondary index, where its name was typed."""
    name, index = asked.path["table"], asked.path["index"]
    if asked.form.get("typed") != index:
        entered = Entered({}, asked.text)
        entered.note(f"drop.{index}", asked.text("This is not the index's name: nothing was dropped."))
        return _all_shown(asked, entered, status=400)
    asked.instance.drop_secondary_index(name, index)
    return asked.redirect(_all_address(asked), asked.text("Secondary index {index} was dropped.", index=index))


def _all_shown(asked: ConsoleRequest, entered: Entered, status: int = 200) -> Response:
    facts = table_facts(asked.instance, asked.path["table"])
    return asked.render("indexes.html", status, **asked.table_context("indexes"), facts=facts, entered=entered)


# --- a new one ------------------------------------------------------------------------------------------------------


def show_new(asked: ConsoleRequest) -> Response:
    there = {index for _, index in asked.instance.list_search_indexes(asked.path["table"])}
    first = {"name": "" if INDEX_NAME in there else INDEX_NAME}
    first |= {f"fields.0.{name}": value for name, value in NEW_FIELD.items()}
    return _new_shown(asked, Edit(asked), Entered(first, asked.text))


def post_new(asked: ConsoleRequest) -> Response:
    """Shows the form with more or fewer rows, or the code of what is entered, or creates it."""
    edit = Edit(asked)
    entered, table = edit.entered, _schema(asked)
    if edit.is_reshaping:
        return _new_shown(asked, edit, entered)
    name, schema = entered.value("name"), _index_meant(asked, entered, table)
    made = () if schema is None else made_fields(entered, schema.fields, (), table, opens=not edit.is_sketch)
    if edit.is_sketch:
        whole = schema is not None and not entered.problems
        code = schema_code(asked, _with_models(table, made), {name: schema}) if schema is not None and whole else {}
        return asked.json({"code": code, "problems": entered.problems})
    if schema is not None and not entered.problems:
        entered.check("", lambda: asked.instance.create_search_index(table.name, name, schema))
    if not entered.problems:
        declare(asked.instance, table.name, made)
    if entered.problems:
        return _new_shown(asked, edit, entered, status=400)
    return asked.redirect(_address(asked, name), asked.text("Search index {index} was created.", index=name))


def _with_models(table: TableSchema, made: tuple[DeclaredField, ...]) -> TableSchema:
    names = {one.name for one in made}
    return replace(table, declared=(*(one for one in table.declared if one.name not in names), *made))


def _index_meant(asked: ConsoleRequest, entered: Entered, table: TableSchema) -> IndexSchema | None:
    """The index that the form means; None where something is wrong."""
    name = entered.value("name")
    if NAME_PATTERN.fullmatch(name) is None:
        entered.note("name", asked.text("Letters, digits and _, beginning with no digit."))
    if name in {index for _, index in asked.instance.list_search_indexes(table.name)}:
        entered.note("name", asked.text("The table has an index of this name already."))
    schema = index_of(entered, table)
    return None if entered.problems else schema


def _new_shown(asked: ConsoleRequest, edit: Edit, entered: Entered, status: int = 200) -> Response:
    table = _schema(asked)
    context: dict[str, Any] = {**asked.table_context("indexes"), "entered": entered, **choices()}
    if asked.wants_json:
        return asked.json({"html": asked.rendered("_new_index_form.html", **context), "focus": edit.focus}, status)
    sketch = Entered(entered.values, asked.text)
    schema = _index_meant(asked, sketch, table)
    code = {} if schema is None else schema_code(asked, table, {sketch.value("name"): schema})
    return asked.render("new_index.html", status, code=code, **context)


# --- one of them ----------------------------------------------------------------------------------------------------


def show(asked: ConsoleRequest) -> Response:
    return _shown(asked, Edit(asked), None)


def alter(asked: ConsoleRequest) -> Response:
    """Changes fields and time to live of a search index."""
    edit = Edit(asked)
    entered, table, name = edit.entered, asked.path["table"], asked.path["index"]
    if edit.is_reshaping:
        return _shown(asked, edit, entered)
    schema = asked.instance.describe_search_index(table, name).schema
    update = _update_of(entered, schema, _schema(asked))
    if update is not None:
        made = made_fields(entered, update.added, schema.fields, _schema(asked), opens=True)
        if update != IndexUpdate() and not entered.problems:
            entered.check("", lambda: asked.instance.update_search_index(table, name, update))
        if not entered.problems:
            declare(asked.instance, table, made, update.dropped)
    if entered.problems:
        return _shown(asked, edit, entered, status=400)
    return asked.redirect(_address(asked, name), asked.text("Search index {index} is as entered.", index=name))


def _update_of(entered: Entered, schema: IndexSchema, table: TableSchema) -> IndexUpdate | None:
    ttl_s = ttl_of(entered)
    added = fields_of(entered, table) if entered.rows("fields") else ()
    dropped = tuple(field.name for field in schema.fields if entered.is_on(f"drop.{field.name}"))
    if ttl_s is None or added is None or entered.problems:
        return None
    return IndexUpdate(None if ttl_s == schema.ttl_s else ttl_s, added, dropped)


def delete(asked: ConsoleRequest) -> Response:
    """Deletes a search index, where its name was typed."""
    table, name = asked.path["table"], asked.path["index"]
    if asked.form.get("typed") != name:
        problem = asked.text("This is not the index's name: nothing was deleted.")
        return _shown(asked, Edit(asked), None, status=400, delete_problem=problem)
    try:
        asked.instance.delete_search_index(table, name)
    except MetaNotMatch:
        raise
    except LutraError as error:
        return _shown(asked, Edit(asked), None, status=400, delete_problem=str(error))
    return asked.redirect(_all_address(asked), asked.text("Search index {index} was deleted.", index=name))


def _shown(
    asked: ConsoleRequest,
    edit: Edit,
    entered: Entered | None,
    status: int = 200,
    delete_problem: str | None = None,
) -> Response:
    table, name = asked.path["table"], asked.path["index"]
    schema = asked.instance.describe_search_index(table, name).schema
    if entered is None:
        entered = Entered({"ttl_days": days_text(schema.ttl_s)}, asked.text)
    context: dict[str, Any] = {
        **asked.table_context("indexes"),
        "index": index_facts(asked.instance, table, name),
        "schema": schema,
        "made": {one.name: one.embedding for one in _schema(asked).declared},
        "entered": entered,
        "delete_problem": delete_problem,
        **choices(),
    }
    if asked.wants_json:
        return asked.json({"html": asked.rendered("_alter_index_form.html", **context), "focus": edit.focus}, status)
    code = schema_code(asked, _schema(asked), {name: schema})
    return asked.render("index.html", status, code=code, **context)


def _schema(asked: ConsoleRequest) -> TableSchema:
    return asked.instance.tables.describe(asked.path["table"]).schema


def _address(asked: ConsoleRequest, index: str) -> str:
    return asked.url("index", instance=asked.path["instance"], table=asked.path["table"], index=index)


def _all_address(asked: ConsoleRequest) -> str:
    return asked.url("indexes", instance=asked.path["instance"], table=asked.path["table"])


_TABLE: Final = "/i/{instance}/t/{table}"
ROUTES: Final = (
    page(f"{_TABLE}/indexes", show_all, name="indexes"),
    action(f"{_TABLE}/secondary", create_secondary, name="create_secondary"),
    action(f"{_TABLE}/secondary/{{index}}/drop", drop_secondary, name="drop_secondary"),
    page(f"{_TABLE}/new-index", show_new, name="new_index"),
    action(f"{_TABLE}/new-index", post_new, name="create_index"),
    page(f"{_TABLE}/indexes/{{index}}", show, name="index"),
    action(f"{_TABLE}/indexes/{{index}}", alter, name="alter_index"),
    action(f"{_TABLE}/indexes/{{index}}/delete", delete, name="delete_index"),
)
