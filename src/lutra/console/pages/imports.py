"""Import of a file: it is sent, what would become of it is shown and changed, and a job imports it."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from starlette.responses import Response

from lutra.console.cells import ShownValue, shown_value
from lutra.console.import_forms import DELIMITERS, TYPES, ImportForm, form_of, models, with_what_there_is
from lutra.console.imports import first_rows, planned, start_import
from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page, upload
from lutra.console.uploads import Upload, UploadFile
from lutra.model.errors import LutraError
from lutra.transfer.csv_dialect import CsvOptions
from lutra.transfer.data_file import FORMATS, format_of_name
from lutra.transfer.field_types import type_text
from lutra.transfer.mapping import ColumnMapping
from lutra.transfer.plan import Plan

_ROWS_SHOWN: Final = 5
_WRITE_BYTES: Final = 1 << 20
_OPTION: Final = re.compile(r"(?<!\w)--([a-z]+)")
_LABELS: Final = {
    "rename": "In the table",
    "type": "Type",
    "vector": "Type",
    "key": "Key",
    "skip": "Leave out",
    "geo": "Places of two columns",
    "embed": "Vectors made of a column by a model",
    "header": "Names, where the first line has none",
    "delimiter": "Between values",
    "null": "What stands for no value",
    "format": "Format",
}
"""Options of `lutra import`, and what stands in their place in the form."""


def show(asked: ConsoleRequest) -> Response:
    """Where a file is chosen; from a table's page for that table."""
    table = asked.path.get("table", "")
    context = asked.table_context("import") if table else {"instance": asked.instance.name, "table": ""}
    address = asked.url("uploaded", instance=asked.instance.name)
    return asked.render("import.html", **context, upload_address=address, bytes_max=asked.limits.upload_bytes_max)


async def take(asked: ConsoleRequest) -> Response:
    """The file, as it comes."""
    uploads, instance = asked.services.uploads, asked.path["instance"]
    loop = asyncio.get_running_loop()
    asked.instance  # noqa: B018  # there has to be one
    sent = await loop.run_in_executor(None, uploads.begin, instance, asked.query.get("name", ""))
    with UploadFile(uploads, sent) as file:
        pending = bytearray()
        async for piece in asked.stream():
            pending += piece
            if len(pending) >= _WRITE_BYTES:
                await loop.run_in_executor(None, file.write, bytes(pending))
                pending.clear()
        if pending:
            await loop.run_in_executor(None, file.write, bytes(pending))
    return asked.json({"location": asked.url("import_plan", instance=instance, upload=sent.id)})


def show_plan(asked: ConsoleRequest) -> Response:
    sent = _upload(asked)
    if sent.job_id:
        return asked.redirect(asked.url("job", job=sent.job_id))
    return _plan_page(asked, sent, ImportForm(asked.query.get("table", "") or _table_name(sent.name), ColumnMapping()))


def go_on(asked: ConsoleRequest) -> Response:
    """Shows the plan anew, or carries it out, or removes the file."""
    sent = _upload(asked)
    instance, services = asked.instance.name, asked.services
    if sent.job_id:
        return asked.redirect(asked.url("job", job=sent.job_id))
    if asked.form.get("discard") is not None:
        services.uploads.discard(sent)
        return asked.redirect(asked.url("tables", instance=instance), asked.text("The file is discarded."))
    form = form_of(asked.form)
    if form.problem or asked.form.get("start") is None:
        return _plan_page(asked, sent, form, form.problem)
    database = services.database(instance)
    try:
        plan = planned(database, form.table, sent, form.mapping)
    except (LutraError, ImportError) as error:
        return _plan_page(asked, sent, form, _told(asked, str(error)))
    job = start_import(services.jobs, services.uploads, database, instance, plan, sent, form.mapping, form.rejected_max)
    return asked.redirect(asked.url("job", job=job.id))


def _plan_page(asked: ConsoleRequest, sent: Upload, form: ImportForm, problem: str = "") -> Response:
    plan: Plan | None = None
    sample: list[list[ShownValue | None]] = []
    if not problem:
        try:
            plan = planned(asked.services.database(asked.instance.name), form.table, sent, form.mapping)
            form = with_what_there_is(form, plan)
            sample = _sample(plan, form)
        except (LutraError, ImportError) as error:
            problem = _told(asked, str(error))
    return asked.render(
        "import_plan.html",
        400 if problem else 200,
        instance=asked.instance.name,
        upload=sent,
        form=form,
        plan=plan,
        problem=problem,
        told=lambda text: _told(asked, text),
        columns=_columns(form, plan),
        sample=sample,
        types=TYPES,
        formats=FORMATS,
        delimiters=DELIMITERS,
        is_csv=(form.mapping.format or format_of_name(sent.path)) in ("csv", "tsv"),
        models=models(),
        tables=sorted(asked.instance.tables.names()),
        csv_defaults=CsvOptions(),
        here_form=asked.url("import_plan", instance=asked.instance.name, upload=sent.id),
    )


def _columns(form: ImportForm, plan: Plan | None) -> list[dict[str, Any]]:
    """The columns of the file, with what is said of each and what it would become."""
    by_source = {} if plan is None else {column.source: column for column in plan.columns}
    rows = []
    for source in form.columns:
        column = by_source.get(source)
        rows.append(
            {
                "source": source,
                "name": form.name_of(source),
                "said": form.type_of(source),
                "is_skipped": source in form.mapping.skipped,
                "is_key": source in form.mapping.key,
                "type": "" if column is None else type_text(column.declaration),
                "note": "" if column is None else column.note,
                "example": None if column is None or column.example is None else shown_value(column.example, 60),
            }
        )
    return rows


def _sample(plan: Plan, form: ImportForm) -> list[list[ShownValue | None]]:
    return [
        [
            None if row.values is None or row.values.get(name) is None else shown_value(row.values[name], 60)
            for name in form.columns
        ]
        for row in first_rows(plan, _ROWS_SHOWN)
    ]


def _upload(asked: ConsoleRequest) -> Upload:
    return asked.services.uploads.get(asked.path["upload"], asked.instance.name)


def _told(asked: ConsoleRequest, text: str) -> str:
    """In the words of the form, which has no options of a command."""
    return _OPTION.sub(lambda option: f"“{asked.text(_LABELS.get(option[1], option[1]))}”", text)


def _table_name(file_name: str) -> str:
    """What a new table could be called."""
    stem = re.sub(r"[^A-Za-z0-9_]+", "_", file_name.split(".")[0]).strip("_")
    return stem if stem[:1].isalpha() else f"table_{stem}".rstrip("_")


ROUTES: Final = (
    page("/i/{instance}/import", show, name="import"),
    page("/i/{instance}/t/{table}/import", show, name="table_import"),
    upload("/i/{instance}/uploads", take, name="uploaded"),
    page("/i/{instance}/uploads/{upload}", show_plan, name="import_plan"),
    action("/i/{instance}/uploads/{upload}", go_on, name="import_planned"),
)
