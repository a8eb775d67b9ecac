"""Scans of tables of many partitions: partition by partition, each in a session of its own, or by key without one.

The session of a scan names those of all partitions. They end with their partitions' owners: where one is not where it
was, the scan is to be begun anew, as clients do who are told that their session has expired.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from lutra.cluster.gateway.indexes import GatewayIndexes
from lutra.cluster.gateway.router import Router
from lutra.cluster.map import PARTITION_ID_BYTES, ClusterMap, IndexEntry, PartitionEntry, PartitionState, TableEntry
from lutra.instance.scanning import check_parts, key_of_scan
from lutra.instance.sessions import SESSION_BYTES
from lutra.kernels.plainbuffer import measure_row
from lutra.model import limits
from lutra.model.deadline import current_deadline
from lutra.model.errors import ParameterInvalid, RequestTimeout, ServerBusy, SessionExpired
from lutra.model.rows import Row
from lutra.model.scans import ScanRequest, ScanResult
from lutra.search.token import sealed, unsealed

_TOKEN: Final = b"\x82"
_CRC_BYTES: Final = 4
_KEPT_MAX: Final = 10_000
"""Sessions of which it is known when they were last kept from expiring."""
_KEPT_SHARE: Final = 3
"""They are kept so many times as often as they would expire."""

_Sessions = Sequence[tuple[str, bytes]]
"""Ids of partitions, and the session that each has."""


class GatewayScans:
    """Of one instance. Thread-safe."""

    def __init__(self, router: Router, indexes: GatewayIndexes) -> None:
        self._router = router
        self._indexes = indexes
        self._lock = threading.Lock()
        self._kept_s: OrderedDict[bytes, float] = OrderedDict()

    def begin(self, table: str, index: str) -> bytes:
        """As `Instance.begin_scan`."""
        entry, found = self._indexes.index(table, index)
        begun = self._router.on_each(lambda known: _uid(known, entry, found), "begin_scan", (found.uid,))
        return _session_of([(partition.id, session) for partition, session in begun])

    def splits(self, session: bytes) -> int:
        """As `Instance.scan_splits`: one reader of each partition. Raises SessionExpired for what is no session."""
        return len(_sessions(session))

    def scan(self, table: str, index: str, request: ScanRequest) -> ScanResult:
        """As `Instance.scan`."""
        entry, found = self._indexes.index(table, index)
        if request.session is None:
            check_parts(request, 1)
            return self._by_key(entry, found, request)
        sessions = _sessions(request.session)
        check_parts(request, len(sessions))
        return self._in_session(entry, found, request, sessions[request.part :: request.parts])

    def _in_session(
        self, table: TableEntry, index: IndexEntry, request: ScanRequest, sessions: _Sessions
    ) -> ScanResult:
        at, token = 0, None
        if request.token is not None:
            at, token = _place(request.token, len(sessions))
        self._keep(index, request, sessions[at + 1 :])
        page = _Page(request.limit)
        while at < len(sessions) and page.has_room:
            partition_id, session = sessions[at]
            own = replace(request, limit=page.room, session=session, token=token, part=0, parts=1)

            def find(known: ClusterMap, partition_id: str = partition_id, own: ScanRequest = own) -> Any:
                partition = known.partition(partition_id)
                is_there = partition is not None and partition.state is PartitionState.SERVING
                if partition is None or not is_there or partition.table != _uid(known, table, index):
                    raise SessionExpired
                return partition, (index.uid, own)

            found = page.ask(lambda find=find: self._router.on_found(find, "scan")[1])  # type: ignore[misc]
            if found is None:
                break
            if found.rows:
                token = found.next_token
            else:
                at, token = at + 1, None
        return page.result(sealed(_TOKEN, [at, None if token is None else token.decode("latin-1")]))

    def _keep(self, index: IndexEntry, request: ScanRequest, sessions: _Sessions) -> None:
        """Has sessions of partitions that are not yet come to last as long as if they were. Raises SessionExpired."""
        assert request.session is not None
        alive_s = min(request.alive_s, limits.SCAN_ALIVE_S_MAX)
        reader = request.session + bytes(f"/{request.part}/{request.parts}", "ascii")
        name = hashlib.blake2b(reader, digest_size=SESSION_BYTES).digest()  # sessions of many partitions are long
        now_s = time.monotonic()
        with self._lock:
            kept_s = self._kept_s.get(name)
            if not sessions or (kept_s is not None and now_s < kept_s + alive_s / _KEPT_SHARE):
                return
            self._kept_s[name] = now_s
            self._kept_s.move_to_end(name)
            if len(self._kept_s) > _KEPT_MAX:
                self._kept_s.popitem(last=False)
        given = {partition_id: (index.uid, session, alive_s) for partition_id, session in sessions}
        for answer in self._router.on_partitions("keep_scan", given).values():
            if isinstance(answer, SessionExpired):
                raise answer  # better now than after half of the rows

    def _by_key(self, table: TableEntry, index: IndexEntry, request: ScanRequest) -> ScanResult:
        """The partitions' ranges are in the order of keys, too."""
        at = b"" if request.token is None else key_of_scan(request.token)
        token, page = request.token, _Page(request.limit)
        while page.has_room:
            own = replace(request, limit=page.room, token=token)
            entry: PartitionEntry | None = None

            def ask(at: bytes = at, own: ScanRequest = own) -> ScanResult:
                nonlocal entry
                entry, found = self._router.on_found(
                    lambda known: (known.partition_of(_uid(known, table, index), at), (index.uid, own)), "scan"
                )
                return found  # type: ignore[no-any-return]

            found = page.ask(ask)
            if found is None:
                break
            if found.rows:
                token = found.next_token
                at = key_of_scan(token)
                continue
            assert entry is not None
            if entry.end is None:
                break
            at = entry.end  # all keys there are after the token's, too
        return page.result(b"" if token is None else token)


