"""Reading rows of a table of an embedded database, by their keys and in the order of keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from lutra.instance import where as filters
from lutra.instance.expression import Expression, columns_of
from lutra.instance.row import Row
from lutra.instance.table_part import WAIT_S, TablePart, parts_of, several
from lutra.model import limits
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.queries import MatchAll, Query, SearchRequest
from lutra.model.rows import KeyInput, RangeRequest, ReadOptions
from lutra.model.values import INF_MAX, INF_MIN, KeyValue

_SCAN_PAGE_ROWS: Final = 1_000


class TableReader(TablePart):
    """The part of a table that reads."""

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
        encoded = [self._layout.encode_key(parts_of(key)) for key in several(keys)]
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
        self._instance().wait_searchable(self.name, self._layout.index, WAIT_S)
        request = SearchRequest(query, limit=0, count_total=True)
        return self._instance().search(self.name, self._layout.index, request).total

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
