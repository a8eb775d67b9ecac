"""Parts of an index for tests: documents in memory with the columns a buffer has, and rows to fill them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.fields.capabilities import FieldPart
from lutra.fields.kinds import kind_of
from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.scalars.strings import Strings, StringsView


@dataclass(frozen=True)
class TestRow:
    """``content`` is by field: what a table's column holds; fields may be absent."""

    __test__ = False

    key: bytes
    newest_ms: int
    content: Mapping[str, Any]
    oldest_ms: int | None = None
    """None: as the newest."""


@dataclass(frozen=True)
class MemoryPart:
    """A `lutra.segments.part.Part`: documents in the order in which they came."""

    size: int
    live: RowMask
    keys: StringsView
    newest: npt.NDArray[np.int64]
    oldest: npt.NDArray[np.int64]
    fields: Mapping[str, FieldPart]
    in_key_order: bool = False
    is_far: bool = False
    name: str = ""
    size_bytes: int = 0

    @property
    def rows(self) -> int:
        return self.live.count

    def newest_ms(self) -> npt.NDArray[np.int64]:
        return self.newest

    def oldest_ms(self) -> npt.NDArray[np.int64]:
        return self.oldest


def part_of(schema: IndexSchema, rows: Sequence[TestRow], dead: Sequence[int] = ()) -> MemoryPart:
    """The documents of ``rows``, of which ``dead`` are dead."""
    columns = {field.name: kind_of(field).column(field) for field in schema.fields}
    keys = Strings()
    keys.extend([row.key for row in rows])
    for doc, row in enumerate(rows):
        for name, value in row.content.items():
            assert columns[name].stage(doc, value)
    for column in columns.values():
        assert column.settle() == 0
        column.publish()
    live = RowMask.all(len(rows)).minus(np.array(dead, np.int64))
    return MemoryPart(
        len(rows),
        live,
        keys.view(),
        np.array([row.newest_ms for row in rows], np.int64),
        np.array([row.newest_ms if row.oldest_ms is None else row.oldest_ms for row in rows], np.int64),
        {name: column.view(len(rows)) for name, column in columns.items()},
    )


def schema_of(dimension: int = 6, metric: Metric = Metric.EUCLIDEAN) -> IndexSchema:
    """A field of each type, arrays among them, and two of vectors."""
    return IndexSchema(
        (
            FieldSchema("n", FieldType.LONG),
            FieldSchema("x", FieldType.DOUBLE),
            FieldSchema("ok", FieldType.BOOLEAN),
            FieldSchema("word", FieldType.KEYWORD),
            FieldSchema("when", FieldType.DATE, date_formats=("yyyy-MM-dd HH:mm:ss",)),
            FieldSchema("tags", FieldType.KEYWORD, is_array=True),
            FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(dimension, metric)),
            FieldSchema("w", FieldType.VECTOR, vector=VectorOptions(3, Metric.COSINE)),
        )
    )


def vector(values: Sequence[float]) -> bytes:
    """As a table's column holds it."""
    return np.array(values, "<f4").tobytes()
