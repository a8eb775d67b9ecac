"""A table of an async database: what `lutra.Table` does, for an event loop."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from lutra.instance.async_lanes import Lane, Lanes, Told
from lutra.model import limits

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd

    from lutra.instance.aggregates import Aggregate
    from lutra.instance.boosts import Boosts
    from lutra.instance.embed_run import Unembedded
    from lutra.instance.expression import Expression
    from lutra.instance.field import FieldDeclaration
    from lutra.instance.first_rows import FirstRows
    from lutra.instance.grouping import GroupKey
    from lutra.instance.layout import KeyDeclaration
    from lutra.instance.put_batches import ArrowStream, Rejected
    from lutra.instance.results import Groups, Results, Totals
    from lutra.instance.row import Row
    from lutra.instance.search_query import OrderBy, TextFields, TextMatch
    from lutra.instance.table import Table
    from lutra.model.values import KeyValue


class AsyncTable:
    """A :class:`lutra.Table` whose methods are awaited: the same names, arguments, results and errors.

    Work is done by threads of the database, and the event loop is never held up. A task that is cancelled, by
    ``asyncio.timeout`` say, ends at once, and its work at the next step: a search is given up, a write has been done or
    not, and of many rows the commits before it stay. Functions that are handed in to be told of something
    (``progress``, ``rejected``) are called on the event loop; iterables are gone through, and functions that make
    values are called, by a thread.
    """

    def __init__(self, lanes: Lanes, table: Table) -> None:
        self._lanes = lanes
        self._table = table

    @property
    def name(self) -> str:
        return self._table.name

    @property
    def key(self) -> dict[str, KeyDeclaration]:
        """As :attr:`lutra.Table.key`."""
        return self._table.key

    @property
    def fields(self) -> dict[str, FieldDeclaration]:
        """As :attr:`lutra.Table.fields`."""
        return self._table.fields

    def __repr__(self) -> str:
        return f"Async{self._table!r}"

    def _repr_html_(self) -> str:
        return self._table._repr_html_()

    # --- writing ------------------------------------------------------------------------------------------------

    async def put(
        self, row: Mapping[str, object], *, exists: bool | None = None, where: Expression | None = None
    ) -> tuple[KeyValue, ...]:
        """As :meth:`lutra.Table.put`. Rows that are put at the same time share an fsync."""
        return await self._lanes.run(Lane.WRITE, lambda: self._table.put(row, exists=exists, where=where))

    async def put_many(
        self,
        rows: ArrowStream | pd.DataFrame | Iterable[Any],
        *,
        columns: Mapping[str, str | None] | None = None,
        rejected: Callable[[Rejected], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """As :meth:`lutra.Table.put_many`."""
        told = Told()
        tell_rejected, tell_progress = told.by(rejected), told.by(progress)
        work = self._lanes.run(
            Lane.WRITES,
            lambda: self._table.put_many(rows, columns=columns, rejected=tell_rejected, progress=tell_progress),
        )
        return await told.after(work)

    async def update(
        self,
        *key: KeyValue,
        set: Mapping[str, object] | None = None,
        increment: Mapping[str, int] | None = None,
        exists: bool | None = None,
        where: Expression | None = None,
    ) -> dict[str, int]:
        """As :meth:`lutra.Table.update`."""
        return await self._lanes.run(
            Lane.WRITE, lambda: self._table.update(*key, set=set, increment=increment, exists=exists, where=where)
        )

    async def delete(self, *key: KeyValue, exists: bool | None = None, where: Expression | None = None) -> None:
        """As :meth:`lutra.Table.delete`."""
        await self._lanes.run(Lane.WRITE, lambda: self._table.delete(*key, exists=exists, where=where))

    async def delete_many(self, keys: Iterable[KeyValue | Sequence[KeyValue]]) -> int:
        """As :meth:`lutra.Table.delete_many`."""
        return await self._lanes.run(Lane.WRITES, lambda: self._table.delete_many(keys))

    async def delete_where(self, where: Expression, /, *, progress: Callable[[int], object] | None = None) -> int:
        """As :meth:`lutra.Table.delete_where`."""
        told = Told()
        tell = told.by(progress)
        return await told.after(self._lanes.run(Lane.WRITES, lambda: self._table.delete_where(where, progress=tell)))

    async def update_where(
        self,
        where: Expression,
        /,
        set: Mapping[str, object] | Callable[[Row], Mapping[str, object]] | None = None,
        *,
        increment: Mapping[str, int] | None = None,
        progress: Callable[[int], object] | None = None,
        **values: object,
    ) -> int:
        """As :meth:`lutra.Table.update_where`."""
        told = Told()
        tell = told.by(progress)
        work = self._lanes.run(
            Lane.WRITES,
            lambda: self._table.update_where(where, set, increment=increment, progress=tell, **values),
        )
        return await told.after(work)

    async def embed(
        self,
        field: str | None = None,
        *,
        where: Expression | None = None,
        since: dt.datetime | None = None,
        failed: Callable[[Unembedded], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """As :meth:`lutra.Table.embed`."""
        told = Told()
        tell_failed, tell_progress = told.by(failed), told.by(progress)
        work = self._lanes.run(
            Lane.WRITES,
            lambda: self._table.embed(field, where=where, since=since, failed=tell_failed, progress=tell_progress),
        )
        return await told.after(work)

    # --- reading ------------------------------------------------------------------------------------------------

    async def get(self, *key: KeyValue, columns: Sequence[str] | None = None) -> Row | None:
        """As :meth:`lutra.Table.get`."""
        return await self._lanes.run(Lane.READ, lambda: self._table.get(*key, columns=columns))

    async def get_many(
        self, keys: Iterable[KeyValue | Sequence[KeyValue]], *, columns: Sequence[str] | None = None
    ) -> list[Row | None]:
        """As :meth:`lutra.Table.get_many`."""
        return await self._lanes.run(Lane.SEARCHES, lambda: self._table.get_many(keys, columns=columns))

    def scan(
        self,
        *prefix: KeyValue,
        start: KeyValue | Sequence[KeyValue] | None = None,
        end: KeyValue | Sequence[KeyValue] | None = None,
        reverse: bool = False,
        where: Expression | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Row]:
        """As :meth:`lutra.Table.scan`: ``async for row in docs.scan()``. A thread reads a page, and then others' calls
        have their turn. It may be left at any time, and gone on with after a cancellation."""
        pages = self._table._pages_of_scan(prefix, start, end, reverse, where, columns, limit)
        return _AsyncRows(self._lanes, pages)

    def __aiter__(self) -> AsyncIterator[Row]:
        """The rows in key order: ``async for row in docs``."""
        return self.scan()

    async def count(self, where: Expression | None = None) -> int:
        """As :meth:`lutra.Table.count`."""
        return await self._lanes.run_waiting(Lane.SEARCH, lambda: self._table.count(where))

    async def head(self, n: int = 5, *, columns: Sequence[str] | None = None) -> Results:
        """As :meth:`lutra.Table.head`."""
        return await self._lanes.run(Lane.READ, lambda: self._table.head(n, columns=columns))

    # --- searching ----------------------------------------------------------------------------------------------

    async def search(
        self,
        vector: object = None,
        *,
        text: str | None = None,
        where: Expression | None = None,
        limit: int = 10,
        field: str | None = None,
        text_field: TextFields = None,
        match: TextMatch = "any",
        order_by: OrderBy = (),
        columns: Sequence[str] | None = None,
        min_score: float | None = None,
        offset: int = 0,
        collapse: str | None = None,
        records: int | None = None,
        boost: Boosts | None = None,
        recall: float | None = None,
        fresh: bool = True,
        deadline_ms: int | None = None,
        explain: bool = False,
    ) -> Results:
        """As :meth:`lutra.Table.search`. No thread is held while the index is waited for."""
        left_ms = _left_of(deadline_ms)
        return await self._lanes.run_waiting(
            Lane.SEARCH,
            lambda: self._table.search(
                vector,
                text=text,
                where=where,
                limit=limit,
                field=field,
                text_field=text_field,
                match=match,
                order_by=order_by,
                collapse=collapse,
                records=records,
                boost=boost,
                columns=columns,
                min_score=min_score,
                offset=offset,
                recall=recall,
                fresh=fresh,
                deadline_ms=left_ms(),
                explain=explain,
            ),
        )

    async def search_many(
        self,
        vectors: Iterable[object],
        *,
        where: Expression | None = None,
        limit: int = 10,
        field: str | None = None,
        columns: Sequence[str] | None = None,
        min_score: float | None = None,
        recall: float | None = None,
        fresh: bool = True,
        deadline_ms: int | None = None,
    ) -> list[Results]:
        """As :meth:`lutra.Table.search_many`."""
        left_ms = _left_of(deadline_ms)
        kept = cache(lambda: list(vectors) if isinstance(vectors, Iterator) else vectors)  # it may be asked twice
        return await self._lanes.run_waiting(
            Lane.SEARCHES,
            lambda: self._table.search_many(
                kept(),
                where=where,
                limit=limit,
                field=field,
                columns=columns,
                min_score=min_score,
                recall=recall,
                fresh=fresh,
                deadline_ms=left_ms(),
            ),
        )

    async def aggregate(
        self,
        where: Expression | None = None,
        *,
        vector: object = None,
        text: str | None = None,
        nearest: int = 100,
        field: str | None = None,
        text_field: TextFields = None,
        match: TextMatch = "any",
        fresh: bool = True,
        deadline_ms: int | None = None,
        **aggregates: Aggregate | FirstRows,
    ) -> Totals:
        """As :meth:`lutra.Table.aggregate`."""
        left_ms = _left_of(deadline_ms)
        return await self._lanes.run_waiting(
            Lane.SEARCH,
            lambda: self._table.aggregate(
                where,
                vector=vector,
                text=text,
                nearest=nearest,
                field=field,
                text_field=text_field,
                match=match,
                fresh=fresh,
                deadline_ms=left_ms(),
                **aggregates,
            ),
        )

    async def group_by(
        self,
        *keys: GroupKey,
        where: Expression | None = None,
        vector: object = None,
        text: str | None = None,
        nearest: int = 100,
        field: str | None = None,
        text_field: TextFields = None,
        match: TextMatch = "any",
        order_by: OrderBy = (),
        limit: int | None = None,
        fresh: bool = True,
        deadline_ms: int | None = None,
        **aggregates: Aggregate | FirstRows,
    ) -> Groups:
        """As :meth:`lutra.Table.group_by`."""
        left_ms = _left_of(deadline_ms)
        return await self._lanes.run_waiting(
            Lane.SEARCH,
            lambda: self._table.group_by(
                *keys,
                where=where,
                vector=vector,
                text=text,
                nearest=nearest,
                field=field,
                text_field=text_field,
                match=match,
                order_by=order_by,
                limit=limit,
                fresh=fresh,
                deadline_ms=left_ms(),
                **aggregates,
            ),
        )

    # --- fields -------------------------------------------------------------------------------------------------

    async def add_field(self, name: str, declaration: FieldDeclaration, *, timeout_s: float = 3_600) -> None:
        """As :meth:`lutra.Table.add_field`."""
        await self._lanes.run(Lane.CHANGE, lambda: self._table.add_field(name, declaration, timeout_s=timeout_s))

    async def drop_field(self, name: str, *, timeout_s: float = 3_600) -> None:
        """As :meth:`lutra.Table.drop_field`."""
        await self._lanes.run(Lane.CHANGE, lambda: self._table.drop_field(name, timeout_s=timeout_s))

    @property
    def recall_target(self) -> float:
        """As :attr:`lutra.Table.recall_target`."""
        return self._table.recall_target

    async def set_recall_target(self, recall: float) -> None:
        """As :meth:`lutra.Table.set_recall_target`."""
        await self._lanes.run(Lane.CHANGE, lambda: self._table.set_recall_target(recall))


class _AsyncRows(AsyncIterator["Row"]):
    """The rows of pages, each of which a thread reads when it is come to."""

    def __init__(self, lanes: Lanes, pages: Iterator[Iterable[Row]]) -> None:
        self._lanes = lanes
        self._pages = pages
        self._reading = threading.Lock()
        self._ahead: deque[Row] = deque()
        self._failure: Exception | None = None
        self._is_at_end = False

    async def __anext__(self) -> Row:
        while not self._ahead:
            if self._is_at_end:
                raise StopAsyncIteration
            await self._lanes.run(Lane.READ, self._read)
        return self._ahead.popleft()

    def _read(self) -> None:
        """By a thread; what it reads is there also where nobody waits for it any more."""
        with self._reading:
            if self._failure is not None:
                raise self._failure
            if self._ahead or self._is_at_end:  # another task has had it read
                return
            page = next(self._pages, None)
            if page is None:
                self._is_at_end = True
                return
            try:
                self._ahead.extend([*page])
            except Exception as error:  # the rows after it must not be taken for all there are
                self._failure = error
                raise


def _left_of(deadline_ms: int | None) -> Callable[[], int | None]:
    """What is left of it, whenever a call is made: a search that waited for its index is made once more."""
    began_s = time.monotonic()

    def left_ms() -> int | None:
        if type(deadline_ms) is not int or not 1 <= deadline_ms <= limits.SEARCH_TIMEOUT_MS_MAX:
            # The call says what is wrong.
            return deadline_ms
        return max(1, deadline_ms - int((time.monotonic() - began_s) * 1_000))

    return left_ms
