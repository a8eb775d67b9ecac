"""A new table, by form, with a search index where one is wanted; its code before anything is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from lutra.console.code import TITLES
from lutra.console.define.editing import Edit
from lutra.console.define.entered import Entered
from lutra.console.define.index_form import ANALYZERS, NEW_FIELD, index_of
from lutra.console.define.models import made_fields, usable_models
from lutra.console.define.programs import schema_code
from lutra.console.define.table_form import COLUMN_TYPES, KEY_TYPES, NEW_TABLE, table_of
from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page
from lutra.instance.layout import INDEX_NAME
from lutra.model.errors import LutraError
from lutra.model.indexes import FieldType, IndexSchema, Metric
from lutra.model.limits import NAME_PATTERN, NESTED_LEVELS_MAX
from lutra.model.schema import TableSchema

_NEW: Final = {
    **NEW_TABLE,
    "index.name": INDEX_NAME,
    **{f"index.fields.0.{name}": value for name, value in NEW_FIELD.items()},
}


def choices() -> dict[str, Any]:
    """What forms of tables and indexes offer."""
    return {
        "key_types": KEY_TYPES,
        "column_types": COLUMN_TYPES,
        "field_types": [one.name for one in FieldType],
        "metrics": [one.name for one in Metric],
        "analyzers": ANALYZERS,
        "models": usable_models(),
        "levels_max": NESTED_LEVELS_MAX,
        "languages_of_code": TITLES,
    }


def show(asked: ConsoleRequest) -> Response:
    asked.instance  # noqa: B018  # raises where there is none
    return _shown(asked, Edit(asked), Entered(_NEW, asked.text))


def post(asked: ConsoleRequest) -> Response:
    """Shows the form with more or fewer rows, or the code of what is entered, or creates it."""
    edit, instance = Edit(asked), asked.instance
    entered = edit.entered
    if edit.is_reshaping:
        return _shown(asked, edit, entered)
    table, indexes = _meant(asked, entered, opens=not edit.is_sketch)
    if edit.is_sketch:
        code = {} if table is None else schema_code(asked, table, indexes)
        return asked.json({"code": code, "problems": entered.problems})
    if table is None:
        return _shown(asked, edit, entered, status=400)
    try:
        _create(asked, table, indexes)
    except LutraError as error:
        entered.note("", str(error))
        return _shown(asked, edit, entered, status=400)
    return asked.redirect(
        asked.url("table", instance=instance.name, table=table.name),
        asked.text("Table {table} was created.", table=table.name),
    )


def _meant(
    asked: ConsoleRequest, entered: Entered, *, opens: bool
) -> tuple[TableSchema | None, dict[str, IndexSchema]]:
    """The table and its indexes; None where something is wrong. ``opens``: as of `made_fields`."""
    table = table_of(entered, asked.instance)
    index = entered.below("index")
    if not entered.is_on("with_index"):
        return table, {}
    name = index.value("name")
    if NAME_PATTERN.fullmatch(name) is None:
        index.note("name", asked.text("Letters, digits and _, beginning with no digit."))
    schema = None if table is None else index_of(index, table)
    if table is None or schema is None or entered.problems:
        return None, {}
    made = made_fields(index, schema.fields, (), table, opens=opens)
    return (None, {}) if entered.problems else (replace(table, declared=made), {name: schema})


def _create(asked: ConsoleRequest, table: TableSchema, indexes: dict[str, IndexSchema]) -> None:
    """All of it, or nothing."""
    instance = asked.instance
    instance.create_table(table)
    try:
        for name, schema in indexes.items():
            instance.create_search_index(table.name, name, schema)
    except BaseException:
        instance.delete_table(table.name)
        raise


def _shown(asked: ConsoleRequest, edit: Edit, entered: Entered, status: int = 200) -> Response:
    context: dict[str, Any] = {"instance": asked.path["instance"], "entered": entered, **choices()}
    if asked.wants_json:
        return asked.json({"html": asked.rendered("_new_table_form.html", **context), "focus": edit.focus}, status)
    table, indexes = (
        (None, {}) if not entered.value("name") else _meant(asked, Entered(entered.values, asked.text), opens=False)
    )
    code = {} if table is None else schema_code(asked, table, indexes)
    return asked.render("new_table.html", status, code=code, **context)


ROUTES: Final = (
    page("/i/{instance}/new-table", show, name="new_table"),
    action("/i/{instance}/new-table", post, name="create_table"),
)
