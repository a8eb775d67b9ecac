"""Codes of neighbours: near the true distances, the same at every SIMD level, infinite where there is no neighbour."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lutra.kernels.codes import centroid_of, code_levels
from lutra.kernels.distance import topk
from lutra.kernels.graph import NO_ROW
from lutra.kernels.link_codes import LinkCodes
from lutra.model.indexes import Metric

LEVELS = code_levels()
Vectors = NDArray[np.float32]
ROWS = 60


def blocks_of(codes: LinkCodes, vectors: Vectors, neighbours: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """With the vectors and nothing else."""
    bytes_each = codes.block_bytes(neighbours.shape[1])
    whole = np.full(len(vectors) * bytes_each + 64, 0xEE, np.uint8)
    begin = -whole.ctypes.data % 64
    blocks = whole[begin : begin + len(vectors) * bytes_each].reshape(len(vectors), bytes_each)
    blocks[:, : 4 * vectors.shape[1]] = vectors.view(np.uint8)
    return blocks


def lists(rng: np.random.Generator, degree: int) -> NDArray[np.uint32]:
    """Lists of every length, from none to all places."""
    neighbours = np.full((ROWS, degree), NO_ROW, np.uint32)
    for row in range(ROWS):
        count = row % (degree + 1)
        neighbours[row, :count] = rng.choice(ROWS, count, replace=False)
    return neighbours


def distances_to(query: Vectors, vectors: Vectors, metric: Metric) -> NDArray[np.float32]:
    ids, found = topk(query[None, :], vectors, len(vectors), metric)
    distances = np.empty(len(vectors), np.float32)
    distances[ids[0]] = found[0]
    return distances


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize(("dimension", "degree"), [(3, 1), (5, 16), (64, 17), (128, 32), (200, 40), (960, 33)])
def test_estimates_are_near_the_distances_and_the_same_at_every_level(
    metric: Metric, dimension: int, degree: int
) -> None:
    rng = np.random.default_rng(dimension)
    spread = 0.2 + rng.random(dimension)
    vectors = (0.5 + spread * rng.standard_normal((ROWS, dimension))).astype(np.float32)
    query = (0.5 + spread * rng.standard_normal(dimension)).astype(np.float32)
    centroid, neighbours = centroid_of(vectors, metric), lists(rng, degree)
    distances = distances_to(query, vectors, metric)
    found: list[tuple[bytes, list[bytes]]] = []
    errors = []
    for level in LEVELS:
        codes = LinkCodes(metric, centroid, 7, level)
        blocks = blocks_of(codes, vectors, neighbours)
        assert codes.make(neighbours, blocks, threads=2)
        estimates = [codes.estimate(query, blocks[row], degree, float(distances[row])) for row in range(ROWS)]
        found.append((blocks.tobytes(), [one.tobytes() for one in estimates]))
        for row, one in enumerate(estimates):
            count = row % (degree + 1)
            errors += (one[:count] - distances[neighbours[row, :count]]).tolist()
            assert np.isnan(one[count:]).all()  # a place without a neighbour is below nothing
            limit = float(np.median(one[:count])) if count else 0.0
            below = codes.estimate(query, blocks[row], degree, float(distances[row]), limit)
            np.testing.assert_array_equal(below, np.where(one < limit, one, np.nan))
    assert all(one == found[0] for one in found)
    # The error of codes of 2 bits: some deviations of it, by the lengths of the longest residual and of the query.
    own, other = (np.linalg.norm(v - centroid, axis=-1).max() for v in (vectors, query))
    lengths = {
        Metric.EUCLIDEAN: 2 * 2 * own * (own + other),
        Metric.COSINE: 2.0,
        Metric.DOT_PRODUCT: 2 * own * np.linalg.norm(query),
    }[metric]
    assert np.abs(errors).max() < 2.5 * lengths / np.sqrt(max(dimension, 64))
    assert np.abs(np.mean(errors)) < 0.5 * lengths / np.sqrt(max(dimension, 64))


def test_a_neighbour_that_equals_its_row_is_as_far_as_the_row() -> None:
    vectors = np.tile(np.random.default_rng(1).standard_normal(96).astype(np.float32), (2, 1))
    codes = LinkCodes(Metric.EUCLIDEAN, np.zeros(96, np.float32))
    neighbours = np.array([[1], [0]], np.uint32)
    blocks = blocks_of(codes, vectors, neighbours)
    assert codes.make(neighbours, blocks)
    assert codes.estimate(vectors[0] + 1, blocks[0], 1, 96.0).tolist() == [96.0]


@pytest.mark.parametrize("factor", [1e25, 1e-25])
def test_lengths_that_float32_does_not_do_for_are_told(factor: float) -> None:
    vectors = np.random.default_rng(2).standard_normal((4, 32)).astype(np.float32)
    neighbours = np.array([[1], [2], [3], [0]], np.uint32)
    codes = LinkCodes(Metric.EUCLIDEAN, np.zeros(32, np.float32))
    ordinary = blocks_of(codes, vectors, neighbours)
    assert codes.make(neighbours, ordinary)
    assert np.isnan(codes.estimate((factor * vectors[0]).astype(np.float32), ordinary[0], 1, 1.0)).all()
    assert not codes.make(neighbours, blocks_of(codes, (factor * vectors).astype(np.float32), neighbours))


def test_what_does_not_fit_is_refused() -> None:
    codes = LinkCodes(Metric.EUCLIDEAN, np.zeros(8, np.float32))
    neighbours = np.array([[1], [2]], np.uint32)  # there is no row 2
    blocks = blocks_of(codes, np.zeros((2, 8), np.float32), neighbours)
    with pytest.raises(ValueError, match="no row"):
        codes.make(neighbours, blocks)
    with pytest.raises(ValueError, match="do not fit"):
        codes.make(neighbours[:1] * 0, blocks)
    with pytest.raises(ValueError, match="another dimension"):
        codes.estimate(np.zeros(9, np.float32), blocks[0], 1, 0.0)
    with pytest.raises(ValueError, match="1 to 4096"):
        LinkCodes(Metric.EUCLIDEAN, np.zeros(0, np.float32))
