"""Rows into files: CSV, JSON lines and Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from lutra.instance import frames
from lutra.instance.field import Field, Kind
from lutra.instance.row import Row
from lutra.model.errors import ParameterInvalid
from lutra.transfer.data_file import FormatName
from lutra.transfer.parquet_reader import TABLE_KEY
from lutra.transfer.table_schema import TableDeclaration
from lutra.transfer.texts import cell_text, json_text, vector_texts

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_BYTES: Final = 32 * 1024 * 1024
_GROUP_ROWS: Final = 65_536
_NEEDS_QUOTES: Final = frozenset('"\r\n')


class RowWriter(Protocol):
    """Writes the rows of one file."""

    def write(self, rows: Sequence[Row]) -> None:
        """Raises ParameterInvalid where a row has what the format does not take."""
        ...

    def close(self) -> None:
        """Writes what is left; the file itself is not closed."""
        ...


def writer_of(
    format_: FormatName, file: IO[bytes], columns: Mapping[str, Field], table: TableDeclaration | None
) -> RowWriter:
    """``table`` is what a file says of the table that it is made from, where it can.

    Raises ImportError where a library for it is not there.
    """
    if format_ == "parquet":
        return ParquetRowWriter(file, columns, table)
    if format_ == "jsonl":
        return JsonLinesWriter(file)
    return CsvWriter(file, list(columns), "\t" if format_ == "tsv" else ",")


class JsonLinesWriter:
    """What a row does not have is not there. A `RowWriter`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, rows: Sequence[Row]) -> None:
        texts = _vectors_of(rows)
        lines = []
        for number, row in enumerate(rows):
            parts = [f"{json.dumps(name)}: {_text_of(texts, number, name, value)}" for name, value in row.items()]
            lines.append(f"{{{', '.join(parts)}}}\n")
        self._file.write("".join(lines).encode())

    def close(self) -> None:
        pass


class CsvWriter:
    """What a row does not have is an empty cell, an empty text is one in quotes. A `RowWriter`."""

    def __init__(self, file: IO[bytes], names: Sequence[str], delimiter: str) -> None:
        self._file = file
        self._names = names
        self._delimiter = delimiter
        self._file.write(self._line([self._quoted(name) for name in names]))

    def write(self, rows: Sequence[Row]) -> None:
        texts = _vectors_of(rows)
        for number, row in enumerate(rows):
            cells = []
            for name in self._names:
                value = row.get(name)
                text = texts.get(name, {}).get(number)
                cells.append("" if value is None else self._quoted(cell_text(value) if text is None else text))
            self._file.write(self._line(cells))

    def close(self) -> None:
        pass

    def _line(self, cells: Sequence[str]) -> bytes:
        return f"{self._delimiter.join(cells)}\n".encode()

    def _quoted(self, text: str) -> str:
        if text and self._delimiter not in text and _NEEDS_QUOTES.isdisjoint(text) and text.strip() == text:
            return text
        return f'"{text.replace(chr(34), chr(34) * 2)}"'


class ParquetRowWriter:
    """Vectors are fixed-size lists of float32, what a row does not have is null. A `RowWriter`."""

    def __init__(self, file: IO[bytes], columns: Mapping[str, Field], table: TableDeclaration | None) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ImportError("Parquet files need pyarrow: pip install 'lutra[arrow]'") from error
        self._texts = {name for name, field in columns.items() if _is_open(field)}
        columns = {name: Field(name, Kind.STR) if name in self._texts else of for name, of in columns.items()}
        self._columns = columns
        schema: pa.Schema = frames.arrow(columns, []).schema
        if table is not None:
            schema = schema.with_metadata({TABLE_KEY: json.dumps(table.as_json()).encode()})
        self._schema = schema
        self._file = pa.PythonFile(file, mode="w")
        self._parquet = pq.ParquetWriter(self._file, schema, compression="zstd")
        self._pending: list[pa.Table] = []

    def write(self, rows: Sequence[Row]) -> None:
        self._pending.append(frames.arrow(self._columns, [self._row(row) for row in rows]).cast(self._schema))
        full = sum(table.nbytes for table in self._pending) >= _GROUP_BYTES
        if full or sum(table.num_rows for table in self._pending) >= _GROUP_ROWS:
            self._write_pending()

    def close(self) -> None:
        self._write_pending()
        self._parquet.close()

    def _row(self, row: Row) -> Mapping[str, Any]:
        """Objects of any shape as JSON. Raises ParameterInvalid for what Arrow would leave out of a struct."""
        for name, field in self._columns.items():
            if field.fields and (other := _undeclared(field, row.get(name))) is not None:
                raise ParameterInvalid(
                    f"row {row.key}: column {name!r} has {other!r}, which is not declared, so no column of Parquet "
                    "takes it: export JSON lines, or leave it out by --columns"
                )
        if not self._texts:
            return row
        return {name: json_text(value) if name in self._texts else value for name, value in row.items()}

    def _write_pending(self) -> None:
        import pyarrow as pa

        if self._pending:
            self._parquet.write_table(pa.concat_tables(self._pending), row_group_size=_GROUP_ROWS)
            self._pending.clear()


def _is_open(field: Field) -> bool:
    """Whether it holds objects of any shape, somewhere."""
    return field.is_open or any(map(_is_open, field.fields))


def _undeclared(field: Field, value: Any) -> str | None:
    """What an object, or one of several, has that its field does not."""
    if isinstance(value, list):
        return next((found for one in value if (found := _undeclared(field, one)) is not None), None)
    if not isinstance(value, Mapping):
        return None
    fields = {one.name: one for one in field.fields}
    for name, one in value.items():
        if name not in fields:
            return str(name)
        if fields[name].fields and (found := _undeclared(fields[name], one)) is not None:
            return found
    return None


def _vectors_of(rows: Sequence[Row]) -> dict[str, dict[int, str]]:
    """The vectors of rows as text, by column and number of the row: all of a column at once."""
    import numpy as np

    found: dict[str, dict[int, Any]] = {}
    for number, row in enumerate(rows):
        for name, value in row.items():
            if isinstance(value, np.ndarray):
                found.setdefault(name, {})[number] = value
    return {name: dict(zip(of, vector_texts(list(of.values())), strict=True)) for name, of in found.items()}


def _text_of(texts: Mapping[str, Mapping[int, str]], number: int, name: str, value: Any) -> str:
    text = texts.get(name, {}).get(number)
    return json_text(value) if text is None else text
