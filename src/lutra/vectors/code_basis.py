"""Directions to code a segment's vectors along: found from a sample of them.

Vectors of real data vary much along few directions and little along many. Principal components (Hotelling, 1933) say
which; bits then go where they shorten errors most. At 960 dimensions a record of 64 bytes tells neighbours apart as
one of 248 bytes does that treats all dimensions alike (design note 0003).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.codes import FACTOR_BYTES, Basis, CodePart, Quantizer
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric

Matrix = NDArray[np.float32]

GROUP: Final = 64
"""Directions that get bits together, as native/codes/rotation.h wants them."""
WIDTHS: Final = (8, 4, 2, 1)
LINE_BYTES: Final = 64
RECORD_BYTES_MAX: Final = 1_024
SHARE: Final = 0.92
"""Of the variance: directions that hold as much tell rows apart well enough to build a graph."""
HNSW_LINK_BYTES: Final = 200
"""Of a vector in hnswlib (M=16), beside the vector itself."""
GRAPH_BYTES: Final = 128
"""Of a row's 32 neighbours here."""
HITS_MIN: Final = 0.98
CODE_BEST: Final = 20
"""Rows by estimate that are to hold `HITS_MIN` of the true 10 neighbours: by the codes of walks and scans,"""
FINE_BEST: Final = 12
"""and by the finer ones."""
LENGTHS_MAX: Final = 8.0
"""Median lengths: longer residuals of the sample are cut to it, or a few would decide on all directions."""
_DISTORTION: Final = {8: 0.0001, 4: 0.01154, 2: 0.1175, 1: 0.3634}
"""Mean squared error of the best uniform quantiser of normal values of variance 1 (Max, 1960)."""
_STEPS: Final = {8: 0.0308, 4: 0.3352, 2: 0.9957, 1: 1.5958}
"""Its step, in standard deviations."""
_QUERIES: Final = 256
_NEAR: Final = 20
"""Neighbours of a row of the sample whose distances errors are measured against."""
_HITS: Final = 10
"""Of these, those that `BasisTrainer.hits` looks for."""
_EQUAL: Final = 1 + 1e-5
"""Distances that differ by less count as equal."""
_DIRECTION_SCALE: Final = 32_767
_DEVIATION_MIN: Final = 1e-5
"""In lengths of a residual: what a step is taken for where nothing varies."""
_SPREAD_MIN: Final = 1e-4
_UNIT_MIN: Final = 1e-15
"""In lengths of a residual, squared: errors against less are float32's own."""


