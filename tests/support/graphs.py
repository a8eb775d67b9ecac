"""Data and checks for tests of graphs and of walks over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.codes import Quantizer, centroid_of
from lutra.kernels.distance import topk
from lutra.kernels.graph import NO_ROW, Graph, Walker
from lutra.model.indexes import Metric

Vectors = NDArray[np.float32]


def manifold(count: int, dimension: int, latent: int = 16, seed: int = 0) -> Vectors:
    """Rows near a curved surface of ``latent`` dimensions, as embeddings are."""
    rng = np.random.default_rng(seed)
    bend = rng.standard_normal((latent, 64), dtype=np.float32)
    spread = rng.standard_normal((64, dimension), dtype=np.float32)
    hidden = np.maximum(rng.standard_normal((count, latent), dtype=np.float32) @ bend, 0)
    noise = rng.standard_normal((count, dimension), dtype=np.float32)
    return np.asarray(hidden @ spread + noise, dtype=np.float32)


def clustered(count: int, dimension: int, clusters: int, spread: float, seed: int = 0) -> Vectors:
    """Clusters 50 apart, ``spread`` wide, of uneven size."""
    rng = np.random.default_rng(seed)
    centres = 50 * rng.standard_normal((clusters, dimension))
    chosen = np.minimum(rng.zipf(1.3, count) - 1, clusters - 1)
    return np.asarray(centres[chosen] + spread * rng.standard_normal((count, dimension)), dtype=np.float32)


def reached(graph: Graph) -> NDArray[np.bool_]:
    """Which rows a path leads to from the entries."""
    found = np.zeros(len(graph.neighbours), dtype=np.bool_)
    frontier = graph.entries
    while len(frontier) > 0:
        found[frontier] = True
        following = np.unique(graph.neighbours[frontier])
        following = following[following != NO_ROW]
        frontier = following[~found[following]]
    return found


def check_graph(graph: Graph, rows: int, degree: int) -> None:
    """Degree, no loops, nothing twice, unused places last, every row reachable."""
    assert graph.neighbours.shape == (rows, degree)
    assert graph.neighbours.dtype == graph.entries.dtype == np.uint32
    used = graph.neighbours != NO_ROW
    assert not (~used[:, :-1] & used[:, 1:]).any()
    assert (graph.neighbours[used] < rows).all()
    assert not (graph.neighbours == np.arange(rows, dtype=np.uint32)[:, None]).any()
    ordered = np.sort(graph.neighbours, axis=1)
    assert not ((ordered[:, :-1] == ordered[:, 1:]) & (ordered[:, 1:] != NO_ROW)).any()
    assert len(np.unique(graph.entries)) == len(graph.entries)
    assert reached(graph).all()


def walker(vectors: Vectors, graph: Graph, metric: Metric, bits: int = 8) -> Walker:
    quantizer = Quantizer(vectors.shape[1], bits, metric, None if len(vectors) == 0 else centroid_of(vectors, metric))
    return Walker(graph.neighbours, graph.entries, quantizer.encode(vectors), quantizer)


def recall(
    rows: NDArray[np.int64], queries: Vectors, vectors: Vectors, metric: Metric, mask: NDArray[Any] | None = None
) -> float:
    """The share of the true nearest rows that were found, as many as ``rows`` has columns; equally near ones count."""
    _, nearest = topk(queries, vectors, rows.shape[1], metric, mask)
    shares = []
    for query, found, distances in zip(queries, rows, nearest, strict=True):
        found = found[found >= 0]
        got = np.zeros(len(vectors), dtype=np.bool_)
        got[found] = True
        count = int(got.sum())
        assert count == len(found)
        near = topk(query[None, :], vectors, len(vectors), metric, got)[1][0]
        shares.append((near <= distances[-1] + 1e-4 * abs(distances[-1]) + 1e-6).sum() / len(distances))
    return float(np.mean(shares))
