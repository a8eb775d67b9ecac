"""The lines of a file, each of bounded length."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from lutra.model.deadline import current_deadline
from lutra.model.errors import ParameterInvalid
from lutra.transfer.data_file import OpenFile
from lutra.transfer.positions import Position

LINE_BYTES_MAX: Final = 48 * 1024 * 1024
"""More than the largest row takes in any of the formats, with its vectors in digits."""
LINE_SKIPPED_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of a line that is too long and is passed over: a small compressed file can say one of terabytes."""
LINE_SHOWN_BYTES: Final = 4_096
"""Of a line that cannot be read, as it is told."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its end; of one that is too long, the begin."""

    number: int
    """From 1."""
    content: bytes
    end_offset: int
    is_too_long: bool = False
    size_bytes: int = 0
    """That it has in the file."""


class Lines:
    """Gives lines one by one, and takes back those that were read too far."""

    def __init__(self, file: OpenFile, start: Position) -> None:
        """Raises StorageFailure."""
        file.skip_to(start.offset)
        self._file = file
        self._number = start.line
        self._offset = start.offset
        self._returned: deque[Line] = deque()

    def next(self) -> Line | None:
        """The next line, or None at the end. Raises StorageFailure, ParameterInvalid, RequestTimeout."""
        if self._returned:
            return self._returned.popleft()
        content = self._file.read_line(LINE_BYTES_MAX)
        if not content:
            return None
        self._number += 1
        self._offset += len(content)
        if len(content) < LINE_BYTES_MAX or content.endswith(b"\n"):
            return Line(self._number, content, self._offset, size_bytes=len(content))
        begin = self._offset - len(content)
        more = content
        while more and not more.endswith(b"\n"):
            current_deadline().check()
            if self._offset - begin > LINE_SKIPPED_BYTES_MAX:
                raise ParameterInvalid(
                    f"{self._file.path}: line {self._number:,} has no end within {LINE_SKIPPED_BYTES_MAX:,} bytes"
                )
            more = self._file.read_line(LINE_BYTES_MAX)
            self._offset += len(more)
        size_bytes = self._offset - begin
        return Line(self._number, content[:LINE_SHOWN_BYTES], self._offset, is_too_long=True, size_bytes=size_bytes)

    def give_back(self, lines: list[Line]) -> None:
        """Lines that were given last, in their order."""
        self._returned.extendleft(reversed(lines))


def shown(content: bytes) -> str:
    """The begin of what stands in a file, as text."""
    text = content[:LINE_SHOWN_BYTES].decode(errors="backslashreplace").rstrip("\r\n")
    return text if len(content) <= LINE_SHOWN_BYTES else f"{text}..."
