"""Whether the documents of two parts have the same values, at some nanoseconds a value: both in the order they lie in.

The digest of a document sums a hash for each of its values, of fields and elements of arrays alike. Documents with the
same values have the same digest. Others have so too with a chance of 1 in 2^32 at most, drawn anew in every process,
so that none is overlooked twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from lutra.scalars.part import ScalarPart
from lutra.segments.part import Part
from lutra.vectors.part import VectorPart

Digests = npt.NDArray[np.uint64]

_HASH_BITS: Final = 0xFFFF_FFFF_FFFF_FFFF
_ROUNDS: Final = ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB))
"""Of splitmix64's finalizer (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""


class Digester:
    """Takes digests that can be compared with each other."""

    def __init__(self) -> None:
        self._random = np.random.default_rng()
        self._salt = int(self._random.integers(1 << 63))
        self._weights: dict[int, Digests] = {}

    def digests(self, part: Part) -> Digests:
        """uint64[size], by document; of a dead one, too. Raises as reading ``part`` does."""
        result = np.zeros(part.size, np.uint64)
        self._add_scalars(result, part.scalars)
        for name, vectors in part.vectors.items():
            self._add_vectors(result, name, vectors)
        return result

    def _add_scalars(self, result: Digests, scalars: Mapping[str, ScalarPart]) -> None:
        for name, column in scalars.items():
            elements = column.elements()
            hashes = _words(elements.values)
            if elements.strings is not None:
                hashes = _hashes(elements.strings)[elements.values]
            _add(result, elements.docs, self._mixed(hashes, name))

    def _add_vectors(self, result: Digests, name: str, vectors: VectorPart) -> None:
        docs, first = vectors.docs(), 0
        for block in vectors.row_blocks():
            words = np.ascontiguousarray(block).view(np.uint32).astype(np.uint64)
            hashes = words @ self._weights_of(words.shape[1])
            result[docs[first : first + len(block)]] += self._mixed(hashes, name)
            first += len(block)

    def _weights_of(self, dimension: int) -> Digests:
        weights = self._weights.get(dimension)
        if weights is None:
            weights = self._random.integers(_HASH_BITS, size=dimension, dtype=np.uint64, endpoint=True)
            self._weights[dimension] = weights
        return weights

    def _mixed(self, hashes: Digests, field: str) -> Digests:
        """As if random, and other for each field; never all the same for a value that is there and one that is not."""
        mixed = hashes ^ np.uint64(self._salt ^ crc32(field.encode()) << 31)
        for shift, factor in _ROUNDS:
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))


def _add(result: Digests, docs: npt.NDArray[np.int32] | None, hashes: Digests) -> None:
    """Adds to each document the hashes of its values."""
    if docs is None:
        result[: len(hashes)] += hashes
    elif len(docs):
        firsts = np.flatnonzero(np.diff(docs, prepend=-1))
        result[docs[firsts]] += np.add.reduceat(hashes, firsts)


def _words(values: npt.NDArray[Any]) -> Digests:
    """The same for equal numbers: for both zeros, and for every NaN."""
    if values.dtype.kind != "f":
        return values.astype(np.int64).view(np.uint64)
    plain = values.astype(np.float64) + 0.0
    plain[np.isnan(plain)] = np.nan
    return plain.view(np.uint64)


def _hashes(strings: Sequence[bytes]) -> Digests:
    """Python's own, which differ from process to process."""
    return np.fromiter((hash(string) & _HASH_BITS for string in strings), np.uint64, len(strings))
