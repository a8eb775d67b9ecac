"""Searches of tables of many partitions: each is a shard, asked at its owner, and what they find is merged.

A search is of one state of the map: of a partition that is split it sees the parent, or its children. What moves before
it was asked is asked where it is by then; what moves in the middle of a search's steps has it begun anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from lutra.cluster.errors import AWAY, Moved
from lutra.cluster.gateway.indexes import GatewayIndexes
from lutra.cluster.gateway.router import Failed, Router
from lutra.cluster.map import ClusterMap, IndexEntry, PartitionEntry, TableEntry
from lutra.cluster.map_changes import index_pair, require_index
from lutra.instance.index_changes import being_filled
from lutra.instance.index_turns import Turns, gone, mark_of, which_of, without_mark
from lutra.instance.top_rows import fill_top_rows
from lutra.model.aggregations import Aggregated
from lutra.model.deadline import current_deadline, working_for
from lutra.model.errors import LutraError, ParameterInvalid, ServerBusy, SessionExpired
from lutra.model.indexes import IndexSchema
from lutra.model.queries import Hit, ReturnColumns, SearchRequest, SearchResult
from lutra.model.rows import KeyInput, Row
from lutra.model.shards import ShardCall, ShardReply, ShardStep, schema_mark_of
from lutra.search.coordinator import Coordinator
from lutra.tables.keys import KeyCodec

T = TypeVar("T")

_PARTIAL_S: Final = 0.3
_PARTIAL_SHARE: Final = 0.2
_HOP_S: Final = 0.02
"""So long after the time-out of a search that takes what there is an owner may still answer: a share of that, and a way
there and back, `_PARTIAL_S` at most."""
_COORDINATORS_MAX: Final = 1_000


class _OtherSchema(Moved):
    """A partition is filled for other fields, or is so already: what a search is checked against is not its schema."""


class GatewaySearches:
    """Of one instance. Thread-safe."""

    def __init__(self, router: Router, indexes: GatewayIndexes) -> None:
        self._router = router
        self._indexes = indexes
        self._turns = Turns()
        self._lock = threading.Lock()
        self._coordinators: dict[int, tuple[IndexEntry, Coordinator]] = {}

    def search(self, table: str, index: str, request: SearchRequest, routing: Sequence[KeyInput] = ()) -> SearchResult:
        """As `Instance.search_opened`. Raises as that, and ServerBusy where owners cannot be asked in time."""
        tries = self._router.tries()
        while True:
            entry, by_name = self._indexes.index(table, index)
            answering, mark = self._routed(entry, by_name, request)
            try:
                result = self._answered(entry, answering, without_mark(request), routing)
            except (Moved, SessionExpired) as error:
                tries.again([entry.name], error)
                continue
            if result.next_token:
                result.next_token = mark + result.next_token
            return result

    def _answered(
        self, table: TableEntry, index: IndexEntry, request: SearchRequest, routing: Sequence[KeyInput]
    ) -> SearchResult:
        """By the index's schema; while partitions are filled for that, by what searches of theirs go by until then."""
        coordinator = self._coordinator(table, index)
        try:
            return self._searched(table, index, coordinator, request, routing, coordinator.schema_mark)
        except (ParameterInvalid, _OtherSchema):
            schemas = PartitionShards(self._router, table, index).schemas()
            marks = {schema_mark_of(schema) for schema in schemas}
            if marks == {coordinator.schema_mark}:
                raise
        common = Coordinator(_in_common(schemas), table.schema.key)
        try:
            common.check(request)
        except ParameterInvalid:
            coordinator.check(request)
            raise being_filled(index.name) from None
        return self._searched(table, index, common, request, routing, marks.pop() if len(marks) == 1 else 0)

    def _searched(
        self,
        table: TableEntry,
        index: IndexEntry,
        coordinator: Coordinator,
        request: SearchRequest,
        routing: Sequence[KeyInput],
        schema_mark: int,
    ) -> SearchResult:
        shards = PartitionShards(
            self._router, table, index, routing, schema_mark=schema_mark, is_partial=request.allow_partial
        )
        return coordinator.search(request, shards, shards.fill, routing)

    def _routed(self, table: TableEntry, named: IndexEntry, request: SearchRequest) -> tuple[IndexEntry, bytes]:
        """Which index answers by the name of one, and what its tokens begin with, as `OpenIndexes.routed` says."""
        which = which_of(request.token)
        if which is not None:
            found = table.index_by_uid(which)
            if found is None:
                raise gone()
            return found, mark_of(which)
        pair = index_pair(table, named.name)
        if pair is None or pair[0] is not named or not pair[1].weight or request.token is not None:
            return named, b""
        if not self._turns.is_others(named.uid, pair[1].weight):
            return named, b""
        return pair[1], mark_of(pair[1].uid)

    def _coordinator(self, table: TableEntry, index: IndexEntry) -> Coordinator:
        """One is kept of each index, under the schema that it has now."""
        with self._lock:
            known = self._coordinators.get(index.uid)
            if known is None or known[0].schema != index.schema:
                if len(self._coordinators) >= _COORDINATORS_MAX:
                    self._coordinators.clear()
                known = self._coordinators[index.uid] = index, Coordinator(index.schema, table.schema.key)
            return known[1]


