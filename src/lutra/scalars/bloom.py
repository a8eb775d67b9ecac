"""A Bloom filter over byte strings: says at once of nearly all that are absent that they are.

Positions are made from the CRC-32 of a string (one call in C a string; the rest is arithmetic on arrays), mixed to 64
bits and hashed doubly (Kirsch and Mitzenmacher, 2006). Two strings of one CRC-32 are not told apart, which among ten
million keys adds 0.2 % to the 1 % of false answers that ten bits a key give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

BITS_PER_KEY: Final = 10
_PROBES: Final = 7
_BITS_MIN: Final = 64

Hashes = npt.NDArray[np.uint64]
_LOW: Final = np.uint64(0xFFFFFFFF)


def hashes_of(strings: Sequence[bytes]) -> Hashes:
    """uint64[n]: what the filter knows of each string."""
    mixed = np.fromiter(map(crc32, strings), np.uint64, len(strings))
    # The finalizer of splitmix64 (Steele, Lea and Flood, 2014).
    mixed += np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _positions(hashes: Hashes, bits: int) -> Iterator[Hashes]:
    """One position a probe for each hash, below ``bits`` (less than 2**32)."""
    first, step = hashes & _LOW, (hashes >> np.uint64(32)) | np.uint64(1)
    for _ in range(_PROBES):
        yield (first * np.uint64(bits)) >> np.uint64(32)
        first = (first + step) & _LOW


class Bloom:
    """``words`` are its bits, uint8, eight each, lowest first."""

    def __init__(self, words: npt.NDArray[np.uint8]) -> None:
        self.words = words

    @classmethod
    def of(cls, strings: Sequence[bytes]) -> Bloom:
        """A filter that knows ``strings``."""
        bits = max(_BITS_MIN, -(-len(strings) * BITS_PER_KEY // 8) * 8)
        if bits > 0xFFFFFFFF:
            raise ValueError("too many keys for one filter")
        marked = np.zeros(bits, bool)
        for position in _positions(hashes_of(strings), bits):
            marked[position] = True
        return cls(np.packbits(marked, bitorder="little"))

    def maybe(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        """Indices of those ``hashes`` whose strings may be there; all others are not."""
        candidates = np.arange(len(hashes))
        words = self.words
        first, step = hashes & _LOW, (hashes >> np.uint64(32)) | np.uint64(1)
        bits = np.uint64(8 * len(words))
        for _ in range(_PROBES):
            position = (first * bits) >> np.uint64(32)
            hit = np.flatnonzero((words[position >> np.uint64(3)] >> (position & np.uint64(7)).astype(np.uint8)) & 1)
            candidates, first, step = candidates[hit], first[hit], step[hit]
            if not len(candidates):
                break
            first = (first + step) & _LOW
        return candidates
