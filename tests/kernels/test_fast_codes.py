"""Fast codes: alike at every SIMD level, near the distances, and never far off for a row that is the query."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kernels.codes import Quantizer, centroid_of
from lutra.kernels.fast_codes import BLOCK_ROWS, FastCodes
from lutra.kernels.lists import Lists, build
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric
from lutra.vectors.fast_format import train

DIMENSION = 64
LEVELS = ("portable", "avx2", "avx512", "avx512vnni")


def latent(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(5).standard_normal((12, DIMENSION))
    return (rng.standard_normal((rows, 12)) @ mixing + 0.2 * rng.standard_normal((rows, DIMENSION))).astype(np.float32)


def coded(vectors: np.ndarray, metric: Metric, level: str | None = None) -> tuple[np.ndarray, FastCodes, np.ndarray]:
    """The vectors in the order of lists, codes, and their blocks."""
    quantizer = Quantizer(DIMENSION, 4, metric, centroid_of(vectors, metric), seed=1)
    built = build(vectors, quantizer, 40, threads=1)
    lists = Lists(quantizer, built.offsets, built.centroids, built.step, built.radii, built.spreads)
    ordered = vectors[built.order]
    trained = train(lists, ordered, np.arange(len(ordered)), 0)
    assert trained is not None
    form, book = trained
    codes = FastCodes(lists, book.directions, book.centres, form.row_step, form.squared_error, level)
    return ordered, codes, codes.encode(ordered, 0)


def levels() -> list[str]:
    vectors = latent(200)
    found = []
    for level in LEVELS:
        try:
            coded(vectors, Metric.EUCLIDEAN, level)
        except ValueError as error:
            assert "no such SIMD level" in str(error)  # noqa: PT017
            continue
        found.append(level)
    return found


def squared(ordered: np.ndarray, query: np.ndarray, metric: Metric) -> np.ndarray:
    if metric is Metric.COSINE:
        ordered, query = ordered / np.linalg.norm(ordered, axis=1)[:, None], query / np.linalg.norm(query)
    return ((ordered.astype(np.float64) - query) ** 2).sum(axis=1)


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.COSINE])
def test_estimates_are_near_the_distances_at_every_level(metric: Metric) -> None:
    vectors, query = latent(1_000), latent(1, seed=3)[0]
    expected = None
    for level in levels():
        ordered, codes, blocks = coded(vectors, metric, level)
        estimates = codes.estimate(query, blocks)
        truth = squared(ordered, query, metric)
        assert np.corrcoef(estimates, truth)[0, 1] > 0.99
        assert abs((estimates - truth).mean()) < 0.05 * truth.mean()
        expected = estimates if expected is None else expected
        assert np.array_equal(estimates, expected)


def test_a_row_that_is_the_query_is_never_estimated_more_than_two_errors_away() -> None:
    vectors = latent(800)
    vectors[::50] *= 6  # and so are those that are far off their codes
    ordered, codes, blocks = coded(vectors, Metric.EUCLIDEAN)
    for row in range(0, 800, 7):
        estimate = codes.estimate(ordered[row], blocks)[row]
        assert estimate <= 2 * codes.squared_error, "the rounding of tables is taken off"


@settings(max_examples=6, deadline=None)
@given(
    rows=st.integers(200, 500),
    scale=st.sampled_from([1e-12, 1.0, 1e12]),
    far=st.sampled_from([1.0, 30.0]),
    begin=st.integers(0, 10),
)
def test_pieces_are_coded_as_the_whole(rows: int, scale: float, far: float, begin: int) -> None:
    vectors = latent(rows) * np.float32(scale)
    vectors[3] *= np.float32(far)
    ordered, codes, blocks = coded(vectors, Metric.EUCLIDEAN)
    assert blocks.shape == (-(-rows // BLOCK_ROWS), codes.block_bytes)
    piece = codes.encode(np.ascontiguousarray(ordered[begin * BLOCK_ROWS :]), begin * BLOCK_ROWS, threads=1)
    assert np.array_equal(piece, blocks[begin:])
    estimates = codes.estimate(ordered[0], blocks)
    truth = squared(ordered, ordered[0], Metric.EUCLIDEAN)
    assert not np.isnan(estimates).any()
    assert far > 1 or np.abs(estimates - truth).mean() < 0.2 * truth.mean(), (
        "but where one row decides on all directions"
    )


def test_what_makes_no_sense_is_refused() -> None:
    ordered, codes, blocks = coded(latent(300), Metric.EUCLIDEAN)
    with pytest.raises(ValueError, match="no rows of the lists"):
        codes.encode(ordered, 16)
    with pytest.raises(ValueError, match="no rows of the lists"):
        codes.encode(ordered[:5], 3)
    with pytest.raises(ValueError, match="do not fit the rows"):
        codes.estimate(ordered[0], blocks[1:])
    with pytest.raises(ValueError, match="another dimension"):
        codes.estimate(ordered[0, :5].copy(), blocks)
    with pytest.raises(ParameterInvalid):
        codes.estimate(np.full(DIMENSION, np.nan, np.float32), blocks)
    directions, centres = np.zeros((64, DIMENSION), np.float32), np.zeros((32, 16, 2), np.float32)
    for wrong in (
        (directions[:8], centres, 1.0, 1.0),
        (directions[:6], centres[:3], 1.0, 1.0),
        (directions, centres, 0.0, 1.0),
        (directions, centres, 1.0, float("nan")),
        (np.full_like(directions, np.inf), centres, 1.0, 1.0),
    ):
        with pytest.raises(ValueError, match=r"group|step|error|finite"):
            FastCodes(codes.lists, *wrong)
