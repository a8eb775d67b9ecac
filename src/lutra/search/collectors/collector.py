"""The face of a collector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from lutra.search.matching import Matching

S = TypeVar("S")


class Collector(Protocol[S]):
    """Takes in what matches, part by part. What it has of some parts, its partial state, can be merged with that of
    others, in any order and grouping, and sent from one machine to another: the outcome is the same."""

    def collect(self, matching: Matching) -> S:
        """The state of one part. Raises RequestTimeout, StorageFailure, Corruption."""

    def merge(self, states: Sequence[S]) -> S:
        """The state of all their parts together; of none, that of no document."""

    def encode(self, state: S) -> bytes:
        """To be sent. Raises as `collect`: what is left to be read is read now."""

    def decode(self, data: bytes) -> S:
        """Raises Corruption for what `encode` of such a collector did not make."""
