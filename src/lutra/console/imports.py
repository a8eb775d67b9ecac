"""Imports of files that were sent: the plan of one, and the job that carries it out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from lutra.console.jobs import JobProgress, JobRun, Jobs, JobView
from lutra.console.uploads import Upload, Uploads
from lutra.instance.database import Database
from lutra.model.errors import LutraError
from lutra.transfer.checkpoint import CheckpointFile, ImportIdentity
from lutra.transfer.data_file import DataFile
from lutra.transfer.importer import ImportRun, Progress
from lutra.transfer.mapping import ColumnMapping
from lutra.transfer.plan import Plan
from lutra.transfer.planner import plan_import
from lutra.transfer.positions import FoundRow, Position
from lutra.transfer.sampling import sampled_rows

KIND: Final = "import"
REJECTED_MAX_DEFAULT: Final = 10_000
_SAMPLE_ROWS: Final = 2_000
_REJECTS_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of one import. Those of fifty are kept, so they take 3 GB at most."""
_READ_AT_ONCE_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class ImportAbout:
    """What a job's page says of an import."""

    instance: str
    table: str
    upload: Upload


def planned(database: Database, table: str, upload: Upload, mapping: ColumnMapping) -> Plan:
    """What would become of the file. Raises ParameterInvalid, StorageFailure, ImportError; errors name no place of the
    server's."""
    try:
        file = DataFile.at(upload.path, mapping.format)
        return plan_import(database, table, [file], mapping, sample_rows=_SAMPLE_ROWS, is_sent=True)
    except LutraError as error:
        raise _as_told(error, upload) from error


def first_rows(plan: Plan, count: int) -> list[FoundRow]:
    """Of the file, as they are there. Raises StorageFailure, ParameterInvalid."""
    [reader] = plan.readers
    rows = (row for found in reader.rows(Position()) for row in sampled_rows(found, reader.hints))
    return list(islice(rows, count))


def start_import(
    jobs: Jobs,
    uploads: Uploads,
    database: Database,
    instance: str,
    plan: Plan,
    upload: Upload,
    mapping: ColumnMapping,
    rejected_max: int,
) -> JobView:
    """Has the file imported by a job, which then removes it. Raises ServerBusy, ObjectNotExist, OperationConflict."""

    def work(run: JobRun) -> Mapping[str, Any]:
        try:
            return _import(run, database, instance, plan, upload, mapping, rejected_max)
        except LutraError as error:
            raise _as_told(error, upload) from error

    def end() -> None:
        uploads.release(upload)
        uploads.spend(upload)

    uploads.hold(upload)
    about = ImportAbout(instance, plan.table, upload)
    try:
        job = jobs.start(KIND, about, work, on_ended=end, on_forgotten=lambda: uploads.drop(upload))
    except BaseException:
        uploads.release(upload)
        raise
    upload.job_id = job.id
    return job


def _as_told(error: LutraError, upload: Upload) -> LutraError:
    """The same, of a file as people know it."""
    try:
        return type(error)(upload.told(str(error)))
    except TypeError:  # it says the same at all times
        return error


def _import(
    run: JobRun,
    database: Database,
    instance: str,
    plan: Plan,
    upload: Upload,
    mapping: ColumnMapping,
    rejected_max: int,
) -> Mapping[str, Any]:
    checkpoints = CheckpointFile(upload.folder, ImportIdentity.of(instance, plan.table, plan.files, mapping))

    def report(progress: Progress) -> None:
        run.report(
            JobProgress(progress.rows, None, progress.read_bytes, progress.total_bytes, rejected=progress.rejected)
        )

    importing = ImportRun(
        database,
        plan,
        checkpoints,
        upload.rejected_path,
        rejected_max,
        report,
        rejects_bytes_max=_REJECTS_BYTES_MAX,
    )
    outcome = importing.run()
    return {
        "written": outcome.written,
        "rejected": outcome.rejected,
        "is_stopped": outcome.is_stopped,
        "notes": [upload.told(note) for note in importing.notes],
    }


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was not imported. ``line``: of the file, where it has lines."""

    row: int
    line: int | None
    reason: str
    held: str
    """What it has, as text."""


def rejected_rows(upload: Upload, count: int) -> list[RejectedRow]:
    """The first of them; none where there are none any more."""
    try:
        with upload.rejected_path.open(encoding="utf-8") as file:
            return [_rejected(json.loads(line)) for line in islice(file, count) if line.endswith("\n")]
    except FileNotFoundError:
        return []


def rejected_file(upload: Upload) -> Iterator[bytes]:
    """The file of rejected rows, which names that of the rows as people know it. Raises FileNotFoundError at once."""
    return _with_names(upload.rejected_path, upload)


def _with_names(path: Path, upload: Upload) -> Iterator[bytes]:
    file = path.open("rb")
    there = json.dumps(str(upload.path), ensure_ascii=False).encode()
    named = json.dumps(upload.name, ensure_ascii=False).encode()

    def pieces() -> Iterator[bytes]:
        with file:
            while lines := file.readlines(_READ_AT_ONCE_BYTES):
                yield b"".join(line.replace(there, named, 1) for line in lines)

    return pieces()


def _rejected(told: Mapping[str, Any]) -> RejectedRow:
    held = told.get("raw") if "raw" in told else json.dumps(told.get("values", {}), ensure_ascii=False)
    return RejectedRow(int(told["row"]), told.get("line"), str(told["reason"]), str(held))
