"""Trials of fast codes: how far off they may be, and how few rows that leaves to look at.

As of lists, that takes no searches: what is estimated of the true neighbours, and of all other rows, says it all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.fast_codes import BLOCK_ROWS, FastCodes
from lutra.model.indexes import Metric
from lutra.vectors.trial import BOUND_TRIALS, Bound, Sample

KEPT_SHARE: Final = 0.998
"""Of the true neighbours, that fast codes are to leave for the longer ones."""
LEFT_SHARE_MAX: Final = 0.05
"""Of all rows, that they may leave: of more, longer codes are looked at as soon."""
QUERIES_MAX: Final = 128
ALONE_SHARES: Final = (0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998)
"""Of the neighbours, that are kept where no other codes are in memory, and all that is left is read."""
SLACK_MIN: Final = 1e-6


class FastTrial(NamedTuple):
    """What was measured with the fast codes of a segment."""

    slack: float
    """As `lutra.kernels.searcher.Plan` has it; 0: they leave too many rows."""
    alone: dict[int, list[Bound]]
    """By k of `BOUND_TRIALS`, with slacks in the place of standard deviations: what reading all that is left keeps."""


def measure_fast(codes: FastCodes, blocks: NDArray[np.uint8], sample: Sample, metric: Metric) -> FastTrial:
    """Of ``codes``, whose ``blocks`` are of all rows."""
    slack, left, alone = SLACK_MIN, 0.0, {}
    for trial in BOUND_TRIALS:
        truth = sample.truths[trial.walks][:QUERIES_MAX, : trial.k]
        last = sample.distances[trial.walks][: len(truth), : trial.k][:, -1]
        per_distance = 2 if metric is Metric.COSINE else 1
        off = [
            _off(codes, blocks, vector, per_distance * float(far))
            for vector, far in zip(sample.vectors, last, strict=False)
            if far > 0
        ]
        if truth.shape[1] < trial.k or not off:
            continue
        wanted = np.concatenate([one[rows] for one, rows in zip(off, truth[last > 0], strict=True)])
        levels = np.maximum(np.quantile(wanted, (*ALONE_SHARES, KEPT_SHARE)), SLACK_MIN)
        rows_left = np.array([[np.count_nonzero(one <= level) for level in levels] for one in off]).mean(axis=0)
        slack, left = max(slack, float(levels[-1])), max(left, float(rows_left[-1]))
        alone[trial.k] = [
            Bound(float(level), float((wanted <= level).mean()), max(float(reads), trial.k), 0.0)
            for level, reads in zip(levels[:-1], rows_left, strict=False)
        ]
    tells = alone and left <= LEFT_SHARE_MAX * len(blocks) * BLOCK_ROWS
    return FastTrial(slack if tells else 0.0, alone)


def _off(codes: FastCodes, blocks: NDArray[np.uint8], query: NDArray[np.float32], far: float) -> NDArray[np.float32]:
    """float32 [rows]: what slack it takes for each row not to be left out by a query whose last neighbour is so
    ``far``, squared (native/search/search_fast.cpp)."""
    own = 2 * codes.squared_error**2 / (codes.squared_error + far)
    slacks: NDArray[np.float32] = (codes.estimate(query, blocks) - np.float32(far + own)) / np.float32(np.sqrt(far))
    return slacks
