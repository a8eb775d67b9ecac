"""Short codes of rows in lists that are scanned fast (``native/lists/fast_codes.h``): 4 bits a pair of directions.

They tell which few rows of many are worth a look at longer codes. The GIL is released.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native
from lutra.kernels.distance import require_finite
from lutra.kernels.lists import Lists

Vectors = NDArray[np.float32]

BLOCK_ROWS = 16
"""Rows of a block of codes, whatever lists they are in."""
CENTRES = 16
"""Of a group of two directions."""


class FastCodes:
    """How they are made. Immutable: any number of threads may use one.

    :param directions: float32 [2 g, m], at right angles to each other, of length 1, where the lists' centroids lie; two
        a group, and of groups 8 to 128, by eights.
    :param centres: float32 [g, 16, 2], along each group's directions.
    :param row_step: of what is kept for each row beside its code, as int16.
    :param squared_error: what nearly all rows are off their codes at most, squared.
    :raises ValueError: shapes or numbers make no sense, or the level is none of this machine's.
    """

    __slots__ = ("lists", "native", "squared_error")

    def __init__(
        self,
        lists: Lists,
        directions: Vectors,
        centres: Vectors,
        row_step: float,
        squared_error: float,
        level: str | None = None,
    ) -> None:
        self.lists = lists
        self.squared_error = squared_error
        self.native = _native.FastCodes(lists.native, directions, centres, row_step, squared_error, level)

    @property
    def block_bytes(self) -> int:
        """Of `BLOCK_ROWS` rows."""
        return self.native.block_bytes

    def encode(self, vectors: Vectors, begin: int, threads: int = 0) -> NDArray[np.uint8]:
        """uint8 [blocks, block_bytes] of float32 [n, d] ``vectors``, the rows from ``begin`` on, a multiple of 16.

        Raises ParameterInvalid where a vector is not finite, ValueError where these are no rows of the lists.
        """
        require_finite(vectors)
        return self.native.encode(vectors, begin, threads)

    def estimate(self, query: Vectors, blocks: NDArray[np.uint8]) -> Vectors:
        """float32 [rows]: about how far each row's place is from that of float32 [d] ``query``, squared; minus infinity
        where that is not known. Raises as `encode`."""
        require_finite(query[None, :])
        return self.native.estimate(query, blocks)
