"""Vectors over the whole range of float32, and their distances in extended precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.model.indexes import Metric

Matrix = npt.NDArray[np.float32]
Wide = npt.NDArray[Any]
"""Of np.longdouble: its exponent holds any product of lengths."""

SCALES: dict[str, float] = {
    "least": 1e-44,
    "denormal": 1e-40,
    "tiny": 1e-30,
    "small": 1e-23,
    "ordinary": 1.0,
    "large": 1e20,
    "huge": 1e30,
    "largest": 5e37,
}
"""What vectors of about unit elements are multiplied by, by name; beside these `scaled` knows "mixed" and others."""
MIXED = ("mixed", "one huge", "one huge element", "some zero")
SCALES |= dict.fromkeys(MIXED, 1.0)


def scaled(rng: np.random.Generator, count: int, dimension: int, name: str) -> Matrix:
    """float32 [count, dimension]: normal vectors of that scale, or a mixture."""
    vectors = rng.standard_normal((count, dimension)) * SCALES[name]
    if name == "mixed":
        vectors *= 10.0 ** rng.uniform(-42, 37, (count, 1))
    elif name == "one huge":
        vectors[count // 3] *= 1e20
    elif name == "one huge element":
        vectors[np.arange(count), rng.integers(0, dimension, count)] *= 1e25
    elif name == "some zero":
        vectors[:: max(2, count // 10)] = 0
        vectors[1 :: max(2, count // 10)] *= 1e-38
    return vectors.astype(np.float32)


def true_distances(query: Matrix, vectors: Matrix, metric: Metric) -> Wide:
    """[n], as `lutra.kernels.distance.topk` defines them."""
    q, v = query.astype(np.longdouble), vectors.astype(np.longdouble)
    if metric is Metric.EUCLIDEAN:
        return np.asarray(((q - v) ** 2).sum(axis=1))
    products = (q * v).sum(axis=1)
    if metric is Metric.DOT_PRODUCT:
        return np.asarray(-products)
    lengths = lengths_product(query, vectors)
    return np.asarray(1 - np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0))


def lengths_of(vectors: Matrix) -> Wide:
    """[n]"""
    v = vectors.astype(np.longdouble)
    return np.asarray(np.sqrt((v * v).sum(axis=1)))


def lengths_product(query: Matrix, vectors: Matrix) -> Wide:
    """[n]: the query's length times each vector's."""
    return np.asarray(lengths_of(query[None, :]) * lengths_of(vectors))


def errors(query: Matrix, vectors: Matrix, found: npt.NDArray[np.float64], metric: Metric) -> npt.NDArray[np.float64]:
    """[n]: how far off ``found`` distances are: shares of the distance, of the lengths' product, or of 1 (cosine)."""
    truth = true_distances(query, vectors, metric)
    unit = {Metric.EUCLIDEAN: truth, Metric.DOT_PRODUCT: lengths_product(query, vectors)}.get(
        metric, np.ones_like(truth)
    )
    wrong = np.abs(found.astype(np.longdouble) - truth)
    shares = np.divide(wrong, unit, out=np.where(wrong > 0, np.inf, 0).astype(np.longdouble), where=unit > 0)
    return shares.astype(np.float64)
