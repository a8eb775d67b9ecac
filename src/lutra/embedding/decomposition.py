"""The directions in which the rows of a sparse matrix vary most, by numpy alone.

A truncated singular value decomposition by random projections: algorithms 4.4 and 5.1 of Halko, Martinsson and Tropp,
"Finding structure with randomness" (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

_OVERSAMPLED: Final = 10
"""Directions that are followed beyond those asked for, as the paper has it."""
_VALUES_AT_ONCE: Final = 32_768
"""Each is multiplied by a row of some hundred numbers, which are summed afterwards."""


@dataclass(frozen=True, slots=True)
class SparseMatrix:
    """Row after row: those of row ``i`` are from ``starts[i]`` to ``starts[i + 1]`` of ``columns`` and ``values``."""

    starts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    column_count: int

    @property
    def row_count(self) -> int:
        return len(self.starts) - 1

    def transposed(self) -> SparseMatrix:
        """With rows for columns."""
        order = np.argsort(self.columns, kind="stable")
        rows = np.repeat(np.arange(self.row_count), np.diff(self.starts))
        counts = np.bincount(self.columns, minlength=self.column_count)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return SparseMatrix(starts, rows[order], self.values[order], self.row_count)

    def times(self, dense: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The product with ``dense`` float32 [columns, n]: float32 [rows, n]."""
        product = np.zeros((self.row_count, dense.shape[1]), dtype=np.float32)
        row = 0
        while row < self.row_count:
            begin = self.starts[row]
            end_row = int(np.searchsorted(self.starts, begin + _VALUES_AT_ONCE, side="right")) - 1
            end_row = min(max(end_row, row + 1), self.row_count)
            end = self.starts[end_row]
            filled = row + np.flatnonzero(np.diff(self.starts[row : end_row + 1]))
            if len(filled):  # reduceat sums nothing as what comes next
                scaled = dense[self.columns[begin:end]] * self.values[begin:end, np.newaxis]
                product[filled] = np.add.reduceat(scaled, self.starts[filled] - begin)
            row = end_row
        return product


def main_directions(
    matrix: SparseMatrix, count: int, iterations: int, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The ``count`` largest singular values, float32 [count], and their right vectors, float32 [columns, count].

    ``count`` is less than there are rows or columns; ``iterations`` make the small ones exact. The same ``seed`` gives
    the same.
    """
    followed = min(count + _OVERSAMPLED, matrix.row_count, matrix.column_count)
    back = matrix.transposed()
    noise = np.random.default_rng(seed).standard_normal((matrix.column_count, followed), dtype=np.float32)
    basis, _ = np.linalg.qr(matrix.times(noise))
    for _ in range(iterations):
        across, _ = np.linalg.qr(back.times(basis))
        basis, _ = np.linalg.qr(matrix.times(across))
    right, singular, _ = np.linalg.svd(back.times(basis), full_matrices=False)
    return singular[:count], right[:, :count]
