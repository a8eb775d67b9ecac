"""The run of an import: rows go from files to a table, what is wrong to a file of its own, and a kill costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any, Final

from lutra.instance.database import Database
from lutra.instance.put_batches import Rejected
from lutra.instance.table import Table
from lutra.instance.table_part import id_of
from lutra.instance.table_writer import put_together
from lutra.model.errors import ParameterInvalid
from lutra.transfer.checkpoint import BEING_MADE, Checkpoint, CheckpointFile
from lutra.transfer.frame_maker import FrameMaker
from lutra.transfer.plan import Plan
from lutra.transfer.positions import FoundRow, FoundRows, Position
from lutra.transfer.rejects import RejectsFile
from lutra.transfer.row_maker import RowMaker
from lutra.transfer.sampling import sampled_rows

_CHECKPOINT_ROWS: Final = 20_000


@dataclass(slots=True)
class Progress:
    """How far a run is."""

    written: int = 0
    rejected: int = 0
    before: int = 0
    """Rows that earlier runs of it had dealt with."""
    read_bytes: int = 0
    total_bytes: int = 0

    @property
    def rows(self) -> int:
        """That this run dealt with."""
        return self.written + self.rejected - self.before


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an import, over all its runs."""

    written: int
    rejected: int
    rows: int
    """Of this run."""
    is_stopped: bool
    """Whether there were more rejected rows, or bytes of them, than it was to take."""
    began_empty: bool
    """Whether the table had no rows before: then it has fewer than were written only where some had the same key."""


@dataclass(slots=True)
class ImportRun:
    """One run. ``on_progress`` is called after each few rows that are on stable storage."""

    database: Database
    plan: Plan
    checkpoints: CheckpointFile
    rejects_path: Path
    rejected_max: int | None = None
    on_progress: Callable[[Progress], object] = lambda progress: None
    checkpoint_rows: int = _CHECKPOINT_ROWS
    restarts: bool = False
    """Whether it begins anew, whatever was done before."""
    rejects_bytes_max: int | None = None
    progress: Progress = dataclass_field(default_factory=Progress)
    notes: list[str] = dataclass_field(default_factory=list)

    def run(self) -> Outcome:
        """Raises StorageFailure, ParameterInvalid; the same import goes on where it was, then."""
        plan = self.plan
        table = self._table()
        checkpoint = self._begun(table)
        path = Path(checkpoint.rejects_path) if checkpoint.rejects_path else self.rejects_path.absolute()
        rejects = RejectsFile(path, checkpoint.rejects_bytes if checkpoint.rejects_path else None)
        self.rejects_path = path
        checkpoint.rejects_path, checkpoint.rejects_bytes = str(path), rejects.size_bytes
        self.checkpoints.write(checkpoint)
        self.progress.written, self.progress.rejected = checkpoint.written, checkpoint.rejected
        self.progress.before = checkpoint.written + checkpoint.rejected
        sizes = [file.size_bytes for file in plan.files]
        self.progress.total_bytes = sum(sizes)
        for number, position in enumerate(checkpoint.positions):
            writer = _FileWriter(plan, number, table, rejects)
            since = 0
            for found in self._found(number, position):
                written, rejected = writer.write(found)
                self.progress.written += written
                self.progress.rejected += rejected
                self.progress.read_bytes = sum(sizes[:number]) + found.read_bytes
                checkpoint.positions[number] = found.after
                since += found.count
                is_stopped = self._has_enough(rejects)
                if since >= self.checkpoint_rows or rejects.is_full or is_stopped:
                    self._save(checkpoint, rejects)
                    since = 0
                self.on_progress(self.progress)
                if is_stopped:
                    return self._outcome(checkpoint, is_stopped=True)
            self._save(checkpoint, rejects)
        self.checkpoints.remove()
        return self._outcome(checkpoint, is_stopped=False)

    def _has_enough(self, rejects: RejectsFile) -> bool:
        """Whether more rows were rejected than it is to take, or their file is as large as it may be."""
        is_many = self.rejected_max is not None and self.progress.rejected > self.rejected_max
        return is_many or (self.rejects_bytes_max is not None and rejects.size_bytes > self.rejects_bytes_max)

    def _outcome(self, checkpoint: Checkpoint, *, is_stopped: bool) -> Outcome:
        progress = self.progress
        return Outcome(progress.written, progress.rejected, progress.rows, is_stopped, checkpoint.began_empty)

    def _table(self) -> Table:
        plan = self.plan
        if plan.exists:
            return self.database.table(plan.table)
        # A table and its index are made in two steps: who finds one without the other has to know that it was us.
        begin = Checkpoint(BEING_MADE, [Position() for _ in plan.files], [file.identity() for file in plan.files])
        self.checkpoints.write(begin)
        return self.database.create_table(plan.table, plan.key, plan.fields, exist_ok=True)

    def _begun(self, table: Table) -> Checkpoint:
        """Where an earlier run was; a file that has changed since is begun anew, all are where the table is another."""
        identities = [file.identity() for file in self.plan.files]
        found = None if self.restarts else self.checkpoints.read()
        self.notes += self.checkpoints.notes
        if found is not None and found.table_id == BEING_MADE:
            found = None
        if found is not None and found.table_id != id_of(table):
            self.notes.append("the table was made anew since an earlier run, so the import begins anew")
            found = None
        if found is None:
            is_empty = next(table.scan(columns=[], limit=1), None) is None
            return Checkpoint(id_of(table), [Position() for _ in identities], identities, began_empty=is_empty)
        for number, (before, now) in enumerate(zip(found.files, identities, strict=True)):
            if before != now:
                self.notes.append(f"{self.plan.files[number].path} has changed since an earlier run: it is read anew")
                found.positions[number] = Position()
                found.began_empty = False  # rows are counted once more: that there are fewer says nothing
        found.files = identities
        return found

    def _found(self, number: int, position: Position) -> Iterator[FoundRows]:
        sources = [column.source for column in self.plan.columns if column.source is not None]
        places = [column.place for column in self.plan.columns if column.place is not None]
        wanted = [*sources, *(name for place in places for name in (place.lat, place.lon))]
        reader = self.plan.readers[number]
        return reader.rows(position, [name for name in reader.names if name in wanted] or None)

    def _save(self, checkpoint: Checkpoint, rejects: RejectsFile) -> None:
        rejects.sync()
        checkpoint.written, checkpoint.rejected = self.progress.written, self.progress.rejected
        checkpoint.rejects_bytes = rejects.size_bytes
        self.checkpoints.write(checkpoint)


