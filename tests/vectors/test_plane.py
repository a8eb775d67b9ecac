"""The plane that vectors vary most in is that of their first two principal components."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.model.indexes import Metric
from lutra.vectors.plane import EXACT_DIMENSIONS_MAX, plane_of

Matrix = npt.NDArray[np.float32]


def spread(rows: int, deviations: npt.NDArray[Any], seed: int = 0) -> Matrix:
    """float32 [rows, d] that vary by ``deviations`` along axes turned at random, away from 0."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((len(deviations), len(deviations))))
    return ((rng.standard_normal((rows, len(deviations))) * deviations) @ turn + 3 * turn[0]).astype(np.float32)


def components(rows: Matrix) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The first two principal components [2, d] in float64, and the share of the variance along each."""
    wide = rows.astype(np.float64)
    wide -= wide.mean(axis=0)
    _, singular, directions = np.linalg.svd(wide, full_matrices=False)
    return directions[:2], np.square(singular[:2]) / np.square(singular).sum()


def assert_same_plane(found: Matrix, wanted: npt.NDArray[Any], slack: float = 1e-3) -> None:
    """Each direction the same up to its sign."""
    assert np.abs(np.sum(found * wanted, axis=1)) == pytest.approx([1, 1], abs=slack)


@pytest.mark.parametrize(("dimension", "is_large"), [(2, False), (3, False), (64, False), (150, False), (150, True)])
def test_it_is_that_of_the_first_two_principal_components(
    dimension: int, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``is_large``: as of vectors that are too long for all dimensions to be compared with all."""
    if is_large:
        monkeypatch.setattr("lutra.vectors.plane.SQUARE_DIMENSIONS_MAX", 100)
    rows = spread(600, 5 * 0.7 ** np.arange(dimension) + 0.05)
    plane = plane_of(rows, Metric.EUCLIDEAN)
    wanted, shares = components(rows)
    assert_same_plane(plane.directions, wanted)
    assert plane.explained == pytest.approx(tuple(shares), rel=1e-3)
    placed = plane.place(rows)
    exact = (rows - rows.mean(axis=0, dtype=np.float64)) @ plane.directions.T
    assert placed == pytest.approx(exact, abs=1e-3)
    assert np.var(placed, axis=0)[0] > np.var(placed, axis=0)[1]


def test_under_cosine_lengths_do_not_count() -> None:
    rows = spread(500, 2 * 0.8 ** np.arange(32))
    longer = rows * np.random.default_rng(1).uniform(0.1, 100, (500, 1)).astype(np.float32)
    plane = plane_of(longer, Metric.COSINE)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert_same_plane(plane.directions, components(unit)[0])
    assert plane.place(longer) == pytest.approx(plane.place(rows), abs=1e-5)


def test_a_segments_basis_leads_to_the_same_plane() -> None:
    """Of 192 directions among 256 that hold nearly all: as a segment stores them, int16 and filled up with zeros."""
    rows = spread(1_500, 3 * 0.95 ** np.arange(256))
    _, _, directions = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    basis = np.zeros((192, 256), np.int16)
    basis[:150] = np.rint(directions[:150] * 32_767)
    within, free = (plane_of(rows, Metric.EUCLIDEAN, of) for of in (basis, None))
    assert_same_plane(within.directions, free.directions)
    assert within.explained == pytest.approx(free.explained, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1.0, 1e18, 1e37])
@pytest.mark.parametrize("metric", Metric)
def test_vectors_of_any_size_have_a_plane(scale: float, metric: Metric) -> None:
    rows = spread(300, np.array([4, 2, 1, 0.5, 0.1])) * np.float32(scale)
    plane = plane_of(rows, metric)
    placed = plane.place(rows)
    assert np.isfinite(placed).all()
    assert sum(plane.explained) > 0.8
    if metric is not Metric.COSINE:
        ordinary = plane_of(rows / np.float32(scale), metric)
        assert_same_plane(plane.directions, ordinary.directions)


@pytest.mark.parametrize("rows", [np.zeros((5, 4)), np.ones((1, 4)), np.ones((3, 1)), np.array([[1.0], [2.0]])])
def test_vectors_that_hardly_vary_have_one_too(rows: npt.NDArray[Any]) -> None:
    plane = plane_of(rows.astype(np.float32), Metric.EUCLIDEAN)
    assert plane.directions.shape == (2, rows.shape[1])
    assert np.isfinite(plane.place(rows.astype(np.float32))).all()
    assert 0 <= sum(plane.explained) <= 1 + 1e-6


def test_vectors_that_vary_alike_in_all_directions_have_nearly_the_best_plane() -> None:
    """Where nothing stands out turns do not settle, and need not: one plane is as good as another."""
    rows = np.random.default_rng(0).standard_normal((2_000, 100)).astype(np.float32)
    assert sum(plane_of(rows, Metric.EUCLIDEAN).explained) > 0.98 * components(rows)[1].sum()


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(2, 12), st.integers(0, 1_000))
def test_no_other_plane_holds_more_variance(count: int, dimension: int, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    plane = plane_of(rows, Metric.EUCLIDEAN)
    _, shares = components(rows)
    assert sum(plane.explained) == pytest.approx(shares.sum(), rel=1e-3)
    assert plane.directions @ plane.directions.T == pytest.approx(np.eye(2), abs=1e-4)


def test_the_same_sample_has_the_same_picture() -> None:
    rows = spread(500, 2 * 0.9 ** np.arange(EXACT_DIMENSIONS_MAX + 40))
    assert np.array_equal(plane_of(rows, Metric.EUCLIDEAN).place(rows), plane_of(rows, Metric.EUCLIDEAN).place(rows))
    mirrored = plane_of(rows[::-1].copy(), Metric.EUCLIDEAN)
    assert mirrored.directions == pytest.approx(plane_of(rows, Metric.EUCLIDEAN).directions, abs=1e-3)
