"""Products and main directions of sparse matrices are those of dense ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.embedding import decomposition
from lutra.embedding.decomposition import SparseMatrix, main_directions


def sparse(dense: np.ndarray) -> SparseMatrix:
    rows, columns = np.nonzero(dense)
    starts = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))]).astype(np.int64)
    return SparseMatrix(starts, columns, dense[rows, columns].astype(np.float32), dense.shape[1])


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4)),
    share=st.sampled_from([0.0, 0.2, 1.0]),
    at_once=st.sampled_from([1, 5, 1_000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_products(shape: tuple[int, int, int], share: float, at_once: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.integers(-9, 10, shape[:2]) * (rng.random(shape[:2]) < share)
    other = rng.integers(-9, 10, (shape[1], shape[2])).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decomposition, "_VALUES_AT_ONCE", at_once)
        np.testing.assert_array_equal(sparse(dense).times(other), dense @ other)
        back = sparse(dense).transposed()
        np.testing.assert_array_equal(back.times(np.eye(shape[0], dtype=np.float32)), dense.T)


def test_main_directions_are_those_of_numpy() -> None:
    rng = np.random.default_rng(7)
    dense = rng.standard_normal((120, 80)) * (rng.random((120, 80)) < 0.2) * np.geomspace(1, 0.001, 80)
    singular, right = main_directions(sparse(dense), 6, 4, 0)
    _, expected, directions = np.linalg.svd(dense)
    np.testing.assert_allclose(singular, expected[:6], rtol=1e-3)
    np.testing.assert_allclose(np.abs((right * directions[:6].T).sum(axis=0)), 1, atol=1e-3)
