"""How much is in a range of keys: exactly where that is little, and else by what the engine tells of its files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from lutra.kv.files import File, count, estimate_within, sizes_within
from lutra.kv.split import cut
from lutra.kv.store import Estimate, Pair


class Planned(ABC):
    """The part of `lutra.kv.store.KeyValueStore` that plans go by."""

    measured_pairs_max: ClassVar[int] = 200_000
    measured_bytes_max: ClassVar[int] = 64 * 1024 * 1024
    """A range that has more is not looked through, but measured by its files."""

    @abstractmethod
    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """As a store's."""

    @abstractmethod
    def files(self, pair_bytes: int) -> list[File]:
        """Its table files. ``pair_bytes``: of one pair, about, for an engine that counts none."""

    @abstractmethod
    def unflushed_pairs(self, pair_bytes: int) -> int:
        """About how many no file has yet."""

    def size_bytes(self, begin: bytes, end: bytes) -> int:
        return sum(size for _, size in self._sizes(begin, end))

    def estimate(self, begin: bytes, end: bytes, counted_max: int) -> Estimate:
        counted = count(self.scan(begin, end), counted_max)
        if counted.is_exact:
            return counted
        pair_bytes = max(1, counted.size_bytes // max(1, counted.pairs))
        return estimate_within(self.files(pair_bytes), begin, end, self.unflushed_pairs(pair_bytes), counted)

    def split(self, begin: bytes, end: bytes, piece_bytes: int, limit: int) -> list[bytes]:
        return cut(self._sizes(begin, end), piece_bytes, limit)

    def _sizes(self, begin: bytes, end: bytes) -> list[tuple[bytes, int]]:
        """Every key with the bytes of its pair; where that would take long, the start of each file with its bytes,
        half of them where it reaches beyond."""
        sizes: list[tuple[bytes, int]] = []
        total_bytes = 0
        for key, value in self.scan(begin, end):
            size = len(key) + len(value)
            sizes.append((key, size))
            total_bytes += size
            if len(sizes) > self.measured_pairs_max or total_bytes > self.measured_bytes_max:
                return sizes_within(self.files(size), begin, end)
        return sizes
