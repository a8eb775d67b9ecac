"""Changes of all rows that satisfy a condition, some at a time, each checked once more as it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lutra.embedding.embedder import EmbeddingError
from lutra.instance import where as filters
from lutra.instance.embedded_rows import EmbeddedRows
from lutra.instance.expression import Expression
from lutra.instance.instance import Instance
from lutra.instance.layout import Layout
from lutra.instance.put_batches import BATCH_BYTES, FRAME_BATCH_ROWS, size_bytes_of
from lutra.instance.row import Row
from lutra.model.conditions import ColumnCondition, RowTest
from lutra.model.errors import BatchTooLarge, ConditionCheckFail, LutraError, OperationConflict, ParameterInvalid
from lutra.model.queries import ColumnsToGet, PrimaryKeySort, Query, ReturnColumns, SearchRequest
from lutra.model.rows import (
    Cell,
    CellChange,
    ChangeKind,
    Condition,
    PrimaryKey,
    RangeRequest,
    ReadOptions,
    RowChange,
    RowExistence,
    WriteResult,
)
from lutra.model.values import INF_MAX, INF_MIN
from lutra.tables.filters import compile_condition

_KEYS_AT_ONCE: Final = 10_000
_ATTEMPTS: Final = 10
"""So often a row is read and changed anew where others change it in between."""
_EXISTS: Final = RowExistence.EXPECT_EXIST

CellsOf = Callable[[Row], list[CellChange]]
"""What is to become of a row; nothing where the list is empty."""


class WhereChanges:
    """One call of `lutra.Table.update_where` or `delete_where`.

    Rows are found by their keys, ascending, through the index where it knows all columns of the condition, else by
    reading the table. Keys never change, so each row is come to once, whatever the changes do to the condition.
    """

    def __init__(
        self,
        instance: Callable[[], Instance],
        layout: Layout,
        where: Expression,
        wait_s: float,
        progress: Callable[[int], object] | None,
    ) -> None:
        """Raises ParameterInvalid."""
        self._instance = instance
        self._layout = layout
        self._embedded = EmbeddedRows(layout)
        self._condition = filters.to_condition(where, layout)
        self._query = _query(where, layout)
        self._wait_s = wait_s
        self._progress = progress
        self._changed = 0

    def delete(self) -> int:
        """How many rows were deleted."""
        condition = Condition(_EXISTS, self._condition)
        for keys in self._keys():
            self._write(RowChange(ChangeKind.DELETE, key, [], condition) for key in keys)
        return self._changed

    def update(self, cells: Sequence[CellChange]) -> int:
        """How many rows were given these cells."""
        condition = Condition(_EXISTS, self._condition)
        for keys in self._keys():
            self._write(RowChange(ChangeKind.UPDATE, key, list(cells), condition) for key in keys)
        return self._changed

    def update_each(self, cells_of: CellsOf) -> int:
        """As `update`, with what ``cells_of`` makes of each row. Raises OperationConflict where one never rests."""
        for keys in self._keys():
            left: Sequence[PrimaryKey] = keys
            for _ in range(_ATTEMPTS):
                left = self._write(self._changes_of_each(left, cells_of))
                if not left:
                    break
            else:
                raise OperationConflict(
                    f"row {dict(left[0])} was changed by others each of the {_ATTEMPTS} times that it was read; "
                    f"{self._changed} rows are updated"
                )
        return self._changed

    def _changes_of_each(self, keys: Iterable[PrimaryKey], cells_of: CellsOf) -> Iterator[RowChange]:
        tables = self._instance().tables
        passes = compile_condition(self._condition)
        for row in tables.each_row(tables.describe(self._layout.table).table_id, keys):
            if isinstance(row, LutraError):
                raise row
            if row is None or not passes(row.key, row.cells):
                continue
            try:
                cells = cells_of(self._layout.decode_row(row))
            except LutraError as error:
                raise type(error)(f"row {dict(row.key)}: {error}; {self._changed} rows are updated") from error
            if cells:
                yield RowChange(ChangeKind.UPDATE, row.key, cells, Condition(_EXISTS, _is_still(row.cells)))

    def _write(self, changes: Iterable[RowChange]) -> list[PrimaryKey]:
        """The keys of the rows whose conditions do not hold any more."""
        refused: list[PrimaryKey] = []
        batch: list[RowChange] = []
        size_bytes = 0
        for change in changes:
            change_bytes = size_bytes_of(change)
            if batch and (len(batch) == FRAME_BATCH_ROWS or size_bytes + change_bytes > BATCH_BYTES):
                refused += self._commit(batch)
                batch, size_bytes = [], 0
            batch.append(change)
            size_bytes += change_bytes
        return refused + self._commit(batch)

    def _commit(self, batch: list[RowChange]) -> list[PrimaryKey]:
        refused: list[Any] = []
        self._embed(batch)
        while batch:
            try:
                [results] = self._instance().tables.write_batch([(self._layout.table, batch)], FRAME_BATCH_ROWS)
            except OperationConflict as error:
                raise self._told(error) from error
            self._changed += sum(isinstance(result, WriteResult) for result in results)
            left = []
            for change, result in zip(batch, results, strict=True):
                if isinstance(result, ConditionCheckFail):
                    refused.append(change.key)
                elif isinstance(result, BatchTooLarge):  # of large rows: the first always has room
                    left.append(change)
                elif isinstance(result, LutraError):
                    raise self._told(result) from result
            if self._progress is not None:
                self._progress(self._changed)
            batch = left
        return refused

    def _embed(self, batch: list[RowChange]) -> None:
        """Gives the changes the vectors that they lack. Raises EmbeddingError."""
        try:
            errors = self._embedded.complete(batch)
        except EmbeddingError as error:
            raise self._told(error) from error
        for number, of_row in errors.items():
            raise self._told(EmbeddingError(f"row {dict(batch[number].key)}: {of_row}")) from of_row

    def _told(self, error: LutraError) -> LutraError:
        """An error, and what was done before it."""
        return type(error)(f"{str(error).removesuffix('.')}; {self._changed} rows are changed")

    def _keys(self) -> Iterator[list[PrimaryKey]]:
        return self._scanned() if self._query is None else self._found(self._query)

    def _found(self, query: Query) -> Iterator[list[PrimaryKey]]:
        table, index = self._layout.table, self._layout.index
        assert index is not None
        self._instance().wait_searchable(table, index, self._wait_s)
        columns = ColumnsToGet(ReturnColumns.NONE)
        request = SearchRequest(query, (PrimaryKeySort(),), limit=_KEYS_AT_ONCE, columns=columns)
        while True:
            [page] = self._instance().search_many(table, index, [request])
            yield [row.key for row in page.rows]
            if not page.next_token:
                return
            request = replace(request, token=page.next_token)

    def _scanned(self) -> Iterator[list[PrimaryKey]]:
        names = [column.name for column in self._layout.key]
        columns = (names[0], *sorted(filters.columns_read(self._condition) - set(names)))
        options = ReadOptions(columns=columns, filter=self._condition)
        request = RangeRequest(
            tuple((name, INF_MIN) for name in names), tuple((name, INF_MAX) for name in names), options=options
        )
        while True:
            page = self._instance().tables.read_range(self._layout.table, request)
            yield [row.key for row in page.rows]
            if page.next_start is None:
                return
            request = replace(request, start=page.next_start)


def cells_of_values(
    set_cell: Callable[[str, object], CellChange],
    given: Mapping[str, object] | Callable[[Row], Mapping[str, object]],
    counters: Sequence[CellChange],
) -> CellsOf | list[CellChange]:
    """What ``update_where`` is to do, of every row the same, or by each. Raises ParameterInvalid."""
    if not callable(given) and not any(map(callable, given.values())):
        return [*(set_cell(name, value) for name, value in given.items()), *counters]

    def cells_of(row: Row) -> list[CellChange]:
        values = given(row) if callable(given) else given
        if not isinstance(values, Mapping):
            raise ParameterInvalid(f"what is to be set of a row is a mapping of columns, not {type(values).__name__}")
        if not values and not counters:
            return []
        called = {name: value(row) if callable(value) else value for name, value in values.items()}
        return [*(set_cell(name, value) for name, value in called.items()), *counters]

    return cells_of


def _query(where: Expression, layout: Layout) -> Query | None:
    """None where the index cannot tell which rows satisfy ``where``."""
    if layout.index is None:
        return None
    try:
        return filters.to_query(where, layout)
    except ParameterInvalid:  # of a column that is not indexed: as a condition it was not refused
        return None


def _is_still(cells: list[Cell]) -> ColumnCondition:
    return RowTest(lambda now: now == cells)
