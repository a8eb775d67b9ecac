"""A table of an embedded database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lutra.instance import where as filters
from lutra.instance.aggregates import Aggregate, Bucket
from lutra.instance.expression import Column, Expression, columns_of
from lutra.instance.field import FieldDeclaration, Kind
from lutra.instance.field_changes import with_field, without_field
from lutra.instance.grouping import Grouping, group_orders, ordered
from lutra.instance.instance import Instance
from lutra.instance.layout import KeyDeclaration, Layout, key_declaration
from lutra.instance.put_batches import FRAME_BATCH_ROWS, ArrowStream, PutBatches, Rejected
from lutra.instance.results import Groups, Results
from lutra.instance.row import Row
from lutra.instance.search_query import Asked, OrderBy, TextMatch, columns_to_get, nearest, query_of, sorters_of
from lutra.model import limits
from lutra.model.errors import LutraError, ObjectNotExist, ParameterInvalid
from lutra.model.queries import (
    MatchAll,
    Query,
    ScoreSort,
    SearchRequest,
    SearchResult,
    SearchStats,
)
from lutra.model.rows import (
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    RangeRequest,
    ReadOptions,
    ReturnType,
    RowChange,
    RowExistence,
    WriteResult,
)
from lutra.model.values import INF_MAX, INF_MIN, KeyMarker, KeyValue

if TYPE_CHECKING:
    import pandas as pd

_SCAN_PAGE_ROWS: Final = 1_000
_WAIT_S: Final = 30.0
_PAGE_ROWS: Final = 1_000
"""That one search gives of an order. Neighbours come in one: the next page would look for all of them again."""
_EXISTENCE: Final = {
    None: RowExistence.IGNORE,
    True: RowExistence.EXPECT_EXIST,
    False: RowExistence.EXPECT_NOT_EXIST,
}


class Table:
    """Rows under one to four key columns, with declared fields and the search over them. Thread-safe.

    Values are checked and converted before anything is written; every write is on stable storage when it returns.
    """

    def __init__(self, instance: Callable[[], Instance], layout: Layout) -> None:
        """``instance`` gives the open instance, or raises where its database is closed. Raises ObjectNotExist."""
        self._open = instance
        self._layout = layout
        self._changing = threading.Lock()
        self._table_id = instance().tables.describe(layout.table).table_id

    @property
    def name(self) -> str:
        return self._layout.table

    @property
    def key(self) -> dict[str, KeyDeclaration]:
        """The key columns, in order, as ``create_table`` takes them."""
        return {column.name: key_declaration(column) for column in self._layout.key}

    @property
    def fields(self) -> dict[str, FieldDeclaration]:
        """The fields, as ``create_table`` takes them; empty where the table takes any column."""
        return {name: field.declaration for name, field in self._layout.fields.items()}

    def __repr__(self) -> str:
        return f"Table({self.name!r}, key={list(self.key)}, fields={list(self._layout.fields)})"

    # --- writing ------------------------------------------------------------------------------------------------

    def put(
        self, row: Mapping[str, object], *, exists: bool | None = None, where: Expression | None = None
    ) -> tuple[KeyValue, ...]:
        """Writes a row, in place of any row of the same key. Returns its key, with what the table chose.

        A None is a column the row does not have. ``exists`` and ``where`` guard the write: they say whether there
        must be a row of that key, and what must hold of it. Raises ParameterInvalid, ConditionCheckFail.
        """
        key, cells = self._layout.encode_row(row)
        change = RowChange(ChangeKind.PUT, key, cells, self._condition(exists, where))
        if any(isinstance(value, KeyMarker) for _, value in key):
            change.return_type = ReturnType.PRIMARY_KEY
        result = self._instance().tables.write(self.name, change)
        chosen = result.row.key if result.row is not None else key
        return tuple(value for _, value in chosen if not isinstance(value, KeyMarker))

    def put_many(
        self,
        rows: ArrowStream | pd.DataFrame | Iterable[Any],
        *,
        columns: Mapping[str, str | None] | None = None,
        rejected: Callable[[Rejected], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Writes rows, many to a commit. Returns how many.

        ``rows`` is an iterable of rows (mappings, or objects of a dataclass), a pandas.DataFrame, or whatever gives its
        rows as Arrow has them: Arrow's tables, batches and readers, polars' frames, DuckDB's relations; or an iterable
        of such frames, as ``pyarrow.parquet.ParquetFile(path).iter_batches()`` is. Frames are encoded by columns, a few
        thousand rows at a time, and take 1,000 rows to a commit, others 200; both less where rows are large.

        None, NaN, NaT and Arrow's null are columns that the row does not have. A float that is whole is an int where
        the field is one. Points are structs of ``lat`` and ``lon``, vectors lists of numbers, records lists of structs.
        A pandas index that has a name is a column.

        ``columns`` says what columns that are given are called in the table; None leaves one out. ``rejected`` is
        called with a :class:`lutra.Rejected` for each row that is wrong, and the others are written; without it the
        first bad row raises ParameterInvalid, which names it by its number from 0; the commits before it stay.
        ``progress`` is called after each commit with the number of rows written so far.

        ::

            docs.put_many(frame, columns={"doc_id": "id", "comment": None}, rejected=bad.append)

        Raises ParameterInvalid where the columns of a frame are not those of the table, ImportError where reading a
        frame takes pyarrow and that is not installed.
        """
        return PutBatches(self._layout, self._write_changes, columns, rejected).run(rows, progress)

    def update(
        self,
        *key: KeyValue,
        set: Mapping[str, object] | None = None,
        increment: Mapping[str, int] | None = None,
        exists: bool | None = None,
        where: Expression | None = None,
    ) -> dict[str, int]:
        """Changes columns of one row and leaves its others. Makes the row where there is none.

        ``set`` writes columns, and removes those it gives as None; ``increment`` adds to int columns, which count
        from 0. Returns the incremented columns as they now are. ``exists`` and ``where`` guard the write, as in
        :meth:`put`. Raises ParameterInvalid, ConditionCheckFail.
        """
        counters = dict(increment or {})
        cells = [*(self._set_cell(name, value) for name, value in (set or {}).items())]
        for name, amount in counters.items():
            if name in (set or {}):
                raise ParameterInvalid(f"column {name!r} is given both in set and in increment")
            cells.append(self._increment_cell(name, amount))
        if not cells:
            raise ParameterInvalid("nothing to update: give set= or increment=")
        change = RowChange(ChangeKind.UPDATE, self._layout.encode_key(key), cells, self._condition(exists, where))
        if counters:
            change.return_type = ReturnType.AFTER_MODIFY
            change.return_columns = tuple(counters)
        result = self._instance().tables.write(self.name, change)
        cells_after = result.row.cells if result.row is not None else ()
        return {name: value for name, value, _ in cells_after if type(value) is int and name in counters}

    def delete(self, *key: KeyValue, exists: bool | None = None, where: Expression | None = None) -> None:
        """Deletes the row of that key, if there is one. Guards as in :meth:`put`."""
        encoded = self._layout.encode_key(key)
        change = RowChange(ChangeKind.DELETE, encoded, [], self._condition(exists, where))
        self._instance().tables.write(self.name, change)

    def delete_many(self, keys: Iterable[KeyValue | Sequence[KeyValue]]) -> int:
        """Deletes the rows of these keys, 200 to a commit. Returns how many keys there were.

        A key of one column is its value; of several, a tuple.
        """
        deleted = 0
        batch: list[RowChange] = []
        for key in _several(keys):
            batch.append(RowChange(ChangeKind.DELETE, self._layout.encode_key(_parts(key))))
            if len(batch) == limits.BATCH_WRITE_ROWS_MAX:
                self._delete_batch(batch, deleted)
                deleted += len(batch)
                batch = []
        self._delete_batch(batch, deleted)
        return deleted + len(batch)

    # --- reading ------------------------------------------------------------------------------------------------

    def get(self, *key: KeyValue, columns: Sequence[str] | None = None) -> Row | None:
        """The row of that key, or None. ``columns`` names those to read besides the key; None reads all."""
        options = self._read_options(columns)
        result = self._instance().tables.read(self.name, self._layout.encode_key(key), options)
        return None if result.row is None else self._layout.decode_row(result.row)

    def get_many(
        self, keys: Iterable[KeyValue | Sequence[KeyValue]], *, columns: Sequence[str] | None = None
    ) -> list[Row | None]:
        """The rows of these keys, in their order, None where there is no such row."""
        options = self._read_options(columns)
        encoded = [self._layout.encode_key(_parts(key)) for key in _several(keys)]
        rows: list[Row | None] = []
        for first in range(0, len(encoded), limits.BATCH_GET_ROWS_MAX):
            chunk = encoded[first : first + limits.BATCH_GET_ROWS_MAX]
            (results,) = self._instance().tables.read_batch([(self.name, chunk, options)])
            for result in results:
                if isinstance(result, LutraError):
                    raise result
                rows.append(None if result.row is None else self._layout.decode_row(result.row))
        return rows

    def scan(
        self,
        *prefix: KeyValue,
        start: KeyValue | Sequence[KeyValue] | None = None,
        end: KeyValue | Sequence[KeyValue] | None = None,
        reverse: bool = False,
        where: Expression | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """The rows in key order, read as they are asked for.

        ``prefix`` fixes the first key columns. ``start`` (included) and ``end`` (excluded) bound those that follow;
        with ``reverse`` the scan goes downwards, from a high ``start`` to a low ``end``. ``where`` drops rows as they
        are read: it uses no index.
        """
        if limit is not None and limit < 0:
            raise ParameterInvalid(f"limit is at least 0, not {limit}")
        options = self._read_options(columns, where)
        first = self._bound(prefix, start, above=reverse, default_above=reverse)
        last = self._bound(prefix, end, above=reverse, default_above=not reverse)
        request = RangeRequest(first, last, reverse, _SCAN_PAGE_ROWS, options)
        return self._scan(request, limit, self._layout.columns(columns))

    def count(self, where: Expression | None = None) -> int:
        """How many rows satisfy ``where``; without it, how many there are."""
        if self._layout.index is None:
            return sum(1 for _ in self.scan(where=where))
        query: Query = MatchAll() if where is None else filters.to_query(where, self._layout)
        self._instance().wait_searchable(self.name, self._layout.index, _WAIT_S)
        request = SearchRequest(query, limit=0, count_total=True)
        return self._instance().search(self.name, self._layout.index, request).total

    def search(
        self,
        vector: object = None,
        *,
        text: str | None = None,
        where: Expression | None = None,
        limit: int = 10,
        field: str | None = None,
        text_field: str | None = None,
        match: TextMatch = "any",
        order_by: OrderBy = (),
        columns: Sequence[str] | None = None,
        min_score: float | None = None,
        offset: int = 0,
        fresh: bool = True,
        explain: bool = False,
    ) -> Results:
        """The ``limit`` rows nearest to ``vector`` among those that satisfy ``where``, nearest first.

        ``vector`` is a sequence of numbers or an array [dimension], of any float or int type; ``field`` names the
        vector field where there are several. With a ``min_score``, only rows that score more than that are found.
        With a ``text``: the rows whose text field has ``match`` of its words (``any`` or ``all``) or has it as a
        ``phrase``, by BM25; ``text_field`` names the field where there are several. With both: the rows that are among
        the nearest or have the words; the scores of those that are both add up.
        Without either: the rows that satisfy ``where``, by ``order_by`` (``lutra.col("year").desc()``), else by key.
        ``offset`` skips rows; a vector search reaches down to the 100,000th. ``columns`` names those to return besides
        the key. The search sees every write acknowledged before it; ``fresh=False`` spares the wait for the latest
        ones. With ``explain``, the results' ``explanation`` tells what was done and why; of many rows, for the first
        hundred.
        Raises ParameterInvalid, and RequestTimeout where the index does not catch up within 30 s.
        """
        index = self._search_index()
        self._check_page(limit, offset)
        asked = Asked(vector, text, where, field, text_field, match, min_score)
        query, is_scored = query_of(asked, self._layout, limit + offset)
        sort = sorters_of(order_by, self._layout)
        if is_scored and sort:
            raise ParameterInvalid("a search for a vector or text is ordered by score: order_by does not go with it")
        sort = (ScoreSort(),) if is_scored else sort
        request = SearchRequest(query, sort, offset, columns=columns_to_get(columns, self._layout), explain=explain)
        if fresh:
            self._instance().wait_searchable(self.name, index, _WAIT_S)
        page_rows = limit if vector is not None else _PAGE_ROWS
        rows, stats = self._pages(index, request, limit, page_rows, scored=is_scored)
        return Results(rows, self._layout.result_columns(columns, rows), stats)

    def search_many(
        self,
        vectors: Iterable[object],
        *,
        where: Expression | None = None,
        limit: int = 10,
        field: str | None = None,
        columns: Sequence[str] | None = None,
        min_score: float | None = None,
        fresh: bool = True,
    ) -> list[Results]:
        """For each of ``vectors``, an array [queries, dimension] or a sequence of vectors, what :meth:`search` finds.

        Much faster than one search after the other: ``where`` is evaluated once, and the vectors are looked for
        together, shared out to all processors. Up to 256 of them see the same state of the table. Raises as
        :meth:`search`; ParameterInvalid names a bad vector by its number from 0.
        """
        index = self._search_index()
        self._check_page(limit, 0)
        passing = None if where is None else filters.to_query(where, self._layout)
        wanted = columns_to_get(columns, self._layout)
        requests: list[SearchRequest] = []
        for number, vector in enumerate(vectors):
            try:
                query = nearest(vector, field, self._layout, passing, limit, min_score)
            except ParameterInvalid as error:
                raise ParameterInvalid(f"vector {number}: {error}") from None
            requests.append(SearchRequest(query, (ScoreSort(),), 0, limit, columns=wanted))
        if fresh:
            self._instance().wait_searchable(self.name, index, _WAIT_S)
        results: list[Results] = []
        at_once = max(1, min(limits.SEARCHES_AT_ONCE_MAX, limits.OFFSET_PLUS_LIMIT_MAX // limit))
        for first in range(0, len(requests), at_once):
            for found in self._instance().search_many(self.name, index, requests[first : first + at_once]):
                pairs = zip(found.rows, found.scores, strict=True)
                rows = [self._layout.decode_row(row, score) for row, score in pairs]
                results.append(Results(rows, self._layout.result_columns(columns, rows), found.stats))
        return results

    # --- fields -------------------------------------------------------------------------------------------------

    def add_field(self, name: str, declaration: FieldDeclaration, *, timeout_s: float = 3_600) -> None:
        """Adds a field, declared as in ``create_table``, to rows that are there and rows that come.

        The index is filled anew for it beside the one there is, which goes on answering searches; this returns once the
        field can be searched. What rows have in a column of that name already, as another program may have written it,
        is indexed with it. Other handles of the table know of the field once they are opened again.

        Raises ParameterInvalid, and RequestTimeout where filling takes longer than ``timeout_s``: it goes on then.
        """
        with self._changing:
            self._layout = with_field(self._instance(), self._layout, name, declaration)
            self._wait_updated(timeout_s)

    def drop_field(self, name: str, *, timeout_s: float = 3_600) -> None:
        """Drops a field: it can be neither searched nor written any more. Rows keep what they have in that column, and
        give it back as it is stored, until they are written anew.

        Raises as :meth:`add_field`.
        """
        with self._changing:
            self._layout = without_field(self._instance(), self._layout, name)
            self._wait_updated(timeout_s)

    # --- groups -------------------------------------------------------------------------------------------------

    def aggregate(
        self,
        where: Expression | None = None,
        *,
        vector: object = None,
        text: str | None = None,
        nearest: int = 100,
        field: str | None = None,
        text_field: str | None = None,
        match: TextMatch = "any",
        fresh: bool = True,
        **aggregates: Aggregate,
    ) -> dict[str, Any]:
        """What all rows that satisfy ``where`` come to, by the names that ``aggregates`` have.

        ``docs.aggregate(col("year") > 2000, price=col("price").avg(), kinds=col("kind").distinct())`` gives ``price``,
        ``kinds``, and ``count``, the number of rows. What there is no value of is None. A path into records
        (``col("items.price")``) stands for what all records of a row have there. With a ``vector``: of the
        ``nearest`` rows to it; with a ``text``, of those that have the words. Raises as :meth:`search`.
        """
        asked = Asked(vector, text, where, field, text_field, match)
        groups = Grouping((), aggregates, self._layout)
        query, _ = query_of(asked, self._layout, nearest)
        [found] = groups.found(query, self._searcher(fresh))
        return found

    def group_by(
        self,
        *keys: str | Column | Bucket,
        where: Expression | None = None,
        vector: object = None,
        text: str | None = None,
        nearest: int = 100,
        field: str | None = None,
        text_field: str | None = None,
        match: TextMatch = "any",
        order_by: OrderBy = (),
        limit: int | None = None,
        fresh: bool = True,
        **aggregates: Aggregate,
    ) -> Groups:
        """The rows that satisfy ``where`` by what they have in common: a dict for each combination of ``keys``.

        A key is a column, a path into records (``"items.sku"``), or intervals of one: ``col("price").every(10)``,
        ``col("at").every("month")``. A row with several values of a key is in the group of each. Each group has its
        keys (None: rows without the column), its ``count`` of rows and its ``aggregates``, as :meth:`aggregate` gives
        them. Groups come in order of their keys, or by ``order_by`` (``lutra.col("count").desc()``), ``limit`` of them.
        ``vector``, ``text`` and what goes with them are as in :meth:`aggregate`. Raises as :meth:`search`.
        """
        if not keys:
            raise ParameterInvalid("group_by takes a column at least; of all rows together aggregate() tells")
        groups = Grouping(keys, aggregates, self._layout)
        orders = group_orders(order_by, groups.names, limit)
        asked = Asked(vector, text, where, field, text_field, match)
        query, _ = query_of(asked, self._layout, nearest)
        found = ordered(groups.found(query, self._searcher(fresh)), orders)
        return Groups(found[:limit], groups.columns)

    # --- inside -------------------------------------------------------------------------------------------------

    def _wait_updated(self, timeout_s: float) -> None:
        index = self._layout.index
        if index is not None:
            end_s = time.monotonic() + timeout_s
            self._instance().wait_updated(self.name, index, timeout_s)
            self._instance().wait_searchable(self.name, index, max(0.0, end_s - time.monotonic()))

    def _search_index(self) -> str:
        if self._layout.index is None:
            raise ParameterInvalid(f"table {self.name!r} has no indexed field, so it cannot be searched")
        return self._layout.index

    def _searcher(self, fresh: bool) -> Callable[[Sequence[SearchRequest]], list[SearchResult]]:
        """Asks the index, once it is as new as is wanted."""
        index = self._search_index()
        if fresh:
            self._instance().wait_searchable(self.name, index, _WAIT_S)
        return lambda requests: self._instance().search_many(self.name, index, requests)

    @staticmethod
    def _check_page(limit: int, offset: int) -> None:
        if type(limit) is not int or type(offset) is not int or limit < 1 or offset < 0:
            raise ParameterInvalid(f"limit is an int of at least 1, offset of at least 0; not {limit!r} and {offset!r}")
        if offset + min(limit, _PAGE_ROWS) > limits.OFFSET_PLUS_LIMIT_MAX:
            raise ParameterInvalid(
                f"an offset leads to the {limits.OFFSET_PLUS_LIMIT_MAX:,}th row at most, not to {offset:,} and on: ask "
                "for rows from the first on, as many as you like, or leave the first ones out by where="
            )

    def _instance(self) -> Instance:
        """The open instance, where the table is still there. Raises ObjectNotExist."""
        instance = self._open()
        try:
            table_id = instance.tables.describe(self.name).table_id
        except ObjectNotExist:
            raise ObjectNotExist(f"there is no table {self.name!r} any more: it was deleted") from None
        if table_id != self._table_id:
            raise ObjectNotExist(
                f"table {self.name!r} was deleted and made anew since: open the new one with table({self.name!r})"
            )
        return instance

    def _condition(self, exists: bool | None, where: Expression | None) -> Condition:
        columns = None if where is None else filters.to_condition(where, self._layout)
        return Condition(_EXISTENCE[exists], columns)

    def _set_cell(self, name: str, value: object) -> CellChange:
        self._refuse_key(name)
        if value is None:
            self._layout.columns([name])
            return (name, None, None, CellOperation.DELETE_ALL)
        return (name, self._layout.encode_value(name, value), None, CellOperation.PUT)

    def _increment_cell(self, name: str, amount: object) -> CellChange:
        self._refuse_key(name)
        field = self._layout.fields.get(name)
        if field is not None and (field.kind is not Kind.INT or field.is_array):
            raise ParameterInvalid(f"field {name!r} is not an int, so it cannot be incremented")
        value = self._layout.encode_value(name, amount)
        if type(value) is not int:
            raise ParameterInvalid(f"column {name!r}: an increment is an int, not {amount!r}")
        return (name, value, None, CellOperation.INCREMENT)

    def _refuse_key(self, name: str) -> None:
        if self._layout.is_key(name):
            raise ParameterInvalid(f"{name!r} is a key column: a key never changes; delete the row and put another")

    def _write_changes(self, changes: list[RowChange]) -> list[WriteResult | LutraError]:
        (results,) = self._instance().tables.write_batch([(self.name, changes)], FRAME_BATCH_ROWS)
        return results

    def _delete_batch(self, batch: list[RowChange], first_row: int) -> None:
        if not batch:
            return
        for number, result in enumerate(self._write_changes(batch), first_row):
            if isinstance(result, LutraError):
                raise type(result)(f"key {number}: {result}; the keys before it are deleted") from result

    def _bound(
        self,
        prefix: tuple[KeyValue, ...],
        bound: KeyValue | Sequence[KeyValue] | None,
        *,
        above: bool,
        default_above: bool,
    ) -> KeyInput:
        """A range bound: given key columns, then the lowest or highest value for those left open."""
        given = (*prefix, *(() if bound is None else _parts(bound)))
        columns = self._layout.key
        if len(prefix) >= len(columns) or len(given) > len(columns):
            raise ParameterInvalid(f"table {self.name!r} has {len(columns)} key columns: a scan got values for more")
        marker = INF_MAX if (default_above if bound is None else above) else INF_MIN
        return self._layout.encode_bound(given, marker)

    def _read_options(self, columns: Sequence[str] | None, where: Expression | None = None) -> ReadOptions:
        condition = None if where is None else filters.to_condition(where, self._layout)
        names = self._layout.columns(columns)
        if names is None:
            return ReadOptions(filter=condition)
        # A filter sees only what is read; and with a key column among them, rows that have none of them count too.
        seen = () if where is None else sorted(columns_of(where) - {*names})
        return ReadOptions(columns=(self._layout.key[0].name, *names, *seen), filter=condition)

    def _scan(self, request: RangeRequest, limit: int | None, columns: tuple[str, ...] | None) -> Iterator[Row]:
        left = limit
        while left is None or left > 0:
            page = request if left is None else replace(request, limit=min(left, _SCAN_PAGE_ROWS))
            result = self._instance().tables.read_range(self.name, page)
            for row in result.rows:
                yield self._layout.decode_row(row, columns=columns)
            if result.next_start is None:
                return
            request = replace(request, start=result.next_start)
            left = None if left is None else left - len(result.rows)

    def _pages(
        self, index: str, request: SearchRequest, limit: int, page_rows: int, *, scored: bool
    ) -> tuple[list[Row], SearchStats]:
        """The first ``limit`` rows, so many by one search; tokens lead on."""
        rows: list[Row] = []
        stats = SearchStats()
        while True:
            page = replace(request, limit=min(limit - len(rows), page_rows))
            [result] = self._instance().search_many(self.name, index, [page])
            if not rows:
                stats = result.stats
            scores: Iterable[float | None] = result.scores if scored else [None] * len(result.rows)
            rows += [self._layout.decode_row(row, score) for row, score in zip(result.rows, scores, strict=True)]
            if len(rows) >= limit or not result.next_token:
                return rows, stats
            request = replace(request, offset=0, token=result.next_token, explain=False)


def _parts(key: KeyValue | Sequence[KeyValue]) -> tuple[KeyValue, ...]:
    return (key,) if isinstance(key, str | bytes) or not isinstance(key, Sequence) else tuple(key)


def _several(keys: Iterable[KeyValue | Sequence[KeyValue]]) -> Iterable[KeyValue | Sequence[KeyValue]]:
    """``keys``, unless they are one text, of which each letter would be a key. Raises ParameterInvalid."""
    if isinstance(keys, str | bytes | bytearray | memoryview):
        raise ParameterInvalid(f"keys are a list, not one {type(keys).__name__}: write [{keys!r}]")
    return keys
