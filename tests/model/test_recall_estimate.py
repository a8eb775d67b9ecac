"""The interval of a mean recall holds the true one as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.model.recall_estimate import RecallEstimate


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_it_holds_the_mean_and_stays_a_share(searches: int, recall: float) -> None:
    found = RecallEstimate.of(searches, recall)
    assert 0 <= found.low <= recall + 1e-12
    assert recall - 1e-12 <= found.high <= 1
    more = RecallEstimate.of(4 * searches, recall)
    assert more.high - more.low < found.high - found.low


def test_known_values() -> None:
    """Of Wilson's interval: 95 of 100, and 10 of 10."""
    assert RecallEstimate.of(100, 0.95)[2:] == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert RecallEstimate.of(10, 1.0)[2:] == pytest.approx((0.7225, 1.0), abs=1e-4)


@pytest.mark.parametrize(("recall", "searches"), [(0.9, 50), (0.95, 200), (0.99, 400)])
def test_neighbours_that_are_missed_together_are_allowed_for(recall: float, searches: int) -> None:
    """A hundred thousand neighbours of which those of one search are missed together are no more than the searches."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        mean = float((rng.random(searches) < recall).mean())
        found = RecallEstimate.of(searches, mean)
        held += found.low <= recall <= found.high
    assert held >= 0.93 * 400
