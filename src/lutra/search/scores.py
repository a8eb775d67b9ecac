"""Scores of documents, larger first; and from distances to scores (protocol facts, 4.3)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.kernels.distance import wide
from lutra.model.indexes import Metric

Docs = npt.NDArray[np.int64]
MatchScores = float | npt.NDArray[np.float64]
"""One score for all documents that were asked about, or one for each, in their order."""

_MOST: Final = sys.float_info.max


@dataclass(frozen=True, slots=True)
class DocScores:
    """Scores of some documents of a part."""

    docs: Docs
    """Ascending."""
    values: npt.NDArray[np.float64]

    @classmethod
    def of(cls, docs: Docs, scores: npt.NDArray[np.float64]) -> DocScores:
        """``scores`` of ``docs``, which come in any order."""
        order = docs.argsort()
        return cls(docs[order], scores[order])

    def take(self, docs: Docs) -> npt.NDArray[np.float64]:
        """Of ``docs``, each of which has a score."""
        return self.values if docs is self.docs else self.values[self.docs.searchsorted(docs)]


Scores = float | DocScores
"""Of what matches in a part: one score for all, or one for each."""


def scores_of(scores: Scores, docs: Docs) -> list[float]:
    """Of ``docs``, which match."""
    if isinstance(scores, float):
        return [scores] * len(docs)
    taken: list[float] = scores.take(docs).tolist()
    return taken


def similarity(distances: npt.NDArray[np.float32], metric: Metric) -> npt.NDArray[np.float64]:
    """EUCLIDEAN ``1 / (1 + d²)``, COSINE ``(1 + cos) / 2``, DOT_PRODUCT ``(1 + dot) / 2``: finite.

    ``distances`` as `lutra.kernels.distance` gives them: squared, one minus the cosine, minus the dot product.
    """
    far = wide(distances)
    if metric is Metric.EUCLIDEAN:
        return 1.0 / (1.0 + far)
    if metric is Metric.COSINE:
        return (2.0 - far) / 2.0
    return (1.0 - far) / 2.0


def weighted(scores: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
    """``scores`` times ``weight``; finite."""
    if weight == 1.0:
        return scores
    with np.errstate(over="ignore"):
        product: npt.NDArray[np.float64] = np.clip(scores * weight, -_MOST, _MOST)
    return product


def finite_score(score: float) -> float:
    """``score``, at the end of float64 where it is beyond."""
    return min(max(score, -_MOST), _MOST)


def finite(scores: MatchScores) -> MatchScores:
    """``scores``, those beyond float64 at the end of it: an infinite one times 0, or less another, would be NaN."""
    if isinstance(scores, float):
        return finite_score(scores)
    clipped: npt.NDArray[np.float64] = np.clip(scores, -_MOST, _MOST)
    return clipped


def above(scores: npt.NDArray[np.float64], bound: float) -> npt.NDArray[np.bool_]:
    """Which are greater than ``bound``.

    Both as float32, as which a bound comes through the protocol: a score that is handed back as the bound counts as
    equal to it, however it was rounded.
    """
    if not bound:
        return scores > 0
    with np.errstate(over="ignore", under="ignore"):
        return scores.astype(np.float32) > np.float32(bound)
