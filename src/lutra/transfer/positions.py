"""Where a reader is in a file, and what it found there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from lutra.transfer.data_file import DataFile


@dataclass(frozen=True, slots=True)
class Position:
    """After so many rows of a file; whoever reads on from there goes to this place of it."""

    rows: int = 0
    """Rows before it, bad ones included."""
    line: int = 0
    """Lines before it, of files that have lines."""
    offset: int = 0
    """Bytes before it, as they are once decompressed, of files that have lines."""

    def as_json(self) -> dict[str, int]:
        return {"rows": self.rows, "line": self.line, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row of a file: its values, or what is wrong with it."""

    number: int
    """From 1, bad ones counted."""
    line: int | None
    """Of the file, from 1, where the row begins; None where the file has no lines."""
    values: Mapping[str, Any] | None
    """By the file's names; None: it cannot be read."""
    wrong: str | None = None
    raw: str | None = None
    """What stands there, of a row that cannot be read."""


@dataclass(frozen=True, slots=True)
class FoundRows:
    """Some rows, and where the next ones are."""

    rows: Sequence[FoundRow]
    after: Position
    read_bytes: int
    """Of the file itself, up to there, about."""
    frame: Any = None
    """Where the file has them so: a pyarrow.RecordBatch of these rows, and ``rows`` is empty."""

    @property
    def count(self) -> int:
        return len(self.rows) if self.frame is None else self.frame.num_rows


class RowReader(Protocol):
    """Reads the rows of one file."""

    @property
    def file(self) -> DataFile:
        """The file."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Of the columns that the file says it has; none where each row says it."""
        ...

    @property
    def hints(self) -> Mapping[str, str]:
        """The types of columns, as `lutra.transfer.field_types` writes them, where the file says them."""
        ...

    @property
    def has_types(self) -> bool:
        """Whether its values have types of their own; else they are text, but for gaps."""
        ...

    def rows(self, start: Position, columns: Sequence[str] | None = None) -> Iterator[FoundRows]:
        """From ``start`` on, some at a time, so that memory is bounded; of columns that are not wanted it may leave out
        what it can. Raises StorageFailure, ParameterInvalid."""
        ...
