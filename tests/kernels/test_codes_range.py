"""Codes of vectors over the whole range of float32: estimates and bounds hold as they do for ordinary ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.code_bases import basis_of
from support.ranges import SCALES, Matrix, Wide, lengths_of, scaled, true_distances

from lutra.kernels.codes import Quantizer, centroid_of, code_levels, reduce_codes, scan, scan_candidates
from lutra.kernels.distance import wide
from lutra.model.indexes import Metric

LEVELS = code_levels()
ROWS, DIMENSION = 400, 48
# What a mixture's mean is, most of its rows are far from in their own measure: codes then tell of lengths only.
UNIFORM = [name for name in SCALES if name not in ("mixed", "one huge")]


def quantizers(vectors: Matrix, metric: Metric) -> list[Quantizer]:
    centroid = centroid_of(vectors, metric)
    basis = basis_of(vectors.shape[1], {8: 1, 4: 1})
    return [Quantizer(vectors.shape[1], 4, metric, centroid), Quantizer.of_basis(basis, metric, centroid)]


def units(query: Matrix, vectors: Matrix, metric: Metric) -> Wide:
    """[n], of what errors of estimates are a share: the lengths' product, of those shorter than most that of most."""
    if metric is Metric.COSINE:
        return np.ones(len(vectors), np.longdouble)
    lengths = lengths_of(np.vstack([vectors, query]))
    lengths = np.maximum(lengths, np.median(lengths))
    return np.asarray(lengths[:-1] * lengths[-1])


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("name", UNIFORM)
def test_estimates_find_the_nearest(metric: Metric, name: str) -> None:
    vectors = scaled(np.random.default_rng(2), ROWS, DIMENSION, name)
    queries = [vectors[1] / 2 + vectors[3] / 2, vectors[5], vectors[0]]
    for quantizer in quantizers(vectors, metric):
        records = quantizer.encode(vectors)
        for query in queries:
            truth = true_distances(query, vectors, metric)
            made = quantizer.query(query)
            estimates = made.estimate(records)
            unit = units(query, vectors, metric)
            assert (np.abs(wide(estimates) - truth) <= 0.1 * unit).mean() >= 0.95
            lower, upper = (wide(bound) for bound in made.bounds(records))
            assert (lower <= truth + 1e-5 * unit).mean() >= 0.95
            assert (upper >= truth - 1e-5 * unit).mean() >= 0.95
            found, _, _ = scan_candidates(made, records, 10)
            assert np.count_nonzero(truth[found] <= np.sort(truth)[9]) >= 9


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("name", SCALES)
def test_bounds_hold_for_rows_of_any_length(metric: Metric, name: str) -> None:
    """Whatever the mixture and wherever its mean: of a query among the largest, the smallest, and of another scale."""
    vectors = scaled(np.random.default_rng(3), ROWS, DIMENSION, name)
    by_length = np.argsort(np.abs(vectors).max(axis=1))
    ordinary = np.random.default_rng(4).standard_normal(DIMENSION, dtype=np.float32)
    for quantizer in quantizers(vectors, metric):
        records = quantizer.encode(vectors)
        for query in (vectors[by_length[-1]], vectors[by_length[0]], vectors[by_length[ROWS // 2]], ordinary):
            truth = true_distances(query, vectors, metric)
            slack = 1e-5 * np.maximum(units(query, vectors, metric), np.abs(truth))
            made = quantizer.query(query)
            estimates = made.estimate(records)
            lower, upper = made.bounds(records)
            for values in (estimates, lower, upper):
                assert np.isfinite(values).all()
            assert (wide(lower) <= truth + slack).mean() >= 0.93
            assert (wide(upper) >= truth - slack).mean() >= 0.93


@pytest.mark.parametrize("metric", list(Metric))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_finite_vectors_are_coded_alike_at_every_level(metric: Metric, data: st.DataObject) -> None:
    element = st.floats(width=32, allow_nan=False, allow_infinity=False)
    dimension = data.draw(st.integers(1, 9))
    row = arrays(np.float32, (dimension,), elements=element)
    vectors = data.draw(arrays(np.float32, (data.draw(st.integers(1, 6)), dimension), elements=element))
    query = data.draw(row | st.sampled_from(list(vectors)))
    centroid = data.draw(row)
    bits = data.draw(st.sampled_from([0, 1, 2, 4, 8]))
    expected: tuple[Any, ...] | None = None
    for level in LEVELS:
        if bits:
            quantizer = Quantizer(dimension, bits, metric, centroid, 5, level)
        else:
            quantizer = Quantizer.of_basis(basis_of(dimension, {4: 1, 1: 1}), metric, centroid, 5, level)
        records = quantizer.encode(vectors)
        made = quantizer.query(query)
        found = (records, made.estimate(records), *made.bounds(records))
        for values in found[1:]:
            assert np.isfinite(values).all()
        for one, other in zip(found, expected or found, strict=True):
            np.testing.assert_array_equal(one, other)
        expected = found
        assert sorted(scan(made, records, 10)[0].tolist()) == list(range(len(vectors)))
        ids, _, lower = scan_candidates(made, records, 1)
        assert len(ids) >= 1
        assert np.isfinite(lower).all()


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("name", UNIFORM)
def test_reduced_codes_keep_lengths(metric: Metric, name: str) -> None:
    vectors = scaled(np.random.default_rng(6), ROWS, DIMENSION, name)
    centroid = centroid_of(vectors, metric)
    reduced = reduce_codes(Quantizer(DIMENSION, 8, metric, centroid).encode(vectors), 8, 4)
    query = Quantizer(DIMENSION, 4, metric, centroid).query(vectors[5])
    wrong = np.abs(wide(query.estimate(reduced)) - true_distances(vectors[5], vectors, metric))
    assert (wrong <= 0.1 * units(vectors[5], vectors, metric)).mean() >= 0.95


def test_a_row_far_away_leaves_other_records_as_they_are() -> None:
    vectors = scaled(np.random.default_rng(7), ROWS, DIMENSION, "ordinary")
    beside = vectors.copy()
    beside[9] *= np.float32(1e30)
    quantizer = Quantizer(DIMENSION, 4, Metric.EUCLIDEAN)
    records, other = quantizer.encode(vectors), quantizer.encode(beside)
    np.testing.assert_array_equal(np.delete(records, 9, axis=0), np.delete(other, 9, axis=0))
    estimates = quantizer.query(vectors[0]).estimate(other)
    np.testing.assert_array_equal(np.delete(estimates, 9), np.delete(quantizer.query(vectors[0]).estimate(records), 9))
    assert wide(estimates)[9] == pytest.approx(float(true_distances(vectors[0], beside, Metric.EUCLIDEAN)[9]), rel=1e-3)
