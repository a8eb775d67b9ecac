"""Where the bytes of a vector segment lie. One object, little-endian, written once (design note 0003)::

    nodes        blocks of whole pages: [node] x nodes_per_block, zeros, crc32c of all before it
                 a node: [float32 x dimension] and, where there is a graph, [uint32 neighbour x degree]
    codes        uint8 [rows, record_bytes]                                  kinds CODES and GRAPH
    graph        uint32 [rows, degree], unused places NO_ROW                 kind GRAPH
    checksums    uint32 [64 KB blocks of codes, then of graph]: crc32c each
    navigation   float32 [dimension] centroid, uint32 [entries]              kinds CODES and GRAPH
    footer       JSON, spaces up to a page less the trailer
    trailer      [footer bytes u32][format version u32][crc32c of all before it in the footer u32][magic 8]

Sections begin at pages and are filled up with zeros, which the checksums cover: so every byte of a segment has one that
covers it. Every block of nodes is whole, so that a block's place is its number times its size.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

PAGE_BYTES: Final = 4096
"""What direct I/O reads at least."""
CHECKSUM_BLOCK_BYTES: Final = 64 * 1024
"""Codes and graph are read in sweeps; a fault in them is told to this precision."""
SWEEP_BLOCK_BYTES: Final = 64 * 1024
"""The largest block of nodes where they are only ever read all together (kind FLAT): little waste, few checksums."""
TAIL_BYTES: Final = 64 * 1024
"""What opening reads. Footer and navigation fit in it up to 4096 dimensions and thousands of entries."""
CHECKSUM_BYTES: Final = 4
NO_ROW: Final = 0xFFFFFFFF
"""A place for a neighbour that has none."""
ROWS_MAX: Final = 0x7FFFFFFF
"""As in native/graph.h."""
DIMENSION_MAX: Final = 4096
DEGREE_MAX: Final = 1024


class SegmentKind(enum.Enum):
    """What a segment has besides its vectors."""

    FLAT = "flat"
    CODES = "codes"
    GRAPH = "graph"


class SectionName(enum.StrEnum):
    NODES = "nodes"
    CODES = "codes"
    GRAPH = "graph"
    CHECKSUMS = "checksums"
    NAVIGATION = "navigation"
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
class NodeLayout:
    """Where the node of a row lies in the section of nodes, which begins at byte 0 of the object."""

    dimension: int
    degree: int
    """0: nodes carry no neighbours."""
    block_bytes: int

    @property
    def vector_bytes(self) -> int:
        return 4 * self.dimension

    @property
    def node_bytes(self) -> int:
        return 4 * (self.dimension + self.degree)

    @property
    def nodes_per_block(self) -> int:
        return (self.block_bytes - CHECKSUM_BYTES) // self.node_bytes

    def place(self, row: int) -> tuple[int, int]:
        """The number of the block that holds ``row``, and where its node begins in the block."""
        block, number = divmod(row, self.nodes_per_block)
        return block, number * self.node_bytes

    def blocks(self, rows: int) -> int:
        """How many blocks ``rows`` take."""
        return -(-rows // self.nodes_per_block)


def node_layout(kind: SegmentKind, rows: int, dimension: int, degree: int) -> NodeLayout:
    """As many whole nodes as fit a page, or one in as few pages as hold it; larger blocks where only vectors are."""
    if kind is not SegmentKind.GRAPH:
        degree = 0
    node_bytes = 4 * (dimension + degree)
    block_bytes = whole_pages(node_bytes + CHECKSUM_BYTES)
    if kind is SegmentKind.FLAT:
        # No larger than what there is: many small segments have to be cheap.
        block_bytes = max(block_bytes, min(SWEEP_BLOCK_BYTES, whole_pages(rows * node_bytes + CHECKSUM_BYTES)))
    return NodeLayout(dimension, degree, block_bytes)
