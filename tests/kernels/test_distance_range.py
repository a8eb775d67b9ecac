"""Distances over the whole range of float32, against extended precision, at every SIMD level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from support.ranges import SCALES, Matrix, errors, scaled, true_distances

from lutra.kernels.distance import simd_levels, topk, wide
from lutra.model.indexes import Metric

LEVELS = simd_levels()
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
PACKED = 2.0**-20
"""Of a distance beyond 2^100 or below 2^-100: its mantissa has 20 bits."""


def distances_to(query: Matrix, vectors: Matrix, metric: Metric, level: str | None = None) -> NDArray[np.float32]:
    """By row."""
    ids, distances = topk(query[None, :], vectors, len(vectors), metric, level=level)
    result = np.empty(len(vectors), np.float32)
    result[ids[0]] = distances[0]
    return result


def is_close(query: Matrix, vectors: Matrix, found: NDArray[np.float32], metric: Metric) -> bool:
    """Whether distances are right; products with a query of ordinary length may be 0 where they are below float32."""
    least = 1e-40 if metric is Metric.DOT_PRODUCT else 0.0
    wrong = np.abs(wide(found) - true_distances(query, vectors, metric).astype(np.float64))
    return bool(((errors(query, vectors, wide(found), metric) <= 2e-6) | (wrong <= least)).all())


@settings(max_examples=300, deadline=None)
@given(value=FINITE)
def test_any_square_and_any_product_is_kept(value: float) -> None:
    one, other = np.array([[value]], np.float32), np.zeros((1, 1), np.float32)
    squared = float(np.float64(value) ** 2)
    assert wide(topk(other, one, 1, Metric.EUCLIDEAN)[1])[0, 0] == pytest.approx(squared, rel=PACKED, abs=0)
    assert wide(topk(one, one, 1, Metric.DOT_PRODUCT)[1])[0, 0] == pytest.approx(-squared, rel=PACKED, abs=0)
    assert wide(topk(-one, one, 1, Metric.DOT_PRODUCT)[1])[0, 0] == pytest.approx(squared, rel=PACKED, abs=0)


@settings(max_examples=200, deadline=None)
@given(values=arrays(np.float32, st.integers(2, 20), elements=FINITE))
def test_packed_distances_are_in_order(values: Matrix) -> None:
    """What rounding left equal is equal; nothing is the other way round."""
    products = wide(distances_to(np.ones(1, np.float32), values[:, None], Metric.DOT_PRODUCT))
    squares = distances_to(np.zeros(1, np.float32), values[:, None], Metric.EUCLIDEAN)
    np.testing.assert_allclose(products, -values.astype(np.float64), rtol=PACKED, atol=0)
    assert (np.diff(products[np.argsort(-values)]) >= 0).all()
    order = np.argsort(np.abs(values))
    assert (np.diff(squares[order]) >= 0).all()
    assert (np.diff(wide(squares)[order]) >= 0).all()
    assert np.isfinite(squares).all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("name", SCALES)
def test_vectors_of_any_length(level: str, metric: Metric, name: str) -> None:
    for dimension in (3, 33):
        vectors = scaled(np.random.default_rng(4), 150, dimension, name)
        for query in (vectors[0], vectors[50], (vectors[3] / 2 + vectors[4] / 2)):
            found = distances_to(query, vectors, metric, level)
            assert np.isfinite(found).all()
            assert is_close(query, vectors, found, metric)
            ids, near = topk(np.stack([query, query]), vectors, 10, metric, level=level)
            np.testing.assert_array_equal(ids[0], np.lexsort((np.arange(len(vectors)), found))[:10])
            np.testing.assert_array_equal(near[1], near[0])


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_finite_vectors(level: str, data: st.DataObject) -> None:
    dimension = data.draw(st.integers(1, 20))
    vectors = data.draw(arrays(np.float32, (data.draw(st.integers(1, 8)), dimension), elements=FINITE))
    query = data.draw(arrays(np.float32, (dimension,), elements=FINITE) | st.sampled_from(list(vectors)))
    for metric in Metric:
        found = distances_to(query, vectors, metric, level)
        assert np.isfinite(found).all()
        assert is_close(query, vectors, found, metric)


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=150, deadline=None)
@given(vector=arrays(np.float32, st.integers(1, 40), elements=FINITE), seed=st.integers(0, 99))
def test_a_vectors_own_distance_is_zero_and_none_is_nearer(level: str, vector: Matrix, seed: int) -> None:
    others = np.random.default_rng(seed).standard_normal((5, len(vector)), dtype=np.float32)
    vectors = np.vstack([vector, others, vector])
    own = distances_to(vector, vectors, Metric.EUCLIDEAN, level)
    assert own[0] == own[-1] == 0
    assert (own >= 0).all()
    own = distances_to(vector, vectors, Metric.COSINE, level)
    assert own[0] == own[-1] == (0 if vector.any() else 1)
    assert (own >= 0).all()
    assert (own <= 2).all()


@pytest.mark.parametrize("level", LEVELS)
def test_a_cosine_does_not_depend_on_length(level: str) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((60, 24), dtype=np.float32)
    expected = distances_to(vectors[0], vectors, Metric.COSINE, level)
    for exponent in range(-120, 126, 5):
        factor = np.float32(2.0**exponent)
        for query, rows in [
            (vectors[0] * factor, vectors),
            (vectors[0], vectors * factor),
            (vectors[0] * factor, vectors / factor),
        ]:
            found = distances_to(query, rows, Metric.COSINE, level)
            np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7)
            assert found[0] == 0
    least = np.full((2, 24), 1e-45, np.float32)
    least[1, :12] *= -1
    assert distances_to(least[0], least, Metric.COSINE, level).tolist() == [0, 1]


@pytest.mark.parametrize("level", LEVELS)
def test_one_row_of_another_scale_changes_no_other_distance(level: str) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((50, 40), dtype=np.float32)
    for metric in Metric:
        alone = distances_to(vectors[0], vectors, metric, level)
        for value in (1e-45, 1e-30, 1e20, 3e38):
            beside = vectors.copy()
            beside[7] *= np.float32(value) / np.abs(beside[7]).max()
            found = distances_to(vectors[0], beside, metric, level)
            np.testing.assert_array_equal(np.delete(found, 7), np.delete(alone, 7))
            if metric is Metric.COSINE and value > 1e-40:
                assert found[7] == pytest.approx(alone[7], abs=3e-7)
