"""The plane that vectors vary most in: what a picture of them shows.

Its two directions are the principal components (Hotelling, 1933) of a sample. A segment whose codes lie along a basis
knows as many directions as hold nearly all that its vectors vary by (`lutra.vectors.code_basis`): the two are then
looked for among those, which takes a part of the time that all dimensions would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.codes import directions_of
from lutra.model.indexes import Metric

Matrix = NDArray[np.float32]

EXACT_DIMENSIONS_MAX: Final = 64
"""Of so many all directions are found at once; of more the first two by turns (subspace iteration)."""
SQUARE_DIMENSIONS_MAX: Final = 640
"""Of so many the turns go by how dimensions vary together, which is reckoned once; of more by the sample itself."""
_TURNS_OF_SQUARE: Final = 60
_TURNS: Final = 24
_BLOCK: Final = 8
"""Directions that are turned together: those beyond the two let these settle sooner."""
_ORDINARY: Final = (1e-12, 1e12)
"""Greatest elements whose squares, summed, float32 holds: other vectors are taken by their greatest."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Through ``origin`` (float32 [d]) along ``directions`` (float32 [2, d], orthonormal), in units of ``unit``."""

    metric: Metric
    unit: float
    """1, but for vectors whose squares leave float32."""
    origin: Matrix
    directions: Matrix
    explained: tuple[float, float]
    """The share of the sample's variance along each."""

    def place(self, vectors: Matrix) -> Matrix:
        """float32 [n, 2]: where vectors, float32 [n, d], stand in the plane. Under cosine only their directions count.

        A vector without a direction stands where the origin of all vectors does.
        """
        return np.asarray((_as_compared(vectors, self.metric, self.unit) - self.origin) @ self.directions.T)


def plane_of(sample: Matrix, metric: Metric, basis: NDArray[np.int16] | None = None) -> Plane:
    """The plane of ``sample``, finite float32 [n, d] with n at least 1.

    :param basis: int16 [m, d], a segment's: orthogonal directions, of any one length, and zeros.
    """
    most = float(np.abs(sample).max())
    unit = 1.0 if metric is Metric.COSINE or most == 0 or _ORDINARY[0] <= most <= _ORDINARY[1] else most
    rows = _as_compared(sample, metric, unit)
    dimension = rows.shape[1]
    origin = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows = rows - origin
    total = float(np.einsum("nd,nd->", rows, rows, dtype=np.float64))
    frame = _frame(basis, dimension)
    within = rows if frame is None else rows @ frame.T
    found = _first_two(within)
    directions = found if frame is None else found @ frame
    directions = _orthonormal(directions)
    along = np.einsum("nk,nk->k", rows @ directions.T, rows @ directions.T, dtype=np.float64)
    shares = along / total if total > 0 else np.zeros(2)
    return Plane(metric, unit, origin, directions, (float(shares[0]), float(shares[1])))


def _as_compared(vectors: Matrix, metric: Metric, unit: float) -> Matrix:
    """As distances see them, in units of ``unit``."""
    if metric is Metric.COSINE:
        return directions_of(np.ascontiguousarray(vectors))
    return vectors if unit == 1.0 else (vectors / np.float64(unit)).astype(np.float32)


def _frame(basis: NDArray[np.int16] | None, dimension: int) -> Matrix | None:
    """float32 [m, d]: unit directions of a basis; None where they would say no less than all dimensions do."""
    if basis is None or not len(basis):
        return None
    wide = basis.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=1)
    wide = wide[lengths > 0] / lengths[lengths > 0, None]
    return wide if 2 <= len(wide) < dimension else None


def _first_two(rows: Matrix) -> Matrix:
    """float32 [2, m]: the directions that ``rows`` [n, m], of mean 0, vary most along; the first one's first."""
    dimension = rows.shape[1]
    if dimension == 1:
        return np.array([[1], [0]], np.float32)
    square = rows.T @ rows if dimension <= SQUARE_DIMENSIONS_MAX else None
    if square is not None and dimension <= EXACT_DIMENSIONS_MAX:
        _, vectors = np.linalg.eigh(square)
        first: Matrix = vectors[:, ::-1][:, :2].T
        return first
    turned = np.random.default_rng(0).standard_normal((dimension, _BLOCK)).astype(np.float32)
    for _ in range(_TURNS if square is None else _TURNS_OF_SQUARE):
        turned, _ = np.linalg.qr(rows.T @ (rows @ turned) if square is None else square @ turned)
    _, _, within = np.linalg.svd(rows @ turned, full_matrices=False)
    settled: Matrix = within[:2] @ turned.T
    return settled


def _orthonormal(directions: Matrix) -> Matrix:
    """float32 [2, d]; their signs are chosen so that the largest element of each is positive: pictures stay as they
    are."""
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    unit = np.divide(directions, lengths, out=np.zeros_like(directions), where=lengths > 0)
    signs = np.sign(np.take_along_axis(unit, np.abs(unit).argmax(axis=1)[:, None], axis=1))
    signs[signs == 0] = 1
    return np.ascontiguousarray(unit * signs, np.float32)
