"""Reading rows of a table of an embedded database, by their keys and in the order of keys."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

import numpy as np

from lutra.instance import html
from lutra.instance import where as filters
from lutra.instance.expression import Expression
from lutra.instance.results import Results
from lutra.instance.row import Row
from lutra.instance.table_part import WAIT_S, TablePart, parts_of, several
from lutra.model import limits
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.queries import MatchAll, Query, SearchRequest, SearchStats
from lutra.model.rows import KeyInput, RangeRequest, RangeResult, ReadOptions, ReadResult
from lutra.model.rows import Row as StoredRow
from lutra.model.values import INF_MAX, INF_MIN, KeyValue

_SCAN_PAGE_ROWS: Final = 1_000
_LOOK_S: Final = 0.5
"""So long is waited for an index that may be asked, or not."""

_log = logging.getLogger(__name__)


class TableReader(TablePart):
    """The part of a table that reads."""

    def get(self, *key: KeyValue, columns: Sequence[str] | None = None) -> Row | None:
        """The row of that key, or None. ``columns`` names those to read besides the key; None reads all."""
        options = self._read_options(columns)
        encoded = self._layout.encode_key(key)
        result = self._read(lambda tables: tables.read(self.name, encoded, options))
        return None if result.row is None else self._layout.decode_row(result.row)

    def get_many(
        self, keys: Iterable[KeyValue | Sequence[KeyValue]], *, columns: Sequence[str] | None = None
    ) -> list[Row | None]:
        """The rows of these keys, in their order, None where there is no such row."""
        options = self._read_options(columns)
        encoded = [self._layout.encode_key(parts_of(key)) for key in several(keys)]
        rows: list[Row | None] = []
        for first in range(0, len(encoded), limits.BATCH_GET_ROWS_MAX):
            chunk = encoded[first : first + limits.BATCH_GET_ROWS_MAX]
            for result in self._read_batch(chunk, options):
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
        return chain.from_iterable(self._pages_of_scan(prefix, start, end, reverse, where, columns, limit))

    def count(self, where: Expression | None = None) -> int:
        """How many rows satisfy ``where``, or there are: exactly, with every write acknowledged before the call.

        An index counts, where the table has one; else rows are read, or, without ``where``, their keys. ::

            docs.count(lutra.col("year") >= 2020)

        Raises ParameterInvalid, RequestTimeout.
        """
        if self._layout.index is None and where is None:
            return self._read(lambda tables: tables.count(self.name))
        if self._layout.index is None:
            return sum(1 for _ in self.scan(where=where))
        query: Query = MatchAll() if where is None else filters.to_query(where, self._layout)
        self._instance().wait_searchable(self.name, self._layout.index, WAIT_S)
        request = SearchRequest(query, limit=0, count_total=True)
        return self._instance().search(self.name, self._layout.index, request).total

    def head(self, n: int = 5, *, columns: Sequence[str] | None = None) -> Results:
        """The first ``n`` rows by key, for a look: :class:`lutra.Results`, which notebooks show as a table. ::

            docs.head(3).to_pandas()

        Raises ParameterInvalid.
        """
        rows = list(self.scan(columns=columns, limit=_count_of(n, "head takes")))
        return Results(rows, self._layout.result_columns(columns, rows), SearchStats())

    def __len__(self) -> int:
        """How many rows there are, exactly: as :meth:`count`, but an index that is behind is not waited for long; the
        table's own keys are counted then. ``len(docs)``"""
        instance, index = self._instance(), self._layout.index
        if index is not None:
            try:
                instance.wait_searchable(self.name, index, _LOOK_S)
                return instance.search(self.name, index, SearchRequest(MatchAll(), limit=0, count_total=True)).total
            except LutraError as error:
                _log.debug("the rows of %s are counted without its index: %s", self.name, error)
        return instance.tables.count(self.name)

    def __bool__(self) -> bool:
        """True, also where there are no rows: a table that is there. Whether it has rows, ``len(table)`` tells."""
        return True

    def __contains__(self, key: object) -> bool:
        """Whether there is a row of that key, of several columns a tuple: ``"a" in docs``. Raises InvalidPrimaryKey."""
        return self.get(*parts_of(key), columns=[]) is not None  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Row]:
        """The rows in key order, as :meth:`scan` reads them: ``for row in docs``."""
        return self.scan()

    def _repr_html_(self) -> str:
        return html.columns(self.name, self._layout.declarations, [column.name for column in self._layout.key])

    # --- inside -------------------------------------------------------------------------------------------------

    def _bound(
        self,
        prefix: tuple[KeyValue, ...],
        bound: KeyValue | Sequence[KeyValue] | None,
        *,
        above: bool,
        default_above: bool,
    ) -> KeyInput:
        """A range bound: given key columns, then the lowest or highest value for those left open."""
        given = (*prefix, *(() if bound is None else parts_of(bound)))
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
        seen = () if condition is None else sorted(filters.columns_read(condition) - {*names})
        return ReadOptions(columns=(self._layout.key[0].name, *names, *seen), filter=condition)

    def _pages_of_scan(
        self,
        prefix: tuple[KeyValue, ...],
        start: KeyValue | Sequence[KeyValue] | None,
        end: KeyValue | Sequence[KeyValue] | None,
        reverse: bool,
        where: Expression | None,
        columns: Sequence[str] | None,
        limit: int | None,
    ) -> ScanPages:
        """As `scan`."""
        limit = None if limit is None else _count_of(limit, "limit is")
        options = self._read_options(columns, where)
        first = self._bound(prefix, start, above=reverse, default_above=reverse)
        last = self._bound(prefix, end, above=reverse, default_above=not reverse)
        request = RangeRequest(first, last, reverse, _SCAN_PAGE_ROWS, options)
        names = self._layout.columns(columns)
        return ScanPages(self._read_page, request, limit, lambda row: self._layout.decode_row(row, columns=names))

    def _read_batch(self, keys: Sequence[KeyInput], options: ReadOptions) -> list[ReadResult | LutraError]:
        (results,) = self._read(lambda tables: tables.read_batch([(self.name, keys, options)]))
        return results

    def _read_page(self, request: RangeRequest) -> RangeResult:
        return self._read(lambda tables: tables.read_range(self.name, request))


def _count_of(rows: object, what: str) -> int:
    """So many rows, numpy's ints among them. Raises ParameterInvalid."""
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 0:
        raise ParameterInvalid(f"{what} an int of at least 0, not {rows!r}")
    return int(rows)


class ScanPages(Iterator[Iterable[Row]]):
    """The pages of a scan, each read when it is come to, which takes a moment, however few rows pass its filter.

    Where reading one raises, it is read by the next step. Rows are decoded as they are gone through.
    """

    def __init__(
        self,
        read: Callable[[RangeRequest], RangeResult],
        request: RangeRequest,
        limit: int | None,
        decode: Callable[[StoredRow], Row],
    ) -> None:
        self._read = read
        self._decode = decode
        self._left = limit
        self._request: RangeRequest | None = request

    def __next__(self) -> Iterable[Row]:
        request, left = self._request, self._left
        if request is None or left == 0:
            raise StopIteration
        result = self._read(request if left is None else replace(request, limit=min(left, _SCAN_PAGE_ROWS)))
        self._request = None if result.next_start is None else replace(request, start=result.next_start)
        self._left = None if left is None else left - len(result.rows)
        return map(self._decode, result.rows)
