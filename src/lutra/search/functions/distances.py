"""One number for each document, and how far values of a field are from an origin: what functions go by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.model.scoring import ManyMode

Distances = npt.NDArray[np.float64]

_REDUCED: Final[dict[ManyMode, Callable[[Distances, npt.NDArray[np.int64]], Distances]]] = {
    ManyMode.MAX: np.maximum.reduceat,
    ManyMode.MIN: np.minimum.reduceat,
    ManyMode.SUM: np.add.reduceat,
}


def from_number(values: npt.NDArray[Any], origin: float) -> Distances:
    """float64[n], infinite where that is beyond it."""
    with np.errstate(over="ignore"):
        return np.abs(values.astype(np.float64) - origin)


def from_moment(values_ns: npt.NDArray[np.int64], origin_ns: int) -> Distances:
    """In nanoseconds, exact before they are rounded to float64: moments themselves are not, as such numbers."""
    values, origin = values_ns.view(np.uint64), np.int64(origin_ns).view(np.uint64)
    with np.errstate(over="ignore"):
        return np.where(values_ns >= origin_ns, values - origin, origin - values).astype(np.float64)


def by_document(
    docs: npt.NDArray[np.int32] | None, distances: Distances, mode: ManyMode, size: int
) -> tuple[Distances, npt.NDArray[np.bool_]]:
    """float64[size] and bool[size]: one distance for each document, or whatever they are, and which have one.

    ``distances`` belong to ``docs``, ascending; None: to the documents 0, 1, 2, …
    """
    result, has = np.zeros(size), np.zeros(size, bool)
    if docs is None:
        result[: len(distances)] = distances
        has[: len(distances)] = True
        return result, has
    if not len(docs):
        return result, has
    starts = np.flatnonzero(np.diff(docs, prepend=-1))
    with np.errstate(over="ignore"):
        if mode is ManyMode.AVG:
            one = np.add.reduceat(distances, starts) / np.diff(starts, append=len(docs))
        else:
            one = _REDUCED[mode](distances, starts)
    result[docs[starts]] = one
    has[docs[starts]] = True
    return result, has
