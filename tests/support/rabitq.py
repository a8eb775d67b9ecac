"""RaBitQ codes in numpy and float64, written from the paper and the record's layout, to compare the kernels with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_MASK = (1 << 64) - 1


def _random_bits(seed: int, count: int) -> NDArray[np.bool_]:
    """The bits of SplitMix64's numbers, lowest first."""
    bits: list[bool] = []
    while len(bits) < count:
        seed = (seed + 0x9E3779B97F4A7C15) & _MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        z ^= z >> 31
        bits.extend(bool(z >> i & 1) for i in range(64))
    return np.array(bits[:count])


def _hadamard(x: Array) -> Array:
    """The orthonormal transform along the last axis, whose length is a power of two."""
    size = x.shape[-1]
    stride = 1
    while stride < size:
        pairs = x.reshape(*x.shape[:-1], size // (2 * stride), 2, stride)
        a, b = pairs[..., 0, :], pairs[..., 1, :]
        x = np.stack([a + b, a - b], axis=-2).reshape(x.shape)
        stride *= 2
    return x / np.sqrt(size)


def rotate(vectors: Array, seed: int) -> Array:
    """float64 [n, padded] of [n, d]: signs, Hadamard over a window, halves mixed; in 3 or 4 rounds."""
    size = -(-vectors.shape[1] // 64) * 64
    x = np.zeros((len(vectors), size))
    x[:, : vectors.shape[1]] = vectors
    for signs, window in _rounds(size, seed):
        x = x * signs
        x[:, window] = _hadamard(x[:, window])
        x = _mixed(x)
    return x


def rotate_back(rotated: Array, seed: int) -> Array:
    """float64 [n, padded]: what `rotate` made ``rotated`` [n, padded] of; each of its steps undoes itself."""
    x = rotated.copy()
    for signs, window in reversed(_rounds(x.shape[1], seed)):
        x = _mixed(x)
        x[:, window] = _hadamard(x[:, window])
        x = x * signs
    return x


def _rounds(size: int, seed: int) -> list[tuple[Array, slice]]:
    """Signs and window of each round."""
    window = 1 << (size.bit_length() - 1)
    rounds = 3 if window == size else 4
    signs = np.where(_random_bits(seed, rounds * size), -1.0, 1.0).reshape(rounds, size)
    windows = (slice(0, window), slice(size - window, size))
    return [(signs[i], windows[i % 2]) for i in range(rounds)]


def _mixed(x: Array) -> Array:
    """The halves mixed pairwise, where a window is not all."""
    size = x.shape[1]
    if size & (size - 1) == 0:
        return x
    a, b = x[:, : size // 2], x[:, size // 2 :]
    return np.concatenate([a + b, a - b], axis=1) / np.sqrt(2)


class Decoded(NamedTuple):
    codes: Array  # [n, padded], the odd integers c
    norm: Array  # [n], |r|
    scale: Array  # [n], t
    ratio: Array  # [n], |e| / |r|


def decode(records: NDArray[np.uint8], bits: int) -> Decoded:
    """What records hold, by the layout that native/codes/codes.h describes."""
    code_bytes = records.shape[1] - 8
    levels = []
    for begin in range(0, code_bytes, 64):
        block = records[:, begin : min(begin + 64, code_bytes)]
        levels += [(block >> (k * bits)) & ((1 << bits) - 1) for k in range(8 // bits)]
    factors = np.ascontiguousarray(records[:, code_bytes:])
    packed = factors[:, 4:].copy().view("<u4")[:, 0]
    ratio_bits = packed & 0xFF
    ratio = np.where(ratio_bits == 0, 0.0, (1 + (ratio_bits & 15) / 16) * 2.0 ** ((ratio_bits >> 4).astype(float) - 12))
    return Decoded(
        codes=2.0 * np.concatenate(levels, axis=1) - (2**bits - 1),
        norm=factors[:, :4].copy().view("<f4")[:, 0].astype(np.float64),
        scale=(packed & 0xFFFFFF00).astype("<u4").view("<f4").astype(np.float64),
        ratio=ratio,
    )
