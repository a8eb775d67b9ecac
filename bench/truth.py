"""The true neighbours of queries, by exact distances, and what share of them a search found, ties by distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lutra.model.indexes import Metric

Vectors = npt.NDArray[np.float32]
Exact = npt.NDArray[np.float64]

_EQUAL: Final = 1e-6
"""Of a distance, or of what a product or a cosine is summed of: float32 does not tell nearer ones apart."""
_BLOCK_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Truth:
    """How far every row is from every query, in float64: smaller is nearer; infinite where a row does not count."""

    distances: Exact
    """[q, n]"""
    slack: Exact
    """[q, n]: rows that are farther by less than this are as near."""

    @classmethod
    def of(cls, rows: Vectors, queries: Vectors, metric: Metric) -> Truth:
        base, asked = rows.astype(np.float64), queries.astype(np.float64)
        if metric is Metric.EUCLIDEAN:
            distances = np.stack([_squared(base, one) for one in asked])
            return cls(distances, _EQUAL * distances + 1e-30)
        lengths, asked_lengths = np.linalg.norm(base, axis=1), np.linalg.norm(asked, axis=1)
        if metric is Metric.COSINE:
            unit, wanted = _divided(base, lengths), _divided(asked, asked_lengths)
            distances = 1 - wanted @ unit.T
            return cls(distances, np.full_like(distances, _EQUAL))
        return cls(-(asked @ base.T), _EQUAL * np.outer(asked_lengths, lengths))

    def among(self, masks: npt.NDArray[np.bool_]) -> Truth:
        """The same with only the rows of ``masks`` [q, n] for each query."""
        return Truth(np.where(masks, self.distances, np.inf), self.slack)

    def first(self, queries: int) -> Truth:
        """The same, of the first ``queries``."""
        return Truth(self.distances[:queries], self.slack[:queries])

    def recall(self, found: npt.NDArray[np.int64], k: int) -> float:
        """The share of the ``k`` nearest, as far as there are so many, that are among ``found`` [q, k].

        -1: nothing is found there. Which of equals are found does not matter, but a row counts once.
        """
        k = min(k, self.distances.shape[1])
        wanted = np.minimum(np.isfinite(self.distances).sum(axis=1), k)
        hits = 0
        for line, slack, own, count in zip(self.distances, self.slack, found, wanted, strict=True):
            if count:
                kth = np.partition(line, count - 1)[count - 1]
                rows = np.unique(own[own >= 0])
                hits += min(int((line[rows] <= kth + slack[rows]).sum()), int(count))
        return float(hits / wanted.sum()) if wanted.any() else 1.0


def _squared(base: Exact, query: Exact) -> Exact:
    """float64 [n]: the squared distances of all rows, in blocks, as the differences take as much as the rows."""
    step = max(1, _BLOCK_BYTES // (8 * base.shape[1]))
    blocks = (base[begin : begin + step] - query for begin in range(0, len(base), step))
    return np.concatenate([np.einsum("nd,nd->n", block, block) for block in blocks])


def _divided(vectors: Exact, lengths: Exact) -> Exact:
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1)[:, None])
