"""Vectors for rows that SDKs put into a served table: whoever follows its changes makes them, soon after.

A follower is a `lutra.feed.consumer.ChangeConsumer` of one table, for all of its fields that have models. It takes in
what changes from when it began, no more: of rows that were there before, `lutra.Table.embed` makes the vectors. Each
row is looked at as it is; its own writes come by once more, and are found to be done. How far it is stands in a file,
written now and then: what comes twice after a crash does no harm.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lutra.feed.progress import Progress
from lutra.feed.quiet_consumer import QuietConsumer
from lutra.instance.embed_run import EmbedRun, Unembedded
from lutra.instance.instance import Instance
from lutra.instance.layout import Layout
from lutra.kv.json_file import read_json, remove_json, write_json
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import Corruption, LutraError, ObjectMissing, StorageFailure
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import TableDescription
from lutra.tables.changelog import Changelog

_FORMAT: Final = 1
_SAVE_PERIOD_S: Final = 5.0
_FAILURES_KEPT: Final = 100
_REASON_CHARS_MAX: Final = 300

_log = logging.getLogger(__name__)


class EmbeddingFollower(QuietConsumer):
    """Of one table."""

    rows: int = 0

    def __init__(
        self, instance: Instance, table: TableDescription, changelog: Changelog, path: Path, begin_at: int
    ) -> None:
        """``path``: the file that says how far it is. ``begin_at``: the sequence that a new one begins at."""
        super().__init__(table)
        self.embedded = 0
        """Vectors that it has written."""
        self.failed = 0
        """Rows that a model could not do, as often as they were written."""
        self.failures: deque[Unembedded] = deque(maxlen=_FAILURES_KEPT)
        """The last of them."""
        self._instance = instance
        self._changelog = changelog
        self._path = path
        self._begin_at = begin_at
        self._progress = Progress()
        self._stored = 0
        self._lock = threading.Lock()
        self._has_looked = self._is_closed = False
        self._saved_at_s = 0.0
        self._deadline = Deadline(float("inf"), what="embedding")

    @property
    def title(self) -> str:
        return f"embedding of table [{self.table}]"

    @property
    def progress(self) -> Progress:
        return self._progress

    @property
    def durable_position(self) -> int:
        return self._stored

    def open(self) -> int:
        """Raises StorageFailure."""
        last, stored = self._changelog.last_sequence, self._read()
        position = self._begin_at if stored is None or stored > last else stored
        # What was forgotten meanwhile, while nobody followed, is for `Table.embed`.
        position = max(position, self._changelog.trimmed_through(self.table_id))
        self._progress, self._stored = Progress(position, filled=True), position
        self._save()
        self.is_open = True
        return -1

    def apply(self, rows: Sequence[Row], gone: Sequence[PrimaryKey] = ()) -> None:
        """Gives rows the vectors that they lack. Raises EmbeddingError where a model gives nothing: it comes again."""
        self._has_looked = True
        layout = layout_of(self._instance, self.table)
        for field in () if layout is None else layout.embedded:
            assert layout is not None
            run = EmbedRun(lambda: self._instance, layout, field.name, on_failure=self._note)
            with working_for(self._deadline):
                run.give(rows)
            self.embedded += run.progress.embedded

    def reached(self, progress: Progress) -> None:
        self._progress = progress

    def is_due(self, now_s: float) -> bool:
        return self._has_looked and now_s >= self._saved_at_s + _SAVE_PERIOD_S

    def maintain(self) -> None:
        """Raises StorageFailure."""
        self._save()

    def end(self) -> None:
        self._deadline.give_up()

    def close(self, wait_s: float) -> bool:
        with self._lock:
            is_first, self._is_closed = not self._is_closed, True
        if is_first and self.is_open and self._has_looked:
            try:
                self._write(self._progress.position)
            except StorageFailure:  # a little is looked at once more, no more
                _log.warning("%s could not note how far it is", self.title, exc_info=True)
        return True

    def delete(self) -> None:
        """Raises StorageFailure."""
        remove_json(self._path)

    def damage(self, error: Corruption | ObjectMissing) -> LutraError:
        return error

    # --- inside -----------------------------------------------------------------------------------------------------

    def _note(self, row: Unembedded) -> None:
        self.failed += 1
        reason = row.reason[:_REASON_CHARS_MAX]
        self.failures.append(Unembedded(row.key, reason))
        if self.failed <= _FAILURES_KEPT:
            _log.warning("row %s of table [%s] gets no vector: %s", row.key, self.table, reason)

    def _save(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            position, self._has_looked = self._progress.position, False
            self._write(position)
            self._stored, self._saved_at_s = position, time.monotonic()

    def _write(self, position: int) -> None:
        write_json(self._path, {"format": _FORMAT, "table_id": self.table_id, "position": position})

    def _read(self) -> int | None:
        """None where there is no file that can be read: then it begins anew. Raises StorageFailure."""
        try:
            found: Any = read_json(self._path)
        except ValueError:
            return None
        is_ours = isinstance(found, dict) and (found.get("format"), found.get("table_id")) == (_FORMAT, self.table_id)
        return int(found["position"]) if is_ours and type(found.get("position")) is int else None


def layout_of(instance: Instance, table: str) -> Layout | None:
    """A table as its models see it, through the first index that has all fields they make; None where none has one."""
    schema = instance.tables.describe(table).schema
    wanted = {one.name for one in schema.declared if one.embedding is not None}
    best: Layout | None = None
    for _, index in instance.list_search_indexes(table):
        found = Layout.of_table(schema, index, instance.describe_search_index(table, index).schema)
        if found.embedded and (best is None or len(found.embedded) > len(best.embedded)):
            best = found
        if best is not None and len(best.embedded) == len(wanted):
            break
    return best


@dataclass(frozen=True, slots=True)
class EmbeddingState:
    """How a follower is. ``synced_us``: rows of every write acknowledged before that have their vectors, or are among
    those that ``failed``, of which ``failures`` are the last. ``error``: what keeps it from going on."""

    table: str
    synced_us: int
    embedded: int
    failed: int
    failures: Sequence[Unembedded]
    error: str | None
