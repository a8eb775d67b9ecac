"""Codes of each row's neighbours in a graph, against the row itself (``native/codes/link_codes.h``).

A walk that has come to a row estimates the distances to all its neighbours at once by them (SymphonyQG, SIGMOD 2025).
They are made of vectors and graph, take 2 bits a dimension and 6 bytes a neighbour, and are the same on every machine.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native
from lutra.model.indexes import Metric


class LinkCodes:
    """How they are made. Immutable: any number of threads may use one.

    :param centroid: float32 [dimension], of all vectors; under cosine of those brought to length 1.
    :raises ValueError: the dimension is not 1 to 4096, or the level none of this machine's.
    """

    __slots__ = ("native",)

    def __init__(self, metric: Metric, centroid: NDArray[np.float32], seed: int = 0, level: str | None = None) -> None:
        self.native = _native.LinkCodes(metric, centroid, seed, level)

    def block_bytes(self, degree: int) -> int:
        """Of a row with so many places for neighbours."""
        return self.native.block_bytes(degree)

    def make(self, neighbours: NDArray[np.uint32], blocks: NDArray[np.uint8], threads: int = 0) -> bool:
        """Fills ``blocks`` uint8 [n, block_bytes(degree)], which begin at a multiple of 64 bytes, but for their
        vectors: each begins with that of its row, float32 [d], finite.

        ``neighbours``: uint32 [n, degree], `NO_ROW` last where unused. False: lengths are so large or small that
        float32 does not do, and nothing is to go by what is there.

        :raises ValueError: shapes do not fit, or a neighbour is no row. The GIL is released.
        """
        return self.native.make(neighbours, blocks, threads)

    def estimate(
        self,
        query: NDArray[np.float32],
        block: NDArray[np.uint8],
        degree: int,
        distance: float,
        limit: float = math.inf,
    ) -> NDArray[np.float32]:
        """float32 [degree]: the distances from ``query`` to the neighbours of the row whose ``block`` [block_bytes] it
        is, ``distance`` being that to the row; NaN where they are not below ``limit``, or float32 does not do for the
        query. Where the list is shorter than the degree, what is behind its end means nothing."""
        return self.native.estimate(query, block, degree, distance, limit)


class Links(NamedTuple):
    """In memory."""

    codes: LinkCodes
    blocks: NDArray[np.uint8]
    """[rows, block_bytes]"""
