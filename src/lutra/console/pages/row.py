"""One row: looked at, edited, and made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from lutra.console.pages.data import index_parameter, key_of_query, row_address, value_address
from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page
from lutra.console.row_edits import (
    COLUMNS_SHOWN_MAX,
    Edited,
    RowForms,
    ShownColumn,
    Typed,
    seen_of_text,
    typed_columns,
)
from lutra.console.row_keys import key_text, key_token
from lutra.model.errors import ObjectNotExist
from lutra.model.rows import PrimaryKey
from lutra.model.schema import Embedding

_NEW_COLUMNS: Final = 2
_MORE: Final = "more"


def show(asked: ConsoleRequest) -> Response:
    forms = _forms(asked)
    key = key_of_query(asked)
    columns = forms.shown(forms.read(key))
    return _row_page(asked, forms, key, columns, _blank(forms, 1))


def save(asked: ConsoleRequest) -> Response:
    forms = _forms(asked)
    key = key_of_query(asked)
    seen = seen_of_text(str(asked.form.get("seen", "")))
    typed = typed_columns(asked.form)
    if asked.form.get(_MORE) is not None:
        try:
            columns = forms.shown(forms.read(key))
        except ObjectNotExist:
            return _gone(asked, key)
        old, new = _overlaid(forms, columns, typed)
        return _row_page(asked, forms, key, old, [*new, *_blank(forms, 1)], seen=seen)
    edited = forms.edit(key, seen, [one for one in typed if one.is_removed or one.text or one.name in seen])
    if edited.is_gone:
        return _gone(asked, key)
    if not edited.is_refused:
        said = asked.text("The row is saved.") if edited.written else asked.text("Nothing was changed.")
        return asked.redirect(row_address(asked, [value for _, value in key]), said)
    row = forms.read(key)
    columns = forms.shown(row)
    if edited.changed:
        # What somebody typed stays in the form, which now is one of the row as it is: to save it again is to mean it.
        mine = forms.typed_anew(seen, typed)
        old, new = _overlaid(forms, columns, mine)
        return _row_page(asked, forms, key, old, new or _blank(forms, 1), edited)
    old, new = _overlaid(forms, columns, typed, edited.problems)
    return _row_page(asked, forms, key, old, new or _blank(forms, 1), edited, seen)


def show_new(asked: ConsoleRequest) -> Response:
    forms = _forms(asked)
    return _new_page(asked, forms, {}, _all_fields(forms), {})


def insert(asked: ConsoleRequest) -> Response:
    forms = _forms(asked)
    key = {column.name: str(asked.form.get(f"key-{number}", "")) for number, column in enumerate(forms.layout.key)}
    typed = typed_columns(asked.form)
    _, columns = _overlaid(forms, [], typed)
    if asked.form.get(_MORE) is not None:
        return _new_page(asked, forms, key, [*columns, *_blank(forms, 1)], {})
    inserted = forms.insert(key, [one for one in typed if one.text])
    if inserted.key is not None:
        return asked.redirect(
            row_address(asked, [value for _, value in inserted.key]), asked.text("The row is inserted.")
        )
    problems = dict(inserted.problems)
    if inserted.is_there:
        problems[forms.layout.key[0].name] = asked.text("There is a row of this key already.")
    for column in columns:
        column.problem = problems.get(column.name, "")
    return _new_page(asked, forms, key, columns or _blank(forms, 1), problems)


def _forms(asked: ConsoleRequest) -> RowForms:
    return RowForms(asked.instance, asked.table, asked.layout)


def _overlaid(
    forms: RowForms, columns: Sequence[ShownColumn], typed: Sequence[Typed], problems: dict[str, str] | None = None
) -> tuple[list[ShownColumn], list[ShownColumn]]:
    """The columns with what was typed into them; and those that were typed and are not among them."""
    by_name = {one.name: one for one in typed}
    old = []
    for column in columns:
        one = by_name.pop(column.name, None)
        if one is not None:
            column = _typed(column, one)
        column.problem = (problems or {}).get(column.name, "")
        old.append(column)
    new = [_typed(forms.empty(one.name), one) for one in by_name.values()]
    for column in new:
        column.problem = (problems or {}).get(column.name, "")
    return old, new


def _typed(column: ShownColumn, typed: Typed) -> ShownColumn:
    text = column.text if column.text is None else typed.text
    return replace(column, type=typed.type or column.type, text=text, is_removed=typed.is_removed)


def _blank(forms: RowForms, count: int) -> list[ShownColumn]:
    """Of columns whose names are still to be typed."""
    return [replace(forms.empty(""), name="") for _ in range(count)]


def _all_fields(forms: RowForms) -> list[ShownColumn]:
    fields = [forms.empty(name) for name in list(forms.layout.fields)[:COLUMNS_SHOWN_MAX]]
    return fields if forms.is_closed else [*fields, *_blank(forms, _NEW_COLUMNS)]


def _made(forms: RowForms) -> dict[str, Embedding | None]:
    """Of what, and by which model, vectors are made where none is given."""
    return {field.name: field.embedding for field in forms.layout.embedded}


def _gone(asked: ConsoleRequest, key: PrimaryKey) -> Response:
    shown = [(name, key_text(value)) for name, value in key]
    return asked.render("row_gone.html", 409, **asked.table_context("data"), key=shown)


def _row_page(
    asked: ConsoleRequest,
    forms: RowForms,
    key: PrimaryKey,
    columns: Sequence[ShownColumn],
    new: Sequence[ShownColumn],
    edited: Edited | None = None,
    seen: dict[str, str] | None = None,
) -> Response:
    """``seen``: what the form was made of; None: it is made of the row as it is."""
    token = key_token([value for _, value in key])
    made_of = {one.name: one.seen for one in columns} if seen is None else seen
    return asked.render(
        "row.html",
        409 if edited is not None and edited.changed else 400 if edited is not None and edited.problems else 200,
        **asked.table_context("data"),
        key=[(name, key_text(value)) for name, value in key],
        token=token,
        columns=columns,
        columns_max=COLUMNS_SHOWN_MAX,
        made=_made(forms),
        new=new,
        missing=[name for name in forms.missing(columns) if name not in {one.name for one in new}],
        is_closed=forms.is_closed,
        edited=edited,
        seen=json.dumps(made_of, ensure_ascii=False),
        addresses={one.name: value_address(asked, token, one.name) for one in columns},
        pictures={one.name: _picture_address(asked, token, one.name) for one in columns if one.is_picture},
        form_action=row_address(asked, [value for _, value in key]),
    )


def _picture_address(asked: ConsoleRequest, token: str, name: str) -> str:
    path = asked.url("search_picture", instance=asked.path["instance"], table=asked.path["table"])
    return f"{path}?{urlencode(index_parameter(asked) | {'key': token, 'column': name})}"


def _new_page(
    asked: ConsoleRequest,
    forms: RowForms,
    key: dict[str, Any],
    columns: Sequence[ShownColumn],
    problems: dict[str, str],
) -> Response:
    path = asked.url("row_new", instance=asked.path["instance"], table=asked.path["table"])
    query = urlencode(index_parameter(asked))
    return asked.render(
        "row_new.html",
        400 if problems else 200,
        **asked.table_context("data"),
        layout=forms.layout,
        made=_made(forms),
        key=key,
        columns=columns,
        missing=[],
        is_closed=forms.is_closed,
        problems=problems,
        form_action=f"{path}?{query}" if query else path,
    )


ROUTES: Final = (
    page("/i/{instance}/t/{table}/data/row", show, name="row"),
    action("/i/{instance}/t/{table}/data/row", save, name="row_saved"),
    page("/i/{instance}/t/{table}/data/new", show_new, name="row_new"),
    action("/i/{instance}/t/{table}/data/new", insert, name="row_inserted"),
)
