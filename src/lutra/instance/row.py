"""Rows as the embedded API hands them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lutra.model.values import KeyValue


class Row(Mapping[str, Any]):
    """One row, read only: the key columns, then the other columns the row has, by name.

    Values are ``str``, ``int``, ``float``, ``bool``, ``bytes``, ``datetime`` (UTC), ``list``, or, for vectors,
    read-only float32 arrays [dimension]. A column that the row does not have is absent: use ``row.get(name)``.
    """

    __slots__ = ("_values", "key", "score")

    def __init__(self, key: tuple[KeyValue, ...], values: dict[str, Any], score: float | None = None) -> None:
        self._values = values
        self.key = key
        """The values of the key columns, in the table's order."""
        self.score = score
        """How well the row matches a vector search, larger is better; None for rows read otherwise."""

    def __getitem__(self, column: str) -> Any:
        return self._values[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, column: object) -> bool:
        return column in self._values

    def __repr__(self) -> str:
        score = "" if self.score is None else f", score={self.score:.4f}"
        return f"Row({self._values!r}{score})"
