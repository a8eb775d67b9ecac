"""Graphs built along directions: as good as those built by all dimensions, left where these tell too little."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from support.code_bases import axes, orthogonal
from support.graphs import Vectors, check_graph, recall, walker

from lutra.kernels.codes import centroid_of
from lutra.kernels.distance import simd_levels
from lutra.kernels.graph import Graph, build
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import Metric
from lutra.vectors.code_basis import BasisTrainer

METRICS = [Metric.EUCLIDEAN, Metric.COSINE]


def latent(count: int, dimension: int, hidden: int = 14, noise: float = 0.05, seed: int = 0) -> Vectors:
    """Rows of ``hidden`` dimensions, turned, and a little noise."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((hidden, dimension))
    rows = rng.standard_normal((count, hidden)) @ mixing + noise * rng.standard_normal((count, dimension)) + 0.3
    return rows.astype(np.float32)


def telling(vectors: Vectors, metric: Metric) -> NDArray[np.int16]:
    return BasisTrainer(vectors, metric, centroid_of(vectors, metric)).telling()


def recall_of(graph: Graph, vectors: Vectors, queries: Vectors, metric: Metric) -> float:
    rows = walker(vectors, graph, metric).walk(queries, 40, 10).rows
    return recall(rows, queries, vectors, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_as_good_as_by_all_dimensions_on_latent_data(metric: Metric) -> None:
    vectors = latent(3_300, 256)
    base, queries = vectors[:3_000], vectors[3_000:]
    directions = telling(base, metric)
    assert directions.shape == (64, 256)
    along = build(base, metric, degree=20, directions=directions)
    plain = build(base, metric, degree=20)
    check_graph(along, 3_000, 20)
    assert along.precision == plain.precision == "int8"
    assert (along.neighbours != plain.neighbours).any()
    assert along.peak_bytes < plain.peak_bytes - 3_000 * (256 - 64) * 0.9
    assert recall_of(along, base, queries, metric) >= recall_of(plain, base, queries, metric) - 0.01


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_graph_whatever_the_threads_and_the_level(metric: Metric) -> None:
    vectors = latent(900, 150)
    directions = orthogonal(128, 150)
    expected = build(vectors, metric, threads=1, precision="int8", directions=directions)
    for level in simd_levels():
        for threads in (2, 5):
            graph = build(vectors, metric, threads=threads, precision="int8", level=level, directions=directions)
            assert (graph.neighbours == expected.neighbours).all()
            assert (graph.entries == expected.entries).all()
            assert graph.distances == expected.distances
    other = build(vectors, metric, seed=1, precision="int8", directions=directions)
    assert (other.neighbours != expected.neighbours).any()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", [1, 3, 63, 65, 130])
def test_every_row_is_reachable(metric: Metric, dimension: int) -> None:
    """Whatever the directions: all of them, some, and some that are zeros."""
    vectors = latent(400, dimension)
    vectors[::50] = 0
    for count in (64, 128):
        directions = orthogonal(count, dimension, 3)
        for precision in ("auto", "int8", "float32"):
            graph = build(vectors, metric, degree=8, precision=precision, directions=directions)  # type: ignore[arg-type]
            check_graph(graph, 400, 8)


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_few_rows(rows: int) -> None:
    graph = build(latent(rows, 20), Metric.EUCLIDEAN, degree=4, directions=orthogonal(64, 20))
    check_graph(graph, rows, 4)


def test_directions_that_do_not_tell_rows_apart_are_left() -> None:
    """Rows that differ where no direction looks: the graph is that of a build without directions."""
    vectors = latent(1_500, 80, hidden=60)
    vectors[:, :40] = 1
    directions = axes(64, 80)
    directions[40:] = 0
    plain = build(vectors, Metric.EUCLIDEAN, degree=16)
    graph = build(vectors, Metric.EUCLIDEAN, degree=16, directions=directions)
    assert graph.precision == "int8"
    assert (graph.neighbours == plain.neighbours).all()
    assert graph.distances == plain.distances
    # Nor do any at all tell where the steps of int8 do not: float32 is what is left.
    rng = np.random.default_rng(0)
    tight = (np.repeat(50 * rng.standard_normal((20, 80)), 50, axis=0) + 0.01 * rng.random((1_000, 80))).astype("f4")
    graph = build(tight, Metric.EUCLIDEAN, degree=16, directions=orthogonal(128, 80))
    assert graph.precision == "float32"
    assert (graph.neighbours == build(tight, Metric.EUCLIDEAN, degree=16).neighbours).all()


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_at_the_ends_of_float32(metric: Metric) -> None:
    vectors = latent(300, 30)
    for magnitude in (1e30, 1e18, 1e-18, 1e-30, 1e-44):
        some = vectors.copy()
        some[::7] *= np.float32(magnitude)
        for given in (some, (vectors * np.float64(magnitude)).astype(np.float32)):
            for precision in ("auto", "int8"):
                graph = build(given, metric, degree=8, precision=precision, directions=orthogonal(64, 30))  # type: ignore[arg-type]
                check_graph(graph, 300, 8)


def test_going_on_from_a_graph() -> None:
    vectors = latent(1_500, 128)
    directions = telling(vectors, Metric.EUCLIDEAN)
    part = build(vectors[:1_000], Metric.EUCLIDEAN, degree=16, directions=directions)
    whole = build(vectors[:1_400], Metric.EUCLIDEAN, degree=16, directions=directions, start=part.neighbours)
    check_graph(whole, 1_400, 16)
    assert recall_of(whole, vectors[:1_400], vectors[1_400:], Metric.EUCLIDEAN) >= 0.97


def test_what_makes_no_sense_is_refused() -> None:
    vectors = latent(50, 70)
    good = orthogonal(64, 70)
    reports: list[int] = []

    def refused(error: type[Exception], text: str, directions: object, metric: Metric = Metric.EUCLIDEAN) -> None:
        with pytest.raises(error, match=text):
            build(
                vectors,
                metric,
                directions=directions,
                on_progress=lambda done, total: reports.append(done),  # type: ignore[arg-type]
            )

    refused(ValueError, "inner products", good, Metric.DOT_PRODUCT)
    for wrong in (good[:63], good[:0], good[:, :69].copy(), orthogonal(64, 71), np.zeros((4160, 70), np.int16)):
        refused(ValueError, "directions are a multiple of 64", wrong)
    refused(ValueError, "longer than 1", np.full((64, 70), 32_767, np.int16))
    for wrong in (good.astype(np.float32), good.astype(np.int32), np.asfortranarray(good), good[0]):
        refused(TypeError, "incompatible function arguments", wrong)
    assert reports == []
    vectors[17, 2] = np.nan
    refused(ParameterInvalid, "17", good)
