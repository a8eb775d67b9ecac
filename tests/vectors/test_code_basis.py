"""Finding bases: what they are for data of known directions, and that any finite sample has one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lutra.kernels.codes import FACTOR_BYTES, Basis, Quantizer, centroid_of
from lutra.model.indexes import Metric
from lutra.vectors.code_basis import (
    GROUP,
    HITS_MIN,
    LINE_BYTES,
    RECORD_BYTES_MAX,
    WIDTHS,
    BasisTrainer,
    choose_bases,
)

SCALE = 32_767
Vectors = NDArray[np.float32]


def latent(rows: int, dimension: int, hidden: int, noise: float = 0.1, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Rows, and the orthogonal directions [hidden, dimension] they vary along."""
    rng = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(rng.standard_normal((dimension, hidden)))
    spread = np.linspace(3, 1, hidden)
    rows_ = (spread * rng.standard_normal((rows, hidden))) @ directions.T
    return (rows_ + noise * rng.standard_normal((rows, dimension)) + 0.4).astype(np.float32), directions.T


def trainer_of(vectors: Vectors, metric: Metric = Metric.EUCLIDEAN, seed: int = 0) -> BasisTrainer:
    return BasisTrainer(vectors, metric, centroid_of(vectors, metric), seed)


def check_basis(basis: Basis, dimension: int, record_bytes: int) -> None:
    """It fits, is one that a quantizer takes, and its directions are of length 1 and at right angles, or zeros."""
    assert basis.record_bytes <= record_bytes
    widths = [part.bits for part in basis.parts]
    assert widths == sorted(set(widths), reverse=True)
    assert all(part.dimensions % GROUP == 0 for part in basis.parts)
    assert basis.directions.shape == (sum(part.dimensions for part in basis.parts), dimension)
    assert basis.directions.dtype == np.int16
    units = basis.directions.astype(np.float64) / SCALE
    products = units @ units.T
    is_zero = ~basis.directions.any(axis=1)
    np.testing.assert_allclose(products[~is_zero][:, ~is_zero], np.eye(int((~is_zero).sum())), atol=2e-3)
    assert 0 < basis.spread <= 1
    Quantizer.of_basis(basis, Metric.EUCLIDEAN, np.zeros(dimension, np.float32))


@pytest.mark.parametrize("metric", list(Metric))
def test_the_directions_are_those_of_the_data(metric: Metric) -> None:
    vectors, directions = latent(1_500, 200, 40)
    basis = trainer_of(vectors, metric).train(64)
    check_basis(basis, 200, 64)
    held = np.linalg.norm(directions @ (basis.directions.astype(np.float64) / SCALE).T, axis=1)
    assert (held > 0.99).all()
    assert trainer_of(vectors, metric).telling().shape == (64, 200)


def test_bits_go_where_variance_is() -> None:
    vectors, _ = latent(1_500, 400, 20, noise=0.2)
    parts = trainer_of(vectors).train(120).parts
    assert parts[0].bits >= 4
    assert parts[0].dimensions == GROUP
    # Where all directions are alike, all of them get some.
    alike = np.random.default_rng(0).standard_normal((1_500, 256)).astype(np.float32)
    assert [(part.bits, part.dimensions) for part in trainer_of(alike).train(72).parts] == [(2, 256)]


def test_more_bytes_find_more() -> None:
    vectors, _ = latent(1_200, 256, 150, noise=0.3)
    trainer = trainer_of(vectors)
    found = [trainer.hits(trainer.train(record_bytes), 15) for record_bytes in (24, 64, 128, 256)]
    assert all(b >= a - 0.01 for a, b in itertools.pairwise(found))
    assert found[0] < 0.9 < found[-1]


def test_hits_are_the_share_found_among_the_best() -> None:
    vectors, _ = latent(500, 64, 20)
    trainer = trainer_of(vectors)
    assert trainer.hits(trainer.train(72), 500) == 1.0
    assert trainer.hits(trainer.train(72), 20) >= 0.99
    assert trainer.hits(trainer.train(16), 5) < 0.5


