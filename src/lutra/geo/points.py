"""Points in the order of their documents: what columns are written from, given back as, and merged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Coordinates = npt.NDArray[np.float64]
"""float64[n, 2]: latitude and longitude in degrees."""


@dataclass(frozen=True, slots=True)
class Points:
    """``coordinates[i]`` is a point of document ``docs[i]`` (int32, ascending); ``docs`` None: of document ``i``.

    The points of one document stay in order.
    """

    docs: npt.NDArray[np.int32] | None
    coordinates: Coordinates

    def __len__(self) -> int:
        return len(self.coordinates)

    def documents(self) -> npt.NDArray[np.int32]:
        """int32[n]: whose each point is."""
        return np.arange(len(self), dtype=np.int32) if self.docs is None else self.docs

    def of(self, docs: npt.NDArray[np.int64]) -> Points:
        """Those of ``docs``, which are ascending and distinct."""
        if self.docs is None:
            chosen = docs[docs < len(self)]
            return Points(chosen.astype(np.int32), self.coordinates[chosen])
        begins, ends = (np.searchsorted(self.docs, docs, side) for side in ("left", "right"))
        chosen = runs(begins, ends)
        return Points(self.docs[chosen], self.coordinates[chosen])

    def renumbered(self, renumber: npt.NDArray[np.int32]) -> Points:
        """With document ``d`` called ``renumber[d]``, left out where that is negative."""
        docs = renumber[: len(self)] if self.docs is None else renumber[self.docs]
        kept = docs >= 0
        return _in_order(docs[kept], self.coordinates[kept])


def runs(begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The numbers from each of ``begins`` up to, without, its end, one after the other."""
    lengths = ends - begins
    before = np.cumsum(lengths) - lengths
    numbers: npt.NDArray[np.int64] = np.repeat(begins - before, lengths)
    return numbers + np.arange(len(numbers))


def merged(inputs: Sequence[Points]) -> Points:
    """The points of several columns as one column's; documents have their new numbers already."""
    if len(inputs) == 1:
        return inputs[0]
    docs = np.concatenate([points.documents() for points in inputs])
    return _in_order(docs, np.concatenate([points.coordinates for points in inputs]))


def _in_order(docs: npt.NDArray[np.int32], coordinates: Coordinates) -> Points:
    if len(docs) and bool(np.any(docs[1:] < docs[:-1])):
        order = np.argsort(docs, kind="stable")
        docs, coordinates = docs[order], coordinates[order]
    return Points(docs, coordinates)
