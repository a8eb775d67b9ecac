"""Vectors as people have them: spoiled by single rows, in clumps, without a scale, or nothing like what is asked for.

Each picture of the gallery gives float32 rows [n, d] and queries [q, d], the same for the same arguments. Queries are
of the rows' own kind where a picture does not say otherwise; they are never rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Random = np.random.Generator
Make = Callable[[Random, int, int], Vectors]


@dataclass(frozen=True, slots=True)
class Picture:
    """One kind of data."""

    name: str
    rows: Make
    """Of a generator, a count and a dimension."""
    queries: Make | None = None
    """None: as the rows, but without what spoils them."""
    spoil: Callable[[Random, Vectors], None] | None = None
    """Changes some of the rows in place."""

    def draw(self, rows: int, queries: int, dimension: int, seed: int = 0) -> tuple[Vectors, Vectors]:
        """``(rows, queries)``."""
        rng = np.random.default_rng((seed, dimension))
        drawn = np.ascontiguousarray(self.rows(rng, rows + (0 if self.queries else queries), dimension), np.float32)
        if self.queries is None:
            chosen = rng.permutation(len(drawn))
            base, asked = drawn[np.sort(chosen[:rows])], drawn[chosen[rows:]]
        else:
            base, asked = drawn, self.queries(rng, queries, dimension)
        if self.spoil is not None:
            self.spoil(rng, base)
        return np.ascontiguousarray(base), np.ascontiguousarray(asked, np.float32)


def normal(rng: Random, count: int, dimension: int) -> Vectors:
    return rng.standard_normal((count, dimension), dtype=np.float32)


def _manifold(latent: int, noise: float) -> Make:
    """A smooth surface of ``latent`` dimensions."""

    def make(rng: Random, count: int, dimension: int) -> Vectors:
        shape = np.random.default_rng((latent, dimension))
        first = normal(shape, latent, 256) / np.sqrt(latent, dtype=np.float32)
        second = normal(shape, 256, dimension) / np.float32(16)
        surface = np.maximum(normal(rng, count, latent) @ first, 0) @ second
        return np.asarray(surface + np.float32(noise) * normal(rng, count, dimension), np.float32)

    return make


def _one_row(factor: float) -> Callable[[Random, Vectors], None]:
    def spoil(rng: Random, rows: Vectors) -> None:
        rows[len(rows) // 3] *= np.float32(factor)

    return spoil


def _sentinels(share: float, value: float) -> Callable[[Random, Vectors], None]:
    def spoil(rng: Random, rows: Vectors) -> None:
        rows[rng.random(len(rows)) < share] = np.float32(value)

    return spoil


def _clumps(size: int, noise: float) -> Make:
    """Clusters of ``size`` rows, ``noise`` of the spread of their centres wide."""

    def make(rng: Random, count: int, dimension: int) -> Vectors:
        centres = normal(rng, -(-count // size), dimension)
        of = np.arange(count) % len(centres)
        return centres[of] + np.float32(noise) * normal(rng, count, dimension)

    return make


def _half_equal(rng: Random, rows: Vectors) -> None:
    of = rng.integers(0, max(1, len(rows) // 50), len(rows) // 2)
    rows[len(rows) - len(of) :] = rows[of]


def _heavy_tails(rng: Random, count: int, dimension: int) -> Vectors:
    return rng.standard_t(1.5, (count, dimension)).astype(np.float32)


def _lengths(rng: Random, count: int, dimension: int) -> Vectors:
    """Over four decades."""
    return normal(rng, count, dimension) * np.float32(10) ** rng.uniform(-2, 2, (count, 1)).astype(np.float32)


def _scales(rng: Random, count: int, dimension: int) -> Vectors:
    """Of dimensions, over six decades."""
    return normal(rng, count, dimension) * np.float32(10) ** np.linspace(-3, 3, dimension, dtype=np.float32)


def _integers(rng: Random, count: int, dimension: int) -> Vectors:
    return rng.integers(0, 5, (count, dimension)).astype(np.float32)


def _one_hot(rng: Random, count: int, dimension: int) -> Vectors:
    rows = np.zeros((count, dimension), np.float32)
    rows[np.arange(count), rng.integers(0, dimension, count)] = 1
    return rows


def _binary(rng: Random, count: int, dimension: int) -> Vectors:
    return (rng.random((count, dimension)) < 0.5).astype(np.float32)


def _words(rng: Random, count: int, dimension: int) -> Vectors:
    """Sparse counts, few words common and most rare."""
    share = 2 / (1 + np.arange(dimension))
    return (rng.poisson(share, (count, dimension))).astype(np.float32)


def _constant_dimensions(rng: Random, count: int, dimension: int) -> Vectors:
    rows = normal(rng, count, dimension)
    rows[:, dimension // 2 :] = np.float32(1_000)
    return rows


def _walk(rng: Random, count: int, dimension: int) -> Vectors:
    """Ordered rows, each near the one before."""
    return np.cumsum(normal(rng, count, dimension), axis=0, dtype=np.float32)


def _between(make: Make) -> Make:
    """Halfway between two rows' likes."""

    def queries(rng: Random, count: int, dimension: int) -> Vectors:
        pairs = make(rng, max(20_000, 2 * count), dimension)
        pairs = pairs[rng.permutation(len(pairs))[: 2 * count]]
        return np.asarray((pairs[:count] + pairs[count:]) / 2, np.float32)

    return queries