@pytest.mark.parametrize("best", [12, 20])
def test_the_smallest_that_does_is_chosen_by_lines(best: int) -> None:
    trainer = trainer_of(latent(1_500, 256, 180, noise=0.3)[0])
    basis = trainer.smallest(best)
    assert trainer.hits(basis, best) >= HITS_MIN
    lines = -(-basis.record_bytes // LINE_BYTES)
    assert lines > 1
    assert trainer.hits(trainer.train(LINE_BYTES * (lines - 1)), best) < HITS_MIN


def test_finer_codes_are_of_the_same_directions_or_none() -> None:
    vectors, _ = latent(1_000, 128, 60, noise=0.3)
    centroid = centroid_of(vectors, Metric.EUCLIDEAN)
    both = choose_bases(vectors, Metric.EUCLIDEAN, centroid, 24, 120)
    assert both.fine is not None
    assert both.codes.record_bytes <= 24 < both.fine.record_bytes <= 120
    shared = min(len(both.codes.directions), len(both.fine.directions))
    np.testing.assert_array_equal(both.codes.directions[:shared], both.fine.directions[:shared])
    assert len(both.directions) == max(len(both.codes.directions), len(both.fine.directions))
    assert choose_bases(vectors, Metric.EUCLIDEAN, centroid, 24, 0).fine is None
    assert choose_bases(vectors, Metric.EUCLIDEAN, centroid, 120, 24).fine is None


def test_scale_and_threads_change_nothing() -> None:
    vectors, _ = latent(800, 100, 30)
    expected = trainer_of(vectors).train(64)
    for factor in (2.0**-40, 2.0**40):
        scaled = (vectors * factor).astype(np.float32)
        found = trainer_of(scaled).train(64)
        np.testing.assert_array_equal(found.directions, expected.directions)
        assert found.parts == expected.parts
        assert found.spread == expected.spread
    centroid = centroid_of(vectors, Metric.EUCLIDEAN)
    for threads in (1, 3):
        found = BasisTrainer(vectors, Metric.EUCLIDEAN, centroid, 0, threads).train(64)
        np.testing.assert_array_equal(found.directions, expected.directions)
        assert (found.parts, found.spread) == (expected.parts, expected.spread)


SAMPLES = {
    "equal": np.ones((50, 20)),
    "zeros": np.zeros((50, 20)),
    "two equal": np.ones((2, 20)),
    "two": np.eye(2, 5),
    "one dimension": np.arange(40.0).reshape(40, 1),
    "one dimension of zeros": np.zeros((9, 1)),
    "three, again and again": np.repeat(np.eye(3, 70), 30, axis=0),
    "many dimensions": np.ones((20, 600)),
    "largest": np.full((30, 6), 3e38) * np.array([1, -1] * 3),
    "least": np.full((30, 6), 1e-45),
    "one infinitely far": np.vstack([np.eye(40, 12), np.full((1, 12), 3e38)]),
    "one far": np.vstack([np.eye(40, 12), np.full((1, 12), 1e15)]),
}


def check_sample(sample: Vectors, metric: Metric) -> None:
    trainer, dimension = trainer_of(sample, metric), sample.shape[1]
    for record_bytes in (16, 64, RECORD_BYTES_MAX):
        check_basis(trainer.train(record_bytes), dimension, record_bytes)
    assert 0 < len(trainer.telling()) <= -(-dimension // GROUP) * GROUP
    check_basis(trainer.smallest(20), dimension, RECORD_BYTES_MAX)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("name", SAMPLES)
def test_any_sample_has_a_basis(name: str, metric: Metric) -> None:
    check_sample(SAMPLES[name].astype(np.float32), metric)


@pytest.mark.slow
def test_equal_rows_of_as_many_dimensions_as_there_may_be() -> None:
    check_sample(np.ones((20, 4_096), np.float32), Metric.EUCLIDEAN)


@settings(max_examples=25, deadline=None)
@given(
    sample=st.tuples(st.integers(2, 12), st.integers(1, 9)).flatmap(
        lambda shape: arrays(np.float32, shape, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
    ),
    metric=st.sampled_from(Metric),
    record_bytes=st.integers(16, 200),
)
def test_any_finite_sample_has_a_basis(sample: Vectors, metric: Metric, record_bytes: int) -> None:
    trainer = trainer_of(sample, metric)
    basis = trainer.train(record_bytes)
    check_basis(basis, sample.shape[1], record_bytes)
    quantizer = Quantizer.of_basis(basis, metric, centroid_of(sample, metric))
    assert not np.isnan(quantizer.query(sample[0]).estimate(quantizer.encode(sample))).any()
    assert 0 <= trainer.hits(basis, 20) <= 1


def test_a_row_far_from_all_others_does_not_decide_on_directions() -> None:
    vectors, directions = latent(1_000, 150, 30)
    vectors[17] = 0
    vectors[17, 0] = 1e12
    centroid = centroid_of(vectors[:17], Metric.EUCLIDEAN)
    basis = BasisTrainer(vectors, Metric.EUCLIDEAN, centroid).train(40)
    held = np.linalg.norm(directions @ (basis.directions.astype(np.float64) / SCALE).T, axis=1)
    assert (held > 0.98).all()


def test_what_may_be_spent_is_spent_as_far_as_it_goes() -> None:
    vectors = np.random.default_rng(0).standard_normal((300, 320)).astype(np.float32)
    trainer = trainer_of(vectors)
    for record_bytes in range(16, 400, 24):
        basis = trainer.train(record_bytes)
        groups = {part.bits: part.dimensions // GROUP for part in basis.parts}
        units = sum(bits * count for bits, count in groups.items())
        assert units * GROUP // 8 + FACTOR_BYTES == basis.record_bytes
        assert set(groups) <= set(WIDTHS)
        # A group more of a bit, or one group's bits doubled, would be too much.
        left = (record_bytes - basis.record_bytes) * 8 // GROUP
        assert left == 0 or sum(groups.values()) == 5
