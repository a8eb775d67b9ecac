"""Links of a segment: its graph with the codes of each row's neighbours, and the vectors, in memory.

They are made from vectors and graph when a segment is loaded with so much memory, and are no part of the file: at 128
dimensions they are three times as large as all else that a segment keeps. What a walk over them finds is measured then,
too, by the rows that the build measured with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.link_codes import LinkCodes, Links
from lutra.vectors.layout import SegmentKind
from lutra.vectors.range_reader import huge_pages
from lutra.vectors.segment_file import SegmentFile


def can_have_links(file: SegmentFile) -> bool:
    """Not where there are no rows, nor where they have centres of their own: they lie closer together than a query's
    rounding tells apart."""
    return file.kind is SegmentKind.GRAPH and file.codes is not None and file.centres == 0 and file.rows > 0


def link_bytes(file: SegmentFile) -> int:
    """What they take, vectors included."""
    return file.rows * _codes(file).block_bytes(file.degree)


def make_links(file: SegmentFile, neighbours: NDArray[np.uint32], threads: int = 0) -> Links | None:
    """Reads all vectors of ``file``, whose graph is ``neighbours`` [rows, degree]. None: float32 does not do for them.

    No more than a few MB beside what is returned. Raises Corruption, StorageFailure.
    """
    codes = _codes(file)
    block_bytes, vector_bytes = codes.block_bytes(file.degree), 4 * file.dimension
    blocks = huge_pages(file.rows * block_bytes).reshape(file.rows, block_bytes)
    begin = 0
    for vectors in file.vector_blocks():
        blocks[begin : begin + len(vectors), :vector_bytes] = vectors.view(np.uint8)
        begin += len(vectors)
    return Links(codes, blocks) if codes.make(neighbours, blocks, threads) else None


def _codes(file: SegmentFile) -> LinkCodes:
    return LinkCodes(file.metric, file.centroid, file.seed)
