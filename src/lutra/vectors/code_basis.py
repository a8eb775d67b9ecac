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
"""Directions that get bits together, as native/rotation.h wants them."""
WIDTHS: Final = (8, 4, 2, 1)
LINE_BYTES: Final = 64
RECORD_BYTES_MAX: Final = 1_024
SHARE: Final = 0.92
HITS_MIN: Final = 0.98
CODE_BEST: Final = 20
FINE_BEST: Final = 12
_DISTORTION: Final = {8: 0.0001, 4: 0.01154, 2: 0.1175, 1: 0.3634}
"""Mean squared error of the best uniform quantiser of normal values of variance 1 (Max, 1960)."""
_STEPS: Final = {8: 0.0308, 4: 0.3352, 2: 0.9957, 1: 1.5958}
"""Its step, in standard deviations."""
_QUERIES: Final = 256
_NEAR: Final = 20
"""Neighbours of a row of the sample whose distances errors are measured against."""
_DIRECTION_SCALE: Final = 32_767
_SPREAD_MIN: Final = 1e-4


class BasisTrainer:
    """Finds bases of different sizes for the vectors that ``sample`` (float32 [n, d], n at least 2) is of."""

    def __init__(self, sample: Matrix, metric: Metric, centroid: Matrix, seed: int = 0) -> None:
        if metric is Metric.COSINE:
            lengths = np.linalg.norm(sample, axis=1, keepdims=True)
            sample = np.divide(sample, lengths, out=np.zeros_like(sample), where=lengths > 0)
        self._sample = sample
        self._centroid = centroid
        self._seed = seed
        self._residuals: Matrix = sample - centroid
        self._length = float(np.sqrt(np.mean(np.einsum("nd,nd->n", self._residuals, self._residuals))))
        covariance = self._residuals.T @ self._residuals / np.float32(len(sample))
        variances, vectors = np.linalg.eigh(covariance)
        self._directions = np.ascontiguousarray(vectors[:, ::-1].T)
        self._variance = _by_group(np.maximum(variances[::-1], 0))
        self._queries = np.linspace(0, len(sample) - 1, min(_QUERIES, len(sample))).astype(np.int64)
        self._near = self._neighbours()
        differences = self._residuals[self._queries][:, None, :] - self._residuals[self._near]
        along = differences.reshape(-1, sample.shape[1]) @ self._directions.T
        self._near_variance = _by_group(np.mean(along * along, axis=0))

    def train(self, record_bytes: int) -> Basis:
        """The best basis for records of at most so many bytes, which must be 16 or more."""
        groups = self._allocate(record_bytes - FACTOR_BYTES)
        parts, begin = [], 0
        for bits, count in zip(WIDTHS, groups, strict=True):
            if count == 0:
                continue
            deviation = float(np.sqrt(self._variance[begin : begin + count].mean()))
            step = _STEPS[bits] * max(deviation / max(self._length, 1e-30), 1e-6)
            parts.append(CodePart(bits, GROUP * count, step))
            begin += count
        directions = self._scaled(GROUP * begin)
        rough = Basis(directions, tuple(parts), 1.0)
        return Basis(directions, tuple(parts), self._spread(rough))

    def telling(self) -> NDArray[np.int16]:
        """int16 [m, d]: as many directions as hold `SHARE` of the variance, what a graph is built by."""
        share = np.cumsum(self._variance) / max(float(self._variance.sum()), 1e-30)
        return self._scaled(GROUP * (int(np.searchsorted(share, SHARE)) + 1))

    def _scaled(self, count: int) -> NDArray[np.int16]:
        directions = np.zeros((count, self._directions.shape[1]), np.int16)
        kept = self._directions[:count]
        directions[: len(kept)] = np.rint(kept * _DIRECTION_SCALE)
        return directions

    def hits(self, basis: Basis, best: int) -> float:
        """The share of the true 10 neighbours in the sample among the ``best`` by estimate."""
        quantizer = self._quantizer(basis)
        records = quantizer.encode(self._sample)
        best = min(best, len(records) - 1)
        found = 0
        for row, near in zip(self._queries.tolist(), self._near, strict=True):
            estimates = quantizer.query(self._sample[row]).estimate(records)
            estimates[row] = np.inf
            chosen = np.argpartition(estimates, best)[:best]
            found += int(np.isin(near[:10], chosen).sum())
        return found / self._near[:, :10].size

    def smallest(self, best: int) -> Basis:
        """The smallest that puts `HITS_MIN` of the true 10 neighbours among the ``best`` by estimate.

        Records take whole cache lines, so that none is read in vain.
        """
        for record_bytes in range(LINE_BYTES, RECORD_BYTES_MAX, LINE_BYTES):
            basis = self.train(record_bytes)
            if self.hits(basis, best) >= HITS_MIN:
                break
        return basis

    def _quantizer(self, basis: Basis) -> Quantizer:
        return Quantizer.of_basis(basis, Metric.EUCLIDEAN, self._centroid, self._seed)

    def _neighbours(self) -> NDArray[np.int64]:
        """int64 [queries, `_NEAR` or fewer]: the nearest other rows of each query."""
        count = min(_NEAR, len(self._sample) - 1)
        found, _ = topk(self._sample[self._queries], self._sample, count + 1, Metric.EUCLIDEAN)
        others = [row[row != own][:count] for row, own in zip(found, self._queries, strict=True)]
        return np.stack(others)

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

        Less its mean for each query: a search finds that out (native/search_slot.cpp).
        """
        quantizer = self._quantizer(basis)
        errors = []
        for row, near in zip(self._queries.tolist(), self._near, strict=True):
            records = quantizer.encode(np.ascontiguousarray(self._sample[near]))
            estimates = quantizer.query(self._sample[row]).estimate(records)
            difference = self._residuals[near] - self._residuals[row]
            distances = np.einsum("nd,nd->n", difference, difference)
            unit = _error_lengths(records) * np.sqrt(distances)
            relative = (distances - estimates)[unit > 0] / (2 * unit[unit > 0])
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
    sample: Matrix, metric: Metric, centroid: Matrix, code_bytes: int | None, fine_bytes: int | None, seed: int = 0
) -> Bases:
    """Bases for the vectors that ``sample`` is of; record sizes as given, or as small as do (None). 0: no finer one."""
    trainer = BasisTrainer(sample, metric, centroid, seed)
    codes = trainer.smallest(CODE_BEST) if code_bytes is None else trainer.train(code_bytes)
    if fine_bytes == 0:
        return Bases(codes, None, trainer.telling())
    fine = trainer.smallest(FINE_BEST) if fine_bytes is None else trainer.train(fine_bytes)
    return Bases(codes, fine if fine.record_bytes > codes.record_bytes else None, trainer.telling())


def _by_group(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sums over groups of `GROUP`."""
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
    """|e| of each record: native/codes.h says how its factors lie."""
    factors = np.ascontiguousarray(records[:, -FACTOR_BYTES:])
    bits = factors.view("<u4")[:, 1] & 0xFF
    ratio = np.where(bits == 0, 0, ((bits + ((127 - 12) << 4)) << 19).astype("<u4").view("<f4"))
    lengths: Matrix = (factors.view("<f4")[:, 0] * ratio).astype(np.float32)
    return lengths
