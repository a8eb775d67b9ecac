"""Hashes of values, of which the digest of a document is the sum.

Documents with the same values have the same digest. Others have so too with a chance of 1 in 2^32 at most, drawn anew
in every process, so that none is overlooked twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from lutra.model.arrays import Digests

_HASH_BITS: Final = 0xFFFF_FFFF_FFFF_FFFF
_ROUNDS: Final = ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB))
"""Of splitmix64's finalizer (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""


class Hasher:
    """Gives hashes that can be compared with each other."""

    def __init__(self) -> None:
        self._random = np.random.default_rng()
        self.salt = int(self._random.integers(1 << 63))
        """63 bits drawn anew."""
        self._weights: dict[int, Digests] = {}

    def weights(self, count: int) -> Digests:
        """uint64[count], the same each time: by which ``count`` numbers become one."""
        weights = self._weights.get(count)
        if weights is None:
            weights = self._random.integers(_HASH_BITS, size=count, dtype=np.uint64, endpoint=True)
            self._weights[count] = weights
        return weights

    def mixed(self, hashes: Digests, field: str) -> Digests:
        """As if random, and other for each field; never all the same for a value that is there and one that is not."""
        mixed = hashes ^ np.uint64(self.salt ^ crc32(field.encode()) << 31)
        for shift, factor in _ROUNDS:
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))


def add_hashes(digests: Digests, docs: npt.NDArray[np.int32] | None, hashes: Digests) -> None:
    """Adds to each document the hashes of its values; ``docs`` ascending, None where they are 0, 1, 2, …"""
    if docs is None:
        digests[: len(hashes)] += hashes
    elif len(docs):
        firsts = np.flatnonzero(np.diff(docs, prepend=-1))
        digests[docs[firsts]] += np.add.reduceat(hashes, firsts)


def words_of(values: npt.NDArray[Any]) -> Digests:
    """uint64[n], the same for equal numbers: for both zeros, and for every NaN."""
    if values.dtype.kind != "f":
        return values.astype(np.int64).view(np.uint64)
    plain = values.astype(np.float64) + 0.0
    plain[np.isnan(plain)] = np.nan
    return plain.view(np.uint64)


def hashes_of_strings(strings: Sequence[bytes]) -> Digests:
    """Python's own, which differ from process to process."""
    return np.fromiter((hash(string) & _HASH_BITS for string in strings), np.uint64, len(strings))
