"""How a server runs: sizes, limits and timeouts, each with the default that suits one machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

_FIRST_MIN = 2


def _processors() -> int:
    """That this process may use; 2 at least, so that a search that waits for its index does not stop the next."""
    return max(_FIRST_MIN, len(os.sched_getaffinity(0)))


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """``host`` may be a name or an address; ``port`` 0 picks a free one.

    Threads: ``point_threads`` for reads of one row, and ``point_reserve`` more that take some where these wait for
    storage or for other nodes; ``write_threads`` for writes, ``schema_threads`` for what changes
    tables and indexes, ``search_threads`` for searches, of which ``search_threads_first`` take them while they are
    brief, and the others too where they wait for storage; and more, up to ``search_threads_max``, while these are
    stuck; ``scan_threads`` for all else. In each lane up to ``queue_max`` calls wait; what comes beyond is told that
    the server is busy. Searches of one index have ``index_threads`` at most, and the others of it wait without.
    """

    host: str = "127.0.0.1"
    port: int = 8087
    point_threads: int = 2
    point_reserve: int = 0
    write_threads: int = 32
    scan_threads: int = 8
    schema_threads: int = 2
    search_threads: int = 16
    search_threads_first: int = field(default_factory=_processors)
    search_threads_max: int = 64
    index_threads: int = 8
    queue_max: int = 512
    connections_max: int = 1_024
    bodies_bytes_max: int = 512 * 1024 * 1024
    """Request bodies held at one time, all together."""
    head_bytes_max: int = 64 * 1024
    head_timeout_s: float = 20
    body_timeout_s: float = 30
    request_timeout_s: float = 45
    """From a request's head to its answer. Shorter than SDKs wait for one (50 s)."""
    write_timeout_s: float = 60
    keep_alive_s: int = 75
    """Longer than SDKs keep an idle connection, so that it is they who close it."""
    drain_s: int = 30
    """How long a stop waits for requests under way."""
