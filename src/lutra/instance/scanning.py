"""Pages of scans: documents of a view, and the rows that the table has of them now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lutra.index.lsm.view import IndexView
from lutra.model import limits
from lutra.model.deadline import Deadline
from lutra.model.errors import ParameterInvalid, RequestTimeout
from lutra.model.queries import PrimaryKeySort, ReturnColumns, SearchRequest
from lutra.model.rows import PrimaryKey, Row
from lutra.model.scans import ScanRequest, ScanResult
from lutra.search import search
from lutra.search.scan import Position, check_scannable, scan
from lutra.search.scan_token import ScanToken
from lutra.search.token import Token
from lutra.tables.keys import KeyCodec

_ROWS_AT_ONCE: Final = 50
_BY_KEY: Final = (PrimaryKeySort(),)

ReadRows = Callable[[Sequence[PrimaryKey]], list[tuple[Row | None, int]]]
"""The rows of keys as they are returned, None where there is none, and what each takes as it is stored."""


def check_parts(request: ScanRequest, most: int) -> None:
    """Raises ParameterInvalid where a scan cannot be shared out to so many readers; ``most``: so many can have one."""
    if not 0 < request.parts <= most:
        raise ParameterInvalid(
            f"[parallel_scan.max_parallel_id] must in (0 ,{most}], current max_parallel_id is {request.parts}"
        )
    if not 0 <= request.part < request.parts:
        raise ParameterInvalid(
            f"[parallel_scan.current_parallel_id] must in [0, max_parallel), current max_parallel is {request.parts}, "
            f"current_parallel_id is {request.part}"
        )


def check_scan(view: IndexView, request: ScanRequest) -> None:
    """Raises ParameterInvalid for what a scan cannot do."""
    if not 1 <= request.limit <= limits.SCAN_LIMIT_MAX:
        raise ParameterInvalid(f"[parallel_scan.limit] must be in [1, {limits.SCAN_LIMIT_MAX}], not {request.limit}")
    if request.alive_s < 1:
        raise ParameterInvalid(f"[parallel_scan.alive_time] must be at least 1, not {request.alive_s}")
    columns = request.columns
    if columns.kind is ReturnColumns.ALL:
        raise ParameterInvalid("[columns_to_get] of a parallel_scan cannot be RETURN_ALL: use RETURN_ALL_FROM_INDEX")
    if columns.kind is ReturnColumns.SPECIFIED:
        known = {column.name for column in view.key_columns}
        known |= {field.name for field in view.schema.fields if not field.is_virtual}
        for name in columns.names:
            if name not in known:
                raise ParameterInvalid(f"[columns_to_get] of a parallel_scan: [{name}] is no field of the index")
    check_scannable(request.query)


def key_of_scan(token: bytes) -> bytes:
    """The encoded key after which a scan without a session goes on. Raises ParameterInvalid."""
    read = Token.decode(token)
    key = read.marks[-1] if read.marks else None
    if read.sort != _BY_KEY or not isinstance(key, bytes):
        raise ParameterInvalid("[token] is invalid")
    return key


def scanned(view: IndexView, request: ScanRequest, deadline: Deadline, read: ReadRows) -> ScanResult:
    """One page. Rows that are gone take no place in it. Raises as `scan`, and as ``read``."""
    cursor = _SessionCursor(view, request) if request.session is not None else _KeyCursor(view, request)
    rows: list[Row] = []
    keys: list[PrimaryKey] = []
    size_bytes = 0
    while len(rows) < request.limit:
        try:
            found = cursor.next(request.limit - len(rows), deadline)
        except RequestTimeout:
            if not rows:
                raise
            break
        if not found:
            break
        keys = found
        for first in range(0, len(keys), _ROWS_AT_ONCE):
            some = keys[first : first + _ROWS_AT_ONCE]
            for place, (row, row_bytes) in enumerate(read(some)):
                if row is not None and rows and size_bytes + row_bytes > limits.SCAN_BYTES_MAX:
                    return ScanResult(rows, cursor.token(first + place))
                if row is not None:
                    rows.append(row)
                    size_bytes += row_bytes
            if rows and deadline.is_over:
                return ScanResult(rows, cursor.token(first + len(some)))
    return ScanResult(rows, cursor.token(len(keys)) if rows else b"")


class _SessionCursor:
    """Goes through the documents of the session's view."""

    def __init__(self, view: IndexView, request: ScanRequest) -> None:
        assert request.session is not None
        self._view = view
        self._request = request
        self._session = request.session
        self._begin = Position()
        if request.token is not None:
            token = ScanToken.decode(request.token)
            if token.session != request.session:
                raise ParameterInvalid("[token] is invalid")
            self._begin = token.position
        self._ends: Sequence[Position] = ()

    def next(self, limit: int, deadline: Deadline) -> list[PrimaryKey]:
        """The next keys; none at the end."""
        begin = self._ends[-1] if self._ends else self._begin
        page = scan(self._view, self._request.query, begin, limit, deadline)
        if page.after:
            self._begin, self._ends = begin, page.after
        return [self._view.decode_key(key) for key in page.keys]

    def token(self, taken: int) -> bytes:
        """Leads on after so many of the keys that came last."""
        return ScanToken(self._session, self._ends[taken - 1] if taken else self._begin).encode()


class _KeyCursor:
    """Goes on after the last key, through whatever the index has by then."""

    def __init__(self, view: IndexView, request: ScanRequest) -> None:
        self._view = view
        self._request = request
        if request.token is not None:
            key_of_scan(request.token)
        self._token = request.token
        self._codec = KeyCodec(b"", view.key_columns)
        self._keys: list[PrimaryKey] = []

    def next(self, limit: int, deadline: Deadline) -> list[PrimaryKey]:
        """The next keys; none at the end."""
        token = self.token(len(self._keys)) if self._keys else self._token
        timeout_ms = self._request.timeout_ms
        request = SearchRequest(self._request.query, _BY_KEY, limit=limit, token=token, timeout_ms=timeout_ms)
        found = [hit.key for hit in search(self._view, request).hits]
        if found:
            self._token, self._keys = token, found
        return found

    def token(self, taken: int) -> bytes:
        """Leads on after so many of the keys that came last."""
        if not taken:
            assert self._token is not None
            return self._token
        return Token(_BY_KEY, (self._codec.encode(self._keys[taken - 1]),)).encode()
