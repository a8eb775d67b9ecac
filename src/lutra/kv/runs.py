"""The pairs of a store as runs of bytes, in the order of their keys, and back: of any engine, for any other.

A run ends where the hash of a key says so: where nothing has changed between two such keys, the run is the same bytes
as it was before. A pair is its key's length and its value's, u32 each, little-endian, then both.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final
from zlib import crc32

from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore, Pair, Reader
from lutra.model.errors import Corruption

RUN_BYTES_MAX: Final = 16 << 20
_RUN_BYTES_MIN: Final = 1 << 20
_ENDS_EVERY: Final = 1_024
"""Beyond the least size, one key of so many ends a run."""
_HEAD: Final = struct.Struct("<II")
_COMMIT_BYTES: Final = 4 << 20
_BEGIN: Final = b"\0"
_END: Final = b"\xff"
"""Keys that begin so are the engine's own (`lutra.kv.slatedb.hidden`)."""


def runs_of(store: Reader) -> Iterator[bytes]:
    """All pairs there are. What it raises is what scanning raises."""
    run = bytearray()
    for key, value in store.scan(_BEGIN, _END):
        pair = _HEAD.pack(len(key), len(value)) + key + value
        if run and len(run) + len(pair) > RUN_BYTES_MAX:
            yield bytes(run)
            run.clear()
        run += pair
        if len(run) >= _RUN_BYTES_MIN and crc32(key) % _ENDS_EVERY == 0:
            yield bytes(run)
            run.clear()
    if run:
        yield bytes(run)


def put_runs(store: KeyValueStore, runs: Iterable[bytes]) -> None:
    """Puts all pairs of ``runs`` into ``store``. Raises Corruption where one is not what `runs_of` made."""
    batch, batch_bytes = WriteBatch(), 0
    for run in runs:
        for key, value in _pairs(run):
            batch.put(key, value)
            batch_bytes += len(key) + len(value)
            if batch_bytes >= _COMMIT_BYTES:
                store.commit(batch)
                batch, batch_bytes = WriteBatch(), 0
    store.commit(batch)


def _pairs(run: bytes) -> Iterator[Pair]:
    at = 0
    while at < len(run):
        try:
            key_bytes, value_bytes = _HEAD.unpack_from(run, at)
        except struct.error as error:
            raise Corruption(f"a run of pairs ends within one: {error}") from error
        begin, middle = at + _HEAD.size, at + _HEAD.size + key_bytes
        at = middle + value_bytes
        if at > len(run) or not key_bytes:
            raise Corruption("a run of pairs ends within one")
        yield run[begin:middle], run[middle:at]
