"""Reading rows: one, many, a range of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from lutra.kv.store import Reader
from lutra.model import limits
from lutra.model.clock import Clock
from lutra.model.deadline import current_deadline
from lutra.model.errors import Corruption, InvalidPrimaryKey, LutraError, ParameterInvalid, RowDamaged, StorageFailure
from lutra.model.rows import (
    KeyInput,
    PrimaryKey,
    RangeRequest,
    RangeResult,
    ReadOptions,
    ReadResult,
    Row,
)
from lutra.model.values import AUTO_INCREMENT, KeyMarker
from lutra.tables import storedrow
from lutra.tables.bounds import EVERYWHERE, KeyBounds
from lutra.tables.capacity import consumed, units
from lutra.tables.keys import rank
from lutra.tables.pages import NEW_PAGE, PageSoFar
from lutra.tables.reads import ReadPlan
from lutra.tables.table import Table

OnDamaged = Callable[[PrimaryKey, RowDamaged], None]

_COUNTED_AT_ONCE: Final = 10_000
_LOOK_ROWS: Final = 16
"""So often a page of a range looks at its deadline."""


class RowReader:
    """Reads rows of any table of one store; each row as one commit left it.

    Of several, one is read at a time: rows may have 32 MB, and who has enough stops. Many at once would be no faster
    (rocksdict: 16 at once 4 µs each for 200 bytes, 13 for 4,000; one by one 3.2 and 3.5).
    """

    def __init__(self, store: Reader, clock: Clock, bounds: KeyBounds = EVERYWHERE) -> None:
        """``bounds``: rows beyond it are none of this store's, whatever it holds."""
        self._store = store
        self._clock = clock
        self._bounds = bounds

    def read(self, table: Table, key: KeyInput, options: ReadOptions) -> ReadResult:
        """One row. Raises ParameterInvalid, InvalidPrimaryKey, StorageFailure, Corruption."""
        plan = ReadPlan(table, options)
        value = self._store.get(_encoded(table, key))
        return _result(plan, key, value, self._now_ms())

    def read_many(self, table: Table, keys: Sequence[KeyInput], options: ReadOptions) -> list[ReadResult | LutraError]:
        """Rows in the order of ``keys``; in place of one, that its key does not go with the table.

        Raises as `read`, and RequestTimeout at the deadline.
        """
        plan = ReadPlan(table, options)
        deadline = current_deadline()
        encoded: list[bytes | LutraError] = []
        for key in keys:
            try:
                encoded.append(_encoded(table, key))
            except InvalidPrimaryKey as error:
                encoded.append(error)
        now_ms = self._now_ms()
        results: list[ReadResult | LutraError] = []
        size_bytes = 0
        for key, stored_key in zip(keys, encoded, strict=True):
            if isinstance(stored_key, LutraError):
                results.append(stored_key)
                continue
            if size_bytes > limits.ANSWER_BYTES_MAX:
                results.append(too_much("BatchGetRow"))
                continue
            deadline.check()
            try:
                value = self._store.get(stored_key)
                size_bytes += 0 if value is None else len(value)
                results.append(_result(plan, key, value, now_ms))
            except StorageFailure:
                raise
            except LutraError as error:
                results.append(error)
        return results

    def read_range(self, table: Table, request: RangeRequest) -> RangeResult:
        """A page of a range: it ends after a number of rows, of rows looked at, of bytes looked at, or at the deadline.

        Raises ParameterInvalid, InvalidPrimaryKey, StorageFailure, Corruption.
        """
        return self.go_on(table, request, NEW_PAGE)[0]

    def go_on(self, table: Table, request: RangeRequest, so_far: PageSoFar) -> tuple[RangeResult, PageSoFar]:
        """As `read_range`, of a page that has ``so_far`` of other places already, and what it then has.

        Places that are read one after the other give what one read of all does; what is consumed is that of all.
        """
        begin, end = _bounds(table, request)
        if request.limit is not None and request.limit <= 0:
            raise ParameterInvalid("The limit must be greater than 0.")
        begin, end = self._bounds.within(table.keys, begin, end)
        rows_max = min(request.limit or limits.RANGE_ROWS_MAX, limits.RANGE_ROWS_MAX) - so_far.rows
        plan = ReadPlan(table, request.options)
        now_ms = self._now_ms()
        rows: list[Row] = []
        next_start: PrimaryKey | None = None
        seen, seen_bytes, read_bytes = so_far.seen, so_far.seen_bytes, so_far.read_bytes
        deadline = current_deadline()
        for stored_key, value in self._store.scan(begin, end, reverse=request.backward):
            key = table.keys.decode(stored_key)
            row_bytes = len(stored_key) + len(value)
            # A row may be larger than a page: the first one goes in whatever its size.
            is_too_much = seen > 0 and seen_bytes + row_bytes > limits.RANGE_BYTES_MAX
            is_late = seen > 0 and seen % _LOOK_ROWS == 0 and deadline.is_over
            if len(rows) >= rows_max or seen >= limits.RANGE_ROWS_MAX or is_too_much or is_late:
                next_start = key
                break
            seen += 1
            seen_bytes += row_bytes
            row, _, size_bytes = plan.row(key, value, now_ms)
            read_bytes += size_bytes
            if row is not None:
                rows.append(row)
        result = RangeResult(rows, consumed(units(read_bytes), 0), next_start)
        return result, PageSoFar(so_far.rows + len(rows), seen, seen_bytes, read_bytes)

    def scan_rows(
        self,
        table: Table,
        reader: Reader,
        after: PrimaryKey | None = None,
        on_damaged: OnDamaged | None = None,
        *,
        expired: bool = False,
    ) -> Iterator[Row]:
        """All live rows, whole, by key; from the one after ``after`` on.

        A row that is damaged is left out where ``on_damaged`` is there to be told of it, else RowDamaged is raised.
        ``expired``: with all rows and cells that have expired and are stored yet.
        Raises StorageFailure, and Corruption where the store cannot say what rows there are.
        """
        now_ms = None if expired else self._now_ms()
        begin, end = self._bounds.of_table(table.keys)
        if after is not None:
            begin = max(begin, table.keys.encode(after) + b"\0")
        for stored_key, value in reader.scan(begin, max(begin, end)):
            key = table.keys.decode(stored_key)
            try:
                row = storedrow.whole(key, value, table, now_ms)
            except RowDamaged as error:
                if on_damaged is None:
                    raise
                on_damaged(key, error)
                continue
            if row is not None:
                yield row

    def count(self, table: Table) -> int:
        """How many live rows there are. Of rows that never expire only the keys are looked at.

        Raises StorageFailure, RowDamaged, RequestTimeout.
        """
        deadline = current_deadline()
        rows: Iterator[object] = self.scan_rows(table, self._store)
        if table.ttl_ms is None:
            rows = self._store.scan(*self._bounds.of_table(table.keys))
        counted = 0
        while some := sum(1 for _ in islice(rows, _COUNTED_AT_ONCE)):
            counted += some
            deadline.check()
        return counted

    def each(self, table: Table, keys: Iterable[PrimaryKey]) -> Iterator[Row | RowDamaged | None]:
        """Whole rows as they are now, in the order of ``keys``; None: there is none; the error: it is damaged.

        One is read at a time: who has enough stops. Raises StorageFailure.
        """
        now_ms = self._now_ms()
        for key in keys:
            found: Row | RowDamaged | None = None
            try:
                value = self._store.get(table.keys.encode(key))
                found = None if value is None else storedrow.whole(key, value, table, now_ms)
            except RowDamaged as error:
                found = error
            except Corruption as error:
                found = storedrow.damaged(key, table, error)
            yield found

    def rows(self, table: Table, keys: Sequence[PrimaryKey], size_bytes_max: int | None = None) -> list[Row | None]:
        """Whole rows as they are now, None where there is none.

        Raises as `read`, and ParameterInvalid where they take more than ``size_bytes_max`` together.
        """
        now_ms = self._now_ms()
        rows: list[Row | None] = []
        size_bytes = 0
        deadline = current_deadline()
        for key, stored_key in [(key, table.keys.encode(key)) for key in keys]:
            deadline.check()
            try:
                value = self._store.get(stored_key)
            except Corruption as error:
                raise storedrow.damaged(key, table, error) from error
            size_bytes += 0 if value is None else len(value)
            if size_bytes_max is not None and size_bytes > size_bytes_max:
                raise too_much("Search")
            rows.append(None if value is None else storedrow.whole(key, value, table, now_ms))
        return rows

    def _now_ms(self) -> int:
        return self._clock.now_us() // 1_000


