"""By score."""

from __future__ import annotations

from lutra.model.queries import ScoreSort
from lutra.server.protocol.queries.reader import Reader
from lutra.server.protocol.sorts.order import is_descending, order_of
from lutra.server.protocol.sorts.registry import parses, writes
from lutra.server.wire import query_pb2 as wire


@parses("score_sort")
def parse_score_sort(message: wire.ScoreSort, reader: Reader) -> ScoreSort:
    return ScoreSort(is_descending(message, default=ScoreSort().descending))


@writes(ScoreSort)
def score_sort_message(sorter: ScoreSort) -> wire.Sorter:
    return wire.Sorter(score_sort=wire.ScoreSort(order=order_of(sorter.descending)))
