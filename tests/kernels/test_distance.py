"""Flat top-k against numpy in float64, at every SIMD level of the machine."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lutra.kernels.distance import require_finite, simd_levels, topk
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

LEVELS = simd_levels()


def distances_of(queries: NDArray[Any], vectors: NDArray[Any], metric: Metric) -> NDArray[np.float64]:
    q = queries.astype(np.float64)
    v = vectors.astype(np.float64)
    if metric is Metric.EUCLIDEAN:
        return np.asarray(((q[:, None, :] - v[None, :, :]) ** 2).sum(axis=2))
    products = q @ v.T
    if metric is Metric.DOT_PRODUCT:
        return np.asarray(-products)
    norms = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(v, axis=1)[None, :]
    return np.asarray(1 - np.divide(products, norms, out=np.zeros_like(products), where=norms > 0))


def reference(
    queries: NDArray[Any], vectors: NDArray[Any], k: int, metric: Metric, mask: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Every distance in float64, sorted by (distance, id)."""
    rows = np.arange(len(vectors)) if mask is None else np.flatnonzero(mask)
    distances = distances_of(queries, vectors[rows], metric)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return rows[order], np.take_along_axis(distances, order, axis=1)


def random_vectors(rng: np.random.Generator, count: int, dimension: int) -> NDArray[np.float32]:
    return rng.standard_normal((count, dimension), dtype=np.float32)


def check(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    k: int,
    metric: Metric,
    mask: NDArray[np.bool_] | None = None,
    **options: Any,
) -> None:
    """The distances are right, ascending with ties by id, and belong to the ids."""
    ids, distances = topk(queries, vectors, k, metric, mask, **options)
    _, expected = reference(queries, vectors, k, metric, mask)
    assert ids.dtype == np.int64
    assert distances.dtype == np.float32
    assert ids.shape == distances.shape == expected.shape
    np.testing.assert_allclose(distances, expected, rtol=1e-5, atol=1e-4)
    every = distances_of(queries, vectors, metric)
    np.testing.assert_allclose(np.take_along_axis(every, ids, axis=1), distances, rtol=1e-5, atol=1e-4)
    for row_ids, row_distances in zip(ids.tolist(), distances.tolist(), strict=True):
        pairs = list(zip(row_distances, row_ids, strict=True))
        assert pairs == sorted(set(pairs))
        if mask is not None:
            assert mask[row_ids].all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 100, 129, 4095, 4096])
