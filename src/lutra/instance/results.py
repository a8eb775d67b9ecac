"""The answer to a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, overload

from lutra.instance import frames, html
from lutra.instance.field import Field, Kind
from lutra.instance.row import Row
from lutra.model.queries import SearchStats

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_SCORE_COLUMN: Final = "_score"


class Results(Sequence[Row]):
    """The rows that a search found, best first (or as ``order_by`` says); a sequence of :class:`Row`."""

    __slots__ = ("_columns", "_rows", "is_complete", "stats")

    def __init__(
        self, rows: list[Row], columns: Mapping[str, Field | None], stats: SearchStats, is_complete: bool = True
    ) -> None:
        self._rows = rows
        self.is_complete = is_complete
        """Whether the table was searched through. Where not, the search's ``deadline_ms`` came before: there may be
        better rows than these, and more."""
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

    def _repr_html_(self) -> str:
        return html.table(list(self._columns), self._rows, is_scored=self._is_scored())

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

        Vectors are fixed-size lists of float32, datetimes timestamps in µs, UTC, points structs of lat and lon, records
        lists of structs. What a row does not have is null.
        Raises ImportError where pyarrow is not installed, ParameterInvalid where a column holds values that no one
        Arrow type takes, as rows written through another door can.
        """
        return frames.arrow(*self._table())

    def to_pandas(self) -> pd.DataFrame:
        """A pandas.DataFrame: a column for each column of the rows, and ``score_column`` of a vector search.

        Ints are int64, Int64 where a row has none (a float would not hold them all); bools bool or boolean; floats
        float64; datetimes datetime64[us, UTC]. All else are objects: vectors stay float32 arrays, one in a cell.
        An empty frame has these types as well. Raises ImportError where pandas is not installed.
        """
        return frames.pandas(*self._table())

    def _table(self) -> tuple[Mapping[str, Field | None], Sequence[Mapping[str, Any]]]:
        if not self._is_scored():
            return self._columns, self._rows
        return {**self._columns, self.score_column: Field(self.score_column, Kind.FLOAT)}, self.to_list()

    def _is_scored(self) -> bool:
        return any(row.score is not None for row in self._rows)


class Groups(Sequence[dict[str, Any]]):
    """What `lutra.Table.group_by` found: a dict for each group, of its keys, its ``count`` of rows, its aggregates.

    ``is_complete``: whether that is of all rows; else time was up before (``deadline_ms``).
    """

    __slots__ = ("_columns", "_groups", "is_complete")

    def __init__(
        self, groups: list[dict[str, Any]], columns: Mapping[str, Field | None], is_complete: bool = True
    ) -> None:
        self._groups = groups
        self._columns = columns
        self.is_complete = is_complete

    @overload
    def __getitem__(self, position: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, position: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, position: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._groups[position]

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._groups)

    def __repr__(self) -> str:
        return f"Groups({self._groups!r})"

    def _repr_html_(self) -> str:
        return html.table(list(self._columns), self._groups)

    def to_list(self) -> list[dict[str, Any]]:
        """The groups as plain dicts."""
        return [dict(group) for group in self._groups]

    def to_arrow(self) -> pa.Table:
        """A pyarrow.Table, as :meth:`Results.to_arrow` makes it. Raises ImportError where pyarrow is not installed."""
        return frames.arrow(self._columns, self._groups)

    def to_pandas(self) -> pd.DataFrame:
        """A pandas.DataFrame, as :meth:`Results.to_pandas` makes it. Raises ImportError where there is no pandas."""
        return frames.pandas(self._columns, self._groups)


class Totals(dict[str, Any]):
    """What `lutra.Table.aggregate` found: the ``count`` of rows, and the aggregates by their names.

    ``is_complete``: whether that is of all rows; else time was up before (``deadline_ms``).
    """

    __slots__ = ("is_complete",)

    def __init__(self, of: Mapping[str, Any], is_complete: bool = True) -> None:
        super().__init__(of)
        self.is_complete = is_complete
