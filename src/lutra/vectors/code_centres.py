"""Centres that codes are taken against, for vectors that lie in clusters: found from a sample of them.

Codes keep directions, and lengths to some share of themselves. Of vectors that lie in clusters much narrower than their
distance from each other, residuals against one centre are alike within a cluster, and no code tells them apart.
Against a centre of the cluster's own they are as long as it is wide. (k-means: Lloyd, 1957; begun as k-means++ does,
Arthur & Vassilvitskii, 2007. IVF with residuals: Jégou, Douze & Schmid, PAMI 2011.)
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.codes import directions_of
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import CENTRES_MAX

Matrix = NDArray[np.float32]

ROWS_MAX: Final = 16_384
"""Of the sample, at most."""
ROWS_PER_CENTRE: Final = 16
"""Of the sample, at least; of fewer rows nothing is gained that one row's own vector would not say."""
NUMBERS: Final = (16, 64, 256, CENTRES_MAX)
NEAR: Final = 0.02
"""Share of a residual's square that its neighbours are away: below it, codes against one centre tell them apart badly.
(Ordinary vectors: 0.2 to 1.)"""
SHORTER: Final = 0.125
"""Share of its square that a residual becomes, of three quarters of the rows at least, or one centre does as well."""
WORTH: Final = 0.5
"""More centres are taken as long as they make residuals so much shorter, squared."""
EXTREME: Final = 1e15
"""Of elements: what squares in 32 bits do not bear is left to one centre."""
_PROBES: Final = 32
_NEIGHBOUR: Final = 4
"""How many away: of clusters a sample has a part only."""
_ROUNDS: Final = 4


def choose_centres(
    sample: Matrix, metric: Metric, centroid: Matrix, number: int | None = None, seed: int = 0, threads: int = 0
) -> Matrix | None:
    """float32 [c, d], 2 to `CENTRES_MAX` centres for what ``sample`` (float32 [n, d]) is of; None: one does.

    ``centroid`` is what they would else be coded against. ``number``: of centres, at most, whether they are worth it or
    not; None: as many as are. The choice does not depend on the threads.
    """
    if number == 1 or len(sample) == 0:
        return None
    rows = np.ascontiguousarray(sample[:: -(-len(sample) // ROWS_MAX)])
    if metric is Metric.COSINE:
        rows = directions_of(rows)
    if number is not None:
        found = k_means(rows, number, seed, threads)
        return found if len(found) > 1 else None
    return _worth_it(rows, centroid, seed, threads)


def _worth_it(rows: Matrix, centroid: Matrix, seed: int, threads: int) -> Matrix | None:
    if len(rows) < ROWS_PER_CENTRE * NUMBERS[0] or np.abs(rows).max() > EXTREME:
        return None
    squared = _squared(rows - centroid)
    if not _is_clustered(rows, squared, threads):
        return None
    best, best_mean = None, np.inf
    for number in NUMBERS:
        if number * ROWS_PER_CENTRE > len(rows):
            break
        centres = k_means(rows, number, seed, threads)
        _, distances = topk(rows, centres, 1, Metric.EUCLIDEAN, threads=threads)
        left = distances[:, 0].astype(np.float64)
        if best is not None and left.mean() > WORTH * best_mean:
            break
        best_mean = left.mean()
        is_shorter = np.quantile(np.divide(left, squared, out=np.zeros(len(left)), where=squared > 0), 0.75) <= SHORTER
        best = centres if is_shorter else best
    return best


def _is_clustered(rows: Matrix, squared: NDArray[np.float64], threads: int) -> bool:
    """Whether most rows have near neighbours, against the lengths of residuals."""
    probes = np.linspace(0, len(rows) - 1, _PROBES).astype(np.int64)
    _, distances = topk(rows[probes], rows, _NEIGHBOUR + 1, Metric.EUCLIDEAN, threads=threads)
    return bool(np.median(distances[:, -1]) < NEAR * np.median(squared))


def k_means(rows: Matrix, number: int, seed: int, threads: int) -> Matrix:
    """float32 [number or fewer, d]: centres of float32 [n, d], n at least 1."""
    centres = _spread(rows, number, seed)
    for _ in range(_ROUNDS):
        found, _ = topk(rows, centres, 1, Metric.EUCLIDEAN, threads=threads)
        order = np.argsort(found[:, 0], kind="stable")
        owners, starts = np.unique(found[order, 0], return_index=True)
        sums = np.add.reduceat(rows[order].astype(np.float64), starts, axis=0)
        counts = np.diff(np.append(starts, len(rows)))
        centres[owners] = (sums / counts[:, None]).astype(np.float32)
    return centres


def _spread(rows: Matrix, number: int, seed: int) -> Matrix:
    """Rows far from each other: each is drawn by its squared distance to those before it."""
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(rows)))]
    nearest = _squared(rows - rows[chosen[0]])
    while len(chosen) < number:
        total = np.cumsum(nearest)
        if total[-1] <= 0:
            break
        chosen.append(min(int(np.searchsorted(total, rng.random() * total[-1], side="right")), len(rows) - 1))
        nearest = np.minimum(nearest, _squared(rows - rows[chosen[-1]]))
    return np.ascontiguousarray(rows[chosen])


def _squared(vectors: Matrix) -> NDArray[np.float64]:
    """float64 [n]: squared lengths."""
    squared: NDArray[np.float64] = np.einsum("nd,nd->n", vectors, vectors).astype(np.float64)
    return squared
