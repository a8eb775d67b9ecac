"""A page of a table by key: read by range in either direction, so that it takes as long for any number of rows.

With a filter rows are looked through for a moment, not until there are enough: the page then says how far it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from lutra.console.row_keys import bound
from lutra.instance import where as filters
from lutra.instance.expression import Expression
from lutra.instance.instance import Instance
from lutra.instance.layout import Layout
from lutra.instance.row import Row
from lutra.model.deadline import current_deadline, working_for
from lutra.model.rows import KeyInput, PrimaryKey, RangeRequest, ReadOptions
from lutra.model.rows import Row as StoredRow
from lutra.model.values import INF_MAX, INF_MIN
from lutra.tables.capacity import UNIT_BYTES
from lutra.tables.keys import rank

PAGE_ROWS: Final = (25, 50, 100, 200)
_LOOK_S: Final = 0.1
_READ_BYTES_MAX: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins, and which way it is read: upwards from a key, or downwards. ``is_in``: with that key."""

    key: KeyInput
    is_back: bool = False
    is_in: bool = True

    @property
    def opposite(self) -> Place:
        """Where the page on the other side begins."""
        return Place(self.key, not self.is_back, not self.is_in)


@dataclass(frozen=True, slots=True)
class PageWanted:
    """Rows of [low, high), bounds of the first key column; None: of all. ``place``: None: from the first on.

    ``columns``: besides the key; None: all.
    """

    rows_max: int = PAGE_ROWS[1]
    low: KeyInput | None = None
    high: KeyInput | None = None
    place: Place | None = None
    where: Expression | None = None
    columns: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of keys, and where the pages before and after are; None: there is none.

    ``seen_to``: with a filter, where the time was up before the page was full.
    """

    rows: Sequence[Row]
    previous: Place | None
    next: Place | None
    seen_to: KeyInput | None = None


def read_page(instance: Instance, layout: Layout, wanted: PageWanted) -> Page:
    """Raises ParameterInvalid, ObjectNotExist, and what reading a range does."""
    low = wanted.low or bound(layout.key, [], INF_MIN)
    high = wanted.high or bound(layout.key, [], INF_MAX)
    place = wanted.place or Place(low)
    if not place.is_back and rank(place.key) < rank(low):
        place = Place(low)
    if place.is_back and rank(place.key) > rank(high):
        place = Place(high, is_back=True, is_in=False)
    end = low if place.is_back else high
    request = RangeRequest(place.key, end, place.is_back, options=_options(layout, wanted))
    rows: list[StoredRow] = []
    after: PrimaryKey | None = None
    if rank(place.key) != rank(end):
        if (rank(place.key) > rank(end)) is not place.is_back:
            return Page([], None, None)
        rows, after = _read(instance, layout, request, wanted.rows_max + (not place.is_in))
    elif not (place.is_back and place.is_in):
        return Page([], None, None)
    rows = [row for row in rows if place.is_in or row.key != place.key]
    if len(rows) > wanted.rows_max:
        after, rows = rows[wanted.rows_max].key, rows[: wanted.rows_max]
    if place.is_back and after is None and (lowest := whole_key(low)) is not None:
        # Downwards the end is left out, and nothing is before the least key.
        after, rows = _with_lowest(instance, layout, request, rows, lowest, wanted.rows_max)
    onward = None if after is None else Place(after, place.is_back)
    behind = _behind(place, rows, rank(place.key) == rank(high if place.is_back else low))
    shown = [layout.decode_row(row, columns=wanted.columns) for row in (rows[::-1] if place.is_back else rows)]
    seen_to = after if len(rows) < wanted.rows_max else None
    return Page(shown, onward, behind, seen_to) if place.is_back else Page(shown, behind, onward, seen_to)


def _behind(place: Place, rows: Sequence[StoredRow], is_at_end: bool) -> Place | None:
    """Where the page on the other side begins; ``rows`` are as they were read."""
    if is_at_end:
        return None
    if whole_key(place.key) is not None:
        return place.opposite
    return Place(rows[0].key, not place.is_back, is_in=False) if rows else None


def _with_lowest(
    instance: Instance,
    layout: Layout,
    request: RangeRequest,
    rows: list[StoredRow],
    lowest: PrimaryKey,
    rows_max: int,
) -> tuple[PrimaryKey | None, list[StoredRow]]:
    row = instance.tables.read(layout.table, lowest, request.options).row
    if row is None:
        return None, rows
    return (None, [*rows, row]) if len(rows) < rows_max else (lowest, rows)


def _read(
    instance: Instance, layout: Layout, request: RangeRequest, rows_max: int
) -> tuple[list[StoredRow], PrimaryKey | None]:
    """The first rows, and the key to go on from: at once, or with a filter soon."""
    found: list[StoredRow] = []
    read_bytes = 0
    with working_for(current_deadline().within(_LOOK_S, None, "page")) as deadline:
        while True:
            result = instance.tables.read_range(layout.table, replace(request, limit=rows_max - len(found)))
            found += result.rows
            read_bytes += result.consumed.read * UNIT_BYTES
            is_enough = len(found) >= rows_max or request.options.filter is None or read_bytes > _READ_BYTES_MAX
            if result.next_start is None or is_enough or deadline.is_over:
                return found, result.next_start
            request = replace(request, start=result.next_start)


def _options(layout: Layout, wanted: PageWanted) -> ReadOptions:
    condition = None if wanted.where is None else filters.to_condition(wanted.where, layout)
    if wanted.columns is None:
        return ReadOptions(filter=condition)
    # A filter sees only what is read; and with a key column among them, rows that have none of them count, too.
    seen = () if condition is None else filters.columns_read(condition)
    names = {*wanted.columns, *seen} - {column.name for column in layout.key}
    return ReadOptions(columns=(layout.key[0].name, *sorted(names)), filter=condition)


def whole_key(key: KeyInput) -> PrimaryKey | None:
    """A bound that is a key; None where it lies between keys."""
    parts = [(name, value) for name, value in key if isinstance(value, int | str | bytes)]
    return tuple(parts) if len(parts) == len(key) else None
