"""The answer to a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, overload

from lutra.instance.field import Field, Kind
from lutra.instance.row import Row
from lutra.model.queries import SearchStats

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SCORE_COLUMN: Final = "_score"


class Results(Sequence[Row]):
    """The rows that a search found, best first (or as ``order_by`` says); a sequence of :class:`Row`."""

    __slots__ = ("_columns", "_rows", "stats")

    def __init__(self, rows: list[Row], columns: Mapping[str, Field | None], stats: SearchStats) -> None:
        self._rows = rows
        self._columns = columns
        self.stats = stats
        """What the search did: its strategy, rows scanned, distances computed."""

    @overload
    def __getitem__(self, position: int) -> Row: ...
    @overload
    def __getitem__(self, position: slice) -> list[Row]: ...
    def __getitem__(self, position: int | slice) -> Row | list[Row]:
        return self._rows[position]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __repr__(self) -> str:
        return f"Results({self._rows!r})"

    def to_list(self) -> list[dict[str, Any]]:
        """The rows as plain dicts; those of a vector search with their score under ``_score``."""
        return [dict(row) if row.score is None else {**row, SCORE_COLUMN: row.score} for row in self._rows]

    def to_arrow(self) -> pa.Table:
        """A pyarrow.Table: a column for each column of the rows, and ``_score`` of a vector search.

        Vectors are fixed-size lists of float32, datetimes timestamps in µs, UTC. What a row does not have is null.
        Raises ImportError where pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise ImportError("to_arrow() needs pyarrow: pip install 'lutra[arrow]'") from error
        arrays = {}
        for name, field in self._columns.items():
            values = [row.get(name) for row in self._rows]
            arrays[name] = pa.array(values, None if field is None else _arrow_type(pa, field))
        if self._is_scored():
            arrays[SCORE_COLUMN] = pa.array([row.score for row in self._rows], pa.float64())
        return pa.table(arrays)

    def to_pandas(self) -> pd.DataFrame:
        """A pandas.DataFrame: a column for each column of the rows, and ``_score`` of a vector search.

        Vectors stay float32 arrays, one in a cell. Raises ImportError where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas() needs pandas: pip install 'lutra[pandas]'") from error
        names = [*self._columns, *([SCORE_COLUMN] if self._is_scored() else [])]
        return pd.DataFrame(self.to_list(), columns=names)

    def _is_scored(self) -> bool:
        return any(row.score is not None for row in self._rows)


def _arrow_type(pa: ModuleType, field: Field) -> pa.DataType:
    element = {
        Kind.STR: pa.string(),
        Kind.INT: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.BOOL: pa.bool_(),
        Kind.BYTES: pa.binary(),
        Kind.DATETIME: pa.timestamp("us", tz="UTC"),
        Kind.VECTOR: pa.float32(),
    }[field.kind]
    if field.vector is not None:
        return pa.list_(element, field.vector.dimension)
    return pa.list_(element) if field.is_array else element