class _Page:
    """Rows of several partitions, as many as one would give."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: list[Row] = []
        self._size_bytes = 0
        self._is_begun = False

    @property
    def room(self) -> int:
        return self._limit - len(self._rows)

    @property
    def has_room(self) -> bool:
        if not self._is_begun:  # what is wrong with a request its owner says
            return True
        return self.room > 0 and self._size_bytes <= limits.SCAN_BYTES_MAX // 2 and not self._is_late

    @property
    def _is_late(self) -> bool:
        return bool(self._rows) and current_deadline().is_over

    def ask(self, call: Callable[[], ScanResult]) -> ScanResult | None:
        """What comes next, which belongs to it; None where that does not come in time, and there are rows to return."""
        self._is_begun = True
        try:
            found = call()
        except (RequestTimeout, ServerBusy):
            if not self._rows:
                raise
            return None
        self._rows += found.rows
        self._size_bytes += sum(measure_row(row.key, row.cells, 0) for row in found.rows)
        return found

    def result(self, token: bytes) -> ScanResult:
        """``token`` leads on from where it ends, where it has rows."""
        return ScanResult(self._rows, token if self._rows else b"")


def _uid(known: ClusterMap, table: TableEntry, index: IndexEntry) -> int:
    """The table's, as long as it has the index. Raises SessionExpired where the scan's is another."""
    now = known.table(table.instance, table.name)
    if now.index_by_uid(index.uid) is None:
        raise SessionExpired
    return now.uid


def _session_of(sessions: _Sessions) -> bytes:
    """All in one, in characters that clients take for a text: they are many."""
    body = b"".join(bytes.fromhex(partition_id) + bytes.fromhex(own.decode()) for partition_id, own in sessions)
    return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(_CRC_BYTES, "big"))


def _sessions(session: bytes) -> list[tuple[str, bytes]]:
    """The inverse. Raises SessionExpired: what is of another server is no session here either."""
    try:
        content = base64.b64decode(session, b"-_", validate=True)
    except ValueError:
        raise SessionExpired from None
    body, crc = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
    size = PARTITION_ID_BYTES + SESSION_BYTES
    if not body or len(body) % size or zlib.crc32(body).to_bytes(_CRC_BYTES, "big") != crc:
        raise SessionExpired
    found = [body[begin : begin + size] for begin in range(0, len(body), size)]
    return [(one[:PARTITION_ID_BYTES].hex(), one[PARTITION_ID_BYTES:].hex().encode()) for one in found]


def _place(token: bytes, count: int) -> tuple[int, bytes | None]:
    """Which of a reader's partitions a token leads on in, and by what. Raises ParameterInvalid for what is none."""
    match unsealed(_TOKEN, token):
        case [int(at), None] if 0 <= at <= count:
            return at, None
        case [int(at), str(own)] if 0 <= at < count:
            return at, own.encode("latin-1", "replace")
    raise ParameterInvalid("[token] is invalid")
