"""Codes of fewer bits made from codes of more: the estimates, and the bounds, of codes made from the vectors."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.kernels.codes import Quantizer, centroid_of, reduce_codes
from lutra.kernels.distance import topk
from lutra.model.indexes import Metric

REDUCTIONS = [(8, 4), (8, 1), (4, 2), (4, 1), (2, 1)]


def dataset(rows: int, dimension: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((rows, dimension)) + 0.3).astype(np.float32)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize(("bits", "reduced_bits"), REDUCTIONS)
@pytest.mark.parametrize("dimension", [64, 200, 960])
def test_estimates_are_nearly_as_good(dimension: int, bits: int, reduced_bits: int, metric: Metric) -> None:
    vectors, queries = dataset(600, dimension, 0), dataset(5, dimension, 1)
    centroid = centroid_of(vectors, metric)
    whole = Quantizer(dimension, bits, metric, centroid, seed=3)
    short = Quantizer(dimension, reduced_bits, metric, centroid, seed=3)
    reduced, direct = reduce_codes(whole.encode(vectors), bits, reduced_bits), short.encode(vectors)
    assert reduced.shape == direct.shape
    order, exact = topk(queries, vectors, len(vectors), metric)
    errors_reduced, errors_direct, outside = [], [], []
    for i, query in enumerate(queries):
        true = np.empty(len(vectors), np.float32)
        true[order[i]] = exact[i]
        code = short.query(query)
        lower, upper = code.bounds(reduced)
        errors_reduced.append(np.abs(code.estimate(reduced) - true).mean())
        errors_direct.append(np.abs(code.estimate(direct) - true).mean())
        outside.append(((true < lower) | (true > upper)).mean())
    assert np.mean(errors_reduced) < 1.35 * np.mean(errors_direct)
    assert np.mean(outside) < 0.08  # by 1.9 standard deviations 6 %


def test_vectors_that_have_no_direction_keep_their_estimates() -> None:
    vectors = np.zeros((3, 64), np.float32)
    vectors[1] = 1
    for metric in Metric:
        whole, short = Quantizer(64, 4, metric), Quantizer(64, 1, metric)
        estimates = short.query(vectors[1]).estimate(reduce_codes(whole.encode(vectors), 4, 1))
        assert np.isfinite(estimates).all()
        expected = {Metric.EUCLIDEAN: 64.0, Metric.COSINE: 1.0, Metric.DOT_PRODUCT: 0.0}[metric]
        assert estimates[0] == pytest.approx(expected, abs=1e-3)


def test_what_makes_no_sense_is_refused() -> None:
    records = Quantizer(64, 2, Metric.EUCLIDEAN).encode(dataset(4, 64, 0))
    with pytest.raises(ValueError, match="fewer"):
        reduce_codes(records, 2, 2)
    with pytest.raises(ValueError, match="fewer"):
        reduce_codes(records, 3, 1)
    with pytest.raises(ValueError, match="bytes"):
        reduce_codes(np.ascontiguousarray(records[:, :-1]), 2, 1)
