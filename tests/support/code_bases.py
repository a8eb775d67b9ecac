"""Bases for tests of codes along them, and a decoder of their records in numpy, by what native/codes/codes.h says."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from support.rabitq import rotate

from lutra.kernels.codes import Basis, CodePart

Array = NDArray[np.float64]
Vectors = NDArray[np.float32]

SCALE = 32_767


@functools.lru_cache(maxsize=64)
def orthogonal(count: int, dimension: int, seed: int = 0) -> NDArray[np.int16]:
    """int16 [count, dimension]: random directions at right angles to each other; zeros beyond the dimension."""
    square, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, min(count, dimension))))
    directions = np.zeros((count, dimension), np.int16)
    directions[: square.shape[1]] = np.rint(square.T * SCALE)
    return directions


def axes(count: int, dimension: int) -> NDArray[np.int16]:
    """int16 [count, dimension]: the dimensions themselves; zeros beyond the last."""
    directions = np.zeros((count, dimension), np.int16)
    some = np.arange(min(count, dimension))
    directions[some, some] = SCALE
    return directions


def basis_of(
    dimension: int, groups: dict[int, int], seed: int = 0, steps: dict[int, float] | None = None, spread: float = 0.1
) -> Basis:
    """``groups``: by bits, how many times 64 directions. Steps are those for elements alike, where none are given."""
    count = 64 * sum(groups.values())
    typical = {8: 0.0308, 4: 0.3352, 2: 0.9957, 1: 1.5958}
    alike = {bits: step / np.sqrt(max(64, min(count, dimension))) for bits, step in typical.items()}
    parts = tuple(CodePart(bits, 64 * number, (steps or alike)[bits]) for bits, number in groups.items() if number)
    is_small = dimension <= 700
    return Basis(orthogonal(count, dimension, seed) if is_small else axes(count, dimension), parts, spread)


class Decoded(NamedTuple):
    codes: Array
    """[n, directions]: the odd integers, times their part's step."""
    norm: Array
    """[n], |r|"""
    scale: Array
    """[n], t"""
    ratio: Array
    """[n], |e| / |r|"""


def decode(records: NDArray[np.uint8], basis: Basis) -> Decoded:
    """What records hold."""
    codes, begin = [], 0
    for part in basis.parts:
        size_bytes, odd = part.dimensions * part.bits // 8, 2**part.bits - 1
        for block in range(begin, begin + size_bytes, 64):
            some = records[:, block : min(block + 64, begin + size_bytes)]
            codes += [np.float32(part.step) * (2.0 * ((some >> k) & odd) - odd) for k in range(0, 8, part.bits)]
        begin += size_bytes
    assert begin + 8 == records.shape[1]
    factors = np.ascontiguousarray(records[:, begin:])
    packed = factors.view("<u4")[:, 1]
    bits = packed & 0xFF
    return Decoded(
        codes=np.concatenate(codes, axis=1).astype(np.float64),
        norm=factors.view("<f4")[:, 0].astype(np.float64),
        scale=(packed & 0xFFFFFF00).astype("<u4").view("<f4").astype(np.float64),
        ratio=np.where(bits == 0, 0.0, (1 + (bits & 15) / 16) * 2.0 ** ((bits >> 4).astype(float) - 12)),
    )


def turned(vectors: Array, basis: Basis, seed: int) -> Array:
    """float64 [n, directions] of float64 [n, d]: along the directions, each part rotated."""
    along = vectors @ (basis.directions.astype(np.float64) / SCALE).T
    parts, begin = [], 0
    for number, part in enumerate(basis.parts):
        parts.append(rotate(along[:, begin : begin + part.dimensions], seed + number))
        begin += part.dimensions
    return np.concatenate(parts, axis=1)
