"""Vector segments for tests: small data with a known order, and objects in memory that can be damaged."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.blocks import BlockCache, BlockKind, BlockSource
from lutra.kernels.distance import topk
from lutra.model.errors import StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.doubtful import Measured
from lutra.vectors.layout import SegmentKind


def lattice(rows: int, dimension: int, seed: int = 1) -> NDArray[np.float32]:
    """float32 [rows, dimension] of whole eighths in [-4, 4), the same with any numpy on any machine."""
    with np.errstate(over="ignore"):
        numbers = np.arange(rows * dimension, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    eighths = (numbers >> np.uint64(40)) % np.uint64(64)
    return ((eighths.astype(np.float32) - 32) / 8).reshape(rows, dimension)


def nearest(vectors: NDArray[np.float32], query: NDArray[np.float32], k: int, metric: Metric) -> list[int]:
    """The exact answer."""
    ids, _ = topk(query[None, :], vectors, k, metric)
    found: list[int] = ids[0].tolist()
    return found


class MemoryObject:
    """An object in memory, as `lutra.vectors.range_reader.RangeReader`: counts its reads."""

    name = "memory"
    sweep_bytes = 4 * 1024 * 1024
    is_remote = False

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.reads: list[tuple[int, int]] = []
        self.batches = 0
        """Of ranges that were read at once."""
        self.closed = False

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def read(self, offset: int, size_bytes: int) -> NDArray[np.uint8]:
        self.reads.append((offset, size_bytes))
        stream = io.BytesIO(self.data)
        stream.seek(offset)
        data = stream.read(size_bytes)
        if len(data) < size_bytes:
            raise StorageFailure(f"{self.name}: ends before byte {offset + size_bytes}.")
        return np.frombuffer(bytearray(data), np.uint8)

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[NDArray[np.uint8]]:
        self.batches += 1
        return [self.read(*one) for one in ranges]

    def ahead(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Nothing: all is here."""

    def open_blocks(
        self, cache: BlockCache, offset: int, length: int, *, block_bytes: int, kind: BlockKind
    ) -> BlockSource:
        def fetch(ranges: list[tuple[int, int]]) -> list[bytes]:
            return [self.read(begin, size_bytes).tobytes() for begin, size_bytes in ranges]

        whole = cache.open_remote(fetch, self.size_bytes, name=self.name)
        return whole.section(offset, length, block_bytes=block_bytes, kind=kind, checksums=True)

    def close(self) -> None:
        self.closed = True


GOLDEN_EXACT = (7, 20, 41)
"""Rows of golden segments that are kept exact, from version 4 on."""


def golden_name(kind: SegmentKind, metric: Metric, version: int = 2, what: str = "") -> str:
    """Of a file in tests/vectors/golden; ``what`` its codes have: "basis", or "centres" from version 3 on, or "exact"
    rows beside them from version 4 on, or "lists" that its rows are in from version 5 on, or "fast" codes of these from
    version 6 on."""
    return f"v{version}-{kind.value}{'-' + what if what else ''}-{metric.name.lower()}.segment"


def golden_vectors() -> NDArray[np.float32]:
    """What is in each golden segment: float32 [60, 20], one of length 0 and two alike."""
    vectors = lattice(60, 20)
    vectors[7] = 0
    vectors[40] = vectors[41]
    return vectors


def golden_plan(kind: SegmentKind, what: str = "") -> BuildPlan:
    """With a basis: codes of 1 bit and finer ones of 4 bits along 64 directions, 20 of which are not zeros."""
    code_bytes, fine_bytes = (16, 40) if what == "basis" else (None, None)
    centres = 5 if what == "centres" else None
    made = BuildPlan(kind, 4, code_bytes=code_bytes, fine_bytes=fine_bytes, centres=centres, degree=6, beam=20)
    return replace(made, has_lists=what == "lists")


def measured(calibration: Mapping[str, object], *exact: int) -> Measured:
    """What a build's calibration found, and rows to be kept exact."""
    return Measured(calibration, np.array(exact, np.int64))
