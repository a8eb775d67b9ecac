"""Chunks of frames as changes that put their rows into a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lutra.instance.column_encoder import ColumnEncoder, EncodedColumn, text_bytes_max
from lutra.instance.given_columns import Chunk
from lutra.instance.layout import Layout, encode_key_value, mapping_of
from lutra.model import limits
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.rows import CellChange, CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn
from lutra.model.suggestions import suggestion
from lutra.model.values import AUTO_INCREMENT

Names = Mapping[str, str | None]
"""What columns that are given are called in the table; None: they are left out. Those not in it keep their names."""


@dataclass(slots=True)
class EncodedRows:
    """A chunk as a table takes it."""

    changes: list[RowChange]
    """One a row; what stands for a row that has an error is not to be written."""
    errors: Mapping[int, LutraError]
    """Of the rows that are wrong, by their number in the chunk: what is wrong first."""


class FrameRows:
    """Makes changes of the rows of one frame."""

    def __init__(self, layout: Layout, given: Sequence[str], names: Names) -> None:
        """``given``: the frame's columns. Raises ParameterInvalid where they do not go with the table."""
        self._layout = layout
        self._sources = sources(layout, given, names)
        self._encoders = {name: self._encoder(name) for name in self._sources}
        self._keys = {column.name: self._key_encoder(column) for column in layout.key}

    def encode(self, chunk: Chunk) -> EncodedRows:
        """Whatever is wrong with a row stands under its number."""
        errors: dict[int, LutraError] = {}
        keys, cells = [], []
        for name, encoder in self._keys.items():
            if name not in self._sources:
                keys.append([(name, AUTO_INCREMENT)] * chunk.rows)
                continue
            encoded = encoder.encode(chunk.columns[self._sources[name]])
            keys.append([(name, value) for value in encoded.cells])
            _add_errors(errors, encoded)
        for name, encoder in self._encoders.items():
            if name in self._keys:
                continue
            encoded = encoder.encode(chunk.columns[self._sources[name]])
            cells.append(_changes(name, encoded.cells))
            _add_errors(errors, encoded)
        of_rows = _rows(cells, chunk.rows)
        of_keys = zip(*keys, strict=True)
        changes = [RowChange(ChangeKind.PUT, key, of_row) for key, of_row in zip(of_keys, of_rows, strict=True)]
        return EncodedRows(changes, errors)

    def _encoder(self, name: str) -> ColumnEncoder:
        field = self._layout.fields.get(name)
        most = limits.COLUMN_VALUE_BYTES_MAX if field is None else text_bytes_max(field)
        return ColumnEncoder(field, most, lambda value: self._layout.encode_value(name, value))

    def _key_encoder(self, column: KeyColumn) -> ColumnEncoder:
        def encode(value: object) -> Any:
            given = self._layout.key_part(column, value)
            return given if column.auto_increment and given is AUTO_INCREMENT else encode_key_value(column, given)

        kind = self._layout.key_kind(column)
        return ColumnEncoder(kind, limits.KEY_VALUE_BYTES_MAX, encode, is_key=True)


def renamed(row: Any, names: Names) -> Mapping[str, object]:
    """A row whose columns are called as the table calls them. Raises ParameterInvalid where two come to one name."""
    result: dict[str, object] = {}
    for source, value in mapping_of(row).items():
        name = names.get(source, source)
        if name in result:
            raise ParameterInvalid(f"several columns are to be column {name!r}, {source!r} among them")
        if name is not None:
            result[name] = value
    return result


def sources(layout: Layout, given: Sequence[str], names: Names) -> dict[str, str]:
    """By columns of the table, those of a frame that they come from.

    Raises ParameterInvalid where the table has none of that name, where a key column has none, and where ``names`` does
    not fit either.
    """
    for source in names:
        if source not in given:
            raise ParameterInvalid(
                f"columns= names {source!r}, but what is given has {', '.join(given)}{suggestion(source, given)}"
            )
    result: dict[str, str] = {}
    for source in given:
        name = names.get(source, source)
        if name is None:
            continue
        if not layout.takes(name):
            raise ParameterInvalid(
                f"{_ended(layout.unknown(name))} What is not to be written, leave out: columns={{{source!r}: None}}; "
                f"what is called otherwise there, name: columns={{{source!r}: ...}}"
            )
        if name in result:
            raise ParameterInvalid(f"both {result[name]!r} and {source!r} are to be column {name!r}")
        result[name] = source
    for column in layout.key:
        if column.name not in result and not column.auto_increment:
            there = f"there are {', '.join(given)}{suggestion(column.name, given)}"
            raise ParameterInvalid(
                f"nothing is given for the key column {column.name!r}: {_ended(there)} Say which it is by "
                f"columns={{...: {column.name!r}}}"
            )
    return result


def _ended(text: str) -> str:
    """As a sentence that another follows: a suggestion is a question."""
    return text if text.endswith("?") else f"{text}."


def _changes(name: str, cells: Sequence[Any]) -> list[CellChange | None]:
    put = CellOperation.PUT
    return [None if value is None else (name, value, None, put) for value in cells]


def _rows(columns: Sequence[Sequence[CellChange | None]], rows: int) -> list[list[CellChange]]:
    if not columns:
        return [[] for _ in range(rows)]
    return [[cell for cell in row if cell is not None] for row in zip(*columns, strict=True)]


def _add_errors(errors: dict[int, LutraError], encoded: EncodedColumn) -> None:
    for row, error in encoded.errors.items():
        errors.setdefault(row, error)
