"""Parquet, a few thousand rows at a time, whatever the size of its row groups."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.transfer.data_file import DataFile, check_columns
from lutra.transfer.positions import FoundRows, Position

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TABLE_KEY: Final = b"lutra.table"
"""Of a file's metadata: the table that it was made from (`lutra.transfer.table_schema`), in JSON."""
_BATCH_BYTES: Final = 8 * 1024 * 1024
_BATCH_ROWS_MIN: Final = 16
_BATCH_ROWS_MAX: Final = 8_192
_BUFFER_BYTES: Final = 1 << 20


class ParquetReader:
    """Rows of a Parquet file, as Arrow has them; a `RowReader`. Raises ImportError where pyarrow is not installed."""

    has_types = True

    def __init__(self, file: DataFile) -> None:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise ImportError("Parquet files need pyarrow: pip install 'lutra[arrow]'") from error
        self.file = file
        self._texts: list[str] = []
        with self._opened() as parquet:  # of many files, none stays open
            self._schema: pa.Schema = parquet.schema_arrow
            self._metadata = parquet.metadata
        names = self._schema.names
        check_columns(file.path, len(names))
        # Of these a page has each value once: a small file can say gigabytes with them.
        self._texts = [column.name for column in self._schema if _is_text(column.type)]
        if len({*names}) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ParameterInvalid(f"{file.path} has several columns {twice!r}")

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._schema.names)

    @property
    def hints(self) -> Mapping[str, str]:
        hints = {column.name: _hint(column.type) for column in self._schema}
        return {name: hint for name, hint in hints.items() if hint is not None}

    @property
    def table_schema(self) -> object:
        """What the file says of the table that it was made from; None where it does not."""
        text = (self._schema.metadata or {}).get(TABLE_KEY)
        try:
            return None if text is None else json.loads(text)
        except ValueError:
            return None

    def rows(self, start: Position, columns: Sequence[str] | None = None) -> Iterator[FoundRows]:
        done = 0
        with self._opened() as parquet:
            for number in range(self._metadata.num_row_groups):
                group = self._metadata.row_group(number)
                if done + group.num_rows > start.rows:
                    yield from self._of_group(parquet, number, done, start.rows, columns)
                done += group.num_rows

    def _opened(self) -> pq.ParquetFile:
        """To be closed. Raises StorageFailure."""
        import pyarrow.parquet as pq

        try:
            # Buffered by column: row groups may be larger than memory.
            return pq.ParquetFile(
                self.file.path, buffer_size=_BUFFER_BYTES, pre_buffer=False, read_dictionary=self._texts
            )
        except (OSError, ValueError) as error:
            raise StorageFailure(f"{self.file.path} cannot be read as Parquet: {error}") from error

    def _of_group(
        self, parquet: pq.ParquetFile, number: int, done: int, start: int, columns: Sequence[str] | None
    ) -> Iterator[FoundRows]:
        group = self._metadata.row_group(number)
        row_bytes = max(1, group.total_byte_size // max(1, group.num_rows))
        at_once = max(_BATCH_ROWS_MIN, min(_BATCH_ROWS_MAX, _BATCH_BYTES // row_bytes))
        batches = parquet.iter_batches(at_once, row_groups=[number], columns=columns, use_threads=False)
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                parts = _parts(batch)
            except (OSError, ValueError) as error:  # Arrow's errors are of these
                raise StorageFailure(f"cannot read {self.file.path} after row {done:,}: {error}") from error
            for part in parts:
                first = max(0, start - done)
                done += part.num_rows
                if first >= part.num_rows:
                    continue
                frame = _normal(_decoded(part.slice(first)))
                read_bytes = self.file.size_bytes * done // max(1, self._metadata.num_rows)
                yield FoundRows((), Position(done), read_bytes, frame)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_string(kind) or types.is_binary(kind) or types.is_large_string(kind) or types.is_large_binary(kind)
    )


def _is_encoded(array: Any) -> bool:
    """Whether it is texts, each of them there once."""
    import pyarrow as pa

    return pa.types.is_dictionary(array.type) and _is_text(array.type.value_type)


def _parts(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """The rows of a batch, some at a time, so that their texts take few bytes once each row has its own."""
    import pyarrow.compute as pc

    sizes = np.zeros(batch.num_rows, np.int64)
    for array in batch.columns:
        if _is_encoded(array):
            of_each = pc.fill_null(pc.binary_length(array.dictionary).take(array.indices), 0)
            sizes += of_each.to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum(sizes)
    parts, begin = [], 0
    while begin < batch.num_rows:
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
        parts.append(batch.slice(begin, end - begin))
        begin = end
    return parts


def _decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With a text of its own for each row."""
    import pyarrow as pa

    arrays = [array.dictionary_decode() if _is_encoded(array) else array for array in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _normal(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With columns of types that tables have a field for. Nothing is lost by that but digits of decimals, of which a
    float has 15."""
    import pyarrow as pa

    arrays = [_normal_array(pa, array) for array in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _normal_array(pa: Any, array: Any) -> Any:
    types, kind = pa.types, array.type
    if types.is_date(kind):
        return array.cast(pa.timestamp("ms")).cast(pa.timestamp("ms", "UTC"))
    if types.is_timestamp(kind) and kind.tz is None:
        return array.cast(pa.timestamp(kind.unit, "UTC"))
    if types.is_decimal(kind):
        return array.cast(pa.float64())
    if types.is_duration(kind):
        return array.cast(pa.int64())  # of its unit
    if types.is_float16(kind):
        return array.cast(pa.float32())
    if types.is_time(kind) or kind in (pa.string_view(), pa.large_string()):
        return array.cast(pa.string())
    if kind in (pa.binary_view(), pa.large_binary()) or types.is_fixed_size_binary(kind):
        return array.cast(pa.binary())
    return array


def _hint(kind: Any) -> str | None:
    import pyarrow as pa

    types = pa.types
    if types.is_fixed_size_list(kind):
        return "vector" if types.is_floating(kind.value_type) else None
    if types.is_boolean(kind):
        return "bool"
    if types.is_integer(kind) or types.is_duration(kind):
        return "int"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "float"
    if types.is_temporal(kind) and not types.is_time(kind):
        return "datetime"
    return "bytes" if types.is_binary(kind) or types.is_large_binary(kind) else None
