"""Where the bytes of a vector segment lie. One object, little-endian, written once (design note 0003)::

    nodes        a node a row: float32 [dimension], then uint32 [degree] neighbours in kind GRAPH
    codes        uint8 [record_bytes] a row                      kinds CODES and GRAPH
    fine         uint8 [record_bytes] a row: longer codes        where codes have a basis, maybe
    graph        uint32 [degree] a row, unused places NO_ROW     kind GRAPH
    basis        int16 [dimension] a direction                   where codes have a basis
    centres      float32 [dimension] a centre                    where codes have several
    lists        int8 [m] centroid, uint32 first row, float32    where rows are ordered by cluster
                 radius, float32 spread a list
    fast_book    float32 [m] direction, float32 [16] centres     where rows in lists have fast codes
                 along it a direction
    fast         16 rows a block: 4-bit codes, column by         the same
                 column, then int16 [16]
    navigation   float32 [dimension] centroid, uint32 [entries]  kinds CODES and GRAPH
    exact        uint32 row, float32 [dimension] its vector      where codes do not describe some rows
    footer       JSON, spaces up to a page less the trailer
    trailer      footer bytes u32, format version u32, crc32c of all before it in the footer u32, magic 8

All these are blocks of whole pages, each with as many whole items as fit, zeros, and the crc32c of all
before it: what `lutra.kernels.blocks` checks where a source has ``checksums``. All blocks of a section are of one size.
Navigation is filled up with zeros to a page; its checksum is in the footer. So every byte of a segment is covered.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

PAGE_BYTES: Final = 4096
"""What direct I/O reads at least."""
SWEEP_BLOCK_BYTES: Final = 64 * 1024
"""About the size of a block of nodes where they are only ever read all together (kind FLAT)."""
TAIL_BYTES: Final = 64 * 1024
"""What opening reads. Footer and navigation fit in it up to 4096 dimensions and thousands of entries."""
CHECKSUM_BYTES: Final = 4
NO_ROW: Final = 0xFFFFFFFF
"""A place for a neighbour that has none."""
ROWS_MAX: Final = 0x7FFFFFFF
"""As in native/graph/graph.h."""
DIMENSION_MAX: Final = 4096
DEGREE_MAX: Final = 1024
EXACT_MAX: Final = 1_024
"""Rows that are kept exact beside codes, at most: a search compares all of them."""


class SegmentKind(enum.Enum):
    """What a segment has besides its vectors."""

    FLAT = "flat"
    CODES = "codes"
    GRAPH = "graph"


class SectionName(enum.StrEnum):
    NODES = "nodes"
    CODES = "codes"
    FINE = "fine"
    GRAPH = "graph"
    BASIS = "basis"
    CENTRES = "centres"
    LISTS = "lists"
    FAST_BOOK = "fast_book"
    FAST = "fast"
    NAVIGATION = "navigation"
    EXACT = "exact"
    FOOTER = "footer"


def whole_pages(size_bytes: int) -> int:
    """``size_bytes`` rounded up to whole pages."""
    return -(-size_bytes // PAGE_BYTES) * PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section lies, in bytes of the object; ``size_bytes`` without the zeros that fill its last page."""

    offset: int
    size_bytes: int

    @property
    def stored_bytes(self) -> int:
        return whole_pages(self.size_bytes)

    @property
    def end(self) -> int:
        return self.offset + self.stored_bytes


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """How the items of a section, one a row, lie in its blocks."""

    item_bytes: int
    block_bytes: int
    """A multiple of 4096."""

    @property
    def items_per_block(self) -> int:
        return (self.block_bytes - CHECKSUM_BYTES) // self.item_bytes

    def place(self, row: int) -> tuple[int, int]:
        """The number of the block that holds the item of ``row``, and where it begins in the block, in bytes."""
        block, number = divmod(row, self.items_per_block)
        return block, number * self.item_bytes

    def blocks(self, rows: int) -> int:
        """How many blocks ``rows`` take."""
        return -(-rows // self.items_per_block)


def block_layout(item_bytes: int) -> BlockLayout:
    """For items read one by one: as many as fit a page, or one in as few pages as hold it."""
    return BlockLayout(item_bytes, whole_pages(item_bytes + CHECKSUM_BYTES))


def sweep_layout(item_bytes: int, rows: int) -> BlockLayout:
    """For items only ever read all together: larger blocks, evenly filled, waste less."""
    page = block_layout(item_bytes)
    blocks = max(1, -(-rows * item_bytes // SWEEP_BLOCK_BYTES))
    block_bytes = whole_pages(-(-rows // blocks) * item_bytes + CHECKSUM_BYTES)
    return BlockLayout(item_bytes, max(page.block_bytes, block_bytes))
