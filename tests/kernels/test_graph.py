"""Graphs: their shape, that every row can be reached, and that a walk over them finds what brute force finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.graphs import Vectors, check_graph, clustered, manifold, recall, walker

from lutra.kernels.distance import simd_levels, topk
from lutra.kernels.graph import NO_ROW, build
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric

METRICS = list(Metric)


def found_share(vectors: Vectors, queries: Vectors, metric: Metric, beam: int = 60, **options: object) -> float:
    """Recall@10 of a graph with a degree of 24, by codes of 8 bits."""
    graph = build(vectors, metric, degree=24, **options)  # type: ignore[arg-type]
    check_graph(graph, len(vectors), 24)
    walks = walker(vectors, graph, metric).walk(queries, beam, 20)
    return recall(exact_order(walks.rows, queries, vectors, metric), queries, vectors, metric)


def exact_order(rows: NDArray[np.int64], queries: Vectors, vectors: Vectors, metric: Metric) -> NDArray[np.int64]:
    """The ten of each query's rows that are truly nearest."""
    result = np.full((len(rows), 10), -1, dtype=np.int64)
    for i, found in enumerate(rows):
        mask = np.zeros(len(vectors), dtype=np.bool_)
        mask[found[found >= 0]] = True
        ids, _ = topk(queries[i : i + 1], vectors, 10, metric, mask)
        result[i, : ids.shape[1]] = ids[0]
    return result


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_walk_finds_what_brute_force_finds(metric: Metric, precision: str) -> None:
    vectors = manifold(3100, 40)
    assert found_share(vectors[:3000], vectors[3000:], metric, precision=precision) >= 0.98


def test_inner_products_of_uneven_lengths() -> None:
    vectors = manifold(3100, 40)
    vectors[:3000] *= np.random.default_rng(1).lognormal(0, 0.7, (3000, 1)).astype(np.float32)
    assert found_share(vectors[:3000], vectors[3000:], Metric.DOT_PRODUCT) >= 0.95


@pytest.mark.parametrize("clusters", [2, 30, 300])
def test_clusters_far_apart(clusters: int) -> None:
    vectors = clustered(3100, 16, clusters, 2.0)
    assert found_share(vectors[:3000], vectors[3000:], Metric.EUCLIDEAN) >= 0.98


def test_narrow_walks_come_by_every_row() -> None:
    """Heavy tails: many rows are nobody's neighbours, or lie beside the ways that lead to those around them."""
    vectors = np.random.default_rng(0).standard_t(1.5, (4_000, 32)).astype(np.float32)
    walked = walker(vectors, build(vectors, Metric.EUCLIDEAN), Metric.EUCLIDEAN)
    found = walked.walk(vectors, beam=32, count=1).rows[:, 0]
    assert np.array_equal(found, np.arange(len(vectors)))


def test_uniform_data() -> None:
    vectors = np.random.default_rng(0).random((3100, 12), dtype=np.float32)
    assert found_share(vectors[:3000], vectors[3000:], Metric.EUCLIDEAN) >= 0.98


def test_many_equal_rows() -> None:
    """Half of the rows are one and the same vector, the others lie around it."""
    vectors = manifold(2100, 16)
    vectors[:1000] = vectors[0]
    assert found_share(vectors[:2000], vectors[2000:], Metric.EUCLIDEAN) >= 0.98
    graph = build(vectors[:2000], Metric.EUCLIDEAN, degree=24)
    at_it = walker(vectors[:2000], graph, Metric.EUCLIDEAN).walk(vectors[:1], 60, 20)
    assert (at_it.rows < 1000).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [0.0, 3.5])
def test_all_rows_equal(metric: Metric, value: float) -> None:
    vectors = np.full((700, 9), value, dtype=np.float32)
    graph = build(vectors, metric, degree=8)
    check_graph(graph, 700, 8)
    walks = walker(vectors, graph, metric).walk(vectors[:2], 30, 30)
    assert all(len(set(rows)) == 30 for rows in walks.rows.tolist())


def test_int8_gives_way_where_it_cannot_tell_neighbours_apart() -> None:
    """Clusters so tight that one step of the codes spans each of them."""
    vectors = clustered(2000, 16, 20, 0.05)
    assert build(vectors, Metric.EUCLIDEAN).precision == "float32"
    assert build(manifold(2000, 40), Metric.EUCLIDEAN).precision == "int8"


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_graph_whatever_the_threads_and_the_level(metric: Metric) -> None:
    vectors = manifold(1200, 70)
    expected = build(vectors, metric, threads=1, precision="int8")
    for level in simd_levels():
        for threads in (2, 5):
            graph = build(vectors, metric, threads=threads, precision="int8", level=level)
            assert (graph.neighbours == expected.neighbours).all()
            assert (graph.entries == expected.entries).all()
            assert graph.distances == expected.distances
    exact = build(vectors, metric, threads=1, precision="float32")
    assert (build(vectors, metric, threads=3, precision="float32").neighbours == exact.neighbours).all()
    assert (build(vectors, metric, seed=1, precision="int8").neighbours != expected.neighbours).any()


