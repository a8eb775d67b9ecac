"""How much is in a range of keys, exactly where that is little, and else by what the manifest tells of tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

from lutra.kv.files import File, count, estimate_within, sizes_within
from lutra.kv.split import cut
from lutra.kv.store import Estimate, Pair

_MEASURED_PAIRS_MAX: Final = 50_000
_MEASURED_BYTES_MAX: Final = 16 * 1024 * 1024


class Planned(ABC):
    """The part of `lutra.kv.store.KeyValueStore` that plans go by."""

    @abstractmethod
    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """As a store's."""

    @abstractmethod
    def files(self, pair_bytes: int) -> list[File]:
        """Its tables; ``pair_bytes``: of one pair, about."""

    @abstractmethod
    def unflushed_bytes(self) -> int:
        """Of what no table has yet."""

    def size_bytes(self, begin: bytes, end: bytes) -> int:
        return sum(size for _, size in self._sizes(begin, end))

    def estimate(self, begin: bytes, end: bytes, counted_max: int) -> Estimate:
        counted = count(self.scan(begin, end), counted_max)
        if counted.is_exact:
            return counted
        pair_bytes = max(1, counted.size_bytes // max(1, counted.pairs))
        return estimate_within(self.files(pair_bytes), begin, end, self.unflushed_bytes() // pair_bytes, counted)

    def split(self, begin: bytes, end: bytes, piece_bytes: int, limit: int) -> list[bytes]:
        return cut(self._sizes(begin, end), piece_bytes, limit)

    def _sizes(self, begin: bytes, end: bytes) -> list[tuple[bytes, int]]:
        """Every key with the bytes of its pair; where that would take long, the start of each table with its bytes,
        half of them where it reaches beyond."""
        sizes: list[tuple[bytes, int]] = []
        total_bytes = 0
        for key, value in self.scan(begin, end):
            size = len(key) + len(value)
            sizes.append((key, size))
            total_bytes += size
            if len(sizes) > _MEASURED_PAIRS_MAX or total_bytes > _MEASURED_BYTES_MAX:
                return sizes_within(self.files(size), begin, end)
        return sizes