class BasisTrainer:
    """Finds bases of different sizes for the vectors that ``sample`` (float32 [n, d], finite, n at least 2) is of.

    ``centroid`` is the codes', ``seed`` that of their rotation; on at most ``threads`` threads (0: as many as the
    process may use), what numpy's linear algebra takes left aside.
    """

    def __init__(self, sample: Matrix, metric: Metric, centroid: Matrix, seed: int = 0, threads: int = 0) -> None:
        self._residuals = _residuals(sample, metric, centroid)
        self._seed = seed
        self._threads = threads
        squared = np.einsum("nd,nd->n", self._residuals, self._residuals)
        self._length = max(float(np.sqrt(np.mean(squared))), 1e-30)
        self._directions, variance = _principal(self._residuals)
        self._variance = _by_group(variance)
        self._queries = np.linspace(0, len(sample) - 1, min(_QUERIES, len(sample))).astype(np.int64)
        self._near, self._near_squared = self._neighbours()
        self._near_variance = _by_group(self._variance_of_near())

    def train(self, record_bytes: int) -> Basis:
        """The best basis for records of at most so many bytes, which must be 16 or more."""
        groups = self._allocate(record_bytes - FACTOR_BYTES)
        parts, begin = [], 0
        for bits, count in zip(WIDTHS, groups, strict=True):
            if count == 0:
                continue
            deviation = float(np.sqrt(self._variance[begin : begin + count].mean()))
            parts.append(CodePart(bits, GROUP * count, _STEPS[bits] * max(deviation / self._length, _DEVIATION_MIN)))
            begin += count
        directions = self._scaled(GROUP * begin)
        rough = Basis(directions, tuple(parts), 1.0)
        return Basis(directions, tuple(parts), self._spread(rough))

    def telling(self) -> NDArray[np.int16]:
        """int16 [m, d]: as many directions as hold `SHARE` of the variance, what a graph is built by."""
        held = np.cumsum(self._variance)
        groups = int(np.searchsorted(held, SHARE * held[-1])) + 1
        return self._scaled(GROUP * min(groups, len(held)))

    def _scaled(self, count: int) -> NDArray[np.int16]:
        """int16 [count, d]: the first directions, filled up with zeros past the last."""
        directions = np.zeros((count, self._directions.shape[1]), np.int16)
        kept = self._directions[:count]
        directions[: len(kept)] = np.rint(kept * _DIRECTION_SCALE)
        return directions

    def hits(self, basis: Basis, best: int) -> float:
        """The share of the true 10 neighbours in the sample among the ``best`` by estimate; equally near ones count."""
        quantizer = self._quantizer(basis)
        records = quantizer.encode(self._residuals, self._threads)
        best = min(best, len(records) - 1)
        wanted = min(_HITS, self._near.shape[1])
        found = 0
        for row, limit in zip(self._queries.tolist(), self._near_squared[:, wanted - 1].tolist(), strict=True):
            estimates = quantizer.query(self._residuals[row]).estimate(records)
            estimates[row] = np.inf
            chosen = np.argpartition(estimates, best)[:best]
            squared = _squared_distances(self._residuals[chosen], self._residuals[row])
            found += min(wanted, int(np.count_nonzero(squared <= limit * _EQUAL)))
        return float(found / (wanted * len(self._queries)))

    def smallest(self, best: int, bytes_max: int = RECORD_BYTES_MAX) -> Basis:
        """The smallest that puts `HITS_MIN` of the true 10 neighbours among the ``best`` by estimate.

        Records take whole cache lines, so that none is read in vain, and ``bytes_max`` at most. Where none does, the
        largest that is worth it.
        """
        basis = self.train(LINE_BYTES)
        for record_bytes in range(2 * LINE_BYTES, bytes_max + 1, LINE_BYTES):
            if self.hits(basis, best) >= HITS_MIN:
                break
            longer = self.train(record_bytes)
            if longer.record_bytes <= basis.record_bytes:
                break  # there is nothing left to spend bits on
            basis = longer
        return basis

    def _quantizer(self, basis: Basis) -> Quantizer:
        return Quantizer.of_basis(basis, Metric.EUCLIDEAN, np.zeros(self._residuals.shape[1], np.float32), self._seed)

    def _neighbours(self) -> tuple[NDArray[np.int64], Matrix]:
        """[queries, `_NEAR` or fewer]: the nearest other rows of each query, and their squared distances."""
        count = min(_NEAR, len(self._residuals) - 1)
        queries = self._residuals[self._queries]
        found, squared = topk(queries, self._residuals, count + 1, Metric.EUCLIDEAN, threads=self._threads)
        others = found != self._queries[:, None]
        others &= np.cumsum(others, axis=1) <= count  # of more rows equal to it than are found, it need not be one
        return found[others].reshape(-1, count), squared[others].reshape(-1, count)

    def _variance_of_near(self) -> NDArray[np.float64]:
        """float64 [d]: the mean square, along each direction, of the differences between near rows."""
        differences = self._residuals[self._queries][:, None, :] - self._residuals[self._near]
        along = differences.reshape(-1, differences.shape[-1]) @ self._directions.T
        variance: NDArray[np.float64] = np.mean(along * along, axis=0, dtype=np.float64)
        return variance

    def _allocate(self, code_bytes: int) -> tuple[int, ...]:
        """How many groups get 8, 4, 2 and 1 bits: what leaves the least error in the distances of near rows.

        A direction's part of that error is what coding leaves of its variance, times the variance of near rows'
        differences along it. Directions of equal bits are mixed, so it is of means over them.
        """
        variance = np.concatenate([[0.0], np.cumsum(self._variance)])
        near = np.concatenate([[0.0], np.cumsum(self._near_variance)])
        rest = np.concatenate([[0.0], np.cumsum(self._variance * self._near_variance)])

        def error(groups: tuple[int, ...]) -> float:
            total, begin = 0.0, 0
            for bits, count in zip(WIDTHS, groups, strict=True):
                if count:
                    end = begin + count
                    spread = (variance[end] - variance[begin]) * (near[end] - near[begin]) / count
                    total += _DISTORTION[bits] * spread
                    begin = end
            return float(total + rest[-1] - rest[begin])

        return min(_allocations(code_bytes, len(self._variance)), key=error)

    def _spread(self, basis: Basis) -> float:
        """Measured on near rows: the error of ``<r, q>`` against its length times the distance.

        Less its mean for each query: a search finds that out (native/search/search_slot.cpp).
        """
        quantizer = self._quantizer(basis)
        errors = []
        for row, near in zip(self._queries.tolist(), self._near, strict=True):
            records = quantizer.encode(self._residuals[near], self._threads)
            estimates = quantizer.query(self._residuals[row]).estimate(records)
            squared = _squared_distances(self._residuals[near], self._residuals[row])
            unit = _error_lengths(records) * np.sqrt(squared)
            telling = unit > _UNIT_MIN
            relative = (squared - estimates)[telling] / (2 * unit[telling])
            errors.append(relative - relative.mean() if len(relative) else relative)
        every = np.concatenate(errors)
        measured = float(np.sqrt(np.mean(every * every))) if len(every) else 0.0
        return min(1.0, max(_SPREAD_MIN, measured))


