"""A key-value store whose commits fail at random."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence

from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore, Pair, Snapshot
from lutra.model.errors import StorageFailure


class FailingCommits:
    """Over another store, as long as ``is_failing``. What fails has not happened."""

    def __init__(self, inner: KeyValueStore, seed: int, rate: float) -> None:
        self.is_failing = False
        self.failed = 0
        self._inner = inner
        self._random = random.Random(seed)
        self._rate = rate
        self._lock = threading.Lock()

    def commit(self, batch: WriteBatch) -> None:
        with self._lock:
            fails = self.is_failing and self._random.random() < self._rate
            self.failed += fails
        if fails:
            raise StorageFailure("input/output error")
        self._inner.commit(batch)

    def get(self, key: bytes) -> bytes | None:
        return self._inner.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._inner.get_many(keys)

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        return self._inner.scan(begin, end, reverse=reverse)

    def snapshot(self) -> Snapshot:
        return self._inner.snapshot()

    def size_bytes(self, begin: bytes, end: bytes) -> int:
        return self._inner.size_bytes(begin, end)

    def split(self, begin: bytes, end: bytes, piece_bytes: int, limit: int) -> list[bytes]:
        return self._inner.split(begin, end, piece_bytes, limit)

    def close(self) -> None:
        self._inner.close()
