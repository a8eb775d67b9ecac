"""Scores: finite for any distances and weights, and held against a bound as float32."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lutra.kernels.distance import topk
from lutra.model.indexes import Metric
from lutra.search.scores import above, finite, similarity, weighted

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    vectors=arrays(np.float32, st.tuples(st.integers(1, 6), st.just(3)), elements=FINITE),
    metric=st.sampled_from(Metric),
)
def test_scores_are_finite_and_in_the_order_of_distances(vectors: np.ndarray, metric: Metric) -> None:
    _, distances = topk(vectors[:1], vectors, len(vectors), metric)
    scores = similarity(distances[0], metric)
    assert np.isfinite(scores).all()
    assert (scores[1:] <= scores[:-1]).all()
    if metric is not Metric.DOT_PRODUCT:
        assert (scores >= 0).all()
        assert (scores <= 1).all()
    for weight in (0.0, 0.5, 3e38, sys.float_info.max):
        times = weighted(scores, weight)
        assert np.isfinite(times).all()
        assert (times[1:] <= times[:-1]).all()


def test_what_float64_cannot_hold_stands_at_its_end() -> None:
    most = sys.float_info.max
    assert finite(np.array([np.inf, -np.inf, 1.5])).tolist() == [most, -most, 1.5]  # type: ignore[union-attr]
    assert (finite(float("inf")), finite(-float("inf")), finite(0.25)) == (most, -most, 0.25)


@given(score=st.floats(1e-30, 1e30))
def test_a_score_handed_back_is_not_above_itself(score: float) -> None:
    bound = float(np.float32(score))
    near = np.array([score, np.nextafter(score, 0), bound, bound * (1 + 1e-6), bound * (1 - 1e-6)])
    assert above(near, bound).tolist() == [False, False, False, True, False]


def test_a_bound_of_zero_leaves_out_zero_and_less() -> None:
    scores = np.array([1e-80, 0.0, -0.0, -1e-80, -5.0, 2.0])
    assert above(scores, 0.0).tolist() == [True, False, False, False, False, True]
    assert not above(np.array([1e30, 1e300]), 1e39).any()
    assert above(np.array([1e300]), 1e30) == pytest.approx([True])
