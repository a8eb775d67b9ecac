"""One instance: its tables and their search indexes together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lutra.feed.feed import Watermarks
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.definitions.schema import check_table_update
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.stats import IndexStats
from lutra.index.lsm.view import IndexView
from lutra.instance.highlighter import Shown
from lutra.instance.hits import HitColumns
from lutra.instance.living import answer_of_living
from lutra.instance.partition import Partition
from lutra.instance.top_rows import fill_top_rows
from lutra.model import limits
from lutra.model.deadline import Deadline
from lutra.model.errors import (
    Corruption,
    ObjectMissing,
    ObjectNotExist,
    ParameterInvalid,
    RequestTimeout,
    RowDamaged,
    ServerBusy,
)
from lutra.model.forks import OfProcess
from lutra.model.indexes import IndexDescription, IndexSchema
from lutra.model.queries import ColumnsToGet, Hit, SearchRequest, SearchResult
from lutra.model.rows import KeyInput, Row
from lutra.model.schema import TableDescription, TableUpdate
from lutra.search import Answer, search_many
from lutra.search.deadline import in_time
from lutra.search.routing import routed


@dataclass(frozen=True, slots=True)
class _OpenIndex:
    feed: IndexFeed
    columns: HitColumns


class Instance:
    """Tables and search indexes of one name space. Thread-safe, synchronous. Made by `Engine.instance`.

    In a process forked from that of the engine every method raises ForkedProcess.
    """

    def __init__(self, name: str, partition: Partition) -> None:
        self.name = name
        self._process = OfProcess()
        self.tables = partition.space.instance(name)
        self._partition = partition
        self._indexes = partition.indexes
        self._feeder = partition.feeder
        self._defining = threading.Lock()
        self._open: dict[tuple[str, str], _OpenIndex] = {}
        self._opening: set[tuple[str, str]] = set()

    def reopen_index(self, definition: IndexDefinition) -> None:
        """Begins to open an index of an earlier run of the engine. Raises ObjectNotExist where its table is gone."""
        self._opening.add((definition.table, definition.name))
        self._begin(definition)

    def update_table(self, name: str, update: TableUpdate) -> TableDescription:
        """Changes a table's options; gives it as it then is.

        Raises ObjectNotExist, and ParameterInvalid also where a search index would not go with it.
        """
        self._process.check()
        with self._defining:
            for index in self._indexes.of_table(self.name, name):
                check_table_update(index.name, index.schema.ttl_s, update)
            return self.tables.update(name, update)

    def delete_table(self, name: str) -> None:
        """Deletes a table with all its rows. Raises ObjectNotExist, ParameterInvalid while it has a search index."""
        self._process.check()
        with self._defining:
            if self._indexes.of_table(self.name, name):
                raise ParameterInvalid(f"Table[{name}] who has at least one search index cannot be deleted.")
            self.tables.delete(name)

    def create_search_index(self, table: str, index: str, schema: IndexSchema) -> None:
        """Makes an index on a table and begins to fill it.

        Raises ParameterInvalid, ObjectAlreadyExist, QuotaExhausted.
        """
        self._process.check()
        self._indexes.check(index, schema)
        with self._defining:
            self._check_table(table)
            self._begin(self._indexes.create(self.name, self.tables.describe(table), index, schema))

    def describe_search_index(self, table: str, index: str) -> IndexDescription:
        """Raises ParameterInvalid where there is no such table, MetaNotMatch where there is no such index."""
        return self._opened(table, index).feed.description()

    def index_stats(self, table: str, index: str) -> tuple[Watermarks, IndexStats]:
        """How far an index is, and what it consists of. Raises as ``describe_search_index``."""
        feed = self._opened(table, index).feed
        return feed.watermarks(), feed.index.stats()

    def list_search_indexes(self, table: str | None = None) -> list[tuple[str, str]]:
        """``(table, index)`` of all indexes or of one table's. Raises ParameterInvalid where there is no such table."""
        self._process.check()
        if table is not None:
            self._check_table(table)
        return sorted(key for key in list(self._open) if table is None or key[0] == table)

    def delete_search_index(self, table: str, index: str) -> None:
        """Raises ParameterInvalid where there is no such table, MetaNotMatch where there is no such index."""
        self._process.check()
        with self._defining:
            opened = self._opened(table, index)
            self._indexes.delete(self.name, table, index)
            del self._open[table, index]
            self._feeder.remove(opened.feed)

    def search(self, table: str, index: str, request: SearchRequest) -> SearchResult:
        """The rows that a query finds.

        A row that was deleted after the index last looked is not returned, and takes no other row's place: the index
        is asked again without it. An index that is being opened after a restart is waited for.

        Raises ParameterInvalid, MetaNotMatch, RequestTimeout, ServerBusy, RowDamaged where a row that was found cannot
        be read, and IndexDamaged where objects of the index are lost or damaged.
        """
        return self.search_many(table, index, (request,), limits.ANSWER_BYTES_MAX)[0]

    def search_many(
        self, table: str, index: str, requests: Sequence[SearchRequest], bytes_max: int | None = None
    ) -> list[SearchResult]:
        """As ``search``, for several requests over one state of the index; what they have in common is done once.

        The first says how long all may take. ``bytes_max``: of the rows of one answer, as they are stored; None: any.
        """
        self._process.check()

        def search(deadline: Deadline) -> list[SearchResult]:
            self._wait_for_opening(table, index, deadline.left_s)
            return self._searched(self._opened(table, index), requests, bytes_max)

        return in_time(requests[0].timeout_ms, search)

    def search_opened(
        self, table: str, index: str, request: SearchRequest, routing: Sequence[KeyInput] = ()
    ) -> SearchResult:
        """As ``search``, but waits for nothing: for an index that `when_opened` says is open.

        ``routing``: only rows of these are found (`lutra.search.routing`), where there are any.
        """
        return self._searched(self._opened(table, index), (request,), limits.ANSWER_BYTES_MAX, routing)[0]

    def _searched(
        self,
        opened: _OpenIndex,
        requests: Sequence[SearchRequest],
        bytes_max: int | None,
        routing: Sequence[KeyInput] = (),
    ) -> list[SearchResult]:
        try:
            view = opened.feed.view()
            if routing:
                view = routed(view, routing)
            answers = search_many(view, requests)
            return [
                self._living(opened, view, request, answer, bytes_max)
                for request, answer in zip(requests, answers, strict=True)
            ]
        except RowDamaged:  # of the table, not of the index
            raise
        except (Corruption, ObjectMissing) as error:
            raise opened.feed.consumer.damage(error) from error

    def _living(
        self, opened: _OpenIndex, view: IndexView, request: SearchRequest, answer: Answer, bytes_max: int | None
    ) -> SearchResult:
        """The answer and its rows, without those that are gone."""
        shown = Shown(view.schema, request)
        answer, rows = answer_of_living(
            view,
            request,
            answer,
            read=lambda hits: self._rows(opened, hits, request.columns, bytes_max, shown),
            are_gone=lambda hits: self._are_gone(opened, hits),
        )
        result = _result(answer, rows)
        if result.aggregated is not None:
            fill_top_rows(
                result.aggregated, lambda hits: self._rows(opened, hits, request.columns, limits.ANSWER_BYTES_MAX)
            )
        result.highlights = shown.fragments(rows)
        result.inner_hits = shown.inner_hits(rows, answer.inner_hits)
        return result

    def when_opened(self, table: str, index: str, call: Callable[[], None]) -> Callable[[], None] | None:
        """None where the index is open, or failed to be; else ``call`` is called once, by any thread, when it is so.

        What is returned then takes that back. Raises ParameterInvalid, MetaNotMatch, ServerBusy.
        """
        opened = self._opened(table, index)
        if (table, index) not in self._opening:
            return None
        return self._feeder.call_when_searchable(opened.feed, opened.feed.opened_at, call)

    def check_opened(self, table: str, index: str) -> None:
        """Raises ServerBusy where an index is not open yet, IndexDamaged where that is why."""
        self._wait_for_opening(table, index, 0)

    def wait_searchable(self, table: str, index: str, timeout_s: float) -> None:
        """Returns when every write acknowledged so far can be found. Raises RequestTimeout."""
        self._feeder.wait_searchable(self._opened(table, index).feed, timeout_s)

    def _begin(self, definition: IndexDefinition) -> None:
        feed = self._partition.follow(definition, self.tables)
        self._open[definition.table, definition.name] = _OpenIndex(feed, HitColumns(definition.schema))

    def _opened(self, table: str, index: str) -> _OpenIndex:
        self._process.check()
        opened = self._open.get((table, index))
        if opened is None:
            self._check_table(table)
            self._indexes.get(self.name, table, index)
            # Defined, but not open yet: it is being created or deleted at this moment.
            raise ServerBusy(f"search index [{index}] is being changed, try again")
        return opened

    def _check_table(self, table: str) -> None:
        try:
            self.tables.describe(table)
        except ObjectNotExist:
            raise ParameterInvalid(f"table [{table}] does not exist") from None

    def _wait_for_opening(self, table: str, index: str, timeout_s: float) -> None:
        """An index that was complete before a restart does not answer with less after it."""
        feed = self._opened(table, index).feed
        if (table, index) not in self._opening:
            return
        try:
            self._feeder.wait_searchable(feed, timeout_s, feed.opened_at)
        except RequestTimeout as error:
            raise ServerBusy(f"search index [{index}] is being opened after a restart, try again: {error}") from None
        self._opening.discard((table, index))

    def _rows(
        self,
        opened: _OpenIndex,
        hits: list[Hit],
        columns: ColumnsToGet,
        bytes_max: int | None,
        shown: Shown | None = None,
    ) -> list[Row | None]:
        """The rows of ``hits`` as they are returned; ``shown`` takes them whole where it has a use for them."""
        is_taking = shown is not None and shown.needs_rows
        if not is_taking and not opened.columns.needs_rows(columns):
            return [Row(hit.key) for hit in hits]
        keys = [hit.key for hit in hits]
        definition = opened.feed.definition
        found = self.tables.read_rows(definition.table_id, keys, bytes_max)
        if shown is not None and is_taking:
            shown.take(row for row in found if row is not None)
        return [None if row is None else opened.columns.pick(row, columns) for row in found]

    def _are_gone(self, opened: _OpenIndex, hits: list[Hit]) -> list[bool]:
        rows = self.tables.read_rows(opened.feed.definition.table_id, [hit.key for hit in hits])
        return [row is None for row in rows]


def _result(answer: Answer, rows: list[Row]) -> SearchResult:
    return SearchResult(
        rows=rows,
        scores=[hit.score for hit in answer.hits],
        total=answer.total,
        next_token=answer.next_token,
        stats=answer.stats,
        aggregated=answer.aggregated,
        is_complete=answer.is_complete,
    )
