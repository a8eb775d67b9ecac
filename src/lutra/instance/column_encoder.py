"""Columns of frames as a table keeps them: all cells of a kind at once, the few that are doubtful one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.instance.encoding import EXACT_BELOW, FIRST_DATE, LAST_DATE, encode_str
from lutra.instance.field import Field, Kind
from lutra.instance.given_columns import UNITS_NS, GivenColumn, Mask
from lutra.model import limits
from lutra.model.errors import LutraError
from lutra.model.values import INT64_MAX
from lutra.scalars.dates import EPOCH_UNITS_NS, datetime_ns

Cells = list[Any]
"""Values as they are stored, one a row."""
EncodeOne = Callable[[object], Any]
"""The stored value of one cell. Raises LutraError."""

_ZONE_ADVICE: Final = "; pandas' .dt.tz_localize('UTC') gives one to a column, Arrow's pyarrow.compute.assume_timezone"


@dataclass(slots=True)
class EncodedColumn:
    """A column of a chunk."""

    cells: Cells
    """None where a row has no value, or a wrong one."""
    errors: dict[int, LutraError] = field(default_factory=dict)
    """By the row, what is wrong with its value."""


class ColumnEncoder:
    """Encodes what frames have for one column of a table."""

    def __init__(self, kind: Field | None, text_bytes_max: int, encode_one: EncodeOne, *, is_key: bool = False) -> None:
        """``kind``: what the column holds, None where that is open. ``text_bytes_max``: a longer one is doubtful.
        ``encode_one`` has the last word on what is doubtful; of a key, also on what is missing."""
        self._field = kind
        self._text_bytes_max = text_bytes_max
        self._encode_one = encode_one
        self._is_key = is_key

    def encode(self, column: GivenColumn) -> EncodedColumn:
        """Whatever is wrong with a cell is its row's error."""
        encoded, sure = self._encoded(column)
        doubtful = ~sure
        if column.missing is not None:
            doubtful = doubtful | column.missing if self._is_key else doubtful & ~column.missing
            for row in np.flatnonzero(column.missing).tolist():
                encoded.cells[row] = None
        if doubtful.any():
            self._encode_doubtful(column, encoded, np.flatnonzero(doubtful).tolist())
        return encoded

    def _encode_doubtful(self, column: GivenColumn, encoded: EncodedColumn, rows: list[int]) -> None:
        for row in rows:
            encoded.cells[row] = None
            try:
                encoded.cells[row] = self._encode_one(column.at(row))
            except LutraError as error:
                is_unzoned = column.values.dtype.kind == "M" and not column.is_zoned
                encoded.errors[row] = type(error)(f"{error}{_ZONE_ADVICE}") if is_unzoned else error

    def _encoded(self, column: GivenColumn) -> tuple[EncodedColumn, Mask]:
        """The cells, and which of them are surely right."""
        values, kind = column.values, self._kind(column)
        of = values.dtype.kind
        if kind is Kind.INT and of in "iuf":
            return _ints(values)
        if kind is Kind.FLOAT and of in "iuf":
            floats = values.astype(np.float64)
            return EncodedColumn(floats.tolist()), np.isfinite(floats)
        if kind is Kind.BOOL and of == "b":
            return EncodedColumn(values.tolist()), np.ones(len(values), dtype=bool)
        if kind is Kind.DATETIME and of == "M" and column.is_zoned and self._field is not None:
            return _dates(values, EPOCH_UNITS_NS[self._field.dates[0]])
        if kind is Kind.VECTOR and self._field is not None and self._field.vector is not None:
            return _vectors(column, self._field.vector.dimension)
        if kind in (Kind.STR, Kind.TEXT) and of == "O":
            return _texts(values, self._text_bytes_max)
        return EncodedColumn([None] * len(values)), np.zeros(len(values), dtype=bool)

    def _kind(self, column: GivenColumn) -> Kind | None:
        """Of which all cells can be made at once; None where each is for itself."""
        if self._field is None:
            return _OPEN_KINDS.get(column.values.dtype.kind)
        if self._field.is_array or self._field.is_text or (self._field.dates and self._field.kind is not Kind.DATETIME):
            return None
        return self._field.kind


