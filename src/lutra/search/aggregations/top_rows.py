"""The first rows of each group in an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from lutra.model import limits
from lutra.model.aggregations import AggregationResult, RowsResult, TopRows
from lutra.model.errors import ParameterInvalid
from lutra.model.queries import Hit
from lutra.model.rows import PrimaryKey
from lutra.search.aggregations.binding import LevelBinder, binds_aggregation
from lutra.search.aggregations.metric import Metric, Renumber
from lutra.search.aggregations.packing import Packer, Unpacker
from lutra.search.aggregations.rows import Rows
from lutra.search.collectors.run import LocalRun
from lutra.search.collectors.top import Top, TopCollector, merged
from lutra.search.level import Level
from lutra.search.order import first_of
from lutra.search.scores import Docs
from lutra.search.sorts.ordering import Ordering

Tops = list[Top]
"""By group."""

_NONE: Final = Top((), 0)
_DOCS_A_GROUP: Final = 128
"""Of groups with more rows the first are looked for group by group: that takes less time than sorting all rows."""


class TopRowsMetric(Metric[Tops]):
    def __init__(
        self, name: str, limit: int, order: Sequence[Ordering], decode_key: Callable[[bytes], PrimaryKey]
    ) -> None:
        super().__init__(name)
        self._limit = limit
        self._order = order
        self._decode_key = decode_key
        self._top = TopCollector(order, limit)

    @property
    def is_scoring(self) -> bool:
        return any(ordering.is_scoring for ordering in self._order)

    def collect(self, rows: Rows) -> Tops:
        docs, part = rows.documents(), rows.search.part
        if not len(docs):
            return [_NONE] * rows.count
        levels = [ordering.level(rows.search, rows.scores) for ordering in self._order]
        if rows.groups is None:
            chosen = first_of(levels, docs, self._limit)
            return [self._of(rows, levels, chosen, len(docs))]
        if rows.count * _DOCS_A_GROUP < len(docs):
            by_group = docs[np.argsort(rows.groups, kind="stable")]
            ends = np.cumsum(np.bincount(rows.groups, minlength=rows.count)).tolist()
            return [
                self._of(rows, levels, first_of(levels, by_group[begin:end], self._limit), end - begin)
                for begin, end in pairwise([0, *ends])
            ]
        # Sorted once, whatever the number of groups: the first of each group are then the first of all that are its.
        distinct = np.unique(docs)
        place = np.empty(part.size, np.int64)
        place[first_of(levels, distinct, len(distinct))] = np.arange(len(distinct))
        order = np.lexsort((place[docs], rows.groups))
        counts = np.bincount(rows.groups, minlength=rows.count)
        tops, begin = [], 0
        for count in counts.tolist():
            tops.append(self._of(rows, levels, docs[order[begin : begin + min(count, self._limit)]], count))
            begin += count
        return tops

    def _of(self, rows: Rows, levels: Sequence[Level], docs: Docs, count: int) -> Top:
        """``docs``, in order: the first of ``count``."""
        return Top((LocalRun(rows.search.part, self._order, levels, docs, None),), count) if count else _NONE

    def merge(self, inputs: Sequence[tuple[Tops, Renumber]], count: int) -> Tops:
        together: list[list[Top]] = [[] for _ in range(count)]
        for tops, renumber in inputs:
            for top, group in zip(tops, renumber.tolist(), strict=True):
                if group >= 0 and top.runs:
                    together[group].append(top)
        return [self._top.merge(tops) for tops in together]

    def write(self, state: Tops, out: Packer) -> None:
        for top in state:
            out.blob(self._top.encode(top))

    def read(self, data: Unpacker, count: int) -> Tops:
        return [self._top.decode(data.blob()) for _ in range(count)]

    def result(self, state: Tops, group: int) -> AggregationResult:
        runs = state[group].runs
        keys: list[bytes] = []
        for place in merged(runs, 0, self._limit):
            keys += runs[place.run].keys([place.at])
        return RowsResult(self.name, [Hit(self._decode_key(key), np.nan) for key in keys])


@binds_aggregation(TopRows)
def bind_top_rows(wanted: TopRows, binder: LevelBinder) -> Metric[Any]:
    if not 1 <= wanted.limit <= limits.TOP_ROWS_MAX:
        raise ParameterInvalid(f"[top rows agg] limit is {wanted.limit}, must be in [1, {limits.TOP_ROWS_MAX}]")
    return TopRowsMetric(wanted.name, wanted.limit, binder.order(wanted.sort), binder.decode_key)
