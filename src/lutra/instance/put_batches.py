"""Rows of any shape, frames among them, as batches that are written together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from lutra.embedding.embedder import EmbeddingError
from lutra.instance.embedded_rows import EmbeddedRows
from lutra.instance.frame_rows import FrameRows, Names, renamed
from lutra.instance.given_columns import Chunk, chunks, is_frame
from lutra.instance.layout import Layout
from lutra.kernels.plainbuffer import measure_row
from lutra.model import limits
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.rows import ChangeKind, RowChange, WriteResult
from lutra.tables.changes import check_change

FRAME_BATCH_ROWS: Final = 1_000
BATCH_BYTES: Final = limits.WRITE_BYTES_MAX // 2
"""Others that write wait for a batch: it is not as large as it may be."""


class ArrowStream(Protocol):
    """What gives its rows as Arrow has them: its tables and readers, polars' frames, DuckDB's relations."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that :meth:`lutra.Table.put_many` did not write, as it tells its ``rejected``."""

    number: int
    """Its place among all rows that were given, from 0."""
    row: Any
    """What was given; of a frame, a dict of the values that the row has."""
    error: LutraError
    """Why it was refused: ``str(error)`` names the column."""


class _Entry(NamedTuple):
    """A row that is right in itself."""

    number: int
    origin: Any
    """What was given for it; of a frame, its chunk."""
    place: int | None
    """Its number in the chunk."""
    change: RowChange
    size_bytes: int

    @property
    def given(self) -> Any:
        return self.origin if self.place is None else self.origin.row(self.place)


@dataclass(slots=True)
class _Batch:
    rows_max: int
    entries: list[_Entry] = field(default_factory=list)
    size_bytes: int = 0

    def takes(self, entry: _Entry) -> bool:
        """Whether it has room for the entry, and then it has it; the first it has always."""
        size_bytes = self.size_bytes + entry.size_bytes
        if self.entries and (len(self.entries) == self.rows_max or size_bytes > BATCH_BYTES):
            return False
        self.entries.append(entry)
        self.size_bytes = size_bytes
        return True


Write = Callable[[list[RowChange]], list[WriteResult | LutraError]]


