"""Scans of codes: the k smallest estimates, the candidates that bounds leave, product codes behind the same seam."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lutra.kernels.codes import Codec, ProductQuantizer, Quantizer, centroid_of, code_levels, scan, scan_candidates
from lutra.kernels.distance import topk
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

Vectors = NDArray[np.float32]


def random_vectors(rng: np.random.Generator, count: int, dimension: int) -> Vectors:
    return (0.3 + rng.standard_normal((count, dimension))).astype(np.float32)


def codec_of(vectors: Vectors, metric: Metric, bits: int) -> Codec:
    """``bits`` 0: product codes of at most 8 groups."""
    if bits == 0:
        return ProductQuantizer(vectors, min(8, vectors.shape[1]), metric)
    return Quantizer(vectors.shape[1], bits, metric, centroid_of(vectors, metric))


@pytest.mark.parametrize("metric", list(Metric))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_shape_k_and_mask(metric: Metric, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    vectors = random_vectors(rng, data.draw(st.integers(0, 90)), data.draw(st.integers(1, 40)))
    codec = codec_of(vectors, metric, data.draw(st.sampled_from([0, 1, 2, 4, 8])))
    records = codec.encode(vectors)
    query = codec.query(random_vectors(rng, 1, vectors.shape[1])[0])
    share = data.draw(st.sampled_from([None, 0.0, 0.03, 0.5, 1.0]))
    mask = None if share is None else rng.random(len(vectors)) < share
    k = data.draw(st.integers(1, 120))
    threads = data.draw(st.integers(0, 3))

    rows = np.arange(len(vectors)) if mask is None else np.flatnonzero(mask)
    estimates = query.estimate(records)
    lower, upper = query.bounds(records)
    order = rows[np.lexsort((rows, estimates[rows]))]

    ids, found, bounds = scan(query, records, k, mask, threads)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, order[:k])
    np.testing.assert_array_equal(found, estimates[ids])
    np.testing.assert_array_equal(bounds, lower[ids])

    ids, found, bounds = scan_candidates(query, records, k, mask, threads)
    limit = np.sort(upper[rows])[min(k, len(rows)) - 1] if len(rows) else np.inf
    np.testing.assert_array_equal(ids, [row for row in order if lower[row] <= limit])
    np.testing.assert_array_equal(found, estimates[ids])
    np.testing.assert_array_equal(bounds, lower[ids])


@pytest.mark.parametrize("bits", [0, 2])
def test_several_threads_find_what_one_finds(bits: int) -> None:
    rng = np.random.default_rng(5)
    vectors = random_vectors(rng, 3_000, 64)
    codec = codec_of(vectors, Metric.EUCLIDEAN, bits)
    # Every estimate many times, in different threads' blocks.
    records = np.tile(codec.encode(vectors), (12_000_000 // (len(vectors) * codec.record_bytes), 1))
    query = codec.query(random_vectors(rng, 1, 64)[0])
    for mask in (None, rng.random(len(records)) < 0.7):
        one = scan(query, records, 700, mask, threads=1)
        kept = scan_candidates(query, records, 5, mask, threads=1)
        for threads in (2, 3):
            for several, expected in (
                (scan(query, records, 700, mask, threads=threads), one),
                (scan_candidates(query, records, 5, mask, threads=threads), kept),
            ):
                for found, right in zip(several, expected, strict=True):
                    np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_candidates_hold_the_nearest_and_are_few(metric: Metric, bits: int) -> None:
    rng = np.random.default_rng(bits)
    latent = rng.standard_normal((4_000, 12)) @ rng.standard_normal((12, 128))
    vectors = (latent + 0.1 * rng.standard_normal(latent.shape)).astype(np.float32)
    codec = codec_of(vectors[:-20], metric, bits)
    records = codec.encode(vectors[:-20])
    queries = vectors[-20:]
    nearest, _ = topk(queries, vectors[:-20], 10, metric)
    kept, missed = 0, 0
    for query, truth in zip(queries, nearest, strict=True):
        ids, _, _ = scan_candidates(codec.query(query), records, 10)
        kept += len(ids)
        missed += len(set(truth.tolist()) - set(ids.tolist()))
    assert missed <= 4  # of 200
    assert kept / 20 < {1: 900, 2: 300, 4: 60}[bits]


@pytest.mark.parametrize("metric", list(Metric))
def test_rows_outside_the_mask_are_not_looked_at(metric: Metric) -> None:
    rng = np.random.default_rng(3)
    vectors = random_vectors(rng, 500, 24)
    codec = codec_of(vectors, metric, 2)
    records = codec.encode(vectors)
    query = codec.query(vectors[0])
    mask = rng.random(500) < 0.2
    expected = scan(query, records, 30, mask)
    records[~mask] = 0xFF  # factors that are not numbers
    for found, right in zip(scan(query, records, 30, mask), expected, strict=True):
        np.testing.assert_array_equal(found, right)


def test_equal_vectors_go_by_id() -> None:
    vectors = np.repeat(random_vectors(np.random.default_rng(1), 1, 13), 3_003, axis=0)
    codec = codec_of(vectors, Metric.EUCLIDEAN, 2)
    records = codec.encode(vectors)
    ids, _, _ = scan(codec.query(vectors[0] + 1), records, 9)
    assert ids.tolist() == list(range(9))
    ids, _, _ = scan_candidates(codec.query(vectors[0] + 1), records, 9)
    assert ids.tolist() == list(range(3_003))


@pytest.mark.parametrize("level", code_levels())
@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize(("dimension", "groups"), [(1, 1), (16, 16), (37, 5), (64, 8)])
def test_product_codes(level: str, metric: Metric, dimension: int, groups: int) -> None:
    """With fewer rows than centroids every row has its own, and the estimate is the distance."""
    rng = np.random.default_rng(dimension)
    vectors = random_vectors(rng, 12, dimension)
    vectors[5] = 0
    codec = ProductQuantizer(vectors, groups, metric, level=level)
    records = codec.encode(vectors)
    assert records.shape == (12, groups)
    query = random_vectors(rng, 1, dimension)
    ids, distances = topk(query, vectors, 12, metric)
    found = codec.query(query[0]).estimate(records)
    np.testing.assert_allclose(found[ids[0]], distances[0], rtol=1e-4, atol=1e-4)
    lower, upper = codec.query(query[0]).bounds(records)
    assert (lower == -np.inf).all()
    assert (upper == np.inf).all()


def test_product_codes_of_many_rows_are_near() -> None:
    rng = np.random.default_rng(2)
    vectors = random_vectors(rng, 5_000, 16)
    codec = ProductQuantizer(vectors, 8, Metric.EUCLIDEAN, seed=1)
    records = codec.encode(vectors)
    np.testing.assert_array_equal(records, ProductQuantizer(vectors, 8, Metric.EUCLIDEAN, seed=1).encode(vectors))
    query = vectors[0]
    truth = ((vectors - query) ** 2).sum(axis=1)
    error = codec.query(query).estimate(records) - truth
    # 256 cells of two normal dimensions leave about 1 % of the variance.
    assert np.std(error) < 0.1 * np.std(truth) + 1
    assert len(np.unique(records)) == 256


def test_product_codes_of_nothing() -> None:
    codec = ProductQuantizer(np.zeros((0, 6), dtype=np.float32), 3, Metric.COSINE)
    assert codec.encode(np.zeros((0, 6), dtype=np.float32)).shape == (0, 3)
    ids, _, _ = scan(codec.query(np.ones(6, dtype=np.float32)), codec.encode(np.ones((4, 6), dtype=np.float32)), 9)
    assert ids.tolist() == [0, 1, 2, 3]


ONES = np.ones((4, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"k": 0}, "k is at least 1"),
        ({"k": -3}, "k is at least 1"),
        ({"mask": np.ones(3, dtype=np.bool_)}, "elements of the mask: 3 in place of 4"),
        ({"records": np.zeros((4, 23), dtype=np.uint8)}, "bytes of a record: 23 in place of 24"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], text: str) -> None:
    quantizer = Quantizer(3, 2, Metric.EUCLIDEAN)
    given_all: dict[str, Any] = {"query": quantizer.query(ONES[0]), "records": quantizer.encode(ONES), "k": 1}
    for function in (scan, scan_candidates):
        with pytest.raises(ValueError, match=text):
            function(**(given_all | arguments))


def test_product_codes_refuse_what_makes_no_sense() -> None:
    for groups in (0, 4):
        with pytest.raises(ValueError, match="groups: 1 to the dimension"):
            ProductQuantizer(ONES, groups, Metric.EUCLIDEAN)
    bad = ONES.copy()
    bad[1, 1] = np.nan
    with pytest.raises(ParameterInvalid, match="Vector 1 "):
        ProductQuantizer(bad, 1, Metric.EUCLIDEAN)
    codec = ProductQuantizer(ONES, 1, Metric.EUCLIDEAN)
    with pytest.raises(ParameterInvalid):
        codec.encode(bad)
    with pytest.raises(ParameterInvalid):
        codec.query(bad[1])


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.COSINE], ids=lambda metric: metric.name.lower())
def test_rounding_never_turns_bounds_round(metric: Metric) -> None:
    """Of a code without an error both bounds are the estimate: the square of its root may be another number."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        vectors = random_vectors(rng, 1, 1 + seed % 9)
        codec = codec_of(vectors, metric, 8)
        lower, upper = codec.query(random_vectors(rng, 1, vectors.shape[1])[0]).bounds(codec.encode(vectors))
        assert (lower <= upper).all()