class PartitionShards:
    """The partitions of a table as shards of one search."""

    def __init__(
        self,
        router: Router,
        table: TableEntry,
        index: IndexEntry,
        routing: Sequence[KeyInput] = (),
        *,
        schema_mark: int = 0,
        is_partial: bool = False,
    ) -> None:
        self._schema_mark = schema_mark
        self._router = router
        self._table = table
        self._index = index
        self._routing = tuple(routing)
        self._is_partial = is_partial
        self._end_s = float("inf")
        self.names: list[str] = []

    @property
    def expected(self) -> int:
        """So many there are, as far as is known."""
        return len(self._router.maps.found(lambda known: known.partitions_of(self._uid(known))))

    def schemas(self) -> list[IndexSchema]:
        """By which searches go in each partition now."""
        return [schema for _, schema in self._router.on_each(self._uid, "answering_schema", (self._index.uid,))]

    def begin(self, call: ShardCall) -> list[ShardReply | LutraError]:
        """As `Shards.begin`. Whatever moves meanwhile is asked where it has come to."""
        end_s = float("inf")
        if self._is_partial and call.request is not None and call.request.timeout_ms is not None:
            left_s = call.request.timeout_ms / 1_000
            self._end_s = time.monotonic() + left_s + min(_PARTIAL_S, _HOP_S + _PARTIAL_SHARE * left_s)
            # Whoever is waited for in a first step is to leave the others time for the next.
            end_s = time.monotonic() + left_s / 2 if call.step is ShardStep.GATHER else self._end_s
        found = self._timely(
            end_s, lambda: self._router.on_each(self._uid, "search_shard", self._arguments(call), keeps_errors=True)
        )
        if any(isinstance(answer, ShardReply) and answer.other_schema is not None for _, answer in found):
            raise _OtherSchema("a partition goes by another schema")
        self.names = [entry.id for entry, _ in found]
        return [answer.error if isinstance(answer, Failed) else answer for _, answer in found]

    def ask(self, calls: Mapping[int, ShardCall]) -> dict[int, ShardReply | LutraError]:
        """As `Shards.ask`. Raises Moved where one is not where it was: its session is lost."""
        given = {self.names[shard]: self._arguments(call) for shard, call in calls.items()}
        found = self._timely(self._end_s, lambda: self._router.on_partitions("search_shard", given))
        for answer in found.values():
            if isinstance(answer, AWAY):
                raise Moved(str(answer))
        return {shard: found[self.names[shard]] for shard in calls}

    def fill(self, aggregated: Aggregated, request: SearchRequest) -> None:
        """Gives groups their rows."""

        def read(hits: list[Hit]) -> list[Row | None]:
            if request.columns.kind is ReturnColumns.NONE:
                return [Row(hit.key) for hit in hits]
            codec = KeyCodec(b"", self._table.schema.key)
            keys = [codec.encode(hit.key) for hit in hits]

            def find(known: ClusterMap, place: int) -> PartitionEntry:
                return known.partition_of(self._uid(known), keys[place])

            def arguments(_: PartitionEntry, places: list[int]) -> Sequence[Any]:
                return self._index.uid, [hits[place].key for place in places], request.columns

            rows = self._router.on_places(len(hits), find, "hit_rows", arguments)
            for row in rows:
                if isinstance(row, Failed):
                    raise row.error
            return rows

        fill_top_rows(aggregated, read)

    def _arguments(self, call: ShardCall) -> Sequence[Any]:
        return self._index.uid, replace(call, schema_mark=self._schema_mark), self._routing

    def _uid(self, known: ClusterMap) -> int:
        """The table, as long as it has the index."""
        table = known.table(self._table.instance, self._table.name)
        if table.index_by_uid(self._index.uid) is None:
            require_index(table, self._index.name)
            raise ServerBusy(f"search index [{self._index.name}] is being changed, try again")
        return table.uid

    def _timely(self, end_s: float, ask: Callable[[], T]) -> T:
        """Who takes what there is does not wait for others up to the request's own end."""
        deadline = current_deadline()
        left_s = end_s - time.monotonic()
        if left_s >= deadline.left_s:
            return ask()
        with working_for(deadline.within(max(0.001, left_s), None, "search")):
            return ask()


def _in_common(schemas: Sequence[IndexSchema]) -> IndexSchema:
    """What means the same in all of them: the fields that are the same."""
    first = schemas[0]
    return replace(first, fields=tuple(field for field in first.fields if all(field in one.fields for one in schemas)))