class _FileWriter:
    """Writes the rows of one file, and notes those that are wrong."""

    def __init__(self, plan: Plan, number: int, table: Table, rejects: RejectsFile) -> None:
        self._file = plan.files[number]
        self._hints = plan.readers[number].hints
        self._table = table
        self._rejects = rejects
        self._rows = RowMaker(plan, self._file.path.name)
        self._frames = FrameMaker(plan, self._file.path.name)

    def write(self, found: FoundRows) -> tuple[int, int]:
        """How many rows were written, and how many rejected."""
        if found.frame is not None:
            first = found.after.rows - found.frame.num_rows + 1
            frame = self._frames.frame(found.frame, first)
            if frame is not None:
                return self._write_frame(frame, first)
        return self._write_rows(sampled_rows(found, self._hints))

    def _write_frame(self, frame: Any, first: int) -> tuple[int, int]:
        rejected = 0

        def reject(of: Rejected) -> None:
            nonlocal rejected
            rejected += 1
            row = FoundRow(first + of.number, None, of.row)
            self._rejects.add(self._file.path, row, str(of.error), of.row)

        return self._table.put_many(frame, rejected=reject), rejected

    def _write_rows(self, found: Iterator[FoundRow]) -> tuple[int, int]:
        rejected = 0
        given: list[FoundRow] = []
        rows: list[dict[str, Any]] = []
        for row in found:
            try:
                if row.values is None:
                    raise ParameterInvalid(row.wrong or "cannot be read")
                rows.append(self._rows.row(row))
                given.append(row)
            except ParameterInvalid as error:
                rejected += 1
                self._rejects.add(self._file.path, row, str(error), row.values)

        def reject(of: Rejected) -> None:
            nonlocal rejected
            rejected += 1
            row = given[of.number]
            self._rejects.add(self._file.path, row, str(of.error), row.values)

        return put_together(self._table, rows, reject), rejected
