"""Frames that rows come from, pandas' and all that Arrow can read, as chunks of columns that numpy has."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.instance.encoding import moment_at
from lutra.model.errors import ParameterInvalid

_ROWS_AT_ONCE: Final = 2_048
_BYTES_AT_ONCE: Final = 8 * 1024 * 1024
"""Of a chunk as Arrow has it, where a row is not more."""
UNITS_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_TEXTS: Final = frozenset({"string", "large_string", "string_view", "binary", "large_binary"})
"""Types of Arrow that numpy has as objects soonest."""
_STREAM: Final = "__arrow_c_stream__"
_ARRAY: Final = "__arrow_c_array__"

Mask = npt.NDArray[np.bool_]
IsVector = Callable[[str], bool]
"""Whether the lists of the column of that name are vectors."""


class Moment(dt.datetime):
    """A datetime that counts nanoseconds, as pandas' does."""

    nanosecond: int = 0

    @classmethod
    def at(cls, ns: int) -> dt.datetime:
        """So long after the epoch: a plain datetime, where that counts it. Raises OverflowError where a datetime does
        not go so far."""
        moment = moment_at(ns // 1_000)
        if ns % 1_000 == 0:
            return moment
        result = cls.combine(moment.date(), moment.timetz())
        result.nanosecond = ns % 1_000
        return result

    def __str__(self) -> str:
        """With the nanoseconds, as an error is to show why it is raised."""
        text = super().__str__()
        return f"{text[:19]}.{self.microsecond:06}{self.nanosecond:03}{text[len(text) - 6 :] if self.tzinfo else ''}"


@dataclass(frozen=True, slots=True)
class GivenColumn:
    """One column of a chunk."""

    values: npt.NDArray[Any]
    """[rows] of bool, int, uint, float, datetime64 or objects; or [rows, n] of numbers, which are lists of n each."""
    missing: Mask | None = None
    """[rows]: which have no value; what stands there in ``values`` means nothing. None: all have one."""
    is_zoned: bool = False
    """Of datetime64: whether it is UTC; else nobody knows of which zone it is."""

    def at(self, row: int) -> object:
        """The value of a row as Python has it; None where there is none."""
        if self.missing is not None and self.missing[row]:
            return None
        value = self.values[row]
        if not isinstance(value, np.datetime64):
            return value.item() if isinstance(value, np.generic) else value
        try:
            moment = Moment.at(int(value.astype(np.int64)) * UNITS_NS[np.datetime_data(value.dtype)[0]])
        except OverflowError:
            return value
        return moment if self.is_zoned else moment.replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a frame."""

    rows: int
    columns: Mapping[str, GivenColumn]

    def row(self, number: int) -> dict[str, object]:
        """The row of that number, from 0, without the columns that it has no value of."""
        values = {name: column.at(number) for name, column in self.columns.items()}
        return {name: value for name, value in values.items() if value is not None}


def is_frame(given: object) -> bool:
    """Whether `chunks` reads it."""
    return _is_pandas(given) or (not isinstance(given, type) and (hasattr(given, _STREAM) or hasattr(given, _ARRAY)))


def chunks(frame: Any, is_vector: IsVector) -> Iterator[Chunk]:
    """The rows of a frame, some at a time. Raises ParameterInvalid, and ImportError where it takes pyarrow to read it
    and that is not installed."""
    return _of_pandas(frame, is_vector) if _is_pandas(frame) else _of_arrow(frame, is_vector)


def _is_pandas(given: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(given, pandas.DataFrame)


def _check_names(names: Sequence[object]) -> None:
    seen: set[object] = set()
    for name in names:
        if not isinstance(name, str):
            raise ParameterInvalid(f"the frame has a column {name!r}, but columns of a table have names, which are str")
        if name in seen:
            raise ParameterInvalid(f"the frame has several columns {name!r}")
        seen.add(name)


# --- pandas -----------------------------------------------------------------------------------------------------------


def _of_pandas(frame: Any, is_vector: IsVector) -> Iterator[Chunk]:
    """An index that has a name is a column as any other."""
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    _check_names([*levels, *frame.columns])
    for first in range(0, len(frame), _ROWS_AT_ONCE):
        some = frame.iloc[first : first + _ROWS_AT_ONCE]
        index = {name: some.index.get_level_values(name).to_series() for name in levels}
        series = {**index, **{name: some[name] for name in some.columns}}
        yield Chunk(len(some), {name: _pandas_column(one, is_vector(name)) for name, one in series.items()})


def _pandas_column(series: Any, is_vector: bool) -> GivenColumn:
    kind = series.dtype
    if isinstance(kind, _pandas().ArrowDtype):
        import pyarrow as pa

        return _arrow_column(pa, series.array.__arrow_array__().combine_chunks(), is_vector)
    missing = _mask(series.isna().to_numpy())
    if isinstance(kind, _pandas().DatetimeTZDtype):
        return GivenColumn(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), missing, is_zoned=True)
    if isinstance(kind, np.dtype) and kind.kind in "biufM":
        return GivenColumn(series.to_numpy(), missing)
    numbers = getattr(kind, "numpy_dtype", None)  # of types that have a mask beside
    if numbers is not None and numbers.kind in "biuf":
        values = series.to_numpy(dtype=numbers, na_value=numbers.type(0))
        return GivenColumn(values, missing) if numbers.kind != "f" else _of_floats(values, missing)
    return GivenColumn(series.astype(object).to_numpy(), missing)


def _pandas() -> ModuleType:
    return sys.modules["pandas"]


def _of_floats(values: npt.NDArray[Any], missing: Mask | None) -> GivenColumn:
    """NaN stands for nothing, too."""
    is_nan = np.isnan(values)
    return GivenColumn(values, _mask(is_nan if missing is None else is_nan | missing))


def _mask(missing: Mask) -> Mask | None:
    return missing if missing.any() else None


# --- Arrow ------------------------------------------------------------------------------------------------------------


def _of_arrow(frame: Any, is_vector: IsVector) -> Iterator[Chunk]:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ImportError(f"rows of a {type(frame).__name__} need pyarrow: pip install 'lutra[arrow]'") from error
    try:
        is_stream = hasattr(frame, _STREAM)
        batches = pa.RecordBatchReader.from_stream(frame) if is_stream else [pa.record_batch(frame)]
    except (pa.ArrowException, TypeError) as error:
        raise ParameterInvalid(f"a {type(frame).__name__} does not have rows of named columns: {error}") from error
    for batch in batches:
        _check_names(batch.schema.names)
        at_once = max(1, min(_ROWS_AT_ONCE, batch.num_rows * _BYTES_AT_ONCE // max(1, batch.nbytes)))
        for first in range(0, batch.num_rows, at_once):
            some = batch.slice(first, at_once)
            columns = zip(batch.schema.names, some.columns, strict=True)
            yield Chunk(some.num_rows, {name: _arrow_column(pa, one, is_vector(name)) for name, one in columns})


def _arrow_column(pa: Any, array: Any, is_vector: bool) -> GivenColumn:
    array = array.storage if isinstance(array.type, pa.BaseExtensionType) else array
    kind = array.type
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if pa.types.is_dictionary(kind):
        return _of_dictionary(pa, array, missing)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        filled = array.fill_null(False if pa.types.is_boolean(kind) else 0) if missing is not None else array
        return GivenColumn(filled.to_numpy(zero_copy_only=False), missing)
    if pa.types.is_floating(kind):
        return _of_floats(array.to_numpy(zero_copy_only=False), missing)
    if pa.types.is_timestamp(kind):
        plain = array.cast(pa.timestamp(kind.unit))
        return GivenColumn(plain.to_numpy(zero_copy_only=False), missing, is_zoned=kind.tz is not None)
    if is_vector and (matrix := _matrix(pa, array, missing)) is not None:
        return GivenColumn(matrix, missing)
    if str(kind) in _TEXTS:
        return GivenColumn(array.to_numpy(zero_copy_only=False), missing)
    return GivenColumn(np.fromiter(array.to_pylist(), dtype=object, count=len(array)), missing)


def _of_dictionary(pa: Any, array: Any, missing: Mask | None) -> GivenColumn:
    """A column that says of each row which of some values it has."""
    if missing is not None and missing.all():
        return GivenColumn(np.empty(len(array), dtype=object), missing)
    indices = (array.indices.fill_null(0) if missing is not None else array.indices).to_numpy(zero_copy_only=False)
    of = _arrow_column(pa, array.dictionary, is_vector=False)
    if of.missing is not None:
        missing = of.missing[indices] if missing is None else of.missing[indices] | missing
    return GivenColumn(of.values[indices], missing, of.is_zoned)


def _matrix(pa: Any, array: Any, missing: Mask | None) -> npt.NDArray[Any] | None:
    """[rows, n]: lists of numbers that are all of one length; None where they are not."""
    kind, rows = array.type, len(array)
    if pa.types.is_fixed_size_list(kind):
        width = kind.list_size
        flat = array.values.slice(array.offset * width, rows * width)
        return _numbers(pa, flat, rows, width)
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not rows:
        return None
    offsets = array.offsets.to_numpy()
    lengths = np.diff(offsets)
    present = lengths if missing is None else lengths[~missing]
    if not len(present) or (present != present[0]).any() or len(present) * present[0] != offsets[-1] - offsets[0]:
        return None
    flat = array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    numbers = _numbers(pa, flat, len(present), int(present[0]))
    if missing is None or numbers is None:
        return numbers
    matrix = np.zeros((rows, numbers.shape[1]), dtype=numbers.dtype)
    matrix[~missing] = numbers
    return matrix


def _numbers(pa: Any, flat: Any, rows: int, width: int) -> npt.NDArray[Any] | None:
    """What is null in a list of numbers becomes NaN."""
    is_number = pa.types.is_floating(flat.type) or pa.types.is_integer(flat.type)
    return flat.to_numpy(zero_copy_only=False).reshape(rows, width) if is_number else None
