"""Jobs in the background: all of them, one with its progress, and the rows that an import rejected."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from lutra.console import shown
from lutra.console.imports import ImportAbout, rejected_file, rejected_rows
from lutra.console.jobs import JobState, JobView
from lutra.console.pages.data import file_headers
from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page
from lutra.model.errors import ObjectNotExist

_REJECTED_SHOWN: Final = 100


def show_all(asked: ConsoleRequest) -> Response:
    return asked.render("jobs.html", jobs=[_context(asked, job) for job in asked.services.jobs.all()])


def show(asked: ConsoleRequest) -> Response:
    job = asked.services.jobs.get(asked.path["job"])
    about = job.about
    rejected = rejected_rows(about.upload, _REJECTED_SHOWN) if isinstance(about, ImportAbout) and _ended(job) else []
    return asked.render("job.html", **_context(asked, job), rejected=rejected, rejected_shown_max=_REJECTED_SHOWN)


def show_state(asked: ConsoleRequest) -> Response:
    """For a script that looks again and again."""
    job = asked.services.jobs.get(asked.path["job"])
    context = _context(asked, job)
    return asked.json(
        {
            "state": job.state.value,
            "has_ended": job.state.has_ended,
            "share": job.progress.share,
            "state_text": context["state_text"],
            "progress_text": context["progress_text"],
        }
    )


def cancel(asked: ConsoleRequest) -> Response:
    job_id = asked.path["job"]
    asked.services.jobs.cancel(job_id)
    return asked.redirect(asked.url("job", job=job_id), asked.text("The job stops at its next step."))


def download_rejected(asked: ConsoleRequest) -> Response:
    job = asked.services.jobs.get(asked.path["job"])
    if not isinstance(job.about, ImportAbout):
        raise ObjectNotExist(asked.text("There is no such page."))
    try:
        pieces = rejected_file(job.about.upload)
    except FileNotFoundError:
        raise ObjectNotExist(asked.text("No rows were rejected.")) from None
    name = f"{job.about.table}.rejected.jsonl"
    return StreamingResponse(pieces, headers=file_headers(name), media_type="application/x-ndjson")


def _ended(job: JobView) -> bool:
    return job.state.has_ended


def _context(asked: ConsoleRequest, job: JobView) -> dict[str, Any]:
    return {
        "job": job,
        "title": _title(asked, job),
        "state_text": _state_text(asked, job),
        "progress_text": _progress_text(asked, job),
        "address": asked.url("job", job=job.id),
    }


def _title(asked: ConsoleRequest, job: JobView) -> str:
    if isinstance(job.about, ImportAbout):
        return asked.text("Import of {file} into {table}", file=job.about.upload.name, table=job.about.table)
    return str(job.about)


def _state_text(asked: ConsoleRequest, job: JobView) -> str:
    if job.is_stopping:
        return asked.text("stopping")
    texts = {
        JobState.WAITING: asked.text("waits for others"),
        JobState.RUNNING: asked.text("runs"),
        JobState.DONE: asked.text("done"),
        JobState.FAILED: asked.text("failed"),
        JobState.CANCELLED: asked.text("cancelled"),
    }
    return texts[job.state]


def _progress_text(asked: ConsoleRequest, job: JobView) -> str:
    progress = job.progress
    parts = [
        asked.text("{done} of {total} rows", done=shown.number(progress.done), total=shown.number(progress.total))
        if progress.total is not None
        else asked.text("{done} rows", done=shown.number(progress.done))
    ]
    if progress.total_bytes is not None:
        read, total = shown.size(progress.read_bytes), shown.size(progress.total_bytes)
        parts.append(asked.text("{read} of {total} read", read=read, total=total))
    if progress.rejected:
        parts.append(asked.text("{number} rejected", number=shown.number(progress.rejected)))
    if job.rate:
        parts.append(asked.text("{rate} rows/s", rate=shown.number(round(job.rate))))
    if job.seconds:
        parts.append(f"{job.seconds:,.1f} s")
    return " · ".join(parts)


ROUTES: Final = (
    page("/jobs", show_all, name="jobs"),
    page("/jobs/{job}", show, name="job"),
    page("/jobs/{job}/state", show_state, name="job_state"),
    action("/jobs/{job}/cancel", cancel, name="job_cancelled"),
    page("/jobs/{job}/rejected", download_rejected, name="job_rejected"),
)
