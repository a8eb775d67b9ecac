"""`lutra.fields.turned_masks`, against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.fields.turned_masks import KEPT_MAX, TurnedMasks
from lutra.kernels.row_mask import RowMask

SIZE = 2_000


@pytest.mark.parametrize("share", [1.0, 0.6], ids=["all have a vector", "some have none"])
@given(
    seed=st.integers(0, 2**32), rates=st.lists(st.sampled_from([0.0, 0.001, 0.02, 0.5, 1.0]), min_size=1, max_size=30)
)
def test_rows_are_those_of_the_documents(share: float, seed: int, rates: list[float]) -> None:
    rng = np.random.default_rng(seed)
    docs = rng.permutation(SIZE)[: int(share * SIZE)].astype(np.int32)
    turned, live, filters = TurnedMasks(docs, SIZE), RowMask.all(SIZE), []
    for rate in rates:
        filters.append(RowMask(rng.random(SIZE) < rate))
        live = live.minus(rng.integers(0, SIZE, 20))  # a few die from search to search
        for mask, lasting in (
            (filters[-1] & live, ()),
            (live, (live,)),
            (filters[-1] & live, (filters[-1], live)),
            (filters[0], (filters[0],)),
        ):
            rows = turned.of(mask, lasting)
            assert rows.rows == len(docs)
            assert np.array_equal(rows.bools(), mask.bools()[docs])
    assert turned.size_bytes <= (KEPT_MAX + 1) * len(docs) // 8 + 4 * SIZE


def test_what_lasts_is_turned_once() -> None:
    rng = np.random.default_rng(1)
    turned = TurnedMasks(rng.permutation(SIZE).astype(np.int32), SIZE)
    mask = RowMask(rng.random(SIZE) < 0.5)
    assert turned.of(mask, (mask,)) is turned.of(mask, (mask,))
    assert turned.of(mask) is not turned.of(mask)
