"""The k nearest of many vectors, by looking at each of them (``native/distance/topk.*``).

SIMD is chosen when the process runs: AVX-512, AVX2 with FMA, or what every machine has.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

# Of 2^-100, 2^100 and infinity as float32, and the upper halves of the former as float64.
_LEAST_BITS: Final = (127 - 100) << 23
_MOST_BITS: Final = (127 + 100) << 23
_INFINITY_BITS: Final = 255 << 23
_LEAST_WIDE: Final = (1023 - 100) << 20
_MOST_WIDE: Final = (1023 + 100) << 20


def topk(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    k: int,
    metric: Metric,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
    level: str | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` nearest rows of ``vectors`` to each query: row numbers and distances.

    :param queries: float32 [q, d], C-contiguous; d is 1 to 4096.
    :param vectors: float32 [n, d], C-contiguous, finite (`require_finite`). Not to be changed while the scan runs.
    :param k: at least 1.
    :param mask: bool [n]; rows where it is False are neither read nor returned. None: all rows.
    :param threads: at most so many; 0: as many as the process may use. Small scans use one.
    :param level: one of `simd_levels`, for tests and measurements; None: the best.
    :return: ``(ids int64 [q, k'], distances float32 [q, k'])`` with k' the smaller of ``k`` and the rows that count;
        distances ascend, and equal ones go by id.
    :raises ValueError: shapes, ``k`` or ``level`` make no sense.
    :raises TypeError: an array is not of the dtype, rank and layout given here. Nothing is converted in silence.

    Distances: EUCLIDEAN the squared distance; COSINE one minus the cosine, where a vector of length 0 has cosine 0 to
    every other; DOT_PRODUCT minus the dot product. They are in order over the whole range of float32, finite and never
    NaN: beyond 2^100, or below 2^-100 and not 0, they are packed, and `wide` says what they are. Sums are taken in
    float32, those that leave that range in float64. The GIL is released.
    """
    ids, distances = _native.topk(queries, vectors, k, metric, mask, threads, level)
    return ids, distances


def wide(distances: NDArray[np.float32]) -> NDArray[np.float64]:
    """What ``distances`` of `topk`, of a segment, or estimates by codes, are: finite, in the same order.

    Those packed have 20 bits of mantissa (``native/distance/distance_range.h``).
    """
    result = distances.astype(np.float64)
    bits = distances.view(np.int32) & 0x7FFF_FFFF
    is_packed = ((bits > 0) & (bits < _LEAST_BITS)) | ((bits > _MOST_BITS) & (bits < _INFINITY_BITS))
    if is_packed.any():
        packed = bits[is_packed].astype(np.int64)
        packed += np.where(packed < _LEAST_BITS, _LEAST_WIDE - _LEAST_BITS, _MOST_WIDE - _MOST_BITS)
        result[is_packed] = np.copysign((packed << 32).view(np.float64), result[is_packed])
    return result


def require_finite(vectors: NDArray[np.float32]) -> None:
    """Raises ParameterInvalid, naming the row, where float32 [n, d] ``vectors`` hold a NaN or an infinity."""
    row = _native.first_not_finite(vectors)
    if row >= 0:
        raise ParameterInvalid(f"Vector {row} has an element that is not a finite float32.")


def simd_levels() -> list[str]:
    """The SIMD levels of this machine, best first; the last is ``"portable"``."""
    return _native.simd_levels()