def test_every_dimension(level: str, metric: Metric, dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    count = 300 if dimension < 1000 else 21
    vectors = random_vectors(rng, count, dimension)
    check(random_vectors(rng, 3, dimension), vectors, 10, metric, level=level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_shape_k_and_mask(level: str, metric: Metric, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    vectors = random_vectors(rng, data.draw(st.integers(0, 90)), data.draw(st.integers(1, 40)))
    queries = random_vectors(rng, data.draw(st.integers(0, 6)), vectors.shape[1])
    share = data.draw(st.sampled_from([None, 0.0, 0.03, 0.5, 1.0]))
    mask = None if share is None else rng.random(len(vectors)) < share
    k = data.draw(st.integers(1, 120))
    threads = data.draw(st.integers(0, 3))
    check(queries, vectors, k, metric, mask, level=level, threads=threads)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
def test_several_threads_find_what_one_finds(level: str, metric: Metric) -> None:
    rng = np.random.default_rng(5)
    vectors = random_vectors(rng, 40_000, 128)
    vectors[20_000:] = vectors[:20_000]  # every distance twice, in different threads' blocks
    queries = random_vectors(rng, 5, 128)
    mask = rng.random(len(vectors)) < 0.7
    for chosen in (None, mask):
        one = topk(queries, vectors, 50, metric, chosen, threads=1, level=level)
        for threads in (2, 3, 8):
            several = topk(queries, vectors, 50, metric, chosen, threads=threads, level=level)
            np.testing.assert_array_equal(several[0], one[0])
            np.testing.assert_array_equal(several[1], one[1])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("query_count", [1, 2, 3])
def test_ties_go_by_id(level: str, metric: Metric, query_count: int) -> None:
    rng = np.random.default_rng(1)
    vectors = np.repeat(random_vectors(rng, 1, 13), 1003, axis=0)
    queries = random_vectors(rng, query_count, 13)
    ids, distances = topk(queries, vectors, 9, metric, level=level)
    assert ids.tolist() == [list(range(9))] * query_count
    assert (distances == distances[:, :1]).all()
    mask = np.zeros(1003, dtype=np.bool_)
    mask[5::10] = True
    ids, _ = topk(queries, vectors, 4, metric, mask, level=level)
    assert ids.tolist() == [[5, 15, 25, 35]] * query_count


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
def test_more_queries_change_no_answer(level: str, metric: Metric) -> None:
    rng = np.random.default_rng(2)
    vectors = random_vectors(rng, 777, 50)
    queries = random_vectors(rng, 7, 50)
    together = topk(queries, vectors, 20, metric, level=level)
    for q in range(len(queries)):
        alone = topk(queries[q : q + 1], vectors, 20, metric, level=level)
        np.testing.assert_array_equal(together[0][q], alone[0][0])
        np.testing.assert_array_equal(together[1][q], alone[1][0])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
def test_rows_outside_the_mask_are_not_looked_at(level: str, metric: Metric) -> None:
    rng = np.random.default_rng(3)
    vectors = random_vectors(rng, 500, 24)
    mask = rng.random(500) < 0.2
    queries = random_vectors(rng, 2, 24)
    expected = topk(queries, vectors, 30, metric, mask, level=level)
    vectors[~mask] = np.nan
    found = topk(queries, vectors, 30, metric, mask, level=level)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("level", LEVELS)
def test_known_distances(level: str) -> None:
    vectors = np.array([[3, 4], [0, 0], [-3, -4], [4, -3]], dtype=np.float32)
    query = np.array([[3, 4]], dtype=np.float32)
    ids, distances = topk(query, vectors, 9, Metric.EUCLIDEAN, level=level)
    assert (ids.tolist(), distances.tolist()) == ([[0, 1, 3, 2]], [[0, 25, 50, 100]])
    ids, distances = topk(query, vectors, 9, Metric.DOT_PRODUCT, level=level)
    assert (ids.tolist(), distances.tolist()) == ([[0, 1, 3, 2]], [[-25, 0, 0, 25]])
    ids, distances = topk(query, vectors, 9, Metric.COSINE, level=level)
    assert (ids.tolist(), distances.tolist()) == ([[0, 1, 3, 2]], [[0, 1, 1, 2]])


@pytest.mark.parametrize("level", LEVELS)
def test_a_vector_of_length_zero_has_cosine_zero_to_every_other(level: str) -> None:
    vectors = np.array([[0, 0], [1, 0], [0, 0]], dtype=np.float32)
    ids, distances = topk(np.zeros((1, 2), dtype=np.float32), vectors, 3, Metric.COSINE, level=level)
    assert (ids.tolist(), distances.tolist()) == ([[0, 1, 2]], [[1, 1, 1]])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("metric", list(Metric))
def test_overflow_comes_last(level: str, metric: Metric) -> None:
    vectors = np.array([[3e38, -3e38], [1, 1]], dtype=np.float32)
    query = np.array([[3e38, 3e38]], dtype=np.float32)
    ids, distances = topk(query, vectors, 2, metric, level=level)
    assert sorted(ids[0].tolist()) == [0, 1]
    assert not np.isnan(distances).any()
    assert distances[0, 0] <= distances[0, 1]


def test_nothing_to_find() -> None:
    query = np.ones((2, 3), dtype=np.float32)
    for vectors, mask in [
        (np.ones((0, 3), dtype=np.float32), None),
        (np.ones((5, 3), dtype=np.float32), np.zeros(5, dtype=np.bool_)),
    ]:
        ids, distances = topk(query, vectors, 10, Metric.EUCLIDEAN, mask)
        assert ids.shape == distances.shape == (2, 0)


def test_scans_run_beside_each_other() -> None:
    rng = np.random.default_rng(4)
    vectors = random_vectors(rng, 5_000, 32)
    queries = random_vectors(rng, 8, 32)
    expected = topk(queries, vectors, 10, Metric.COSINE)
    wrong: list[int] = []

    def search(q: int) -> None:
        for _ in range(50):
            ids, _ = topk(queries[q : q + 1], vectors, 10, Metric.COSINE, threads=2)
            if ids.tolist() != expected[0][q : q + 1].tolist():
                wrong.append(q)

    threads = [threading.Thread(target=search, args=(q,)) for q in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


VECTORS = np.ones((4, 3), dtype=np.float32)
QUERY = np.ones((1, 3), dtype=np.float32)
ARGUMENTS: dict[str, Any] = {"queries": QUERY, "vectors": VECTORS, "k": 1, "metric": Metric.EUCLIDEAN}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"k": 0}, "k is at least 1"),
        ({"k": -1}, "k is at least 1"),
        ({"queries": np.ones((1, 2), dtype=np.float32)}, "queries have 2 dimensions, vectors 3"),
        ({"mask": np.ones(3, dtype=np.bool_)}, "3 elements for 4 vectors"),
        ({"level": "mmx"}, "no SIMD level 'mmx'"),
        ({"vectors": np.ones((4, 0), dtype=np.float32)}, "1 to 4096 dimensions"),
        ({"vectors": np.ones((4, 4097), dtype=np.float32)}, "1 to 4096 dimensions"),
        ({"metric": 3}, "no metric 3"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        topk(**(ARGUMENTS | arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        {"vectors": VECTORS.astype(np.float64)},
        {"vectors": np.asfortranarray(VECTORS)},
        {"vectors": VECTORS[0]},
        {"queries": QUERY[0]},
        {"mask": np.ones(4, dtype=np.uint8)},
        {"mask": [True] * 4},
    ],
)
def test_nothing_is_converted_in_silence(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        topk(**(ARGUMENTS | arguments))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_require_finite_names_the_row(bad: float) -> None:
    vectors = np.full((50, 7), np.finfo(np.float32).max, dtype=np.float32)
    require_finite(vectors)
    require_finite(vectors[:0])
    vectors[33, 6] = bad
    vectors[40, 0] = bad
    with pytest.raises(ParameterInvalid, match="Vector 33 has an element that is not a finite float32"):
        require_finite(vectors)


def test_levels_end_with_the_portable_one() -> None:
    assert LEVELS[-1] == "portable"
    assert len(LEVELS) == len(set(LEVELS))
