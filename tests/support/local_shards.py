"""An index's rows shared out to shards that are all here, asked as if they were elsewhere; and the same asked of one
view."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from support.indexes import memory_index
from support.search_parts import shared_out

from lutra.cluster import wire
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.view import IndexView
from lutra.instance.highlighter import Shown
from lutra.instance.hits import HitColumns
from lutra.instance.living import answer_of_living
from lutra.instance.shard_search import ShardSearches
from lutra.instance.top_rows import fill_top_rows
from lutra.model.aggregations import Aggregated
from lutra.model.errors import LutraError
from lutra.model.queries import Hit, SearchRequest, SearchResult
from lutra.model.rows import PrimaryKey, Row
from lutra.model.shards import ShardCall, ShardReply
from lutra.search.coordinator import Coordinator


class TableRows:
    """The rows of a table, some of which an index may still have though they are gone."""

    def __init__(self, schema: Any, rows: Mapping[PrimaryKey, Row]) -> None:
        self._columns = HitColumns(schema)
        self.rows = dict(rows)
        self.reads = 0

    def read(self, hits: list[Hit], request: SearchRequest, shown: Shown | None = None) -> list[Row | None]:
        self.reads += len(hits)
        if not self._columns.needs_rows(request.columns) and not (shown is not None and shown.needs_rows):
            return [Row(hit.key) for hit in hits]
        found = [self.rows.get(hit.key) for hit in hits]
        if shown is not None and shown.needs_rows:
            shown.take(row for row in found if row is not None)
        return [None if row is None else self._columns.pick(row, request.columns) for row in found]

    def are_gone(self, hits: list[Hit]) -> list[bool]:
        return [hit.key not in self.rows for hit in hits]

    def fill(self, aggregated: Aggregated, request: SearchRequest) -> None:
        fill_top_rows(aggregated, lambda hits: self.read(hits, request))


Answering = Callable[[int, ShardCall, Callable[[ShardCall], ShardReply]], ShardReply]


class LocalShards:
    """``views`` as shards; what is said goes through bytes both ways. ``answering`` may put something in between."""

    def __init__(self, views: Sequence[IndexView], rows: TableRows, answering: Answering | None = None) -> None:
        self.views = views
        self.names = [f"shard-{number}" for number in range(len(views))]
        self.searches = [ShardSearches() for _ in views]
        self.calls: list[dict[int, ShardCall]] = []
        self.rows = rows
        self._answering = answering
        self._sources = [object() for _ in views]

    @property
    def expected(self) -> int:
        return len(self.views)

    def begin(self, call: ShardCall) -> list[ShardReply | LutraError]:
        return [*self.ask(dict.fromkeys(range(len(self.views)), call)).values()]

    def ask(self, calls: Mapping[int, ShardCall]) -> dict[int, ShardReply | LutraError]:
        self.calls.append(dict(calls))
        return {shard: self._answer(shard, call) for shard, call in calls.items()}

    def _answer(self, shard: int, call: ShardCall) -> ShardReply | LutraError:
        def answer(call: ShardCall) -> ShardReply:
            sent = wire.decode(wire.encode(call))
            reply = self.searches[shard].answer(self._sources[shard], self.views[shard], sent, self.rows)
            received: ShardReply = wire.decode(wire.encode(reply))
            return received

        try:
            return answer(call) if self._answering is None else self._answering(shard, call, answer)
        except LutraError as error:
            return error

    def close(self) -> None:
        for searches in self.searches:
            searches.close()


def in_shards(index: SearchIndex, rows: Sequence[Row], count: int, rng: random.Random) -> list[IndexView]:
    """``rows`` shared out by chance, those of each shard to parts of its own."""
    homes = [rng.randrange(count) for _ in rows]
    own = [[row for row, home in zip(rows, homes, strict=True) if home == number] for number in range(count)]
    return [shared_out(memory_index(index.schema, index.key_columns), some, rng) for some in own]


def of_one(view: IndexView, request: SearchRequest, rows: TableRows) -> SearchResult:
    """What one machine answers."""
    shown = Shown(view.schema, request)
    answer, found = answer_of_living(
        view, request, read=lambda hits: rows.read(hits, request, shown), are_gone=rows.are_gone
    )
    if answer.aggregated is not None:
        rows.fill(answer.aggregated, request)
    return SearchResult(
        found,
        [hit.score for hit in answer.hits],
        answer.total,
        answer.next_token,
        answer.stats,
        shown.fragments(found),
        shown.inner_hits(found, answer.inner_hits),
        answer.aggregated,
        answer.is_complete,
    )


def coordinator_of(index: SearchIndex) -> Coordinator:
    return Coordinator(index.schema, index.key_columns)
