"""One instance: its tables and their search indexes together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from lutra.feed.feed import Watermarks
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.stats import IndexStats
from lutra.index.lsm.view import IndexView
from lutra.instance.highlighter import Shown
from lutra.instance.index_changes import IndexChanges, WantedIndex, being_filled
from lutra.instance.living import answer_of_living
from lutra.instance.open_indexes import GenerationStats, OpenIndex, OpenIndexes, Route
from lutra.instance.partition import Partition
from lutra.instance.recall_sampler import IndexKey, RecallSampler, searching
from lutra.instance.reconcile import reconciled
from lutra.instance.scanning import check_parts, check_scan, scanned
from lutra.instance.secondary import SecondaryIndexes
from lutra.instance.top_rows import fill_top_rows
from lutra.kernels.plainbuffer import measure_row
from lutra.model import limits
from lutra.model.deadline import Deadline, current_deadline
from lutra.model.errors import (
    Corruption,
    LutraError,
    ObjectMissing,
    ParameterInvalid,
    ReadOnlyDatabase,
    RequestTimeout,
    RowDamaged,
)
from lutra.model.forks import OfProcess
from lutra.model.indexes import IndexDescription, IndexSchema, IndexUpdate
from lutra.model.queries import ColumnsToGet, Hit, SearchRequest, SearchResult
from lutra.model.rows import KeyInput, PrimaryKey, Row
from lutra.model.scans import ScanRequest, ScanResult
from lutra.model.schema import SecondaryIndex, TableDescription, TableSchema, TableUpdate
from lutra.model.shards import ShardCall, ShardReply
from lutra.model.streams import StreamDescription, StreamIterator, StreamPage
from lutra.search import Answer, search_many
from lutra.search.deadline import in_time
from lutra.search.nodes.knn import Sampled
from lutra.search.plan import plan_of
from lutra.search.routing import check_routing
from lutra.search.sample import SampleRequest, VectorSample, sample_of
from lutra.search.shadow import shadow

_CATCHING_UP_SHARE: Final = 0.5
"""Of its time, what a search that wants to see the latest writes waits for them."""
_SPLITS: Final = 1


class Instance:
    """Tables and search indexes of one name space. Thread-safe, synchronous. Made by `Engine.instance`.

    In a process forked from that of the engine every method raises ForkedProcess.
    """

    def __init__(self, name: str, partition: Partition) -> None:
        self.name = name
        self._process = OfProcess()
        self.is_read_only = partition.is_read_only
        self.tables = partition.space.instance(name)
        self._streams = partition.space.streams
        self._catalog = partition.indexes
        self._scans = partition.scans
        self._shard_searches = partition.shard_searches
        self._indexes = OpenIndexes(name, partition, self.tables)
        self.secondary = SecondaryIndexes(partition, self.tables)
        """To look at."""
        self._changes = IndexChanges(name, partition, self.tables, self._indexes)
        self.recall: RecallSampler | None = None
        """What is told of searches for neighbours, where their recall is measured."""
        self.partition_id = ""
        """Of a table that is shared out, which part this has."""

    def require_writable(self) -> None:
        """Raises ReadOnlyDatabase where nothing of it can be changed."""
        if self.is_read_only:
            raise ReadOnlyDatabase(
                "this database was opened with read_only=True: to change it, connect without that, where no other "
                "process has the directory"
            )

    def reopen_secondary_indexes(self) -> None:
        """Begins to follow tables by the secondary indexes of an earlier run of the engine."""
        if not self.is_read_only:
            self.secondary.reopen()

    def reopen_index(self, definition: IndexDefinition) -> None:
        """Begins to open an index of an earlier run of the engine. Raises ObjectNotExist where its table is gone."""
        self._changes.reopen(definition)

    def create_table(self, schema: TableSchema) -> TableDescription:
        """Makes a table, with its secondary indexes. Raises ParameterInvalid, ObjectAlreadyExist, QuotaExhausted."""
        self._process.check()
        with self._changes.defining:
            return self.secondary.create_table(schema)

    def reconcile(self, to_be: TableDescription, indexes: Sequence[WantedIndex]) -> TableDescription:
        """Has a table be as somebody else says it is: made where there is none, its options, defined columns, stream,
        secondary indexes and search indexes changed where they differ. Done again, it changes nothing.

        When it was made, and its stream, is as ``to_be`` says; ids are its own. Raises StorageFailure, and what each
        change may.
        """
        self._process.check()
        with self._changes.defining:
            table = reconciled(self.tables, self.secondary, to_be)
        self._changes.reconcile(to_be.schema.name, indexes)
        return table

    def create_secondary_index(self, table: str, index: SecondaryIndex) -> None:
        """Makes a secondary index, and begins to fill it where it is to include what is there.

        Raises ParameterInvalid, ObjectNotExist, ObjectAlreadyExist.
        """
        self._process.check()
        with self._changes.defining:
            self.secondary.create(table, index)

    def drop_secondary_index(self, table: str, index: str) -> None:
        """Raises ObjectNotExist."""
        self._process.check()
        with self._changes.defining:
            self.secondary.drop(table, index)

    def wait_secondary_index(self, table: str, index: str, timeout_s: float) -> None:
        """Returns when an index has all that has been written so far. Raises ObjectNotExist, RequestTimeout."""
        self._process.check()
        self.secondary.wait(table, index, timeout_s)

    def update_table(self, name: str, update: TableUpdate) -> TableDescription:
        """Changes a table's options; gives it as it then is.

        Raises ObjectNotExist, and ParameterInvalid also where a search index would not go with it.
        """
        self._process.check()
        with self._changes.defining:
            self._changes.check_table_update(name, update)
            return self.tables.update(name, update)

    def delete_table(self, name: str) -> None:
        """Deletes a table with all its rows. Raises ObjectNotExist, ParameterInvalid while it has a search index."""
        self._process.check()
        with self._changes.defining:
            if self._catalog.of_table(self.name, name):
                raise ParameterInvalid(f"Table[{name}] who has at least one search index cannot be deleted.")
            table = self.tables.describe(name)
            self.tables.delete(name)
            self.secondary.table_deleted(table)

    def list_streams(self, table: str | None = None) -> list[StreamDescription]:
        """The streams of all tables, or of one where it has one. Raises ObjectNotExist."""
        self._process.check()
        return self._streams.of_tables(self.name, table)

    def describe_stream(self, stream_id: str) -> StreamDescription:
        """Raises ObjectNotExist, also where the stream was disabled."""
        self._process.check()
        return self._streams.describe(self.name, stream_id)

    def stream_iterator(self, stream_id: str, shard_id: str, since_us: int | None = None) -> StreamIterator:
        """Where to begin to read: at the oldest record, or the first committed at ``since_us`` or later.

        Raises ObjectNotExist, ParameterInvalid.
        """
        self._process.check()
        return self._streams.iterator(self.name, stream_id, shard_id, since_us)

    def read_stream(self, at: StreamIterator, limit: int, bytes_max: int) -> StreamPage:
        """What comes next. Raises TrimmedDataAccess where that has expired, or the stream is gone."""
        self._process.check()
        return self._streams.read(self.name, at, limit, bytes_max)

    def stream_bytes(self, table: str) -> int:
        """About how many bytes a table's stream takes. Raises ObjectNotExist."""
        self._process.check()
        return self._streams.size_bytes(self.name, table)

    def create_search_index(self, table: str, index: str, schema: IndexSchema, source: str | None = None) -> None:
        """Makes an index on a table and begins to fill it.

        Where there is a ``source``, an index of the table, the new one may take its place (`update_search_index`).

        Raises ParameterInvalid, MetaNotMatch, ObjectAlreadyExist, QuotaExhausted.
        """
        self._process.check()
        self._changes.create(table, index, schema, source)

    def update_search_index(self, table: str, index: str, update: IndexUpdate) -> None:
        """Changes an index.

        Other fields, and a longer life, mean that it is filled anew, which begins now: until that is done searches find
        what they found, by the fields there were (`wait_updated`). A shorter life holds at once, and so do weights and
        a switch, whose new index has to have all rows.

        Raises ParameterInvalid, MetaNotMatch, and ServerBusy where what is to answer does not have all rows yet.
        """
        self._process.check()
        self._changes.update(table, index, update)
        if self.recall is not None:  # searches may find more from now on, or less
            self.recall.forget(self.index_key(table, index))

    def wait_updated(self, table: str, index: str, timeout_s: float) -> None:
        """Returns when searches go by the newest schema of an index. Raises RequestTimeout."""
        self._process.check()
        self._changes.wait_updated(table, index, timeout_s)

    def describe_search_index(self, table: str, index: str) -> IndexDescription:
        """Raises ParameterInvalid where there is no such table, MetaNotMatch where there is no such index."""
        self._process.check()
        return self._indexes.description(table, index)

    def index_stats(self, table: str, index: str) -> tuple[Watermarks, IndexStats]:
        """How far an index is, and what it consists of. Raises as ``describe_search_index``."""
        self._process.check()
        return self._indexes.stats(table, index)

    def index_generations(self, table: str, index: str) -> list[GenerationStats]:
        """The generation of an index that answers, and the one being filled to take its place, where there is one.

        Raises as ``describe_search_index``.
        """
        self._process.check()
        return self._indexes.generations(table, index)

    def index_feeds(self) -> list[IndexFeed]:
        """What keeps its search indexes current, each generation its own. To look at."""
        self._process.check()
        return self._indexes.feeds()

    def list_search_indexes(self, table: str | None = None) -> list[tuple[str, str]]:
        """``(table, index)`` of all indexes or of one table's. Raises ParameterInvalid where there is no such table."""
        self._process.check()
        if table is not None:
            self._indexes.check_table(table)
        return [key for key in self._indexes.names() if table is None or key[0] == table]

    def delete_search_index(self, table: str, index: str) -> None:
        """Raises ParameterInvalid where there is no such table, or another index may take its place, MetaNotMatch where
        there is no such index."""
        self._process.check()
        self._changes.delete(table, index)
        if self.recall is not None:
            self.recall.forget(self.index_key(table, index))

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
            self._indexes.wait_for_opening(table, index, deadline.left_s)
            return self._searched(table, index, requests, bytes_max)

        return in_time(requests[0].timeout_ms, search)

    def search_opened(
        self, table: str, index: str, request: SearchRequest, routing: Sequence[KeyInput] = ()
    ) -> SearchResult:
        """As ``search``, but waits for nothing: for an index that `when_opened` says is open.

        ``routing``: the partitions that it is about (`lutra.search.routing`).
        """
        self._process.check()
        return self._searched(table, index, (request,), limits.ANSWER_BYTES_MAX, routing)[0]

    def search_shard(self, table: str, index: str, call: ShardCall, routing: Sequence[KeyInput] = ()) -> ShardReply:
        """One step of a search of a table of which this has some of the rows: for an index that `when_opened` says is
        open. Re-indexed or not, the one of that name answers.

        Raises as ``search``, and SessionExpired where the search has to be begun anew.
        """
        self._process.check()
        with searching(self.recall):
            is_complete = call.request is None or self._has_caught_up(table, index, call.request)
            opened, view = self._shown(table, index)
            if call.schema_mark not in (0, opened.schema_mark):
                return ShardReply(other_schema=view.schema)
            with _telling_of_damage(opened.feed):
                check_routing(view, routing)
                try:
                    reply = self._shard_searches.answer(opened.feed, view, call, _ShardRows(self, opened), is_complete)
                except ParameterInvalid:
                    if call.request is not None and _is_filled_for(opened, (call.request,)):
                        raise being_filled(index) from None
                    raise
        if self.recall is not None and call.request is not None and reply.is_complete and not routing:
            self.recall.note(self.index_key(table, index), call.request)
        return reply

    def index_key(self, table: str, index: str) -> IndexKey:
        """By which `recall` knows an index."""
        return IndexKey(self.name, table, index, self.partition_id)

    def _searched(
        self,
        table: str,
        index: str,
        requests: Sequence[SearchRequest],
        bytes_max: int | None,
        routing: Sequence[KeyInput] = (),
    ) -> list[SearchResult]:
        with searching(self.recall):
            is_complete = self._has_caught_up(table, index, requests[0])
            route, taken, view = self._seen(table, index, requests)
            try:
                results = self._answered(route.opened, view, taken, bytes_max, routing)
            except ParameterInvalid:
                if _is_filled_for(route.opened, taken):
                    raise being_filled(index) from None
                raise
        for result in results:
            if result.next_token:
                result.next_token = route.mark + result.next_token
            result.is_complete = result.is_complete and is_complete
        if self.recall is not None and not routing:
            for request, result in zip(requests, results, strict=True):
                self._tell_recall(self.recall, self.index_key(table, index), request, result)
        return results

    @staticmethod
    def _tell_recall(recall: RecallSampler, of: IndexKey, request: SearchRequest, result: SearchResult) -> None:
        """Of what was found, to who measures it; and what has been measured, where a search explains itself."""
        if result.is_complete:
            recall.note(of, request)
        if result.stats.explanation is not None and (measured := recall.told(of)):
            result.stats.explanation["measured_recall"] = measured

    def shadow(self, table: str, index: str, request: SearchRequest) -> Sampled | None:
        """As `lutra.search.shadow.shadow`, over what an index shows now. Raises as that, and as `search_opened`."""
        self._process.check()
        opened, view = self._shown(table, index)
        with _telling_of_damage(opened.feed):
            return in_time(None, lambda deadline: shadow(view, request, deadline))

    def _has_caught_up(self, table: str, index: str, request: SearchRequest) -> bool:
        """Waits until the index is as new as the request wants it; False where the time for that was up.

        Raises RequestTimeout where that is no answer, and as `describe_search_index`.
        """
        if not request.is_fresh:
            return True
        timeout_ms = request.timeout_ms or limits.SEARCH_TIMEOUT_MS_MAX
        left_s = min(timeout_ms / 1_000, current_deadline().left_s)
        try:
            self._indexes.wait_searchable(table, index, _CATCHING_UP_SHARE * left_s)
        except RequestTimeout:
            if not request.allow_partial:
                raise
            return False
        return True

    def _seen(
        self, table: str, index: str, requests: Sequence[SearchRequest]
    ) -> tuple[Route, list[SearchRequest], IndexView]:
        """Who answers requests, the requests as it takes them, and what it sees: all of it, however soon after this
        another generation takes its place."""
        while True:
            route, taken = self._indexes.routed(table, index, requests)
            feed = route.opened.feed
            with _telling_of_damage(feed):
                view = feed.view()
            # It is closed, which empties it, only after it has ended.
            if not feed.has_ended() or self._indexes.is_current(feed):
                return route, taken, view

    def _answered(
        self,
        opened: OpenIndex,
        view: IndexView,
        requests: Sequence[SearchRequest],
        bytes_max: int | None,
        routing: Sequence[KeyInput],
    ) -> list[SearchResult]:
        with _telling_of_damage(opened.feed):
            check_routing(view, routing)
            answers = search_many(view, requests)
            return [
                self._living(opened, view, request, answer, bytes_max)
                for request, answer in zip(requests, answers, strict=True)
            ]

    def _living(
        self, opened: OpenIndex, view: IndexView, request: SearchRequest, answer: Answer, bytes_max: int | None
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

    def sample_vectors(self, table: str, index: str, request: SampleRequest) -> VectorSample:
        """Some of an index's vectors by chance, with their keys and other values (`lutra.search.sample`).

        Raises ParameterInvalid, MetaNotMatch, RequestTimeout, ServerBusy, IndexDamaged.
        """
        self._process.check()

        def sample(deadline: Deadline) -> VectorSample:
            self._indexes.wait_for_opening(table, index, deadline.left_s)
            opened, view = self._shown(table, index)
            with _telling_of_damage(opened.feed):
                return sample_of(view, request)

        return in_time(request.timeout_ms, sample)

    def begin_scan(self, table: str, index: str) -> bytes:
        """The id of a session over the index as it is now, for an index that `when_opened` says is open.

        Raises ParameterInvalid, MetaNotMatch, and ServerBusy where there are too many.
        """
        self._process.check()
        opened, view = self._shown(table, index)
        return self._scans.begin(opened.feed, view)

    def scan_splits(self, session: bytes) -> int:
        """So many readers can share a session out between them: its parts come and go, and one reads them faster than a
        client takes them."""
        return _SPLITS

    def answering_schema(self, table: str, index: str) -> IndexSchema:
        """By which searches of an index go now. Raises as ``describe_search_index``."""
        self._process.check()
        return self._indexes.opened(table, index).feed.definition.schema

    def keep_scan(self, table: str, index: str, session: bytes, alive_s: int) -> None:
        """Has a session last so long from now on. Raises as `scan`."""
        self._process.check()
        self._scans.view(session, self._indexes.opened(table, index).feed, min(alive_s, limits.SCAN_ALIVE_S_MAX))

    def scan(self, table: str, index: str, request: ScanRequest) -> ScanResult:
        """One page of a scan, of an index that `when_opened` says is open.

        A session ends with the index that it was begun with: when that is deleted, or another takes its place. Raises
        ParameterInvalid, MetaNotMatch, SessionExpired, RequestTimeout, RowDamaged, IndexDamaged.
        """
        self._process.check()
        check_parts(request, _SPLITS)
        opened, view = self._shown(table, index)
        check_scan(view, request)
        if request.session is not None:
            view = self._scans.view(request.session, opened.feed, min(request.alive_s, limits.SCAN_ALIVE_S_MAX))

        def read(keys: Sequence[PrimaryKey]) -> list[tuple[Row | None, int]]:
            rows = self._rows(opened, [Hit(key, math.nan) for key in keys], request.columns, None)
            return [(row, 0 if row is None else measure_row(row.key, row.cells, 0)) for row in rows]

        with _telling_of_damage(opened.feed):
            return in_time(request.timeout_ms, lambda deadline: scanned(view, request, deadline, read))

    def _shown(self, table: str, index: str) -> tuple[OpenIndex, IndexView]:
        """An index and what it shows, as `_seen`."""
        while True:
            opened = self._indexes.opened(table, index)
            with _telling_of_damage(opened.feed):
                view = opened.feed.view()
            if not opened.feed.has_ended() or self._indexes.is_current(opened.feed):
                return opened, view

    def when_opened(self, table: str, index: str, call: Callable[[], None]) -> Callable[[], None] | None:
        """None where the index is open, or failed to be; else ``call`` is called once, by any thread, when it is so.

        What is returned then takes that back. Raises ParameterInvalid, MetaNotMatch, ServerBusy.
        """
        self._process.check()
        return self._indexes.when_opened(table, index, call)

    def check_opened(self, table: str, index: str) -> None:
        """Raises ServerBusy where an index is not open yet, IndexDamaged where that is why."""
        self._process.check()
        self._indexes.wait_for_opening(table, index, 0)

    def wait_searchable(self, table: str, index: str, timeout_s: float) -> None:
        """Returns when every write acknowledged so far can be found. Raises RequestTimeout."""
        self._process.check()
        self._indexes.wait_searchable(table, index, timeout_s)

    def hit_rows(self, table: str, index: str, keys: Sequence[PrimaryKey], columns: ColumnsToGet) -> list[Row | None]:
        """The rows of keys, of which the index has something, as a search shows them; None where there is none.

        Raises as `describe_search_index`, RowDamaged, and ParameterInvalid where they are more than an answer has.
        """
        self._process.check()
        hits = [Hit(key, math.nan) for key in keys]
        return self._rows(self._indexes.opened(table, index), hits, columns, limits.ANSWER_BYTES_MAX)

    def _rows(
        self,
        opened: OpenIndex,
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

    def _are_gone(self, opened: OpenIndex, hits: list[Hit]) -> list[bool]:
        rows = self.tables.read_rows(opened.feed.definition.table_id, [hit.key for hit in hits])
        return [row is None for row in rows]


class _telling_of_damage:  # noqa: N801  # used as a function is; a generator would take several times as long
    """What is lost or damaged of an index is told as that; a row that is damaged is the table's."""

    __slots__ = ("_feed",)

    def __init__(self, feed: IndexFeed) -> None:
        self._feed = feed

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Corruption | ObjectMissing) and not isinstance(error, RowDamaged):
            raise self._feed.consumer.damage(error) from error


class _ShardRows:
    """Of hits of an index. `lutra.instance.shard_search.ShardRows`."""

    def __init__(self, instance: Instance, opened: OpenIndex) -> None:
        self._instance = instance
        self._opened = opened

    def read(self, hits: list[Hit], request: SearchRequest, shown: Shown) -> list[Row | None]:
        return self._instance._rows(self._opened, hits, request.columns, limits.ANSWER_BYTES_MAX, shown)

    def are_gone(self, hits: list[Hit]) -> list[bool]:
        return self._instance._are_gone(self._opened, hits)


def _is_filled_for(opened: OpenIndex, requests: Sequence[SearchRequest]) -> bool:
    """Whether requests that an index does not take make sense under the schema that it is being filled for."""
    following = opened.next
    return following is not None and all(_would_be_answered(following, one) for one in requests)


def _would_be_answered(feed: IndexFeed, request: SearchRequest) -> bool:
    """Whether a request that an index does not take makes sense under the schema that it is being filled for."""
    try:
        plan_of(feed.view(), request)
    except LutraError:
        return False
    return True


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
