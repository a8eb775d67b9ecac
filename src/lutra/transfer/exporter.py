"""The run of an export: rows of a table, as they are read, into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, cast

from lutra.instance.expression import Expression
from lutra.instance.field import Field
from lutra.instance.layout import KeyDeclaration
from lutra.instance.row import Row
from lutra.instance.table import Table
from lutra.instance.table_part import is_closed
from lutra.model.errors import ParameterInvalid
from lutra.model.values import AUTO_INCREMENT, KeyValue
from lutra.transfer.data_file import FORMATS, FormatName, format_of_name
from lutra.transfer.output_file import STDOUT, PieceBuffer, output_file
from lutra.transfer.table_schema import TableDeclaration
from lutra.transfer.writers import writer_of

_ROWS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Export:
    """Which rows of a table, and which of their columns, go where."""

    table: Table
    path: str
    """Its ending says the format, and how it is compressed; ``-`` is stdout."""
    format: FormatName | None = None
    where: Expression | None = None
    columns: Sequence[str] | None = None
    """Besides the key; None: all."""
    limit: int | None = None
    overwrites: bool = False
    on_progress: Callable[[int], object] = lambda rows: None
    start: Sequence[KeyValue] | None = None
    end: Sequence[KeyValue] | None = None
    """Of keys, [start, end), by their first columns; None: without a bound."""

    def run(self) -> int:
        """How many rows there are in the file. Raises ParameterInvalid, ObjectAlreadyExist, StorageFailure, and
        ImportError where a library for the format is not there."""
        format_ = self._format()
        rows = self._rows()  # which looks at what is asked for
        columns = self._fields(format_)
        written = 0
        with output_file(self.path, overwrites=self.overwrites) as file:
            for written in self._written(file, format_, rows, columns):
                self.on_progress(written)
        return written

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the file, made as they are asked for, for who hands them on and keeps none; ``path`` but says
        the format. Raises as `run`, what is asked for wrongly at once."""
        format_ = self._format()
        rows = self._rows()
        columns = self._fields(format_)
        return self._pieces(format_, rows, columns)

    def _pieces(self, format_: FormatName, rows: Iterator[Row], columns: Mapping[str, Field]) -> Iterator[bytes]:
        buffer = PieceBuffer()
        for _ in self._written(cast("IO[bytes]", buffer), format_, rows, columns):
            if piece := buffer.take():
                yield piece
        if piece := buffer.take():
            yield piece

    def _written(
        self, file: IO[bytes], format_: FormatName, rows: Iterator[Row], columns: Mapping[str, Field]
    ) -> Iterator[int]:
        """Writes the rows, some at each step; how many so far."""
        written = 0
        writer = writer_of(format_, file, columns, self._declaration(columns))
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write(batch)
            written += len(batch)
            yield written
        writer.close()

    def _format(self) -> FormatName:
        if self.format is not None:
            return self.format
        found = None if self.path == STDOUT else format_of_name(Path(self.path))
        if found is None:
            what = (
                "stdout has no name" if self.path == STDOUT else f"{self.path}: its name does not say what it is to be"
            )
            raise ParameterInvalid(f"{what}: give --format, one of {', '.join(FORMATS)}")
        return found

    def _rows(self) -> Iterator[Row]:
        return self.table.scan(start=self.start, end=self.end, where=self.where, columns=self.columns, limit=self.limit)

    def _fields(self, format_: FormatName) -> Mapping[str, Field]:
        """The columns of the file. Where rows may have others than are declared, they are read once before to know."""
        table = self.table
        declared: dict[str, Any] = {**self._key(), **table.fields}
        are_known = is_closed(table) or (bool(table.fields) and self.columns is not None)
        if are_known or format_ == "jsonl":
            wanted = {*table.key, *(table.fields if self.columns is None else self.columns)}
            return {name: Field.declared(name, of) for name, of in declared.items() if name in wanted}
        found = {name: Field.declared(name, of) for name, of in declared.items()}
        for row in self._rows():
            for name, value in row.items():
                if name in declared:
                    continue
                field = Field.of_value(name, value)
                if found.setdefault(name, field) != field and format_ == "parquet":
                    raise ParameterInvalid(
                        f"column {name!r} holds {found[name].kind.value} and {field.kind.value}, which no column of "
                        "Parquet takes: export JSON lines, or leave it out by --columns"
                    )
        return found

    def _declaration(self, columns: Mapping[str, Field]) -> TableDeclaration | None:
        """Of the table, as far as the file has its columns; None where it takes any."""
        fields = {name: of for name, of in self.table.fields.items() if name in columns}
        return TableDeclaration(self._key(), fields) if fields else None

    def _key(self) -> dict[str, KeyDeclaration]:
        """A key that the table chose is an int of the file's."""
        return {name: int if of is AUTO_INCREMENT else of for name, of in self.table.key.items()}
