"""Codes along a basis: against numpy in float64, within their bounds, the same at every SIMD level."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import ranges
from support.code_bases import SCALE, axes, basis_of, decode, orthogonal, turned
from support.rabitq import rotate_back

from lutra.kernels.codes import Basis, CodePart, Quantizer, centroid_of, code_levels, scan, scan_candidates
from lutra.kernels.distance import topk, wide
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

LEVELS = code_levels()
Vectors = NDArray[np.float32]
Groups = dict[int, int]
# Alone, in pairs and all together; such that records end within, at and after a line, and parts meet within one.
SHAPES: list[Groups] = [
    {8: 1},
    {8: 3},
    {4: 1},
    {4: 3},
    {2: 1},
    {2: 5},
    {1: 1},
    {1: 7},
    {1: 8},
    {8: 1, 4: 1},
    {8: 2, 1: 1},
    {4: 1, 2: 1},
    {4: 1, 2: 1, 1: 1},
    {4: 1, 2: 1, 1: 2},
    {4: 3, 2: 5, 1: 7},
    {2: 3, 1: 3},
    {8: 1, 4: 1, 2: 1, 1: 1},
    {8: 2, 4: 3, 2: 3, 1: 5},
]


def latent_vectors(rng: np.random.Generator, count: int, dimension: int) -> Vectors:
    """Off the origin; of a standard deviation along dimension i that falls from 2 to 0.2."""
    spread = np.linspace(2, 0.2, dimension)
    return np.asarray(0.3 + spread * rng.standard_normal((count, dimension)), dtype=np.float32)


def true_distances(query: Vectors, vectors: Vectors, metric: Metric) -> NDArray[np.float64]:
    ids, distances = topk(query[None, :], vectors, len(vectors), metric)
    result = np.empty(len(vectors))
    result[ids[0]] = distances[0]
    return result


def check_levels(vectors: Vectors, query: Vectors, basis: Basis, metric: Metric, centroid: Vectors) -> Any:
    """The same to the bit at every level, in whatever company a record is looked at; the best level's results."""
    expected: tuple[Any, ...] | None = None
    for level in LEVELS:
        quantizer = Quantizer.of_basis(basis, metric, centroid, 3, level)
        assert quantizer.record_bytes == basis.record_bytes
        records = quantizer.encode(vectors, threads=1)
        made = quantizer.query(query)
        found = (records, made.estimate(records), np.array(made.bounds(records)))
        assert not any(np.isnan(one).any() for one in found[1:])
        expected = expected or found
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(made.estimate(records[3:4]), found[1][3:4])
    return expected


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("groups", SHAPES, ids=str)
def test_every_shape_at_every_level(groups: Groups, metric: Metric) -> None:
    for dimension in (1, 200):
        rng = np.random.default_rng(dimension)
        vectors = latent_vectors(rng, 11, dimension)
        vectors[4] = 0
        query = latent_vectors(rng, 1, dimension)[0]
        check_levels(vectors, query, basis_of(dimension, groups, dimension), metric, centroid_of(vectors, metric))


@pytest.mark.parametrize(
    ("dimension", "groups"),
    [(4096, {8: 64}), (4095, {1: 64}), (4096, {8: 10, 4: 20, 2: 20, 1: 14}), (960, {8: 1, 4: 4, 2: 4, 1: 6})],
)
def test_the_largest_at_every_level(dimension: int, groups: Groups) -> None:
    rng = np.random.default_rng(1)
    vectors = latent_vectors(rng, 9, dimension)
    basis = basis_of(dimension, groups)
    query = vectors[0] + latent_vectors(rng, 1, dimension)[0] / 10
    _, estimates, _ = check_levels(vectors, query, basis, Metric.EUCLIDEAN, centroid_of(vectors, Metric.EUCLIDEAN))
    assert estimates.argmin() == 0


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_shape_at_every_level(data: st.DataObject) -> None:
    groups = {bits: data.draw(st.integers(0, 4)) for bits in (8, 4, 2, 1)}
    groups = groups if any(groups.values()) else {2: 1}
    dimension = data.draw(st.integers(1, 300))
    steps = {bits: 10.0 ** data.draw(st.integers(-6, 1)) for bits in groups}
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    vectors = latent_vectors(rng, 6, dimension)
    basis = basis_of(dimension, groups, steps=steps)
    metric = data.draw(st.sampled_from(Metric))
    check_levels(vectors, latent_vectors(rng, 1, dimension)[0], basis, metric, centroid_of(vectors, metric))


