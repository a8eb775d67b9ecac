"""RaBitQ codes: against numpy in float64, without bias, within their bounds, the same at every SIMD level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.rabitq import decode, rotate

from lutra.kernels.codes import Described, Quantizer, centroid_of, code_levels, scan
from lutra.kernels.distance import topk
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

LEVELS = code_levels()
BITS = [1, 2, 4, 8]
DIMENSIONS = [*range(1, 131), 191, 192, 193, 255, 257, 383, 500, 511, 513, 769, 960, 961, 1536, 2047, 3000, 4095, 4096]
Vectors = NDArray[np.float32]


def random_vectors(rng: np.random.Generator, count: int, dimension: int) -> Vectors:
    """Off the origin and of uneven spread, as embeddings are."""
    spread = 0.2 + rng.random(dimension)
    return (0.5 + spread * rng.standard_normal((count, dimension))).astype(np.float32)


def true_distances(query: Vectors, vectors: Vectors, metric: Metric) -> NDArray[np.float64]:
    ids, distances = topk(query[None, :], vectors, len(vectors), metric)
    result = np.empty(len(vectors))
    result[ids[0]] = distances[0]
    return result


def bounded_error(query: Vectors, vectors: Vectors, metric: Metric, bits: int) -> float:
    """An error that estimates of that many bits stay well below: some deviations of it, of the paper's theorem."""
    lengths = np.linalg.norm(query.astype(np.float64)) * np.linalg.norm(vectors.astype(np.float64), axis=1).max()
    if metric is Metric.COSINE:
        lengths = 1.0
    return float(14 * lengths * 2.0 ** (1 - bits) / np.sqrt(max(64, len(query))) + 1e-4 * lengths)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dimension", [1, 5, 64, 65, 128, 200, 448, 960])
