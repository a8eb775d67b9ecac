"""From distances to scores, larger is nearer (protocol facts, 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutra.model.indexes import Metric


@dataclass(frozen=True, slots=True)
class FewScores:
    """Scores of few documents of a part: an array of all of them would be most of what a search takes."""

    docs: npt.NDArray[np.int64]
    """Ascending."""
    values: npt.NDArray[np.float64]

    @classmethod
    def of(cls, docs: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> FewScores:
        """``scores`` of ``docs``, which come in any order."""
        order = np.argsort(docs)
        return cls(docs[order], scores[order])

    def take(self, docs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Of ``docs``, each of which has a score."""
        return self.values[np.searchsorted(self.docs, docs)]

    def all(self, size: int) -> npt.NDArray[np.float64]:
        """float64[size], by document; 0 for those without a score."""
        scores = np.zeros(size, np.float64)
        scores[self.docs] = self.values
        return scores


MatchScores = float | npt.NDArray[np.float64]
"""One score for all that match, or one for each document (of use where it matches)."""
Scores = MatchScores | FewScores


def scores_of(scores: Scores, docs: npt.NDArray[np.int64]) -> list[float]:
    """Of ``docs``, which match."""
    if isinstance(scores, float):
        return [scores] * len(docs)
    taken: list[float] = (scores.take(docs) if isinstance(scores, FewScores) else scores[docs]).tolist()
    return taken


def similarity(distances: npt.NDArray[np.float32], metric: Metric) -> npt.NDArray[np.float64]:
    """EUCLIDEAN ``1 / (1 + d²)``, COSINE ``(1 + cos) / 2``, DOT_PRODUCT ``(1 + dot) / 2``.

    ``distances`` as `lutra.kernels.distance` gives them: squared, one minus the cosine, minus the dot product.
    """
    wide = distances.astype(np.float64)
    if metric is Metric.EUCLIDEAN:
        return 1.0 / (1.0 + wide)
    if metric is Metric.COSINE:
        return (2.0 - wide) / 2.0
    return (1.0 - wide) / 2.0
