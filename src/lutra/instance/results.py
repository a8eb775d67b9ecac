"""The answer to a search."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, overload

from lutra.instance.field import Field, Kind
from lutra.instance.row import Row
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import SearchStats

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_SCORE_COLUMN: Final = "_score"


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

    @property
    def explanation(self) -> dict[str, Any] | None:
        """What was done and why, where the search was asked to explain: fit for JSON. By part of the index the tree of
        the query: how many rows each condition was estimated to have and had, how neighbours were looked for, what the
        other ways were thought to take, what was read, and the time (`lutra.search.explanation`)."""
        return self.stats.explanation

    @property
    def score_column(self) -> str:
        """Under which name ``to_list`` and its like give scores: ``_score``, with more ``_`` where a column has it."""
        name = _SCORE_COLUMN
        while name in self._columns:
            name = f"_{name}"
        return name

    def to_list(self) -> list[dict[str, Any]]:
        """The rows as plain dicts; those of a vector search with their score under ``score_column``."""
        score = self.score_column
        return [dict(row) if row.score is None else {**row, score: row.score} for row in self._rows]

    def to_arrow(self) -> pa.Table:
        """A pyarrow.Table: a column for each column of the rows, and ``score_column`` of a vector search.

        Vectors are fixed-size lists of float32, datetimes timestamps in µs, UTC. What a row does not have is null.
        Raises ImportError where pyarrow is not installed, ParameterInvalid where a column holds values that no one
        Arrow type takes, as rows written through another door can.
        """
        try:
            import pyarrow as pa
        except ImportError as error:
            raise ImportError("to_arrow() needs pyarrow: pip install 'lutra[arrow]'") from error
        arrays = {name: self._arrow_array(pa, name, field) for name, field in self._columns.items()}
        if self._is_scored():
            arrays[self.score_column] = pa.array([row.score for row in self._rows], pa.float64())
        return pa.table(arrays)

    def to_pandas(self) -> pd.DataFrame:
        """A pandas.DataFrame: a column for each column of the rows, and ``score_column`` of a vector search.

        Ints are int64, Int64 where a row has none (a float would not hold them all); bools bool or boolean; floats
        float64; datetimes datetime64[us, UTC]. All else are objects: vectors stay float32 arrays, one in a cell.
        An empty frame has these types as well. Raises ImportError where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas() needs pandas: pip install 'lutra[pandas]'") from error
        series = {}
        for name, field in self._columns.items():
            values = [row.get(name) for row in self._rows]
            series[name] = pd.Series(values, dtype=_pandas_type(values, field))
        if self._is_scored():
            series[self.score_column] = pd.Series([row.score for row in self._rows], dtype="float64")
        return pd.DataFrame(series, index=pd.RangeIndex(len(self._rows)))

    def _arrow_array(self, pa: ModuleType, name: str, field: Field | None) -> pa.Array[Any]:
        values = [row.get(name) for row in self._rows]
        try:
            return pa.array(values, None if field is None else _arrow_type(pa, field))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ParameterInvalid(
                f"column {name!r} holds values that no one Arrow type takes ({error}): use to_list() or to_pandas(), "
                "or leave it out by columns="
            ) from error

    def _is_scored(self) -> bool:
        return any(row.score is not None for row in self._rows)


def _pandas_type(values: list[Any], field: Field | None) -> str:
    """Of a column; rows written through another door can hold other values than its field's, which stay objects."""
    given = [value for value in values if value is not None]
    types = {type(value) for value in given}
    if field is not None and not types:
        kind = None if field.is_array else field.kind
    else:
        kind = _KINDS_OF_PANDAS.get(types.pop()) if len(types) == 1 else None
    if kind is None or kind not in _PANDAS_TYPES:
        return "object"
    whole, with_gaps = _PANDAS_TYPES[kind]
    return whole if len(given) == len(values) else with_gaps


_KINDS_OF_PANDAS: Final[dict[type, Kind]] = {
    int: Kind.INT,
    float: Kind.FLOAT,
    bool: Kind.BOOL,
    dt.datetime: Kind.DATETIME,
}
_PANDAS_TYPES: Final = {
    Kind.INT: ("int64", "Int64"),
    Kind.FLOAT: ("float64", "float64"),
    Kind.BOOL: ("bool", "boolean"),
    Kind.DATETIME: ("datetime64[us, UTC]", "datetime64[us, UTC]"),
}
"""Of a column that all rows have, and of one that some do not."""


def _arrow_type(pa: ModuleType, field: Field) -> pa.DataType:
    element = {
        Kind.STR: pa.string(),
        Kind.TEXT: pa.string(),
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
