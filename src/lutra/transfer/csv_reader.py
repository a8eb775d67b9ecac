"""CSV by Arrow's parser, cut into records beforehand, so that each row has its line and a broken one costs no other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from lutra.transfer.csv_dialect import BYTE_ORDER_MARK, CsvOptions, dialect_of
from lutra.transfer.data_file import DataFile
from lutra.transfer.lines import Line, Lines, shown
from lutra.transfer.positions import FoundRow, FoundRows, Position

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 4 * 1024 * 1024
_RECORD_LINES_MAX: Final = 2_000
_RECORD_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of a record of several lines: what is longer has a quote that is not closed."""
_BLOCK_BYTES_MIN: Final = 1_024


@dataclass(slots=True)
class _Record:
    """What is a row, most probably: from one end of a line outside of quotes to the next."""

    line: int
    content: bytes
    wrong: str | None = None


class CsvReader:
    """Rows of a CSV file, whose values are text; a `RowReader`. Raises ImportError where pyarrow is not installed."""

    has_types = False
    hints: Mapping[str, str] = MappingProxyType({})

    def __init__(self, file: DataFile, options: CsvOptions) -> None:
        try:
            import pyarrow.csv  # noqa: F401
        except ImportError as error:
            raise ImportError("CSV files need pyarrow: pip install 'lutra[arrow]'") from error
        self.file = file
        self.dialect = dialect_of(file, options)
        self._strict = _strict(self.dialect.delimiter)

    @property
    def names(self) -> Sequence[str]:
        return self.dialect.names

    def rows(self, start: Position, columns: Sequence[str] | None = None) -> Iterator[FoundRows]:
        if start == Position():
            start = self.dialect.start
        number = start.rows
        with self.file.open() as opened:
            lines = Lines(opened, start)
            while True:
                records, last = self._records(lines)
                if last is None:
                    return
                rows = self._parsed(records, number)
                number += len(rows)
                yield FoundRows(rows, Position(number, last.number, last.end_offset), opened.raw_position)

    def _records(self, lines: Lines) -> tuple[list[_Record], Line | None]:
        """The next records, and the last line of them; None where there is no line any more."""
        records: list[_Record] = []
        size_bytes = 0
        last = None
        while len(records) < _ROWS_AT_ONCE and size_bytes < _BYTES_AT_ONCE:
            line = lines.next()
            if line is None:
                break
            size_bytes += line.size_bytes
            last = line
            content = line.content.removeprefix(BYTE_ORDER_MARK) if line.number == 1 else line.content
            if line.is_too_long:
                records.append(_Record(line.number, content, "the line is too long for a row"))
            elif content.count(b'"') % 2:
                record, last = self._of_several_lines(lines, line, content)
                size_bytes += len(record.content) - len(content)
                records.append(record)
            elif content.strip(b"\r\n"):
                records.append(_Record(line.number, content))
        return records, last

    def _of_several_lines(self, lines: Lines, first: Line, content: bytes) -> tuple[_Record, Line]:
        """A record that goes on in the next lines, as it has an odd number of quotes; the first line alone where that
        leads to no row: then a quote is wrong, and the lines after it are rows of their own."""
        taken: list[Line] = []
        parts = [content]
        size_bytes, is_open = len(content), True
        while is_open and len(taken) < _RECORD_LINES_MAX and size_bytes < _RECORD_BYTES_MAX:
            line = lines.next()
            if line is None:
                break
            taken.append(line)
            parts.append(line.content)
            size_bytes += len(line.content)
            is_open = line.is_too_long or line.content.count(b'"') % 2 == 0
            if line.is_too_long:  # no row has so much
                break
        whole = _Record(first.number, b"".join(parts))
        if not is_open and self._strict.fullmatch(whole.content) and self._is_row(whole):
            return whole, taken[-1]
        lines.give_back(taken)
        alone = _Record(first.number, content)
        if not self._is_row(alone):
            alone.wrong = "a quote is not closed, or not where it can be"
        return alone, first

    def _is_row(self, record: _Record) -> bool:
        rows, bad = self._counted(record)
        return (rows, bad) == (1, 0)

    def _counted(self, record: _Record) -> tuple[int, int]:
        """How many good rows and bad ones a record is. A row after it shows whether it ends: Arrow closes a quote at
        the end of what it is given."""
        after = self.dialect.delimiter.join("0" * len(self.names)).encode()
        readable = _Record(record.line, record.content.decode(errors="replace").encode())
        columns, bad = self._arrow([readable, _Record(0, after)])
        return len(columns[0]) - 1, len(bad)

    def _parsed(self, records: list[_Record], number: int) -> list[FoundRow]:
        """The rows that records are, numbered from ``number`` + 1 on."""
        for record in records:
            record.wrong = record.wrong or _not_utf8(record.content, self.dialect.delimiter.encode())
        whole = [record for record in records if record.wrong is None]
        columns, bad = self._arrow(whole) if whole else ([], {})
        if whole and len(columns[0]) + len(bad) != len(whole):
            several = [record for record in whole if sum(self._counted(record)) != 1]
            for record in several or [record for record in whole if b"\r" in record.content.rstrip(b"\r\n")] or whole:
                record.wrong = "CR within a line, which ends a row there"
            return self._parsed(records, number)
        rows: list[FoundRow] = []
        good, position = iter(zip(*columns, strict=True)), 0
        for record in records:
            number += 1
            wrong = record.wrong
            if wrong is None:
                position += 1
                wrong = bad.get(position)
            if wrong is not None:
                rows.append(FoundRow(number, record.line, None, wrong, shown(record.content)))
                continue
            cells = zip(self.names, next(good), strict=True)
            values = {name: None if cell is None else cell.decode() for name, cell in cells}
            rows.append(FoundRow(number, record.line, values))
        return rows

    def _arrow(self, records: list[_Record]) -> tuple[list[list[Any]], dict[int, str]]:
        """The columns of those rows that have as many values as there are names; of others, by their place from 1 on,
        what is wrong. All of it is UTF-8: Arrow shows bad rows as text, and fails at one that is none."""
        import pyarrow as pa
        from pyarrow import csv

        bad: dict[int, str] = {}

        def skip(row: Any) -> str:
            expected, actual = row.expected_columns, row.actual_columns
            bad[row.number] = f"{actual} value{'s' * (actual != 1)}, but there are {expected} columns"
            return "skip"

        names = [str(number) for number in range(len(self.names))]
        content = b"".join(_ended(record.content) for record in records)
        table: pa.Table = csv.read_csv(
            pa.BufferReader(content),
            read_options=csv.ReadOptions(
                column_names=names, use_threads=False, block_size=max(_BLOCK_BYTES_MIN, len(content) + 1)
            ),
            parse_options=csv.ParseOptions(
                delimiter=self.dialect.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            convert_options=csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.binary()),
                null_values=list(self.dialect.nulls),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        return [column.to_pylist() for column in table.columns], bad


def _strict(delimiter: str) -> re.Pattern[bytes]:
    """What is a row without a doubt: after a value in quotes comes a delimiter or the end, which Arrow does not ask."""
    sign = re.escape(delimiter.encode())
    cell = rb'(?:"(?:[^"]|"")*+"|(?:[^"\r\n' + sign + rb"][^\r\n" + sign + rb"]*+)?)"
    return re.compile(cell + rb"(?:" + sign + cell + rb")*+\r?\n?")


def _not_utf8(content: bytes, delimiter: bytes) -> str | None:
    """What is wrong with a record that is no text; it shows the rest of the value."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        value = content[error.start :].partition(delimiter)[0].rstrip(b"\r\n")
        return f"not UTF-8: {shown(value[:20])} (iconv makes a file UTF-8)"
    return None


def _ended(content: bytes) -> bytes:
    """With an end of line, which the last one of a file may lack."""
    return content if content.endswith(b"\n") else content + b"\n"
