"""Rows that a search found, as Python shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lutra.instance.layout import Layout
from lutra.instance.records import ShownRecords
from lutra.instance.row import Row
from lutra.model.nested import InnerHitsByPath
from lutra.model.queries import SearchResult
from lutra.model.rows import Row as StoredRow


class FoundRows:
    """Makes rows of what a search found."""

    def __init__(
        self, layout: Layout, columns: Sequence[str] | None, shown: ShownRecords | None, *, is_scored: bool
    ) -> None:
        self._layout = layout
        self._columns = layout.columns(columns)
        self._shown = shown
        self._is_scored = is_scored

    def __call__(self, result: SearchResult) -> list[Row]:
        scores: Iterable[float | None] = result.scores if self._is_scored else [None] * len(result.rows)
        pairs = zip(result.rows, scores, strict=True)
        if self._shown is None:
            return [self._layout.decode_row(row, score) for row, score in pairs]
        return [
            self._with_records(row, score, hits) for (row, score), hits in zip(pairs, result.inner_hits, strict=True)
        ]

    def _with_records(self, stored: StoredRow, score: float | None, hits: InnerHitsByPath) -> Row:
        assert self._shown is not None
        whole = self._layout.decode_row(stored)
        row = whole if self._columns is None else self._layout.decode_row(stored, columns=self._columns)
        return Row(row.key, row, score, self._shown.of(whole, hits))
