"""The first rows of files, looked at to know what their columns hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final

from lutra.instance.given_columns import chunks
from lutra.model.deadline import current_deadline
from lutra.transfer.csv_dialect import CsvOptions
from lutra.transfer.csv_reader import CsvReader
from lutra.transfer.data_file import DataFile, check_columns
from lutra.transfer.jsonl_reader import JsonLinesReader
from lutra.transfer.observation import Seen
from lutra.transfer.parquet_reader import ParquetReader
from lutra.transfer.positions import FoundRow, FoundRows, Position, RowReader

_KEPT_ROWS: Final = 1_000
SAMPLE_ROWS_DEFAULT: Final = 10_000
_SAMPLE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of a file that is read for it."""


def reader_of(file: DataFile, options: CsvOptions) -> RowReader:
    """Raises ParameterInvalid, StorageFailure, and ImportError where a library for it is not there."""
    if file.format == "parquet":
        return ParquetReader(file)
    return JsonLinesReader(file) if file.format == "jsonl" else CsvReader(file, options)


KEY_NAMES: Final = ("id", "_id", "key", "uuid", "guid", "pk", "doc_id", "docid", "row_id")
"""Of columns that are taken for the key where nobody says which is."""


@dataclass(slots=True)
class Sample:
    """What the first rows of all files have."""

    names: list[str] = dataclass_field(default_factory=list)
    """Of columns, as they first came."""
    seen: dict[str, Seen] = dataclass_field(default_factory=dict)
    hints: dict[str, str] = dataclass_field(default_factory=dict)
    rows: int = 0
    """That were looked at, and can be read."""
    bad: list[tuple[int, FoundRow]] = dataclass_field(default_factory=list)
    """That cannot, with the number of their file."""
    kept: list[tuple[int, FoundRow]] = dataclass_field(default_factory=list)
    """Some of those that can."""
    _values: dict[str, set[Any]] = dataclass_field(default_factory=dict)
    """Of columns that may be the key, while no row has the value of another."""

    def take(self, number: int, reader: RowReader, rows_max: int) -> None:
        """Reads the begin of file ``number``. Raises StorageFailure, ParameterInvalid."""
        for name, hint in reader.hints.items():
            self.hints.setdefault(name, hint)
        for name in reader.names:
            self._add_name(name)
        check_columns(reader.file.path, len(self.names))
        left, frames_bytes = rows_max, 0
        for found in reader.rows(Position()):
            current_deadline().check()
            for row in sampled_rows(found, reader.hints):
                self._take_row(number, row, is_text=not reader.has_types)
                check_columns(reader.file.path, len(self.names))
                left -= 1
                if left == 0:
                    return
            # Of what is compressed, what comes out of it.
            frames_bytes += 0 if found.frame is None else found.frame.nbytes
            if max(found.read_bytes, found.after.offset, frames_bytes) > _SAMPLE_BYTES_MAX:
                return

    def key_column(self) -> str | None:
        """One that looks like a key: by its name, and as all rows looked at have a value there, each another."""
        candidates = (name for known in KEY_NAMES for name in self.names if name.lower() == known)
        return next((name for name in candidates if self.rows == len(self._values.get(name, ())) > 0), None)

    def _take_row(self, number: int, row: FoundRow, *, is_text: bool) -> None:
        if row.values is None:
            if len(self.bad) < _KEPT_ROWS:
                self.bad.append((number, row))
            return
        self.rows += 1
        if len(self.kept) < _KEPT_ROWS:
            self.kept.append((number, row))
        for name, value in row.values.items():
            self._add_name(name)
            if value is None:
                continue
            if is_text:
                self.seen[name].add_text(value)
            else:
                self.seen[name].add(value)
            if name in self._values:
                self._look_for_another(name, value)

    def _look_for_another(self, name: str, value: Any) -> None:
        known = self._values[name]
        if isinstance(value, str | int) and value not in known:
            known.add(value)
        else:
            del self._values[name]

    def _add_name(self, name: str) -> None:
        if name not in self.seen:
            self.names.append(name)
            self.seen[name] = Seen()
            if name.lower() in KEY_NAMES:
                self._values[name] = set()


def sampled_rows(found: FoundRows, hints: Mapping[str, str]) -> Iterator[FoundRow]:
    """One by one, also of a frame."""
    yield from found.rows
    if found.frame is None:
        return
    number = found.after.rows - found.frame.num_rows
    for chunk in chunks(found.frame, lambda name: hints.get(name) == "vector"):
        for place in range(chunk.rows):
            number += 1
            yield FoundRow(number, None, chunk.row(place))
