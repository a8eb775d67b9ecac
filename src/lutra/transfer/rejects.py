"""The file of the rows that an import rejects: JSON lines with where each is, why, and what it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from lutra.kv.folder import sync_folder
from lutra.model.errors import StorageFailure
from lutra.transfer.positions import FoundRow
from lutra.transfer.texts import plain

_VALUE_CHARS_MAX: Final = 4_096
"""Of a value as it is told; of a longer one, the begin."""
_PENDING_ROWS_MAX: Final = 1_000
_PENDING_BYTES_MAX: Final = 4 * 1024 * 1024
_OWN_LINE: Final = b'{"file": '


class RejectsFile:
    """Made when the first row comes. What is there already is kept: rows are appended."""

    def __init__(self, path: Path, size_bytes: int | None = None) -> None:
        """``size_bytes``: where an earlier run of the same import left off; what it wrote after that is written again,
        so it is taken away. None: this is the first. Raises StorageFailure."""
        self.path = path
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        with _told(path):
            there = path.stat().st_size if path.exists() else 0
            if size_bytes is not None and size_bytes < there and _is_own(path, size_bytes):
                os.truncate(path, size_bytes)
                there = size_bytes
            self._before = b"\n" if there and not _ends_a_line(path, there) else b""
        self.size_bytes = there
        """Of the file, up to the last row that is on stable storage."""

    @property
    def is_full(self) -> bool:
        """Whether it is time to write down what came."""
        return len(self._pending) >= _PENDING_ROWS_MAX or self._pending_bytes >= _PENDING_BYTES_MAX

    def add(self, file: Path, row: FoundRow, reason: str, values: Mapping[str, Any] | None) -> None:
        """A row that was rejected; it is written by the next `sync`."""
        told: dict[str, Any] = {"file": str(file), "row": row.number}
        if row.line is not None:
            told["line"] = row.line
        told["reason"] = reason
        if values is not None:
            told["values"] = {name: shown_value(value) for name, value in values.items()}
        elif row.raw is not None:
            told["raw"] = row.raw
        line = json.dumps(told, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
        self._pending.append(line)
        self._pending_bytes += len(line)

    def sync(self) -> None:
        """Puts what came on stable storage. Raises StorageFailure."""
        if not self._pending:
            return
        with _told(self.path):
            with self.path.open("ab") as file:
                file.writelines([self._before, *self._pending])
                file.flush()
                os.fsync(file.fileno())
                self.size_bytes = file.tell()
            sync_folder(self.path.absolute().parent)
        self._pending.clear()
        self._pending_bytes, self._before = 0, b""


def _is_own(path: Path, offset: int) -> bool:
    """Whether all that a file has after ``offset`` is of rejected rows; the last line may be cut off."""
    with path.open("rb") as file:
        file.seek(offset)
        return all(line.startswith(_OWN_LINE[: len(line)]) for line in file)


def _ends_a_line(path: Path, size_bytes: int) -> bool:
    with path.open("rb") as file:
        file.seek(size_bytes - 1)
        return file.read(1) == b"\n"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailure(f"cannot write rejected rows to {path}: {error.strerror}") from error


def shown_value(value: Any) -> Any:
    """As JSON has it, for people: what is long is cut."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    value = plain(value[:_VALUE_CHARS_MAX] if isinstance(value, bytes) else value)
    if isinstance(value, str):
        return value if len(value) <= _VALUE_CHARS_MAX else f"{value[:_VALUE_CHARS_MAX]}..."
    text = json.dumps(value, ensure_ascii=False, default=str)
    return json.loads(text) if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}..."
