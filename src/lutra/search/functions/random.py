"""Chance: for each row the same as long as the seed is, wherever the row lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import numpy as np

from lutra.model.deadline import current_deadline
from lutra.model.scoring import RandomScore
from lutra.search.binder import Binder
from lutra.search.functions.function import Function, Said, binds
from lutra.search.scores import Docs
from lutra.segments.part import Part

_CHUNK: Final = 1 << 14
_SEED_MASK: Final = (1 << 64) - 1
_MANTISSA_BITS: Final = 53
_ROUNDS: Final = ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB))
"""Of splitmix64's finalizer (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""


@binds(RandomScore)
def bind(function: RandomScore, binder: Binder) -> Chance:
    return Chance(binder.draw() if function.seed is None else function.seed & _SEED_MASK)


@dataclass(frozen=True, slots=True)
class Chance(Function):
    """By a hash of the row's primary key and the seed, 64 bits of it."""

    seed: int

    def in_part(self, part: Part) -> Callable[[Docs], Said]:
        def say(docs: Docs) -> Said:
            hashes = np.empty(len(docs), np.uint64)
            for first in range(0, len(docs), _CHUNK):
                current_deadline().check()
                keys = part.keys.taken(docs[first : first + _CHUNK])
                hashes[first : first + _CHUNK] = np.fromiter(map(crc32, keys), np.uint64, len(keys))
            mixed = (hashes << np.uint64(32)) ^ np.uint64(self.seed)
            for shift, factor in _ROUNDS:
                mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
            mixed ^= mixed >> np.uint64(31)
            return Said((mixed >> np.uint64(64 - _MANTISSA_BITS)) / 2.0**_MANTISSA_BITS, None)

        return say

    def describe(self) -> dict[str, Any]:
        return {"function": "random", "seed": self.seed}
