"""What of a segment is kept in memory under a budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.codes import reduce_codes
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.segment_file import SegmentFile

CACHE_BYTES_MIN: Final = 256 * 1024
"""Of a segment's own cache; reads need somewhere to land."""
CACHE_BLOCKS_MIN: Final = 8
"""What a cache needs at least (`lutra.kernels.blocks.BlockCache`)."""
PADDED_DIMENSION_MULTIPLE: Final = 64
"""As in native/rotation.h."""
FACTOR_BYTES: Final = 8
"""Of a record, beside its code."""


@dataclass(frozen=True, slots=True)
class Residency:
    """``code_bits`` a dimension of the codes are in memory (0: none), and the graph or not."""

    code_bits: int
    graph: bool

    @property
    def codes(self) -> bool:
        return self.code_bits > 0


def choose_residency(file: SegmentFile, budget_bytes: int | None) -> Residency:
    """The best a budget holds: codes as long as fit beside the graph; else codes as long as fit alone; else nothing.

    With both in memory a query reads what its re-rank needs, more of it by shorter codes; with codes alone it reads a
    node a hop, several times as many; with neither, one for every distance.
    """
    has_graph = file.kind is SegmentKind.GRAPH
    if file.kind is SegmentKind.FLAT:
        return Residency(0, False)
    if budget_bytes is None:
        return Residency(file.code_bits, has_graph)
    for graph in (True, False) if has_graph else (False,):
        left_bytes = budget_bytes - (4 * file.rows * file.degree if graph else 0)
        if has_graph and not graph:
            left_bytes -= cache_bytes_min(file)
        for bits in code_widths(file.code_bits):
            if file.rows * record_bytes(file.dimension, bits) <= left_bytes:
                return Residency(bits, graph)
    return Residency(0, False)


def code_widths(code_bits: int) -> Iterator[int]:
    """``code_bits`` and what codes of so many can be reduced to."""
    while code_bits >= 1:
        yield code_bits
        code_bits //= 2


def record_bytes(dimension: int, code_bits: int) -> int:
    """Of a code and its factors."""
    padded = -(-dimension // PADDED_DIMENSION_MULTIPLE) * PADDED_DIMENSION_MULTIPLE
    return padded * code_bits // 8 + FACTOR_BYTES


def cache_bytes_min(file: SegmentFile) -> int:
    """What reading nodes through a cache takes at least."""
    return max(CACHE_BYTES_MIN, CACHE_BLOCKS_MIN * file.layout(SectionName.NODES).block_bytes)


def load_codes(file: SegmentFile, code_bits: int) -> NDArray[np.uint8] | None:
    """uint8 [rows, record_bytes] of the codes, reduced where they have more bits; None for 0 bits.

    No more than a few MB beside what is returned.
    """
    if code_bits == 0:
        return None
    if code_bits == file.code_bits:
        return file.load_codes()
    records = np.empty((file.rows, record_bytes(file.dimension, code_bits)), np.uint8)
    begin = 0
    for block in file.code_blocks():
        records[begin : begin + len(block)] = reduce_codes(block, file.code_bits, code_bits)
        begin += len(block)
    return records
