"""A store in memory: for property tests, and for embedded stores that may be thrown away."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import ClassVar, Final, Self

from sortedcontainers import SortedDict

from lutra.kv.batch import DELETE, PUT, WriteBatch
from lutra.kv.split import cut
from lutra.kv.store import Estimate, Pair
from lutra.model.errors import StorageFailure

_CHUNK_PAIRS: Final = 256


class _SortedReader:
    """Reads a sorted dict that others may change under the same lock."""

    def __init__(self, pairs: SortedDict[bytes, bytes]) -> None:
        self._pairs = pairs
        self._lock = threading.Lock()
        self._closed = False

    def get(self, key: bytes) -> bytes | None:
        with self._lock:
            self._check_open()
            value: bytes | None = self._pairs.get(key)
            return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._lock:
            self._check_open()
            return [self._pairs.get(key) for key in keys]

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        self._check_open()
        return self._chunks(begin, end, reverse)

    def close(self) -> None:
        self._closed = True

    def _chunks(self, begin: bytes, end: bytes, reverse: bool) -> Iterator[Pair]:
        while begin < end:
            chunk = self._chunk(begin, end, reverse)
            yield from chunk
            if len(chunk) < _CHUNK_PAIRS:
                return
            if reverse:
                end = chunk[-1][0]
            else:
                begin = chunk[-1][0] + b"\0"

    def _chunk(self, begin: bytes, end: bytes, reverse: bool) -> list[Pair]:
        with self._lock:
            self._check_open()
            keys = self._pairs.irange(begin, end, inclusive=(True, False), reverse=reverse)
            return [(key, self._pairs[key]) for key, _ in zip(keys, range(_CHUNK_PAIRS), strict=False)]

    def _check_open(self) -> None:
        if self._closed:
            raise StorageFailure("the store is closed")


class MemorySnapshot(_SortedReader):
    """A copy: taking it takes time and memory by the number of keys."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryStore(_SortedReader):
    """Sorted pairs in memory; nothing survives `close`."""

    name: ClassVar[str] = "memory"

    def __init__(self) -> None:
        super().__init__(SortedDict())

    def snapshot(self) -> MemorySnapshot:
        with self._lock:
            self._check_open()
            return MemorySnapshot(self._pairs.copy())

    def commit(self, batch: WriteBatch) -> None:
        with self._lock:
            self._check_open()
            pairs = self._pairs
            for kind, key, value in batch.operations:
                if kind == PUT:
                    pairs[key] = value
                elif kind == DELETE:
                    pairs.pop(key, None)
                else:
                    for doomed in list(pairs.irange(key, value, inclusive=(True, False))):
                        del pairs[doomed]

    def size_bytes(self, begin: bytes, end: bytes) -> int:
        return sum(len(key) + len(value) for key, value in self.scan(begin, end))

    def memory_bytes(self) -> int:
        return self.size_bytes(b"", b"\xff" * 64)

    def estimate(self, begin: bytes, end: bytes, counted_max: int) -> Estimate:
        pairs = list(self.scan(begin, end))
        return Estimate(len(pairs), sum(len(key) + len(value) for key, value in pairs), is_exact=True)

    def split(self, begin: bytes, end: bytes, piece_bytes: int, limit: int) -> list[bytes]:
        return cut(((key, len(key) + len(value)) for key, value in self.scan(begin, end)), piece_bytes, limit)
