"""Scans: all rows that a query finds, in no order, page by page."""

from __future__ import annotations

from dataclasses import dataclass, field

from lutra.model import limits
from lutra.model.queries import ColumnsToGet, Query
from lutra.model.rows import Row


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One page of a scan. ``token`` is what the page before came with.

    ``session``: what the scan was begun with. So it is of the rows that matched then, each once: with the values that
    it has now, and without those deleted since. A scan without a session has rows that come and go meanwhile or not.
    """

    query: Query
    limit: int
    session: bytes | None = None
    token: bytes | None = None
    columns: ColumnsToGet = field(default_factory=ColumnsToGet)
    alive_s: int = limits.SCAN_ALIVE_S_DEFAULT
    """So long the session is kept after this page."""
    timeout_ms: int | None = None
    part: int = 0
    """Of ``parts`` readers of one session, which have its rows between them, the one with that number, from 0."""
    parts: int = 1


@dataclass(frozen=True, slots=True)
class ScanResult:
    """``next_token`` leads to the next page; the last has no rows and no token."""

    rows: list[Row]
    next_token: bytes = b""
