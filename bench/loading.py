"""Fills a server's table of vectors through the server, and waits for the index."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bench import prepared, vector_table
from bench.connection import Connection, read_requests
from bench.index_state import IndexState, IndexWatch
from bench.server_process import RunningServer
from lutra.objects.store import ObjectStore

_TIMEOUT_S: Final = 3_600.0


def load(
    server: RunningServer,
    blocks: Iterable[vector_table.Vectors],
    rows: int,
    dimension: int,
    folder: Path,
    objects: ObjectStore | None = None,
) -> IndexState:
    """Writes those of the first ``rows`` rows that are not there yet, and waits until nothing is left to build.

    ``objects``: where the server has them; None: in its data directory.
    """
    client = prepared.client(server.endpoint)
    if vector_table.TABLE not in client.list_table():
        vector_table.create(client, dimension)
    there, first = vector_table.count(client), 0
    with Connection(server.endpoint, _TIMEOUT_S) as connection:
        for block in blocks:
            first += len(block)
            if first > there:  # else it was written by a run before, in the same order
                path = folder / "load"
                prepared.record(server.endpoint, vector_table.put_calls(block, first - len(block)), path)
                connection.send_all(read_requests(path))
    return settled(server, rows, objects)


def settled(server: RunningServer, rows: int, objects: ObjectStore | None = None) -> IndexState:
    """Waits until at least ``rows`` rows are in segments and nothing is left to build."""
    begin_s = time.monotonic()
    watch = IndexWatch(server.data_dir, objects)
    state = watch.wait(lambda state: state.rows >= rows and state.is_settled, _TIMEOUT_S)
    print(
        f"{state.rows:,} rows in {len(state.segments)} segments ({state.kinds}); settled after "
        f"{time.monotonic() - begin_s:.0f} s",
        flush=True,
    )
    return state
