"""How a CSV file is written: what is between its values, what their columns are called, what stands for none."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from lutra.model.errors import ParameterInvalid
from lutra.transfer.data_file import DataFile, check_columns
from lutra.transfer.lines import Line, Lines, shown
from lutra.transfer.positions import Position

_DELIMITERS: Final = ",;\t|"
_HEAD_CHARS_MAX: Final = 4 * 1024 * 1024
"""Of the line with the names of columns."""
_MARKS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """What somebody says about CSV files; the rest they say themselves."""

    delimiter: str | None = None
    header: tuple[str, ...] | None = None
    """The names of the columns, of files whose first line does not have them."""
    nulls: tuple[str, ...] = ("",)
    """What stands for no value, where it is not in quotes."""


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """Of one file."""

    delimiter: str
    names: tuple[str, ...]
    start: Position
    """Where its first row is."""
    nulls: tuple[str, ...]


def dialect_of(file: DataFile, options: CsvOptions) -> CsvDialect:
    """Reads the first line. Raises ParameterInvalid, StorageFailure."""
    with file.open() as opened:
        lines = Lines(opened, Position())
        first = lines.next()
        while first is not None and not first.content.removeprefix(BYTE_ORDER_MARK).strip():
            first = lines.next()
        if first is None:
            raise ParameterInvalid(f"{file.path} is empty")
        head = _head(file, first)
        delimiter = options.delimiter or ("\t" if file.format == "tsv" else _likely_delimiter(head))
        if options.header is not None:
            check_columns(file.path, len(options.header))
            return CsvDialect(delimiter, _checked(file, options.header), Position(), options.nulls)
        while head.count('"') % 2:  # a name with an end of line in it
            more = lines.next()
            if more is None or len(head) > 65_536:
                raise ParameterInvalid(
                    f"{file.path}: the line with the names of columns has a quote that is not closed"
                )
            first, head = more, head + _text(file, more.content)
        names = _cells(file, head, delimiter)
        start = Position(0, first.number, first.end_offset)
        return CsvDialect(delimiter, _named(names), start, options.nulls)


def _cells(file: DataFile, head: str, delimiter: str) -> list[str]:
    """Of the line with the names of columns."""
    if len(head) > _HEAD_CHARS_MAX:
        raise ParameterInvalid(f"{file.path}: the line with the names of columns has {len(head):,} characters")
    try:
        [names] = csv.reader([head], delimiter=delimiter)
    except csv.Error as error:
        raise ParameterInvalid(f"{file.path}: the line with the names of columns cannot be read: {error}") from None
    check_columns(file.path, len(names))
    return names


def _head(file: DataFile, line: Line) -> str:
    for mark, encoding in _MARKS.items():
        if line.content.startswith(mark):
            raise ParameterInvalid(f"{file.path} is {encoding}: make it UTF-8 first (iconv -f {encoding} -t UTF-8)")
    if line.is_too_long:
        raise ParameterInvalid(f"{file.path}: the first line has no end; is this a CSV file?")
    head = _text(file, line.content.removeprefix(BYTE_ORDER_MARK))
    if "\r" in head.rstrip("\r\n"):
        raise ParameterInvalid(f"{file.path}: its lines end by CR alone: make it LF first (tr '\\r' '\\n')")
    return head


def _text(file: DataFile, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        # What is no text has its backslashes already; signs of control get theirs here.
        line = repr(shown(content)[:60].strip()).replace(r"\\", "\\")
        raise ParameterInvalid(
            f"{file.path}: the first line is not UTF-8: {line}. Save it as UTF-8 first: "
            "spreadsheets offer that, and iconv -f LATIN1 -t UTF-8 does it"
        ) from None


def _likely_delimiter(head: str) -> str:
    """That of which there are most outside of quotes; a comma where there is none."""
    outside = "".join(head.split('"')[::2])
    return max(_DELIMITERS, key=lambda one: (outside.count(one), -_DELIMITERS.index(one)))


def _named(given: Sequence[str]) -> tuple[str, ...]:
    """The names of a first line. A column without one, as pandas writes its index, is called by its number, and one
    that is called as another before it has a number behind its name."""
    written = [name.strip() for name in given]
    taken, names = {*written}, dict[str, None]()
    for number, name in enumerate(written, 1):
        if not name or name in names:
            tries = (f"{name or 'column'}_{place}" for place in count(2 if name else number))
            name = next(one for one in tries if one not in taken)
            taken.add(name)
        names[name] = None
    return tuple(names)


def _checked(file: DataFile, given: Sequence[str]) -> tuple[str, ...]:
    names = [name.strip() for name in given]
    for number, name in enumerate(names, 1):
        if not name:
            raise ParameterInvalid(f"{file.path}: --header: column {number} has no name")
        if name in names[: number - 1]:
            raise ParameterInvalid(f"{file.path}: --header: two columns are called {name!r}")
    return tuple(names)