@dataclass(frozen=True, slots=True)
class Bases:
    """Two bases of one set of directions."""

    codes: Basis
    """What walks and scans go by."""
    fine: Basis | None
    """By which their finds are put in order."""
    telling: NDArray[np.int16]
    """int16 [m, d]: directions to build a graph by."""

    @property
    def directions(self) -> NDArray[np.int16]:
        """int16 [m, d] of both: the one's are the first of the other's."""
        return max((one.directions for one in (self.codes, self.fine) if one is not None), key=len)


def choose_bases(
    sample: Matrix,
    metric: Metric,
    centroid: Matrix,
    code_bytes: int | None,
    fine_bytes: int | None,
    seed: int = 0,
    threads: int = 0,
) -> Bases:
    """Bases for the vectors that ``sample`` is of; record sizes as given, or as small as do (None). 0: no finer one.

    The other parameters are those of `BasisTrainer`.
    """
    trainer = BasisTrainer(sample, metric, centroid, seed, threads)
    codes = trainer.smallest(CODE_BEST) if code_bytes is None else trainer.train(code_bytes)
    if fine_bytes == 0:
        return Bases(codes, None, trainer.telling())
    if fine_bytes is None:
        fine = trainer.smallest(FINE_BEST, _fine_bytes_max(sample.shape[1], codes))
    else:
        fine = trainer.train(fine_bytes)
    return Bases(codes, fine if fine.record_bytes > codes.record_bytes else None, trainer.telling())


def _fine_bytes_max(dimension: int, codes: Basis) -> int:
    """What a tenth of HNSW's memory leaves beside codes and graph, as far as that is worth having."""
    left_bytes = (4 * dimension + HNSW_LINK_BYTES) // 10 - codes.record_bytes - GRAPH_BYTES
    return min(RECORD_BYTES_MAX, max(2 * LINE_BYTES, left_bytes))


def _residuals(sample: Matrix, metric: Metric, centroid: Matrix) -> Matrix:
    """float32 [n, d]: what native/codes/codes.cpp makes of vectors, in median lengths.

    The unit makes no difference to codes, whose steps are shares of lengths; squares then stay within float32.
    """
    if metric is Metric.COSINE:
        lengths = _lengths(sample)[:, None]
        sample = np.divide(sample, lengths, out=np.zeros_like(sample), where=lengths > 0)
    with np.errstate(over="ignore"):
        residuals = sample - centroid
    if not np.isfinite(residuals).all():
        residuals = sample / 2 - centroid / 2
    lengths = _lengths(residuals)
    if not lengths.any():
        return residuals
    unit = float(np.median(lengths[lengths > 0]))
    cut = np.minimum(1, LENGTHS_MAX * unit / np.maximum(lengths, unit))
    scaled: Matrix = (residuals * (cut / unit)[:, None]).astype(np.float32)
    return scaled


def _lengths(vectors: Matrix) -> NDArray[np.float64]:
    """float64 [n]: so that squares of any float32 fit."""
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    return lengths


def _principal(residuals: Matrix) -> tuple[Matrix, NDArray[np.float64]]:
    """float32 [d, d]: orthogonal directions, and the variance along each, largest first."""
    variances, vectors = np.linalg.eigh(residuals.T @ residuals / np.float32(len(residuals)))
    return np.ascontiguousarray(vectors[:, ::-1].T), np.maximum(variances[::-1].astype(np.float64), 0)


def _squared_distances(vectors: Matrix, to: Matrix) -> Matrix:
    """float32 [n] of float32 [n, d] and [d]."""
    differences = vectors - to
    squared: Matrix = np.einsum("nd,nd->n", differences, differences)
    return squared


def _by_group(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over groups of `GROUP`; the last is filled up with zeros, as its directions are."""
    padded = np.zeros(-(-len(values) // GROUP) * GROUP)
    padded[: len(values)] = values
    result: NDArray[np.float64] = padded.reshape(-1, GROUP).mean(axis=1)
    return result


def _allocations(code_bytes: int, groups: int) -> Iterator[tuple[int, ...]]:
    """Every way to give groups bits that fills the bytes as far as it goes."""
    unit = GROUP // 8
    units = code_bytes // unit
    for eights, fours in itertools.product(range(units // 8 + 1), range(units // 4 + 1)):
        left = units - 8 * eights - 4 * fours
        if left < 0 or eights + fours > groups:
            continue
        for twos in range(min(left // 2, groups - eights - fours) + 1):
            ones = min(left - 2 * twos, groups - eights - fours - twos)
            if eights + fours + twos + ones:
                yield eights, fours, twos, ones


def _error_lengths(records: NDArray[np.uint8]) -> Matrix:
    """|e| of each record: native/codes/codes.h says how its factors lie."""
    factors = np.ascontiguousarray(records[:, -FACTOR_BYTES:])
    bits = factors.view("<u4")[:, 1] & 0xFF
    ratio = np.where(bits == 0, 0, ((bits + ((127 - 12) << 4)) << 19).astype("<u4").view("<f4"))
    lengths: Matrix = (factors.view("<f4")[:, 0] * ratio).astype(np.float32)
    return lengths
