"""How many documents match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lutra.model.errors import Corruption
from lutra.search.matching import Matching

_BYTES: Final = 8


class CountCollector:
    """Its state is the number."""

    def collect(self, matching: Matching) -> int:
        return matching.count

    def merge(self, states: Sequence[int]) -> int:
        return sum(states)

    def encode(self, state: int) -> bytes:
        return state.to_bytes(_BYTES, "little")

    def decode(self, data: bytes) -> int:
        if len(data) != _BYTES:
            raise Corruption(f"a count has {_BYTES} bytes, not {len(data)}")
        return int.from_bytes(data, "little")
