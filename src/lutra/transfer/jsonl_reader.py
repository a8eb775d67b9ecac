"""JSON lines: an object in each line, by which a row is a row of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from lutra.model import limits
from lutra.transfer.data_file import DataFile
from lutra.transfer.lines import Line, Lines, shown
from lutra.transfer.positions import FoundRow, FoundRows, Position

_ROWS_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 8 * 1024 * 1024
_VALUES_MAX: Final = limits.ROW_BYTES_MAX // 4
"""Of a line: more numbers than the largest row has."""
_PARTS_MAX: Final = 2_000_000
"""Of a line: lists, objects and names in them, which take fifty times as much in memory as they do as text."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class JsonLinesReader:
    """Rows of a file of JSON lines. Empty lines are none. A `RowReader`."""

    has_types = True
    hints: Mapping[str, str] = MappingProxyType({})

    def __init__(self, file: DataFile) -> None:
        self.file = file

    @property
    def names(self) -> Sequence[str]:
        return ()

    def rows(self, start: Position, columns: Sequence[str] | None = None) -> Iterator[FoundRows]:
        number = start.rows
        with self.file.open() as opened:
            lines = Lines(opened, start)
            found: list[FoundRow] = []
            size_bytes, after = 0, start
            while (line := lines.next()) is not None:
                content = line.content.removeprefix(_BYTE_ORDER_MARK) if line.number == 1 else line.content
                size_bytes += line.size_bytes
                if content.strip():
                    number += 1
                    found.append(_row(number, line, content))
                after = Position(number, line.number, line.end_offset)
                if len(found) == _ROWS_AT_ONCE or size_bytes > _BYTES_AT_ONCE:
                    yield FoundRows(found, after, opened.raw_position)
                    found, size_bytes = [], 0
            if found:
                yield FoundRows(found, after, opened.raw_position)


def _row(number: int, line: Line, content: bytes) -> FoundRow:
    values, wrong = _parsed(line, content)
    raw = None if wrong is None else shown(content)
    return FoundRow(number, line.number, values, wrong, raw)


def _parsed(line: Line, content: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """The values of a row, or what is wrong with it."""
    if line.is_too_long:
        return None, "the line is too long for a row"
    if len(content) > _PARTS_MAX and _has_too_much(content):
        return None, "the line has too many values for a row"
    try:
        values = json.loads(content, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        return None, f"not UTF-8: byte {error.start} of the line"
    except RecursionError:
        return None, "not JSON that can be read: it is nested too deeply"
    except ValueError as error:  # of JSON, and of numbers with too many digits
        if content.lstrip().startswith(b"["):
            return None, f"expected an object of JSON in each line, not the begin of {_KINDS[list]}"
        where = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return None, f"not JSON: {getattr(error, 'msg', error)}{where}"
    if not isinstance(values, dict):
        return None, f"expected an object of JSON in each line, not {_KINDS.get(type(values), 'null')}"
    return values, None


def _has_too_much(content: bytes) -> bool:
    return content.count(b",") > _VALUES_MAX or sum(map(content.count, (b"[", b"{", b":"))) > _PARTS_MAX


_KINDS: Final[dict[type, str]] = {
    list: "an array (of an array of objects, jq -c '.[]' makes lines)",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no value of JSON")
