"""Masks of rows, made of booleans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kernels.searcher import RowMask


@given(rows=st.integers(0, 500), share=st.floats(0, 1), seed=st.integers(0, 1_000))
def test_counts_what_counts(rows: int, share: float, seed: int) -> None:
    counts = np.random.default_rng(seed).random(rows) < share
    mask = RowMask(counts)
    assert (mask.rows, mask.count) == (rows, np.count_nonzero(counts))


def test_what_is_no_row_of_booleans_is_refused() -> None:
    for wrong in (np.ones(3, np.uint8), np.ones((3, 3), bool), np.ones(6, bool)[::2]):
        with pytest.raises(TypeError):
            RowMask(wrong)
