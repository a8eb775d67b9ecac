"""Neighbourhood graphs: building one over vectors, and walking it on codes (``native/graph``).

The graph is Vamana's (DiskANN, NeurIPS 2019), built by inserting rows batch by batch (ParlayANN, PPoPP 2024): the
result does not depend on the number of threads. COSINE is built over vectors brought to length 1, DOT_PRODUCT over
vectors with one dimension more that makes all lengths equal (Bachrach et al., RecSys 2014), so every metric walks the
same way.

Arrays are not converted in silence: a TypeError is raised where dtype, rank or layout are not as given. The GIL is
released.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native
from lutra.kernels.codes import Quantizer
from lutra.kernels.distance import require_finite
from lutra.model.indexes import Metric

# In a row's list of neighbours: a place not used. Those come last.
NO_ROW: int = _native.NO_ROW


@dataclass(frozen=True, slots=True)
class Graph:
    """Neighbours of each row, and what building it took."""

    neighbours: NDArray[np.uint32]  # [n, degree]
    entries: NDArray[np.uint32]  # where walks start; every row can be reached from them. Empty where n is 0
    distances: int  # taken while building
    repaired: int  # rows that no entry led to, or that a narrow walk did not find, and that got an edge for it
    peak_bytes: int  # memory held at most while building, without the vectors given
    precision: str  # what rows were compared by: "int8" or "float32"


def build(
    vectors: NDArray[np.float32],
    metric: Metric,
    *,
    degree: int = 32,
    beam: int = 100,
    alpha: float = 1.2,
    threads: int = 0,
    seed: int = 0,
    start: NDArray[np.uint32] | None = None,
    on_progress: Callable[[int, int], object] | None = None,
    precision: Literal["auto", "int8", "float32"] = "auto",
    level: str | None = None,
    directions: NDArray[np.int16] | None = None,
) -> Graph:
    """A graph over the rows of ``vectors``.

    :param vectors: float32 [n, d], C-contiguous; d is 1 to 4096, n below 2^31. Not to be changed meanwhile.
    :param degree: neighbours of a row, at most; 1 to 1024.
    :param beam: how wide to search for a new row's neighbours; 1 to 4096. More: a better graph, later.
    :param alpha: 1 to 10; an edge is left out where one kept ends ``alpha`` times nearer to its end (distances squared
        under every metric).
    :param threads: 0: as many as the process may use.
    :param start: uint32 [m, degree of that graph], m <= n: a graph over the first m rows to go on from. Rows of it
        without any neighbour are inserted like new ones.
    :param on_progress: called with the rows inserted and n, now and then and at the end, on this thread. An exception
        of it stops the build and goes on to the caller.
    :param precision: what rows are compared by: int8 codes, float32, or int8 unless a sample shows that it does not
        tell neighbours apart.
    :param level: one of `lutra.kernels.distance.simd_levels`; None: the best. Graphs built by int8 do not depend on it.
    :param directions: int16 [m, d], m a multiple of 64: unit vectors times 32767, or zeros, along which int8 codes are
        taken in place of the dimensions: quicker where fewer tell rows apart as well, which a sample shows. Not under
        DOT_PRODUCT.
    :raises ParameterInvalid: a vector has an element that is not finite; the text names the row.
    :raises ValueError: a parameter is out of its range, or ``start`` names a row it does not have.

    Memory: by int8, d (or m) rounded up to 64, plus 5.2 ``degree`` + 14 bytes a row; by float32 nothing for d; and up
    to 20 ``degree`` bytes for each row of a batch (a fiftieth of the rows, at most 10,000).
    """
    require_finite(vectors)
    neighbours, entries, (distances, repaired, peak_bytes, used) = _native.build_graph(
        vectors, metric, degree, beam, alpha, threads, seed, start, on_progress, precision, level, directions
    )
    return Graph(neighbours, entries, distances, repaired, peak_bytes, used)


class WalkEnd(enum.IntEnum):
    """Why a walk ended."""

    DONE = 0
    EXHAUSTED = 1  # under a mask: all there is to reach was seen, and fewer than ``least`` rows count
    GAVE_UP = 2  # ``effort_max``


@dataclass(frozen=True, slots=True)
class Walks:
    """What walks found and what they cost; the first axis is the query."""

    rows: NDArray[np.int64]  # [q, count], by estimate; -1 where there are no more
    estimates: NDArray[np.float32]  # [q, count], of distances; infinite where there is no row, as are the bounds
    lower_bounds: NDArray[np.float32]
    upper_bounds: NDArray[np.float32]
    hops: NDArray[np.int64]  # [q]: rows whose neighbours were looked at
    distances: NDArray[np.int64]  # [q]: estimates taken
    bridges: NDArray[np.int64]  # [q]: under a mask: lists of rows that do not count, read through for rows that do
    pass_rates: NDArray[np.float64]  # [q]: under a mask: share of the rows met that count; 1 without one
    ends: NDArray[np.int64]  # [q]: WalkEnd


class Walker:
    """A graph in memory with the codes of its rows. Immutable: any number of threads may walk it at once.

    :param neighbours: uint32 [n, degree], `NO_ROW` last where unused.
    :param entries: uint32 [e], e at least 1 where there are rows.
    :param records: uint8 [n, quantizer.record_bytes].
    :raises ValueError: shapes do not fit, or a neighbour or an entry is no row.

    The arrays are kept, not copied, and not to be changed.
    """

    __slots__ = ("_native",)

    def __init__(
        self,
        neighbours: NDArray[np.uint32],
        entries: NDArray[np.uint32],
        records: NDArray[np.uint8],
        quantizer: Quantizer,
    ) -> None:
        self._native = _native.Walker(neighbours, entries, records, quantizer.native)

    def walk(
        self,
        queries: NDArray[np.float32],
        beam: int,
        count: int,
        *,
        mask: NDArray[np.bool_] | None = None,
        least: int = 0,
        effort_max: int = 0,
        threads: int = 0,
    ) -> Walks:
        """The ``count`` rows nearest to each query by estimate.

        :param queries: float32 [q, d], C-contiguous.
        :param beam: candidates a walk keeps going with, 1 to 4096; never fewer than ``count``. Under a mask up to 16
            times as many.
        :param count: 1 to 4096.
        :param mask: bool [n]; rows where it is False may be walked through, but are not returned.
        :param least: under a mask, a walk goes on until it has so many rows, though its beam may be done; it returns
            fewer only where it has seen all rows (EXHAUSTED) or gives up. At most ``count``.
        :param effort_max: a walk gives up (GAVE_UP, with what it has) once it has taken so many estimates and read
            through so many lists; 0: never.
        :param threads: for several queries; 0: as many as the process may use.
        :raises ParameterInvalid: a query has an element that is not finite.
        :raises ValueError: shapes do not fit, or a number is out of its range.
        """
        require_finite(queries)
        rows, estimates, lower, upper, counters = self._native.walk(
            queries, beam, count, least, mask, effort_max, threads
        )
        hops, distances, bridges, looked, qualified, ends = counters.T
        pass_rates = np.divide(qualified, looked, out=np.ones(len(rows)), where=looked > 0)
        return Walks(rows, estimates, lower, upper, hops, distances, bridges, pass_rates, ends)
