"""Filters that the pictures of `bench.gallery` are asked under: by chance, and by where rows lie from the query."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Filter = Callable[[Vectors, Vectors], Mask]


def _by_chance(share: float, rows: Vectors, query: Vectors) -> Mask:
    """The same rows whatever is asked for."""
    return np.random.default_rng(len(rows)).random(len(rows)) < share


def _by_direction(share: float, sign: float, rows: Vectors, query: Vectors) -> Mask:
    """The ``share`` of rows that lie the farthest the query's way, or the other."""
    along = sign * (rows.astype(np.float64) @ query.astype(np.float64))
    return np.asarray(along >= np.quantile(along, 1 - share))


def _by_distance(share: float, rows: Vectors, query: Vectors) -> Mask:
    """All but the ``share`` of rows nearest to the query."""
    distances = ((rows.astype(np.float64) - query) ** 2).sum(axis=1)
    return np.asarray(distances > np.quantile(distances, share))


FILTERS: Final[dict[str, Filter]] = {
    "10 % by chance": partial(_by_chance, 0.1),
    "1 % by chance": partial(_by_chance, 0.01),
    "10 % towards": partial(_by_direction, 0.1, 1.0),
    "10 % away": partial(_by_direction, 0.1, -1.0),
    "all but the nearest 5 %": partial(_by_distance, 0.05),
    "the farthest half": partial(_by_distance, 0.5),
}
"""For rows and a query, which rows count."""
