"""Seeded data sets. Each gives float32[count, dimension], the same for the same arguments, made block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Block = Callable[[int, int], Vectors]

_BLOCK_ROWS: Final = 8_192
_NETWORK_WIDTH: Final = 512
_CLUSTERS: Final = 1_000


def gistlike(dimension: int, seed: int = 0) -> Block:
    """GIST's local intrinsic dimensionality of about 20: 24 latent dimensions, 5 % noise."""
    return _manifold(dimension, latent=24, noise=0.05, seed=seed)


def hard(dimension: int, seed: int = 0) -> Block:
    """A local intrinsic dimensionality of about 38: 48 latent dimensions, 10 % noise."""
    return _manifold(dimension, latent=48, noise=0.10, seed=seed)


def clustered(dimension: int, seed: int = 0) -> Block:
    """1,000 tight Gaussian clusters of uneven sizes."""
    shape = np.random.default_rng(seed)
    centres = shape.standard_normal((_CLUSTERS, dimension), dtype=np.float32)
    weights = shape.pareto(1.5, _CLUSTERS) + 0.05
    weights /= weights.sum()

    def block(start: int, count: int) -> Vectors:
        rng = np.random.default_rng((seed, 1, start))
        of = rng.choice(_CLUSTERS, count, p=weights)
        return centres[of] + np.float32(0.1) * rng.standard_normal((count, dimension), dtype=np.float32)

    return block


def uniform(dimension: int, seed: int = 0) -> Block:
    """Independent coordinates in [0, 1): what no index can make easy."""

    def block(start: int, count: int) -> Vectors:
        return np.random.default_rng((seed, 1, start)).random((count, dimension), dtype=np.float32)

    return block


def blocks(block: Block, count: int, start: int = 0) -> Iterator[Vectors]:
    """Rows ``start`` to ``start + count`` in blocks; ``start`` a multiple of the block's rows."""
    if start % _BLOCK_ROWS:
        raise ValueError(f"start must be a multiple of {_BLOCK_ROWS}")
    for begin in range(start, start + count, _BLOCK_ROWS):
        yield block(begin, min(_BLOCK_ROWS, start + count - begin))


def rows(block: Block, count: int) -> Vectors:
    """The first ``count`` rows."""
    return np.concatenate(list(blocks(block, count)))


def queries(block: Block, base_rows: int, count: int) -> Vectors:
    """``count`` rows of the same distribution that are not among the first ``base_rows``."""
    start = -(-base_rows // _BLOCK_ROWS) * _BLOCK_ROWS
    return np.concatenate(list(blocks(block, count, start)))


def _manifold(dimension: int, latent: int, noise: float, seed: int) -> Block:
    """One broad cluster, non-negative and smooth: Gaussian ``latent`` dimensions through a random two-layer network.

    ReLU within, softplus at the end, then multiplicative noise.
    """
    shape = np.random.default_rng(seed)
    first = shape.standard_normal((latent, _NETWORK_WIDTH), dtype=np.float32) / np.float32(np.sqrt(latent))
    second = shape.standard_normal((_NETWORK_WIDTH, dimension), dtype=np.float32) / np.float32(np.sqrt(_NETWORK_WIDTH))
    bias = np.float32(0.5) * shape.standard_normal(_NETWORK_WIDTH, dtype=np.float32)

    def block(start: int, count: int) -> Vectors:
        rng = np.random.default_rng((seed, 1, start))
        hidden = np.maximum(rng.standard_normal((count, latent), dtype=np.float32) @ first + bias, 0)
        smooth: Vectors = np.logaddexp(np.float32(0), hidden @ second)
        noisy: Vectors = smooth * (1 + np.float32(noise) * rng.standard_normal((count, dimension), dtype=np.float32))
        return np.maximum(noisy, np.float32(0))

    return block