def too_much(operation: str) -> ParameterInvalid:
    """What to tell of rows that would make an answer too large."""
    return ParameterInvalid(
        f"The rows of this {operation} exceed {limits.ANSWER_BYTES_MAX} bytes together: ask for fewer at a time."
    )


def _encoded(table: Table, key: KeyInput) -> bytes:
    try:
        return table.keys.encode(key)
    except InvalidPrimaryKey:
        if any(value is AUTO_INCREMENT for _, value in key):
            raise ParameterInvalid("PKAutoIncr can't be used for read operations.") from None
        raise


def _result(plan: ReadPlan, key: KeyInput, value: bytes | None, now_ms: int) -> ReadResult:
    if value is None:
        return ReadResult(None, consumed(1, 0))
    row, token, size_bytes = plan.row(key, value, now_ms)  # type: ignore[arg-type]
    return ReadResult(row, consumed(units(size_bytes), 0), token)


def _bounds(table: Table, request: RangeRequest) -> tuple[bytes, bytes]:
    """The range as [begin, end) of stored keys, ascending."""
    start, end = table.keys.encode_bound(request.start), table.keys.encode_bound(request.end)
    if request.backward:
        if not rank(request.start) > rank(request.end):
            raise ParameterInvalid("Begin key must more than end key in BACKWARD")
        return _behind(request.end, end), _behind(request.start, start)
    if not rank(request.start) < rank(request.end):
        raise ParameterInvalid("Begin key must less than end key in FORWARD")
    return start, end


def _behind(key: KeyInput, encoded: bytes) -> bytes:
    """The least bound that lies behind the key, where it is one; an infinite bound lies between keys already."""
    if any(isinstance(value, KeyMarker) for _, value in key):
        return encoded
    return encoded + b"\0"