@pytest.mark.parametrize("groups", SHAPES, ids=str)
@pytest.mark.parametrize("dimension", [40, 320])
def test_records_hold_what_is_said(groups: Groups, dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    vectors = latent_vectors(rng, 40, dimension)
    centroid = centroid_of(vectors, Metric.EUCLIDEAN)
    basis = basis_of(dimension, groups, 5)
    found = decode(Quantizer.of_basis(basis, Metric.EUCLIDEAN, centroid, 9).encode(vectors), basis)
    residuals = vectors.astype(np.float64) - centroid
    along = turned(residuals, basis, 9)
    norm = np.linalg.norm(residuals, axis=1)
    np.testing.assert_allclose(found.norm, norm, rtol=1e-5)
    products = (found.codes * along).sum(axis=1)
    np.testing.assert_allclose(found.scale, norm**2 / products, rtol=1e-3)
    assert (np.sign(found.codes) == np.sign(along))[np.abs(along) > 1e-3 * norm[:, None]].all()
    # |e|, what lies along no direction included.
    cosine = products / (np.linalg.norm(found.codes, axis=1) * norm)
    ratio = np.sqrt(1 / cosine**2 - 1)
    assert (found.ratio >= ratio * 0.995).all()
    assert (found.ratio <= ratio * 1.07 + 2e-3).all()


@pytest.mark.parametrize("groups", [{8: 1}, {4: 2}, {2: 3}, {8: 1, 4: 1, 2: 1, 1: 1}], ids=str)
def test_codes_point_nearly_where_the_best_ones_would(groups: Groups) -> None:
    """Against a fine search over a factor of all steps."""
    vectors = latent_vectors(np.random.default_rng(3), 50, 256)
    basis = basis_of(256, groups, 1)
    found = decode(Quantizer.of_basis(basis, Metric.EUCLIDEAN, np.zeros(256, np.float32)).encode(vectors), basis)
    along = turned(vectors.astype(np.float64), basis, 0)
    norm = np.linalg.norm(vectors, axis=1)[:, None]

    def cosine(codes: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((codes * along).sum(axis=1) / (np.linalg.norm(codes, axis=1) * np.linalg.norm(along, axis=1)))

    steps = np.concatenate([np.full(part.dimensions, part.step) for part in basis.parts])
    most = np.concatenate([np.full(part.dimensions, 2 ** (part.bits - 1) - 1) for part in basis.parts])
    best = np.zeros(len(vectors))
    for factor in np.linspace(0.8, 1.26, 47):
        level = np.minimum(np.floor(np.abs(along) / (steps * factor * norm)), most)
        best = np.maximum(best, cosine(np.sign(along) * steps * (2 * level + 1)))
    assert (1 - cosine(found.codes) <= (1.15 if 8 not in groups else 1.4) * (1 - best) + 1e-7).all()


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("groups", SHAPES, ids=str)
def test_estimates_are_those_of_the_formula(groups: Groups, metric: Metric) -> None:
    """`t * sum(step * c)` against the query, but for its rounding to int8 of each part."""
    rng = np.random.default_rng(2)
    vectors = latent_vectors(rng, 60, 200)
    query = latent_vectors(rng, 1, 200)[0]
    centroid = centroid_of(vectors, metric)
    basis = basis_of(200, groups, 4)
    quantizer = Quantizer.of_basis(basis, metric, centroid, 6)
    records = quantizer.encode(vectors)
    found = decode(records, basis)
    q = query.astype(np.float64)
    if metric is Metric.COSINE:
        q /= np.linalg.norm(q)
    q_less = q if metric is Metric.DOT_PRODUCT else q - centroid
    along = turned(q_less[None, :], basis, 6)[0]
    products = found.scale * (found.codes @ along)
    squared = found.norm**2 + (q_less**2).sum() - 2 * products
    expected = {
        Metric.EUCLIDEAN: squared,
        Metric.COSINE: squared / 2,
        Metric.DOT_PRODUCT: -(q @ centroid) - products,
    }[metric]
    # A step of the query is at most 2 / 127 of a part's largest element; errors of roundings add up as random ones do.
    rounding, begin = 0.0, 0
    for part in basis.parts:
        some = slice(begin, begin + part.dimensions)
        step = 2 * np.abs(along[some]).max() / 127
        rounding += step**2 / 12 * (found.codes[:, some] ** 2).sum(axis=1)
        begin += part.dimensions
    allowed = 5 * np.abs(found.scale) * np.sqrt(rounding) + 2e-3 * found.norm * np.linalg.norm(q_less)
    factor = {Metric.EUCLIDEAN: 2, Metric.COSINE: 1, Metric.DOT_PRODUCT: 1}[metric]
    assert (np.abs(quantizer.query(query).estimate(records) - expected) <= factor * allowed).all()


@pytest.mark.parametrize("metric", list(Metric))
def test_a_whole_basis_of_eight_bits_is_nearly_exact(metric: Metric) -> None:
    rng = np.random.default_rng(8)
    for dimension in (3, 64, 130, 700):
        vectors = latent_vectors(rng, 100, dimension)
        query = vectors[0] + latent_vectors(rng, 1, dimension)[0] / 2
        basis = basis_of(dimension, {8: -(-dimension // 64)}, 2)
        quantizer = Quantizer.of_basis(basis, metric, centroid_of(vectors, metric))
        truth = true_distances(query, vectors, metric)
        error = quantizer.query(query).estimate(quantizer.encode(vectors)) - truth
        assert np.abs(error).max() <= 0.02 * np.abs(truth).max()


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("groups", [{8: 3}, {4: 3}, {2: 3}, {1: 3}, {8: 1, 4: 1, 2: 1}], ids=str)
def test_bounds_hold_as_often_as_they_say(groups: Groups, metric: Metric) -> None:
    """Where the basis holds all there is: what lies beside it is alike for near rows, which a search finds out."""
    rng = np.random.default_rng(4)
    vectors = (0.4 + rng.standard_normal((900, 192))).astype(np.float32)
    centroid = centroid_of(vectors, metric)
    below, above, width = [], [], []
    for seed in range(4):
        basis = basis_of(192, groups, seed)
        quantizer = Quantizer.of_basis(basis, metric, centroid, seed)
        records = quantizer.encode(vectors)
        query = vectors[seed] + rng.standard_normal(192, dtype=np.float32) / 2
        truth = true_distances(query, vectors, metric)
        # The errors' standard deviation in a direction, as a share of their length.
        found = decode(records, basis)
        errors = found.scale[:, None] * found.codes - turned(vectors - centroid, basis, seed)
        alike = float(np.sqrt((errors**2).mean(axis=0).max() / (errors**2).sum(axis=1).mean()))
        if metric is Metric.COSINE:
            alike = 1 / np.sqrt(192 / max(1, len(groups) - 1))
        made = Quantizer.of_basis(replace(basis, spread=alike), metric, centroid, seed).query(query)
        lower, upper = made.bounds(records)
        estimates = made.estimate(records)
        slack = 1e-4 * np.abs(truth).max()
        below.append(truth < lower - slack)
        above.append(truth > upper + slack)
        width.append(np.mean(upper - lower) / np.std(estimates - truth))
        possible = estimates if metric is Metric.DOT_PRODUCT else np.maximum(estimates, 0)
        assert (lower <= possible + slack).all()
        assert (possible <= upper + slack).all()
        tight, loose = made.bounds(records), quantizer.query(query, 0).bounds(records)
        assert (loose[0] >= tight[0]).all()
        assert (loose[1] <= tight[1]).all()
    assert np.mean(below) < 0.04
    assert np.mean(above) < 0.04
    assert np.mean(width) < 16


def test_what_lies_beside_the_basis_widens_the_bounds() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((400, 256)).astype(np.float32)
    vectors[200:, 64:] /= 10
    basis = Basis(axes(64, 256), (CodePart(8, 64, 0.01),), 0.1)
    quantizer = Quantizer.of_basis(basis, Metric.EUCLIDEAN, np.zeros(256, np.float32))
    records = quantizer.encode(vectors)
    ratio = decode(records, basis).ratio
    expected = np.linalg.norm(vectors[:, 64:], axis=1) / np.linalg.norm(vectors[:, :64], axis=1)
    np.testing.assert_allclose(ratio, expected, rtol=0.08, atol=0.02)
    lower, upper = quantizer.query(vectors[0]).bounds(records)
    width = upper - lower
    assert width[1:200].min() > 1.5 * width[200:].max() / 2


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
def test_rows_with_nothing_along_the_basis_are_as_far_as_their_lengths_say(level: str, metric: Metric) -> None:
    """An estimate by the little that roundings leave along it would be off by thousands of lengths."""
    rng = np.random.default_rng(6)
    vectors = rng.standard_normal((300, 256)).astype(np.float32)
    vectors[:100, :64] = 0  # exactly nothing along the axes, and next to nothing along directions turned a little
    vectors[100:150, :64] *= np.float32(1e-4)
    turn, _ = np.linalg.qr(rng.standard_normal((64, 64)))
    turned_axes = np.zeros((64, 256), np.int16)
    turned_axes[:, :64] = np.rint(SCALE * turn)
    slightly = turned_axes.copy()
    slightly[:, 64:] = rng.integers(-2, 3, (64, 192))
    for directions in (axes(64, 256), turned_axes, slightly):
        basis = Basis(directions, (CodePart(4, 64, 0.04),), 0.1)
        quantizer = Quantizer.of_basis(basis, metric, np.zeros(256, np.float32), level=level)
        records = quantizer.encode(vectors)
        found = decode(records, basis)
        assert (found.scale[:150] == 0).all()
        assert (found.ratio[:150] == 15.5).all()
        assert (found.scale[150:] > 0).all()
        for query in vectors[[0, 120, 200]]:
            made = quantizer.query(query)
            estimates = made.estimate(records[:150])
            lengths = (vectors[:150].astype(np.float64) ** 2).sum(axis=1) + (query.astype(np.float64) ** 2).sum()
            expected = {Metric.EUCLIDEAN: lengths, Metric.COSINE: 1.0, Metric.DOT_PRODUCT: 0.0}[metric]
            np.testing.assert_allclose(estimates, np.broadcast_to(expected, 150), rtol=1e-4, atol=1e-3)
            # Nothing is known of their products, and the bounds say so.
            truth = true_distances(query, vectors[:150], metric)
            lower, upper = made.bounds(records[:150])
            assert (lower <= truth + 1e-3).all()
            assert (truth <= upper + 1e-3).all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("groups", [{8: 1}, {4: 1, 1: 1}, {8: 1, 4: 1, 2: 1, 1: 1}], ids=str)
def test_zero_constant_and_equal_vectors(level: str, metric: Metric, groups: Groups) -> None:
    vectors = np.zeros((12, 70), dtype=np.float32)
    vectors[4:8] = 1
    vectors[8:] = np.float32(1e-30)
    basis = basis_of(70, groups)
    for centroid in (np.zeros(70, np.float32), vectors[4].copy(), np.full(70, 0.1, dtype=np.float32)):
        quantizer = Quantizer.of_basis(basis, metric, centroid, level=level)
        records = quantizer.encode(vectors)
        for query in (vectors[0], vectors[4], vectors[8], -vectors[4], centroid):
            made = quantizer.query(query)
            estimates = made.estimate(records)
            assert np.isfinite(estimates).all()
            assert np.isfinite(made.bounds(records)).all()
            for equal in (slice(0, 4), slice(4, 8)):
                assert (estimates[equal] == estimates[equal][0]).all()
            if metric is Metric.COSINE and not query.any():
                assert (estimates == 1).all()


def test_what_is_the_centroid_is_known_exactly() -> None:
    vectors = latent_vectors(np.random.default_rng(1), 5, 90)
    quantizer = Quantizer.of_basis(basis_of(90, {4: 1, 1: 1}), Metric.EUCLIDEAN, vectors[2].copy())
    records = quantizer.encode(vectors)
    truth = true_distances(vectors[4], vectors, Metric.EUCLIDEAN)
    made = quantizer.query(vectors[4])
    lower, upper = made.bounds(records[2:3])
    np.testing.assert_allclose([lower[0], made.estimate(records[2:3])[0], upper[0]], truth[2], rtol=1e-5)
    by_centroid = quantizer.query(vectors[2]).estimate(records)
    np.testing.assert_allclose(by_centroid, true_distances(vectors[2], vectors, Metric.EUCLIDEAN), rtol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("magnitude", [1e37, 1e20, 1e17, 1e-15, 1e-18, 1e-20, 1e-37])
def test_huge_and_tiny_vectors(level: str, metric: Metric, magnitude: float) -> None:
    rng = np.random.default_rng(1)
    unit = latent_vectors(rng, 40, 100)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    vectors = (unit * np.float32(magnitude) * np.linspace(0.3, 3, 40)[:, None]).astype(np.float32)
    for groups in ({8: 2}, {4: 1, 2: 1, 1: 1}):
        basis = basis_of(100, groups)
        quantizer = Quantizer.of_basis(basis, metric, np.zeros(100, np.float32), level=level)
        records = quantizer.encode(vectors)
        for query in (vectors[0], vectors[39], unit[0]):
            made = quantizer.query(query)
            estimates = made.estimate(records)
            assert not np.isnan(estimates).any()
            assert not np.isnan(made.bounds(records)).any()
            ids, _, _ = scan(made, records, 40)
            assert sorted(ids.tolist()) == list(range(40))
            if groups == {8: 2}:
                truth = ranges.true_distances(query, vectors, metric)
                assert np.abs(wide(estimates) - truth).max() <= 0.05 * np.abs(truth).max()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_finite_input_gives_nan(level: str, metric: Metric, data: st.DataObject) -> None:
    dimension = data.draw(st.integers(1, 9))
    element = st.floats(width=32, allow_nan=False, allow_infinity=False)
    vector = st.lists(element, min_size=dimension, max_size=dimension)
    vectors = np.array(data.draw(st.lists(vector, min_size=1, max_size=6)), dtype=np.float32)
    query = np.array(data.draw(vector), dtype=np.float32)
    centroid = np.array(data.draw(vector), dtype=np.float32)
    groups = data.draw(st.sampled_from(SHAPES))
    steps = {bits: data.draw(st.sampled_from([1e-7, 1e-5, 0.01, 1.0, 1e6])) for bits in groups}
    quantizer = Quantizer.of_basis(basis_of(dimension, groups, steps=steps), metric, centroid, 5, level)
    records = quantizer.encode(vectors)
    made = quantizer.query(query)
    assert not np.isnan(made.estimate(records)).any()
    assert not np.isnan(made.bounds(records)).any()
    ids, _, _ = scan(made, records, 10)
    assert sorted(ids.tolist()) == list(range(len(vectors)))


@pytest.mark.parametrize(
    ("dimension", "groups", "steps"),
    [
        (4096, {8: 64}, {8: 1.0}),
        (4096, {8: 61, 4: 1, 2: 1, 1: 1}, {8: 1e-6, 4: 1.0, 2: 1e-3, 1: 1e6}),
        pytest.param(4096, {8: 61, 4: 1, 2: 1, 1: 1}, {8: 1e6, 4: 1e-7, 2: 1e-3, 1: 1.0}, marks=pytest.mark.slow),
        pytest.param(4096, {8: 1, 4: 61, 2: 1, 1: 1}, {8: 1e-7, 4: 1e6, 2: 1e6, 1: 1e-7}, marks=pytest.mark.slow),
        (256, {8: 1, 4: 1, 2: 1, 1: 1}, {8: 1.0, 4: 1e-6, 2: 1e-6, 1: 1e-6}),
        (256, {8: 1, 4: 1, 2: 1, 1: 1}, {8: 1e-6, 4: 1.0, 2: 1e-6, 1: 1e6}),
    ],
    ids=str,
)
def test_no_sum_overflows(dimension: int, groups: Groups, steps: dict[int, float]) -> None:
    """Every level at its end, every element of the query too, and parts whose sums weigh as differently as may be.

    A sum that left 32 bits would come out at the wrong end.
    """
    basis = replace(basis_of(dimension, groups, steps=steps), directions=axes(dimension, dimension))
    # Rotated back: a vector whose elements are all alike in each part, so that all levels and products are largest.
    alike = np.concatenate([rotate_back(np.ones((1, p.dimensions)), 7 + i)[0] for i, p in enumerate(basis.parts)])
    vector = (alike / np.linalg.norm(alike)).astype(np.float32)
    for level in LEVELS:
        quantizer = Quantizer.of_basis(basis, Metric.DOT_PRODUCT, np.zeros(dimension, np.float32), 7, level)
        record = quantizer.encode(vector[None, :])
        coarse = decode(record, basis)
        for query in (vector, -vector, np.float32(1e10) * vector):
            expected = -coarse.scale[0] * (coarse.codes[0] @ turned(query[None, :].astype(np.float64), basis, 7)[0])
            estimate = quantizer.query(query).estimate(record)[0]
            # All but what weighs least may be rounded away.
            assert abs(estimate - expected) <= 0.03 * np.linalg.norm(query), level


@pytest.mark.parametrize("metric", list(Metric))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_scans_of_any_k_and_mask(metric: Metric, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    vectors = latent_vectors(rng, data.draw(st.integers(0, 90)), data.draw(st.integers(1, 150)))
    basis = basis_of(vectors.shape[1], data.draw(st.sampled_from(SHAPES)))
    quantizer = Quantizer.of_basis(basis, metric, centroid_of(vectors, metric))
    records = quantizer.encode(vectors)
    query = quantizer.query(latent_vectors(rng, 1, vectors.shape[1])[0])
    share = data.draw(st.sampled_from([None, 0.0, 0.03, 0.5, 1.0]))
    mask = None if share is None else rng.random(len(vectors)) < share
    k, threads = data.draw(st.integers(1, 120)), data.draw(st.integers(0, 3))

    rows = np.arange(len(vectors)) if mask is None else np.flatnonzero(mask)
    estimates = query.estimate(records)
    lower, upper = query.bounds(records)
    order = rows[np.lexsort((rows, estimates[rows]))]
    ids, found, bounds = scan(query, records, k, mask, threads)
    np.testing.assert_array_equal(ids, order[:k])
    np.testing.assert_array_equal(found, estimates[ids])
    np.testing.assert_array_equal(bounds, lower[ids])
    ids, found, _ = scan_candidates(query, records, k, mask, threads)
    limit = np.sort(upper[rows])[min(k, len(rows)) - 1] if len(rows) else np.inf
    np.testing.assert_array_equal(ids, [row for row in order if lower[row] <= limit])
    np.testing.assert_array_equal(found, estimates[ids])


def test_a_large_scan_on_several_threads() -> None:
    rng = np.random.default_rng(0)
    few = latent_vectors(rng, 500, 96)
    quantizer = Quantizer.of_basis(basis_of(96, {8: 1, 2: 1}), Metric.EUCLIDEAN, centroid_of(few, Metric.EUCLIDEAN))
    records = quantizer.encode(few)[np.arange(60_000) % 500]
    query = quantizer.query(latent_vectors(rng, 1, 96)[0])
    expected = scan(query, records, 300, threads=1)
    for one, other in zip(scan(query, records, 300, threads=4), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(expected[0].tolist()) <= set(scan_candidates(query, records, 300, threads=4)[0].tolist())


def test_threads_and_seed() -> None:
    vectors = latent_vectors(np.random.default_rng(8), 700, 33)
    basis, centroid = basis_of(33, {4: 1, 1: 1}), np.zeros(33, np.float32)
    one = Quantizer.of_basis(basis, Metric.EUCLIDEAN, centroid, 4).encode(vectors, threads=1)
    for threads in (0, 2, 5):
        same = Quantizer.of_basis(basis, Metric.EUCLIDEAN, centroid, 4).encode(vectors, threads)
        np.testing.assert_array_equal(same, one)
    assert (Quantizer.of_basis(basis, Metric.EUCLIDEAN, centroid, 5).encode(vectors) != one).any()
    assert Quantizer.of_basis(basis, Metric.EUCLIDEAN, centroid).encode(vectors[:0]).shape == (0, basis.record_bytes)


def test_golden_records() -> None:
    """What segments on disk hold keeps its meaning."""
    vectors = (((np.arange(3 * 20) * 7919 % 64).reshape(3, 20) - 32) / 8).astype(np.float32)
    basis = Basis(axes(128, 20), (CodePart(4, 64, 0.04), CodePart(2, 64, 0.01)), 0.1)
    records = Quantizer.of_basis(basis, Metric.EUCLIDEAN, np.zeros(20, np.float32), 7).encode(vectors)
    assert [record.tobytes().hex() for record in records] == GOLDEN


GOLDEN = [
    "8ca2856ea808b4783b9b98697380f4ac69a3a97875995aa349d8e23aa69292b5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa6a4b812d418b569f40",
    "383fae9c485367a8a87ab7746d6f5f74abaaed8d686984ab76285c9426d89695aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa6a481221418a789440",
    "a486586566a99f65a5476bb999887537867a1596864676399955878aa865854daaaaaaaaaaaaaaaaaaaaaaaaaaaaaa6a64df204191fdcb40",
]

SQUARE = orthogonal(64, 64)
PART = CodePart(4, 64, 0.1)
ZERO = np.zeros(64, np.float32)


@pytest.mark.parametrize(
    ("basis", "text"),
    [
        (Basis(SQUARE, (), 0.1), "at least one part"),
        (Basis(SQUARE, (CodePart(3, 64, 0.1),), 0.1), "8, 4, 2 and 1 bits"),
        (Basis(SQUARE, (CodePart(0, 64, 0.1),), 0.1), "8, 4, 2 and 1 bits"),
        (Basis(np.concatenate([SQUARE, SQUARE]), (PART, PART), 0.1), "in this order"),
        (Basis(np.concatenate([SQUARE, SQUARE]), (CodePart(2, 64, 0.1), PART), 0.1), "in this order"),
        (Basis(SQUARE, (CodePart(4, 63, 0.1),), 0.1), "multiple of 64"),
        (Basis(SQUARE, (CodePart(4, 0, 0.1),), 0.1), "multiple of 64"),
        (Basis(SQUARE, (CodePart(4, 8192, 0.1),), 0.1), "multiple of 64"),
        (Basis(SQUARE, (CodePart(4, 128, 0.1),), 0.1), "directions of the basis: 64 in place of 128"),
        (Basis(SQUARE[:0], (PART,), 0.1), "directions of the basis: 0 in place of 64"),
        (Basis(axes(4160, 64), (CodePart(4, 4096, 0.1), CodePart(2, 64, 0.1)), 0.1), "at most 4096 directions"),
        *((Basis(SQUARE, (CodePart(4, 64, step),), 0.1), "1e-7 to 1e6") for step in (0.0, -1.0, 9e-8, 1e7)),
        (Basis(SQUARE, (CodePart(4, 64, float("nan")),), 0.1), "1e-7 to 1e6"),
        (Basis(SQUARE, (CodePart(4, 64, float("inf")),), 0.1), "1e-7 to 1e6"),
        *((Basis(SQUARE, (PART,), spread), "above 0 and at most 1") for spread in (0.0, -0.1, 1.01, float("nan"))),
        (Basis(np.full((64, 64), 32_767, np.int16), (PART,), 0.1), "longer than 1"),
        (Basis(np.full((64, 64), -32_768, np.int16), (PART,), 0.1), "longer than 1"),
        (Basis(np.zeros((64, 63), np.int16), (PART,), 0.1), "dimensions of the centroid: 64 in place of 63"),
        (Basis(np.zeros((64, 0), np.int16), (PART,), 0.1), "1 to 4096 dimensions, not 0"),
        (Basis(np.zeros((64, 4097), np.int16), (PART,), 0.1), "1 to 4096 dimensions, not 4097"),
    ],
)
def test_bases_that_make_no_sense_are_refused(basis: Basis, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Quantizer.of_basis(basis, Metric.EUCLIDEAN, ZERO)


def test_arguments_that_make_no_sense_are_refused() -> None:
    basis = Basis(SQUARE, (PART,), 0.1)
    with pytest.raises(ValueError, match="SIMD level"):
        Quantizer.of_basis(basis, Metric.EUCLIDEAN, ZERO, level="none")
    with pytest.raises(ParameterInvalid):
        Quantizer.of_basis(basis, Metric.EUCLIDEAN, np.full(64, np.nan, np.float32))
    for directions in (SQUARE.astype(np.float32), SQUARE.astype(np.int32), np.asfortranarray(SQUARE), SQUARE[0]):
        with pytest.raises(TypeError):
            Quantizer.of_basis(replace(basis, directions=directions), Metric.EUCLIDEAN, ZERO)
    with pytest.raises(TypeError):
        Quantizer.of_basis(basis, Metric.EUCLIDEAN, ZERO.astype(np.float64))  # type: ignore[arg-type]
    quantizer = Quantizer.of_basis(basis, Metric.EUCLIDEAN, ZERO)
    bad = np.ones((2, 64), np.float32)
    bad[1, 3] = np.inf
    with pytest.raises(ParameterInvalid, match="Vector 1 "):
        quantizer.encode(bad)
    with pytest.raises(ValueError, match="dimensions of the vectors: 63 in place of 64"):
        quantizer.encode(bad[:1, :63].copy())
    with pytest.raises(ParameterInvalid):
        quantizer.query(bad[1])
    with pytest.raises(ValueError, match="dimensions of the query"):
        quantizer.query(bad[0, :63].copy())
    for sigmas in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="bound_sigmas"):
            quantizer.query(bad[0], sigmas)
    records, query = quantizer.encode(bad[:1]), quantizer.query(bad[0])
    for wrong in (records[:, :-1].copy(), np.zeros((1, 48), np.uint8)):
        with pytest.raises(ValueError, match="bytes of a record"):
            query.estimate(wrong)
        with pytest.raises(ValueError, match="bytes of a record"):
            scan_candidates(query, wrong, 1)
    with pytest.raises(ValueError, match="k is at least 1"):
        scan(query, records, 0)


def test_any_bytes_are_a_record() -> None:
    """Damage that no checksum saw: numbers come out, whatever they are, and nothing is read beside them."""
    rng = np.random.default_rng(0)
    basis = basis_of(70, {8: 1, 4: 1, 1: 1})
    quantizer = Quantizer.of_basis(basis, Metric.EUCLIDEAN, np.zeros(70, np.float32))
    records = rng.integers(0, 256, (200, basis.record_bytes)).astype(np.uint8)
    expected = None
    for level in LEVELS:
        made = Quantizer.of_basis(basis, Metric.EUCLIDEAN, np.zeros(70, np.float32), level=level)
        found = made.query(np.ones(70, np.float32)).estimate(records)
        expected = found if expected is None else expected
        np.testing.assert_array_equal(found, expected)
    assert quantizer.record_bytes == 64 + 32 + 8 + 8
