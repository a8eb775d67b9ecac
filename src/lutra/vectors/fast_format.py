"""Fast codes of a segment whose rows are in lists (design note 0052): how they are made, and kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.fast_codes import BLOCK_ROWS, CENTRES, FastCodes
from lutra.kernels.lists import Lists

Matrix = NDArray[np.float32]

GROUPS: Final = 32
"""Pairs of directions: 16 bytes a row. Of lists in 64 directions or more."""
GROUPS_MULTIPLE: Final = 8
GROUPS_MAX: Final = 128
"""As in native/lists/fast_codes.h."""
OWN_BYTES: Final = 2
"""Of a row, beside its code."""
TRAINED_ROWS: Final = 8_192
"""That directions and centres are found from, evenly spread."""
_PASSES: Final = 10
_ERROR_SHARE: Final = 0.9
"""Of rows, that are off their codes by no more than `FastFormat.squared_error`."""
_OWN_SHARE: Final = 0.999
_OWN_ROOM: Final = 2.0
"""What is kept for each row beside its code may be so many times what it is of nearly all."""
_STEPS: Final = 32_767
_TINY: Final = 1e-30


@dataclass(frozen=True, slots=True)
class FastFormat:
    """Of so many ``groups`` of two directions; the other two as `lutra.kernels.fast_codes.FastCodes` has them."""

    groups: int
    row_step: float
    squared_error: float

    @property
    def block_bytes(self) -> int:
        return BLOCK_ROWS * (self.groups // 2 + OWN_BYTES)

    def blocks(self, rows: int) -> int:
        return -(-rows // BLOCK_ROWS)

    def to_json(self) -> dict[str, Any]:
        return {"groups": self.groups, "row_step": self.row_step, "squared_error": self.squared_error}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> FastFormat:
        """What `to_json` gave. Raises KeyError, TypeError or ValueError."""
        groups = int(document["groups"])
        row_step, squared_error = float(document["row_step"]), float(document["squared_error"])
        if not 1 <= groups <= GROUPS_MAX or groups % GROUPS_MULTIPLE:
            raise ValueError(f"fast codes of {groups} groups")
        if not (math.isfinite(row_step) and row_step > 0 and math.isfinite(squared_error) and squared_error >= 0):
            raise ValueError(f"fast codes with a step of {row_step} and an error of {squared_error}")
        return cls(groups, row_step, squared_error)


class FastBook(NamedTuple):
    """What codes are made with."""

    directions: Matrix
    """[2 groups, m]"""
    centres: Matrix
    """[groups, 16, 2]"""

    def codes(self, lists: Lists, of: FastFormat) -> FastCodes:
        """Raises ValueError where these make no sense."""
        return FastCodes(lists, self.directions, self.centres, of.row_step, of.squared_error)

    def items(self) -> NDArray[np.uint8]:
        """uint8 [2 groups, item bytes]: a direction, float32 [m], and where the 16 centres are along it."""
        along = self.centres.transpose(0, 2, 1).reshape(-1, CENTRES)
        return np.ascontiguousarray(np.concatenate([self.directions, along], axis=1), "<f4").view(np.uint8)

    @classmethod
    def of_items(cls, items: NDArray[np.uint8]) -> FastBook:
        """What `items` gave."""
        values = np.ascontiguousarray(items).view("<f4")
        along = values[:, -CENTRES:].reshape(-1, 2, CENTRES).transpose(0, 2, 1)
        return cls(np.ascontiguousarray(values[:, :-CENTRES]), np.ascontiguousarray(along))


def train(lists: Lists, vectors: Matrix, rows: NDArray[np.int64], seed: int) -> tuple[FastFormat, FastBook] | None:
    """From float32 [n, d] ``vectors`` of ``rows`` [n]: the directions that residuals vary most along, in pairs that
    vary about alike; of each pair the means that Lloyd's algorithm comes to. None where float32 does not do."""
    residuals = lists.residuals(vectors, rows)
    with np.errstate(over="ignore", invalid="ignore"):
        variances, axes = _principal(residuals)
        if not (np.isfinite(variances).all() and variances.max() > _TINY):
            return None
        chosen = _pairs(np.argsort(-variances, kind="stable")[: 2 * GROUPS])
        directions = np.ascontiguousarray(axes[chosen])
        turned = residuals @ directions.T
        centres = np.stack([_means(turned[:, 2 * g : 2 * g + 2], seed + g) for g in range(GROUPS)])
        coded = np.concatenate([_nearest(turned[:, 2 * g : 2 * g + 2], centres[g]) for g in range(GROUPS)], axis=1)
        errors = np.einsum("nd,nd->n", residuals, residuals) + np.einsum("nd,nd->n", coded, coded - 2 * turned)
        lengths = np.einsum("nd,nd->n", residuals, residuals)
        own = float(np.quantile(lengths, _OWN_SHARE)) + lists.longest
        squared_error = float(np.quantile(np.maximum(errors, 0), _ERROR_SHARE))
    row_step = _OWN_ROOM * own / _STEPS
    if not (math.isfinite(row_step) and row_step > _TINY and np.isfinite(centres).all()):
        return None
    return FastFormat(GROUPS, row_step, squared_error), FastBook(directions, centres)


def _principal(residuals: Matrix) -> tuple[NDArray[np.float64], Matrix]:
    """The variance along each of float32 [m, m] directions at right angles to each other."""
    matrix = residuals.T.astype(np.float64) @ residuals / len(residuals)
    if not np.isfinite(matrix).all():
        return np.full(1, np.inf), np.empty((0, 0), np.float32)
    variances, vectors = np.linalg.eigh(matrix)
    return variances, np.ascontiguousarray(vectors.T, np.float32)


def _pairs(ordered: NDArray[np.intp]) -> NDArray[np.intp]:
    """The first with the last, the second with the last but one, …: 16 centres then do about as well in all pairs."""
    return np.stack([ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :][::-1]], axis=1).reshape(-1)


def _means(points: Matrix, seed: int) -> Matrix:
    """float32 [16, 2]"""
    random = np.random.default_rng(seed)
    means: Matrix = points[random.choice(len(points), CENTRES, replace=len(points) < CENTRES)].copy()
    for _ in range(_PASSES):
        nearest = _numbers(points, means)
        counts = np.bincount(nearest, minlength=CENTRES)
        sums = np.stack([np.bincount(nearest, points[:, i], CENTRES) for i in range(2)], axis=1)
        means[counts > 0] = (sums / np.maximum(counts, 1)[:, None])[counts > 0]
    return means


def _numbers(points: Matrix, means: Matrix) -> NDArray[np.intp]:
    numbers: NDArray[np.intp] = ((means * means).sum(axis=1) - 2 * points @ means.T).argmin(axis=1)
    return numbers


def _nearest(points: Matrix, means: Matrix) -> Matrix:
    nearest: Matrix = means[_numbers(points, means)]
    return nearest