def _shifted(make: Make, by: float, factor: float = 1) -> Make:
    def queries(rng: Random, count: int, dimension: int) -> Vectors:
        return np.float32(factor) * make(rng, count, dimension) + np.float32(by)

    return queries


def _other_kind(rng: Random, count: int, dimension: int) -> Vectors:
    """All positive and of one length, as of another modality."""
    vectors = np.abs(normal(rng, count, dimension))
    return np.asarray(3 * vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


_HARD: Final = _manifold(32, 0.1)
_CLEAN: Final = [
    Picture("clean", _HARD),
    Picture("normal", normal),
    Picture("low dimension", _manifold(3, 0.01)),
]
_SPOILED: Final = [
    *(Picture(f"one row x {factor:g}", normal, spoil=_one_row(factor)) for factor in (1e4, 1e5, 1e6, 1e9)),
    *(
        Picture(f"{share:.0%} of rows {value:g}", normal, spoil=_sentinels(share, value))
        for share in (0.01, 0.1)
        for value in (-9_999, 9_999, -999, 100, 0)
    ),
]
_CLUMPED: Final = [
    *(
        Picture(f"clumps of {size}, {noise:.2%}", _clumps(size, noise))
        for size in (10, 100, 1_000, 10_000)
        for noise in (0.01, 0.001, 0.0001)
    ),
    Picture("half of rows equal", normal, spoil=_half_equal),
]
_SHAPED: Final = [
    Picture("heavy tails", _heavy_tails),
    Picture("lengths over 4 decades", _lengths),
    Picture("scales over 6 decades", _scales),
    Picture("integers", _integers),
    Picture("one-hot", _one_hot),
    Picture("binary", _binary),
    Picture("bags of words", _words),
    Picture("constant dimensions", _constant_dimensions),
    Picture("random walk", _walk),
]
_ASKED_OTHERWISE: Final = [
    Picture("queries between clumps", _clumps(100, 0.2), queries=_between(_clumps(100, 0.2))),
    Picture("queries between rows", _HARD, queries=_between(_HARD)),
    Picture("queries shifted", _HARD, queries=_shifted(_HARD, 2.0)),
    Picture("queries x 10", _HARD, queries=_shifted(_HARD, 0.0, 10.0)),
    Picture("queries x 0.1", _HARD, queries=_shifted(_HARD, 0.0, 0.1)),
    Picture("queries of another kind", _HARD, queries=_other_kind),
]

GALLERY: Final[tuple[Picture, ...]] = (*_CLEAN, *_SPOILED, *_CLUMPED, *_SHAPED, *_ASKED_OTHERWISE)