@pytest.mark.parametrize("level", simd_levels())
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_every_level_builds_a_good_graph(level: str, precision: str) -> None:
    vectors = manifold(1100, 33)
    share = found_share(vectors[:1000], vectors[1000:], Metric.EUCLIDEAN, level=level, precision=precision)
    assert share >= 0.98


def test_going_on_from_a_graph() -> None:
    vectors = manifold(3100, 40)
    part = build(vectors[:2000], Metric.EUCLIDEAN, degree=24)
    start = part.neighbours.copy()
    start[100:120] = NO_ROW  # to be inserted anew
    begun: list[int] = []
    share = found_share(
        vectors[:3000],
        vectors[3000:],
        Metric.EUCLIDEAN,
        start=start,
        on_progress=lambda done, total: begun.append(done),
    )
    assert share >= 0.98
    assert begun[0] >= 1980 - 54  # entries that are new rows count as not inserted
    assert begun[-1] == 3000
    whole = build(vectors[:3000], Metric.EUCLIDEAN, degree=24)
    rest = build(vectors[:3000], Metric.EUCLIDEAN, degree=24, start=part.neighbours)
    assert rest.distances < 0.6 * whole.distances


def test_going_on_from_a_graph_of_another_degree() -> None:
    vectors = manifold(900, 20)
    for degree in (4, 64):
        part = build(vectors[:500], Metric.EUCLIDEAN, degree=degree)
        check_graph(build(vectors, Metric.EUCLIDEAN, degree=16, start=part.neighbours), 900, 16)
    nothing = build(vectors, Metric.EUCLIDEAN, start=np.empty((0, 16), dtype=np.uint32))
    assert (nothing.neighbours == build(vectors, Metric.EUCLIDEAN).neighbours).all()


def test_progress_rises_and_an_exception_of_it_stops_the_build() -> None:
    reports: list[tuple[int, int]] = []
    vectors = manifold(1000, 20)
    build(vectors, Metric.EUCLIDEAN, on_progress=lambda done, total: reports.append((done, total)))
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    assert {total for _, total in reports} == {1000}
    assert reports[0][0] == 0
    assert reports[-1][0] == 1000
    assert len(reports) > 30

    def stop(done: int, total: int) -> None:
        if done > 300:
            raise InterruptedError(done)

    with pytest.raises(InterruptedError):
        build(vectors, Metric.EUCLIDEAN, on_progress=stop)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 70),
    dimension=st.integers(1, 5),
    distinct=st.integers(1, 70),
    degree=st.integers(1, 12),
    beam=st.integers(1, 30),
    metric=st.sampled_from(METRICS),
    precision=st.sampled_from(["auto", "int8", "float32"]),
    seed=st.integers(0, 2**64 - 1),
)
def test_tiny_sets(
    rows: int, dimension: int, distinct: int, degree: int, beam: int, metric: Metric, precision: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(-2, 3, (distinct, dimension)).astype(np.float32)
    vectors = values[rng.integers(0, distinct, rows)]
    graph = build(vectors, metric, degree=degree, beam=beam, seed=seed, precision=precision)  # type: ignore[arg-type]
    check_graph(graph, rows, degree)
    walks = walker(vectors, graph, metric).walk(values[:1], 80, 80, threads=1)
    assert set(walks.rows[0].tolist()) - {-1} == set(range(rows))


def test_numbers_at_the_end_of_float32() -> None:
    vectors = manifold(300, 8)
    vectors[::7] *= np.float32(1e30)
    for metric in METRICS:
        for precision in ("int8", "float32"):
            check_graph(build(vectors, metric, degree=8, precision=precision), 300, 8)  # type: ignore[arg-type]


def test_memory_is_what_is_said() -> None:
    rows = 5000
    graph = build(manifold(rows, 100), Metric.EUCLIDEAN, threads=2, precision="int8")
    batch = 20 * 32 * max(rows // 50, 71)
    assert rows * (128 + 5.2 * 32) < graph.peak_bytes < rows * (128 + 5.2 * 32 + 14) + batch


def test_what_makes_no_sense_is_refused() -> None:
    vectors = manifold(50, 6)
    for options in (
        {"degree": 0}, {"degree": 1025}, {"beam": 0}, {"beam": 4097}, {"alpha": 0.99}, {"alpha": float("nan")},
        {"precision": "half"}, {"level": "none"}, {"start": np.zeros((51, 4), dtype=np.uint32)},
        {"start": np.full((50, 4), 50, dtype=np.uint32)},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(options)).split("_")[0] + "|SIMD|has neighbour|rows"):
            build(vectors, Metric.EUCLIDEAN, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dimension"):
        build(np.zeros((3, 0), dtype=np.float32), Metric.EUCLIDEAN)
    with pytest.raises(TypeError):
        build(vectors.astype(np.float64), Metric.EUCLIDEAN)  # type: ignore[arg-type]
    vectors[17, 2] = np.nan
    with pytest.raises(ParameterInvalid, match="17"):
        build(vectors, Metric.EUCLIDEAN)