_OPEN_KINDS: Final = {"i": Kind.INT, "u": Kind.INT, "f": Kind.FLOAT, "b": Kind.BOOL, "O": Kind.STR}


def _ints(values: npt.NDArray[Any]) -> tuple[EncodedColumn, Mask]:
    if values.dtype.kind == "f":
        sure = (np.abs(values) <= EXACT_BELOW) & (np.trunc(values) == values)
        return EncodedColumn(np.where(sure, values, 0).astype(np.int64).tolist()), sure
    return EncodedColumn(values.tolist()), values <= INT64_MAX


def _dates(values: npt.NDArray[Any], stored_ns: int) -> tuple[EncodedColumn, Mask]:
    """Counts of ``stored_ns``; what is no whole number of them is doubtful."""
    given_ns = UNITS_NS[np.datetime_data(values.dtype)[0]]
    counts = values.astype(np.int64)
    sure = (counts >= datetime_ns(FIRST_DATE) // given_ns) & (counts <= datetime_ns(LAST_DATE) // given_ns)
    if given_ns >= stored_ns:
        return EncodedColumn((np.where(sure, counts, 0) * (given_ns // stored_ns)).tolist()), sure
    whole, rest = np.divmod(counts, stored_ns // given_ns)
    return EncodedColumn(whole.tolist()), sure & (rest == 0)


def _vectors(column: GivenColumn, dimension: int) -> tuple[EncodedColumn, Mask]:
    """Bytes of float32."""
    rows = len(column.values)
    matrix = column.values if column.values.ndim == 2 else _stacked(column)
    if matrix is None or matrix.shape[1] != dimension:
        return EncodedColumn([None] * rows), np.zeros(rows, dtype=bool)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is doubtful
        floats = matrix.astype("<f4")
    data, width = floats.tobytes(), 4 * dimension
    cells: Cells = [data[first : first + width] for first in range(0, rows * width, width)]
    return EncodedColumn(cells), np.isfinite(floats).all(axis=1)


def _stacked(column: GivenColumn) -> npt.NDArray[Any] | None:
    """Objects that are arrays, or lists, of one length and of numbers; None where they are not."""
    present = column.values if column.missing is None else column.values[~column.missing]
    if column.values.dtype.kind != "O" or not len(present):
        return None
    try:
        if all(type(one) is np.ndarray for one in present):
            stacked = np.stack(present.tolist())
        else:
            stacked = np.array(present.tolist())
    except ValueError:  # of different lengths
        return None
    if stacked.ndim != 2 or stacked.dtype.kind not in "fiu":
        return None
    if column.missing is None:
        return stacked
    matrix = np.zeros((len(column.values), stacked.shape[1]), dtype=stacked.dtype)
    matrix[~column.missing] = stacked
    return matrix


def _texts(values: npt.NDArray[Any], bytes_max: int) -> tuple[EncodedColumn, Mask]:
    cells = values.tolist()
    sizes = [len(one) if type(one) is str and one.isascii() else -1 for one in cells]
    if min(sizes) < 0:
        sizes = [_text_bytes(one) if size < 0 else size for one, size in zip(cells, sizes, strict=True)]
    sizes_bytes = np.array(sizes, dtype=np.int64)
    return EncodedColumn(cells), (sizes_bytes >= 0) & (sizes_bytes <= bytes_max)


def _text_bytes(value: object) -> int:
    """-1 of what is no text, or none that can be stored."""
    try:
        return len(encode_str(value).encode()) if type(value) is str else -1
    except ValueError:
        return -1


def text_bytes_max(kind: Field) -> int:
    """The most that a text has that is surely right."""
    return limits.KEYWORD_BYTES_MAX if kind.indexed and kind.text is None else limits.COLUMN_VALUE_BYTES_MAX