class PutBatches:
    """One call of `lutra.Table.put_many`."""

    def __init__(
        self,
        layout: Layout,
        write: Write,
        names: Names | None,
        rejected: Callable[[Rejected], object] | None,
        rows_max: int = limits.BATCH_WRITE_ROWS_MAX,
    ) -> None:
        """``write`` commits changes together; their results stand in their places. ``rows_max``: in one commit, of rows
        that come one by one. Raises ParameterInvalid."""
        if names is not None and not isinstance(names, Mapping):
            raise ParameterInvalid(
                f"columns= is a dict that says what columns are called in the table, not {type(names).__name__}"
            )
        self._layout = layout
        self._embedded = EmbeddedRows(layout)
        self._made_bytes = self._embedded.row_bytes
        self._write = write
        self._names = names or {}
        self._rejected = rejected
        self._frames: dict[tuple[str, ...], FrameRows] = {}
        self._written = 0
        self._rows_max = rows_max

    def run(self, rows: Any, progress: Callable[[int], object] | None) -> int:
        """How many rows were written. Raises as `lutra.Table.put_many`."""
        for batch in self._batches(_pieces(rows)):
            self._put(batch.entries)
            if progress is not None:
                progress(self._written)
        return self._written

    def _batches(self, pieces: Iterable[Any]) -> Iterator[_Batch]:
        batch: _Batch | None = None
        for entry in self._entries(pieces):
            if batch is not None and batch.takes(entry):
                continue
            if batch is not None:
                yield batch
            batch = _Batch(self._rows_max if entry.place is None else FRAME_BATCH_ROWS)
            batch.takes(entry)
        if batch is not None:
            yield batch

    def _entries(self, pieces: Iterable[Any]) -> Iterator[_Entry]:
        number = 0
        for piece in pieces:
            if type(piece) is dict or not is_frame(piece):
                yield from self._of_row(piece, number)
                number += 1
                continue
            for chunk in chunks(piece, self._is_vector):
                yield from self._of_chunk(chunk, number)
                number += chunk.rows

    def _of_row(self, row: Any, number: int) -> Iterator[_Entry]:
        try:
            key, cells = self._layout.encode_row(renamed(row, self._names) if self._names else row)
        except LutraError as error:
            self._reject(number, row, error)
            return
        change = RowChange(ChangeKind.PUT, key, cells)
        yield _Entry(number, row, None, change, self._size_bytes(change))

    def _of_chunk(self, chunk: Chunk, first: int) -> Iterator[_Entry]:
        given = tuple(chunk.columns)
        rows = self._frames.get(given)
        if rows is None:
            rows = self._frames[given] = FrameRows(self._layout, given, self._names)
        encoded = rows.encode(chunk)
        for place in sorted(encoded.errors):
            self._reject(first + place, chunk.row(place), encoded.errors[place])
        for place, change in enumerate(encoded.changes):
            if place not in encoded.errors:
                yield _Entry(first + place, chunk, place, change, self._size_bytes(change))

    def _size_bytes(self, change: RowChange) -> int:
        """With the vectors that are still to be made."""
        return size_bytes_of(change) + self._made_bytes

    def _completed(self, entries: list[_Entry]) -> list[_Entry]:
        """Those that have all their vectors; the others are rejected. Raises EmbeddingError."""
        try:
            errors = self._embedded.complete([entry.change for entry in entries])
        except EmbeddingError as error:
            raise type(error)(f"{error}; {self._kept}") from error
        for place, of_row in errors.items():
            self._reject(entries[place].number, entries[place].given, of_row)
        return [entry for place, entry in enumerate(entries) if place not in errors] if errors else entries

    def _put(self, entries: list[_Entry]) -> None:
        entries = self._completed(entries)
        while entries:
            try:
                results = self._write([entry.change for entry in entries])
                break
            except ParameterInvalid as error:  # of the whole batch: what one of its rows has to answer for
                sound = [entry for entry in entries if not self._is_refused(entry)]
                if len(sound) == len(entries) > 1:
                    raise
                if len(sound) == len(entries):
                    self._reject(entries[0].number, entries[0].given, error)
                    return
                entries = sound
        for entry, result in zip(entries, results if entries else (), strict=True):
            if not isinstance(result, LutraError):
                self._written += 1
            elif self._rejected is not None:
                self._reject(entry.number, entry.given, result)
            else:
                first, last = entries[0].number, entries[-1].number
                message = f"row {entry.number}: {result}; rows {first} to {last} are written but for such"
                raise type(result)(message) from result

    def _is_refused(self, entry: _Entry) -> bool:
        """Whether a change is wrong in itself; then it is rejected."""
        try:
            check_change(entry.change)
        except ParameterInvalid as error:
            self._reject(entry.number, entry.given, error)
            return True
        return False

    def _reject(self, number: int, row: Any, error: LutraError) -> None:
        """Tells of a row that is wrong, and raises where nobody wants to hear."""
        if self._rejected is None:
            raise type(error)(f"row {number}: {error}; {self._kept}") from None
        self._rejected(Rejected(number, row, error))

    @property
    def _kept(self) -> str:
        return f"the {self._written} rows before it are written" if self._written else "nothing is written"

    def _is_vector(self, name: str) -> bool:
        field = self._layout.fields.get(self._names.get(name, name) or "")
        return field is not None and field.vector is not None


def size_bytes_of(change: RowChange) -> int:
    """What a change brings, as a write counts it."""
    try:
        return int(measure_row(change.key, change.cells, 8))
    except LutraError:  # of a name that no column can have: the write says so
        return 0


def _pieces(rows: Any) -> Iterable[Any]:
    """Rows and frames, one by one. Raises ParameterInvalid."""
    if is_frame(rows):
        return [rows]
    if isinstance(rows, dict) or not isinstance(rows, Iterable) or isinstance(rows, str | bytes):
        advice = "collect it first, where it is lazy"
        if isinstance(rows, dict):
            advice = "write put(row) or put_many([row])"
        elif isinstance(rows, str | bytes):
            advice = "read the file first, by pandas say, or use `lutra import`"
        raise ParameterInvalid(f"put_many takes a list of rows, or a frame, not one {type(rows).__name__}: {advice}")
    return rows
