"""Rows ordered by cluster (``native/lists``): a list is a range of rows that lie together, and has a centroid.

Centroids lie where codes put vectors, in steps of int8. The GIL is released.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native
from lutra.kernels.codes import Quantizer
from lutra.kernels.distance import require_finite

Vectors = NDArray[np.float32]


class BuiltLists(NamedTuple):
    """Lists, and the order of rows that they are ranges of."""

    order: NDArray[np.uint32]
    """[n]: the row of the vectors given that comes first, second, …"""
    offsets: NDArray[np.uint32]
    """[lists + 1]: where each list begins in ``order``; the last is n."""
    centroids: NDArray[np.int8]
    """[lists, m], -127 to 127, in steps of ``step``; m as `Quantizer.coded_dimension`."""
    radii: NDArray[np.float32]
    """[lists]: how far a row is from its centroid at most."""
    spreads: NDArray[np.float32]
    """[lists]: the root of the mean square of that."""
    step: float
    peak_bytes: int
    """Held at most while building, without the vectors given."""


def build(
    vectors: Vectors,
    quantizer: Quantizer,
    rows_per_list: int,
    threads: int = 0,
    on_progress: Callable[[int, int], object] | None = None,
) -> BuiltLists:
    """Lists of about ``rows_per_list`` rows of float32 [n, d] ``vectors``; none has more than twice as many.

    The same vectors give the same lists on any number of threads.

    :param on_progress: called with the rows done and n, now and then and at the end, on this thread. An exception of it
        stops the build and goes on to the caller.
    :raises ParameterInvalid: a vector has an element that is not finite; the text names the row.
    :raises ValueError: shapes do not fit, or the rows of a list are not 1 to 65,536.

    Memory: m + 20 bytes a row.
    """
    require_finite(vectors)
    return BuiltLists(*_native.build_lists(vectors, quantizer.native, rows_per_list, threads, on_progress))


class Lists:
    """Lists in memory, for searches. Thread-safe; copies what it is given.

    :raises ValueError: the parts, as `BuiltLists` describes them, do not fit each other.
    """

    __slots__ = ("native", "offsets")

    def __init__(
        self,
        quantizer: Quantizer,
        offsets: NDArray[np.uint32],
        centroids: NDArray[np.int8],
        step: float,
        radii: NDArray[np.float32],
        spreads: NDArray[np.float32],
    ) -> None:
        self.offsets = offsets
        """[lists + 1]: the first row of each, and how many rows there are."""
        self.native = _native.Lists(quantizer.native, offsets, centroids, step, radii, spreads)

    def __len__(self) -> int:
        return len(self.native)

    @property
    def size_bytes(self) -> int:
        return self.native.size_bytes

    def covered(self, queries: Vectors, rows: NDArray[np.int64], threads: int = 0) -> NDArray[np.int64]:
        """int64 [q, n]: how many rows the lists have that float32 [q, d] ``queries`` look at until they have looked at
        each of theirs of ``rows`` [q, n].

        Raises ParameterInvalid where a query is not finite, ValueError where shapes do not fit or there is no such row.
        """
        require_finite(queries)
        return self.native.covered(queries, rows, threads)

    def reached(
        self, queries: Vectors, rows: NDArray[np.int64], distances: Vectors, reaches: Vectors, threads: int = 0
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """What searches have to reach for (`lutra.kernels.searcher.Plan`), and what that takes.

        :param distances: float32 [q]: how far the last of each query's neighbours is.
        :param reaches: float32 [m], ascending.
        :return: float32 [q, n]: for which reach the list of each of ``rows`` [q, n] is looked at; and int64 [q, m]: how
            many rows the lists have that are looked at for each of ``reaches``.

        Raises as `covered`.
        """
        require_finite(queries)
        return self.native.reached(queries, rows, distances, reaches, threads)

    def residuals(self, vectors: Vectors, rows: NDArray[np.int64]) -> Vectors:
        """float32 [n, m]: where float32 [n, d] ``vectors`` of ``rows`` [n] lie, less the centroid of the row's list.

        Raises as `covered`.
        """
        require_finite(vectors)
        return self.native.residuals(vectors, rows[:, None])

    @property
    def longest(self) -> float:
        """The squared length of the longest centroid."""
        return self.native.longest

    def ranked(self, query: Vectors) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """All lists, int64 [lists], nearest to float32 [d] ``query`` first, and what no row of each is nearer than;
        minus infinity where that is not known. Raises as `covered`.
        """
        require_finite(query[None, :])
        return self.native.ranked(query)
