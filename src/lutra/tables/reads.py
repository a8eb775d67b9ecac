"""What a read returns of a row: checked and worked out once a request, then asked of each row.

In this order: expiry and the table's own versions (`storedrow`), the columns and times asked for, the versions asked
for, the filter, the page of columns. A row that has none of the columns asked for is not returned, unless a key column
was asked for too. Times alone take no row away: what has no version in them is returned without cells.
"""

from __future__ import annotations

from typing import Final

from lutra.kernels.plainbuffer import measure_row
from lutra.model import limits
from lutra.model.conditions import ColumnPagination
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.names import check_column_name
from lutra.model.rows import Cell, PrimaryKey, ReadOptions, Row
from lutra.model.values import INT64_MAX
from lutra.tables import storedrow
from lutra.tables.filters import Predicate, check_pagination, compile_condition
from lutra.tables.table import Table

_TOKEN_FORMAT: Final = b"\x01"


class ReadPlan:
    """One ReadOptions on one table."""

    __slots__ = (
        "_after_column",
        "_columns",
        "_end_column",
        "_everything",
        "_keeps_empty",
        "_max_versions",
        "_narrowed",
        "_pagination",
        "_plain",
        "_predicate",
        "_start_column",
        "_table",
        "_time_range_ms",
        "_version_bytes",
    )

    def __init__(self, table: Table, options: ReadOptions) -> None:
        """Raises ParameterInvalid."""
        check_options(options)
        self._table = table
        self._version_bytes = table.version_bytes
        self._columns = frozenset(options.columns)
        self._start_column = options.start_column
        self._end_column = options.end_column
        self._after_column = None if options.token is None else _column_of(options.token)
        self._time_range_ms = options.time_range_ms
        self._max_versions = table.max_versions if options.max_versions is None else options.max_versions
        by_name = (
            bool(self._columns)
            or options.start_column is not None
            or options.end_column is not None
            or self._after_column is not None
        )
        self._keeps_empty = not by_name or not self._columns.isdisjoint(table.key_names)
        self._narrowed = by_name or options.time_range_ms is not None
        self._everything = not self._narrowed and (table.one_version or self._max_versions >= table.max_versions)
        self._pagination: ColumnPagination | None = None
        self._predicate: Predicate | None = None
        if isinstance(options.filter, ColumnPagination):
            check_pagination(options.filter)
            self._pagination = options.filter
        elif options.filter is not None:
            self._predicate = compile_condition(options.filter)
        self._plain = self._everything and options.filter is None

    def row(self, key: PrimaryKey, value: bytes, now_ms: int) -> tuple[Row | None, bytes | None, int]:
        """The row of a stored value as it is returned, or None; the token where its page of columns ended; bytes read.

        Raises RowDamaged.
        """
        try:
            cells = storedrow.decode(value, self._table, now_ms)
        except Corruption as error:
            raise storedrow.damaged(key, self._table, error) from error
        if cells is None:
            return None, None, 0
        if self._plain:
            return Row(key, cells), None, measure_row(key, cells, self._version_bytes)
        token = None
        passes = True
        if not self._everything:
            cells = self._selected(cells)
            passes = bool(cells) or self._keeps_empty
        if self._predicate is not None:
            passes = passes and self._predicate(key, cells)
        if self._pagination is not None:
            cells, token = self._page(cells, self._pagination)
        size_bytes = measure_row(key, cells, self._version_bytes)
        return (Row(key, cells) if passes else None), token, size_bytes

    def _selected(self, cells: list[Cell]) -> list[Cell]:
        if self._narrowed:
            cells = [cell for cell in cells if self._asks_for(cell)]
        return storedrow.newest(cells, self._max_versions)

    def _asks_for(self, cell: Cell) -> bool:
        name, _, timestamp_ms = cell
        return (
            (not self._columns or name in self._columns)
            and (self._start_column is None or name >= self._start_column)
            and (self._end_column is None or name < self._end_column)
            and (self._after_column is None or name > self._after_column)
            and (self._time_range_ms is None or self._time_range_ms[0] <= timestamp_ms < self._time_range_ms[1])
        )

    def _page(self, cells: list[Cell], pagination: ColumnPagination) -> tuple[list[Cell], bytes | None]:
        names = list(dict.fromkeys(cell[0] for cell in cells))
        # A token goes on behind the page before, whose offset was counted already.
        begin = pagination.offset if self._after_column is None else 0
        page = names[begin : begin + pagination.limit]
        wanted = set(page)
        more = begin + pagination.limit < len(names)
        token = _TOKEN_FORMAT + page[-1].encode() if page and more else None
        return [cell for cell in cells if cell[0] in wanted], token


def check_options(options: ReadOptions) -> None:
    """Raises ParameterInvalid where no table can be read so."""
    if len(options.columns) > limits.COLUMNS_TO_GET_MAX:
        raise ParameterInvalid(
            "The number of columns from the request exceeds the limit, limit count:"
            f" {limits.COLUMNS_TO_GET_MAX}, column count: {len(options.columns)}."
        )
    for name in options.columns:
        check_column_name(name)
    if options.max_versions is None and options.time_range_ms is None:
        raise ParameterInvalid("No version condition is specified.")
    if options.max_versions is not None and options.max_versions <= 0:
        raise ParameterInvalid(f"Invalid max versions: {options.max_versions}. Reason: Max versions must be positive.")
    if options.time_range_ms is not None:
        start_ms, end_ms = options.time_range_ms
        if not 0 <= start_ms < end_ms <= INT64_MAX:
            raise ParameterInvalid(
                f"Invalid time range [{start_ms}, {end_ms}): the start must be at least 0 and before the end."
            )


def _column_of(token: bytes) -> str:
    try:
        name = token[1:].decode()
    except UnicodeDecodeError:
        name = ""
    if token[:1] != _TOKEN_FORMAT or not 0 < len(token) - 1 <= limits.COLUMN_NAME_BYTES_MAX or not name:
        raise ParameterInvalid("The token is not one that a read of this table gave.")
    return name