def test_records_hold_what_the_paper_says(bits: int, dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    vectors = random_vectors(rng, 40, dimension)
    centroid = centroid_of(vectors, Metric.EUCLIDEAN)
    quantizer = Quantizer(dimension, bits, Metric.EUCLIDEAN, centroid, seed=dimension)
    records, described = quantizer.encode_described(vectors)
    assert np.array_equal(records, quantizer.encode(vectors))
    found = decode(records, bits)
    residuals = rotate(vectors.astype(np.float64) - centroid, dimension)
    norm = np.linalg.norm(residuals, axis=1)
    np.testing.assert_allclose(found.norm, norm, rtol=1e-5)
    products = (found.codes * residuals).sum(axis=1)
    np.testing.assert_allclose(found.scale, norm**2 / products, rtol=3e-5)
    certain = np.abs(residuals) > 1e-5 * norm[:, None]
    assert (np.sign(found.codes) == np.sign(residuals))[certain].all()
    ratio = np.linalg.norm(found.scale[:, None] * found.codes - residuals, axis=1) / norm
    assert (found.ratio >= ratio * (0.999 if bits < 8 else 0.97)).all()
    is_told = described == Described.WELL
    assert is_told.mean() >= (0 if dimension == 1 else 0.9), "residuals along one line are all rounded alike"
    assert (found.ratio <= ratio * (1.07 if bits < 8 else 1.1) + 1e-3)[is_told].all()


@pytest.mark.parametrize("bits", BITS)
def test_codes_point_nearly_where_the_best_ones_would(bits: int) -> None:
    """The cosine to the residual against the best of a fine search over the quantiser's step."""
    rng = np.random.default_rng(7)
    vectors = random_vectors(rng, 60, 320)
    found = decode(Quantizer(320, bits, Metric.EUCLIDEAN).encode(vectors), bits)
    residuals = rotate(vectors.astype(np.float64), 0)
    units = residuals / np.linalg.norm(residuals, axis=1, keepdims=True)
    cosine = (found.codes * units).sum(axis=1) / np.linalg.norm(found.codes, axis=1)
    best = np.zeros(len(vectors))
    for step in np.linspace(0.3, 2.5, 400) * {1: 1.0, 2: 0.9957, 4: 0.3352, 8: 0.0308}[bits] / np.sqrt(320):
        level = np.minimum(np.floor(np.abs(units) / step), 2 ** (bits - 1) - 1)
        code = np.sign(units) * (2 * level + 1)
        best = np.maximum(best, (code * units).sum(axis=1) / np.linalg.norm(code, axis=1))
    assert (1 - cosine <= (1 - best) * (1.06 if bits < 8 else 1.3) + 1e-9).all()


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("bits", BITS)
def test_estimates_are_those_of_the_formula(metric: Metric, bits: int) -> None:
    rng = np.random.default_rng(bits)
    vectors = random_vectors(rng, 50, 150)
    query = random_vectors(rng, 1, 150)[0]
    centroid = centroid_of(vectors, metric)
    quantizer = Quantizer(150, bits, metric, centroid, seed=3)
    records = quantizer.encode(vectors)
    found = decode(records, bits)
    q = query.astype(np.float64)
    if metric is Metric.COSINE:
        q /= np.linalg.norm(q)
    rotated = rotate((q - (centroid if metric is not Metric.DOT_PRODUCT else 0))[None, :], 3)[0]
    step = np.abs(rotated).max() / 127
    products = found.scale * (found.codes @ (step * np.rint(rotated / step)))
    squared = found.norm**2 + (rotated**2).sum() - 2 * products
    expected = {
        Metric.EUCLIDEAN: squared,
        Metric.COSINE: squared / 2,
        Metric.DOT_PRODUCT: -(q @ centroid) - products,
    }[metric]
    np.testing.assert_allclose(quantizer.query(query).estimate(records), expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("bits", BITS)
def test_estimates_have_no_bias_over_rotations(metric: Metric, bits: int) -> None:
    rng = np.random.default_rng(11)
    vectors = random_vectors(rng, 20, 100)
    query = vectors[0] + 0.3 * random_vectors(rng, 1, 100)[0]
    truth = true_distances(query, vectors, metric)
    centroid = centroid_of(vectors, metric)
    rounds = 400
    errors = np.empty((rounds, len(vectors)))
    for seed in range(rounds):
        quantizer = Quantizer(100, bits, metric, centroid, seed)
        errors[seed] = quantizer.query(query).estimate(quantizer.encode(vectors, threads=1)) - truth
    deviation = errors.std(axis=0) / np.sqrt(rounds)
    assert (np.abs(errors.mean(axis=0)) < 5 * deviation + 1e-6).all()


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dimension", [3, 128, 960])
def test_bounds_hold_as_often_as_they_say(metric: Metric, bits: int, dimension: int) -> None:
    rng = np.random.default_rng(dimension + bits)
    vectors = random_vectors(rng, 1500, dimension)
    centroid = centroid_of(vectors, metric)
    below, above, width = [], [], []
    for seed in range(6):
        quantizer = Quantizer(dimension, bits, metric, centroid, seed)
        records = quantizer.encode(vectors, threads=1)
        query = vectors[seed] + 0.5 * random_vectors(rng, 1, dimension)[0]
        truth = true_distances(query, vectors, metric)
        lower, upper = quantizer.query(query).bounds(records)
        estimates = quantizer.query(query).estimate(records)
        slack = 2e-5 * np.abs(truth).max()  # float32's own
        below.append(truth < lower - slack)
        above.append(truth > upper + slack)
        width.append(np.mean(upper - lower) / np.std(estimates - truth))
        # An estimate of a distance that cannot be negative may be so itself, to be without bias.
        possible = estimates if metric is Metric.DOT_PRODUCT else np.maximum(estimates, 0)
        assert (lower <= possible + slack).all()
        assert (possible <= upper + slack).all()
    # 1.9 deviations leave 2.9 % of a normal distribution outside on a side.
    assert np.mean(below) < 0.04
    assert np.mean(above) < 0.04
    # And they are no wider than they need: 3.8 deviations, and what rounding up and the query's own rounding add.
    assert np.mean(width) < (5.5 if bits < 8 else 12)


def test_wider_bounds_hold_nearly_always() -> None:
    rng = np.random.default_rng(5)
    vectors = random_vectors(rng, 3000, 256)
    quantizer = Quantizer(256, 2, Metric.EUCLIDEAN, centroid_of(vectors, Metric.EUCLIDEAN))
    records = quantizer.encode(vectors)
    query = random_vectors(rng, 1, 256)[0]
    truth = true_distances(query, vectors, Metric.EUCLIDEAN)
    lower, upper = quantizer.query(query, bound_sigmas=5).bounds(records)
    assert (truth >= lower).all()
    assert (truth <= upper).all()
    lower, upper = quantizer.query(query, bound_sigmas=0).bounds(records)
    assert np.mean(truth < lower) > 0.2


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("bits", BITS)
def test_every_dimension_at_every_level(metric: Metric, bits: int) -> None:
    """Records and estimates are the same to the bit; estimates are near the truth."""
    for dimension in DIMENSIONS:
        rng = np.random.default_rng(dimension)
        vectors = random_vectors(rng, 9, dimension)
        query = random_vectors(rng, 1, dimension)[0]
        centroid = centroid_of(vectors, metric)
        expected: tuple[Any, Any, Any] | None = None
        for level in LEVELS:
            quantizer = Quantizer(dimension, bits, metric, centroid, 1, level)
            records = quantizer.encode(vectors, threads=1)
            assert records.shape == (9, -(-dimension // 64) * 64 * bits // 8 + 8)
            made = quantizer.query(query)
            found = (records, made.estimate(records), np.array(made.bounds(records)))
            expected = expected or found
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)
            # One at a time as in a tile of four.
            np.testing.assert_array_equal(made.estimate(records[3:4]), found[1][3:4])
        assert expected is not None
        error = np.abs(expected[1] - true_distances(query, vectors, metric)).max()
        assert error <= 2 * bounded_error(query, vectors, metric, bits), dimension


def test_the_stated_record_sizes() -> None:
    assert [Quantizer(960, bits, Metric.EUCLIDEAN).record_bytes for bits in BITS] == [128, 248, 488, 968]
    assert [Quantizer(d, 2, Metric.EUCLIDEAN).record_bytes for d in (128, 384, 768, 1536)] == [40, 104, 200, 392]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("bits", BITS)
def test_zero_constant_and_equal_vectors(level: str, metric: Metric, bits: int) -> None:
    vectors = np.zeros((12, 70), dtype=np.float32)
    vectors[4:8] = 1
    vectors[8:] = np.float32(1e-30)
    for centroid in (None, vectors[4].copy(), np.full(70, 0.1, dtype=np.float32)):
        quantizer = Quantizer(70, bits, metric, centroid, level=level)
        records = quantizer.encode(vectors)
        for query in (vectors[0], vectors[4], vectors[8], -vectors[4]):
            made = quantizer.query(query)
            estimates = made.estimate(records)
            lower, upper = made.bounds(records)
            assert np.isfinite(estimates).all()
            assert np.isfinite(lower).all()
            assert np.isfinite(upper).all()
            for equal in (slice(0, 4), slice(4, 8)):
                assert (estimates[equal] == estimates[equal][0]).all()


@pytest.mark.parametrize("bits", BITS)
def test_what_is_the_centroid_is_known_exactly(bits: int) -> None:
    vectors = random_vectors(np.random.default_rng(1), 5, 90)
    quantizer = Quantizer(90, bits, Metric.EUCLIDEAN, vectors[2].copy())
    records = quantizer.encode(vectors)
    made = quantizer.query(vectors[4])
    truth = true_distances(vectors[4], vectors, Metric.EUCLIDEAN)
    lower, upper = made.bounds(records[2:3])
    np.testing.assert_allclose([lower[0], made.estimate(records[2:3])[0], upper[0]], truth[2], rtol=1e-5)
    np.testing.assert_allclose(quantizer.query(vectors[2]).estimate(records), truth_from(vectors, 2), rtol=1e-5)


def truth_from(vectors: Vectors, row: int) -> NDArray[np.float64]:
    return true_distances(vectors[row], vectors, Metric.EUCLIDEAN)


@pytest.mark.parametrize("bits", BITS)
def test_a_vector_of_length_zero_has_cosine_zero_to_every_other(bits: int) -> None:
    rng = np.random.default_rng(2)
    vectors = random_vectors(rng, 30, 200)
    vectors[7] = 0
    errors = []
    for seed in range(60):
        quantizer = Quantizer(200, bits, Metric.COSINE, centroid_of(vectors, Metric.COSINE), seed)
        records = quantizer.encode(vectors)
        assert (quantizer.query(vectors[7]).estimate(records) == 1).all()
        made = quantizer.query(vectors[3])
        errors.append(made.estimate(records[7:8])[0] - 1)
    assert abs(np.mean(errors)) < 5 * np.std(errors) / np.sqrt(60) + 1e-6
    assert np.abs(errors).max() < 0.5
    exact = Quantizer(200, bits, Metric.COSINE)
    assert exact.query(vectors[3]).estimate(exact.encode(vectors[7:8]))[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_finite_input_gives_nan(level: str, metric: Metric, data: st.DataObject) -> None:
    dimension = data.draw(st.integers(1, 9))
    element = st.floats(width=32, allow_nan=False, allow_infinity=False)
    vector = st.lists(element, min_size=dimension, max_size=dimension)
    vectors = np.array(data.draw(st.lists(vector, min_size=1, max_size=6)), dtype=np.float32)
    query = np.array(data.draw(vector), dtype=np.float32)
    centroid = np.array(data.draw(vector), dtype=np.float32)
    quantizer = Quantizer(dimension, data.draw(st.sampled_from(BITS)), metric, centroid, 5, level)
    records = quantizer.encode(vectors)
    made = quantizer.query(query)
    assert not np.isnan(made.estimate(records)).any()
    ids, _, _ = scan(made, records, 10)
    assert sorted(ids.tolist()) == list(range(len(vectors)))


def test_a_zero_vector_far_from_the_centroid_is_no_nan() -> None:
    """Found by the property above: the length that makes a cosine 0 overflows as well."""
    far = np.array([2e19], dtype=np.float32)
    quantizer = Quantizer(1, 1, Metric.COSINE, far)
    assert not np.isnan(quantizer.query(far).estimate(quantizer.encode(np.zeros((1, 1), np.float32)))).any()


def test_what_float32_cannot_square_comes_in_order() -> None:
    vectors = np.array([[3e38, -3e38], [1, 1], [1e20, 0]], dtype=np.float32)
    quantizer = Quantizer(2, 4, Metric.EUCLIDEAN)
    ids, _, _ = scan(quantizer.query(np.array([1, 0.5], dtype=np.float32)), quantizer.encode(vectors), 3)
    assert ids.tolist() == [1, 2, 0]


def test_threads_and_seed() -> None:
    vectors = random_vectors(np.random.default_rng(8), 700, 33)
    one = Quantizer(33, 2, Metric.EUCLIDEAN, seed=4).encode(vectors, threads=1)
    for threads in (0, 2, 5):
        np.testing.assert_array_equal(Quantizer(33, 2, Metric.EUCLIDEAN, seed=4).encode(vectors, threads), one)
    assert (Quantizer(33, 2, Metric.EUCLIDEAN, seed=5).encode(vectors) != one).any()
    assert Quantizer(33, 2, Metric.EUCLIDEAN).encode(vectors[:0]).shape == (0, 24)


GOLDEN = {
    1: [
        "f3fde7e3c168a6cd1f7d363ec7a1f7e970fe7541b785d43f",
        "78d317a45fdefb2388f6d99238a25a166c8d7541b964db3f",
        "0d22685d48a7eeec758e6c6c600cdc7b5fac7141b6accc3f",
    ],
    2: [
        "e3ef9a9287911c8a3beb292d9e57aad7a6b9a6b79538a6894a29667fc7a5a6e870fe7541a4cd3d3f",
        "a4b62b59baa8a71204e9a7656455e52c29c343a11acbba27cda2d9d66ca61b126c8d7541a7e4393f",
        "5b5594aa845f99d8ae19ddc9d55da9e259623d5c59b7eaf8648a2d296408cc2a5fac7141a50e393f",
    ],
}


@pytest.mark.parametrize("bits", list(GOLDEN))
def test_the_format_does_not_change(bits: int) -> None:
    """Records are stored: what makes them may get faster, not different."""
    vectors = ((np.arange(3 * 70) * 37 % 101).reshape(3, 70) / 16).astype(np.float32)
    records = Quantizer(70, bits, Metric.EUCLIDEAN, np.full(70, 3, dtype=np.float32), seed=9).encode(vectors)
    assert [record.tobytes().hex() for record in records] == GOLDEN[bits]


def test_centroids() -> None:
    vectors = np.array([[0, 2], [4, 0], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(centroid_of(vectors, Metric.EUCLIDEAN), [4 / 3, 2 / 3])
    np.testing.assert_allclose(centroid_of(vectors, Metric.COSINE), [1 / 3, 1 / 3])
    assert centroid_of(vectors[:0], Metric.COSINE).tolist() == [0, 0]
    assert centroid_of(np.ones((200_000, 2), dtype=np.float32), Metric.DOT_PRODUCT).tolist() == [1, 1]


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.DOT_PRODUCT])
@pytest.mark.parametrize("far", [1e3, 1e9, 1e30])
@pytest.mark.parametrize("share", [0.001, 0.3])
def test_rows_far_from_all_others_do_not_move_a_centroid(metric: Metric, far: float, share: float) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((2_000, 16), dtype=np.float32) + np.float32(5)
    spoiled = rng.random(len(vectors)) < share
    expected = vectors[~spoiled].mean(axis=0)
    vectors[spoiled] = np.float32(far)
    np.testing.assert_allclose(centroid_of(vectors, metric), expected, rtol=1e-5)


def test_where_most_rows_are_equal_they_are_the_centroid() -> None:
    vectors = np.zeros((100, 4), dtype=np.float32)
    vectors[:40] = np.random.default_rng(4).standard_normal((40, 4))
    assert centroid_of(vectors, Metric.EUCLIDEAN).tolist() == [0] * 4


ONES = np.ones((4, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"dimension": 0}, "1 to 4096 dimensions"),
        ({"dimension": 4097}, "1 to 4096 dimensions"),
        ({"bits": 3}, "1, 2, 4 or 8 bits"),
        ({"bits": 0}, "1, 2, 4 or 8 bits"),
        ({"metric": 3}, "no metric 3"),
        ({"centroid": ONES[0, :2].copy()}, "dimensions of the centroid: 2 in place of 3"),
        ({"level": "mmx"}, "no SIMD level 'mmx'"),
    ],
)
def test_parameters_that_make_no_sense(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Quantizer(**({"dimension": 3, "bits": 2, "metric": Metric.EUCLIDEAN} | arguments))


def test_arguments_that_make_no_sense() -> None:
    quantizer = Quantizer(3, 2, Metric.EUCLIDEAN)
    records = quantizer.encode(ONES)
    query = quantizer.query(ONES[0])
    with pytest.raises(ValueError, match="dimensions of the vectors: 2 in place of 3"):
        quantizer.encode(np.ones((1, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="dimensions of the query: 2 in place of 3"):
        quantizer.query(ONES[0, :2])
    with pytest.raises(ValueError, match="bound_sigmas"):
        quantizer.query(ONES[0], bound_sigmas=-1)
    with pytest.raises(ValueError, match="bytes of a record: 23 in place of 24"):
        query.estimate(np.ascontiguousarray(records[:, :-1]))
    with pytest.raises(TypeError):
        quantizer.encode(ONES.astype(np.float64))
    with pytest.raises(TypeError):
        query.estimate(records.view(np.int8))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    vectors = ONES.copy()
    vectors[2, 1] = bad
    quantizer = Quantizer(3, 2, Metric.EUCLIDEAN)
    with pytest.raises(ParameterInvalid, match="Vector 2 "):
        quantizer.encode(vectors)
    with pytest.raises(ParameterInvalid):
        quantizer.query(vectors[2])
    with pytest.raises(ParameterInvalid):
        Quantizer(3, 2, Metric.EUCLIDEAN, vectors[2])
