"""The rows of a table: a page of them by key, one value, and the deletion of some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from lutra.console.cells import ShownValue, shown_value, whole_text
from lutra.console.grid import PAGE_ROWS, Page, read_page, whole_key
from lutra.console.grid_query import GridQuery, column_names
from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page
from lutra.console.row_edits import RowForms
from lutra.console.row_keys import key_of_token, key_text, key_token
from lutra.instance.row import Row
from lutra.model.errors import LutraError, ObjectNotExist, ParameterInvalid
from lutra.model.limits import BATCH_WRITE_ROWS_MAX
from lutra.model.rows import PrimaryKey
from lutra.transfer.data_file import FORMATS

_COLUMNS_SHOWN_MAX: Final = 30
_LINE_CHARS: Final = 72


def show(asked: ConsoleRequest) -> Response:
    layout = asked.layout
    query = GridQuery.of(asked.query, layout)
    wanted, problems = query.wanted(asked.table, layout)
    found = Page([], None, None)
    if not problems:
        try:
            found = read_page(asked.instance, layout, wanted)
        except ParameterInvalid as error:
            problems["where"] = str(error)
    path = asked.url("data", instance=asked.path["instance"], table=asked.path["table"])
    names = column_names(layout, query, [name for row in found.rows for name in row])
    columns = [name for name in names if name in query.columns] if query.columns else names[:_COLUMNS_SHOWN_MAX]
    return asked.render(
        "data.html",
        400 if problems else 200,
        **asked.table_context("data"),
        layout=layout,
        query=query,
        problems=problems,
        page_rows=PAGE_ROWS,
        formats=FORMATS,
        names=names,
        columns=columns,
        rows=[_grid_row(asked, row, columns) for row in found.rows],
        seen_to=None if found.seen_to is None else [key_text(one) for _, one in whole_key(found.seen_to) or ()],
        first_page=query.address(path),
        last_page=query.address(path, "last"),
        previous_page=None if found.previous is None else query.address(path, found.previous),
        next_page=None if found.next is None else query.address(path, found.next),
        plain_page=path,
        export_parameters=query.parameters(),
    )


def show_value(asked: ConsoleRequest) -> Response:
    """One value as a whole: for a script, or with ``as=file`` to be kept."""
    forms = RowForms(asked.instance, asked.table, asked.layout)
    name = asked.query.get("column", "")
    value = forms.value(forms.read(key_of_token(asked.query.get("key", ""), asked.layout.key)), name)
    if asked.query.get("as") == "file":
        content = value if isinstance(value, bytes) else whole_text(value)[0].encode(errors="replace")
        ending = "bin" if isinstance(value, bytes) else "txt"
        return download_of(content, f"{name}.{ending}")
    text, is_cut = whole_text(value)
    return asked.json({"text": text, "is_cut": is_cut})


def delete(asked: ConsoleRequest) -> Response:
    """Asks whether rows are to be deleted, and, once that is said, deletes them."""
    tokens = list(dict.fromkeys(str(one) for one in asked.form.getlist("key")))
    keys = [key_of_token(token, asked.layout.key) for token in tokens]
    back = str(asked.form.get("back", ""))
    path = asked.url("data", instance=asked.path["instance"], table=asked.path["table"])
    back = back if back.startswith(f"{path}?") else path
    if len(keys) > BATCH_WRITE_ROWS_MAX:
        raise ParameterInvalid(f"At most {BATCH_WRITE_ROWS_MAX} rows can be deleted at once.")
    if not keys:
        return asked.redirect(back, asked.text("No rows are selected."))
    if asked.form.get("confirmed") is None:
        shown = [[key_text(value) for _, value in key] for key in keys]
        return asked.render(
            "rows_delete.html", **asked.table_context("data"), tokens=tokens, keys=shown, layout=asked.layout, back=back
        )
    deleted = asked.table.delete_many([tuple(value for _, value in key) for key in keys])
    return asked.redirect(back, asked.text("{number} rows are deleted.", number=deleted))


def download_of(content: bytes, name: str) -> Response:
    """A file to be kept, whatever it holds: never shown."""
    return Response(content, headers=file_headers(name), media_type="application/octet-stream")


def file_headers(name: str) -> dict[str, str]:
    """Headers of a file to be kept (RFC 6266)."""
    plain = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "_" for one in name)
    return {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "cache-control": "no-store",
    }


def row_address(asked: ConsoleRequest, key: Sequence[Any]) -> str:
    """Of the page of one row."""
    path = asked.url("row", instance=asked.path["instance"], table=asked.path["table"])
    return f"{path}?{urlencode(index_parameter(asked) | {'key': key_token(key)})}"


def index_parameter(asked: ConsoleRequest) -> dict[str, str]:
    index = asked.query.get("index")
    return {"index": index} if index else {}


def value_address(asked: ConsoleRequest, token: str, name: str) -> str:
    """Of one value of a row, as JSON; of the file of it with ``&as=file``."""
    path = asked.url("value", instance=asked.path["instance"], table=asked.path["table"])
    return f"{path}?{urlencode(index_parameter(asked) | {'key': token, 'column': name})}"


def _grid_row(asked: ConsoleRequest, row: Row, columns: Sequence[str]) -> dict[str, Any]:
    token = key_token(row.key)
    cells: list[tuple[ShownValue | None, str]] = []
    for name in columns:
        shown = shown_value(row[name], _LINE_CHARS) if name in row else None
        cells.append((shown, value_address(asked, token, name) if shown is not None and shown.is_cut else ""))
    return {
        "token": token,
        "key": [shown_value(key_text(one), 80).line for one in row.key],
        "address": row_address(asked, row.key),
        "cells": cells,
    }


def key_of_query(asked: ConsoleRequest) -> PrimaryKey:
    """Raises ObjectNotExist where the address is of no row."""
    try:
        return key_of_token(asked.query.get("key", ""), asked.layout.key)
    except LutraError as error:
        raise ObjectNotExist(str(error)) from error


ROUTES: Final = (
    page("/i/{instance}/t/{table}/data", show, name="data"),
    page("/i/{instance}/t/{table}/data/value", show_value, name="value"),
    action("/i/{instance}/t/{table}/data/delete", delete, name="rows_delete"),
)
