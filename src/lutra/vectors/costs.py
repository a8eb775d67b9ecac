"""What the parts of a search cost, so that strategies can be compared before one is begun."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Measured on 2 vCPUs (EPYC, AVX-512 VNNI) at 200k x 960 with codes of 64 and of 248 bytes. Only their ratios matter.
READ_US: Final = 8.0
"""A page from a local disk, a batch at a time: 7 us of processor time, and waiting that nothing else fills."""
NODE_READ_US: Final = 18.0
"""A node on a walk on disk, six at a time: what is read next is known only when they are there."""
SCAN_ESTIMATE_US: Final = 0.004
SCAN_BYTE_US: Final = 0.000_04
"""A code looked at, one after the other: 6 ns for 56 bytes, 14 for 248."""
MASKED_ESTIMATE_US: Final = 0.004
MASKED_BYTE_US: Final = 0.000_2
"""Under a mask: 13 to 17 ns for 64 bytes, 60 for 264: some 13 for each of a record's cache lines."""
WALK_ESTIMATE_US: Final = 0.037
WALK_BYTE_US: Final = 0.000_2
"""A code looked at on a walk, the keeping of the beam included: 50 ns for 64 bytes."""
MASK_ROW_US: Final = 0.000_05
"""A row of the mask passed over on a scan."""
FILTERED_WALK_FACTOR: Final = 1.4
"""A walk under a mask that half of the rows pass, against one without: 1.0 to 1.6 times the distances."""
BRIDGED_WALK_FACTOR: Final = 2.4
"""Where few pass, and lists are read through beside."""
BRIDGED_BELOW: Final = 0.15
"""As in native/graph/walk.cpp."""


@dataclass(frozen=True, slots=True)
class SegmentCosts:
    """Of one segment; microseconds on one thread."""

    rows: int
    record_bytes: int
    """0: there are no codes."""
    has_graph: bool
    rows_per_block: int = 1
    """Of vectors, and their neighbours: what is read at once."""

    @property
    def walk_estimate_us(self) -> float:
        return WALK_ESTIMATE_US + WALK_BYTE_US * self.record_bytes

    def effort_us(self, distances: float, reads: float) -> float:
        """A walk of so many estimates, and the reads after it; the same for a scan where there is no graph."""
        estimate_us = self.walk_estimate_us if self.has_graph else SCAN_ESTIMATE_US + SCAN_BYTE_US * self.record_bytes
        return distances * estimate_us + reads * READ_US

    def filtered_walk_us(self, qualifying: int, distances: float, reads: float) -> float:
        return self.filtered_walk_factor(qualifying) * distances * self.walk_estimate_us + reads * READ_US

    def filtered_walk_factor(self, qualifying: int) -> float:
        """So many times the distances a walk takes under a mask that ``qualifying`` rows pass."""
        return FILTERED_WALK_FACTOR if qualifying >= BRIDGED_BELOW * self.rows else BRIDGED_WALK_FACTOR

    def node_walk_us(self, distances: float, hops: float, has_codes: bool) -> float:
        """A walk on disk: a read a hop, or one for every distance where codes are not in memory."""
        return hops * NODE_READ_US + distances * (self.walk_estimate_us if has_codes else READ_US)

    def scan_us(self, qualifying: int, reads: float) -> float:
        """The codes of so many rows, and the reads after it."""
        reads_us = min(reads, self.blocks_of(qualifying)) * READ_US
        if qualifying == self.rows:
            return qualifying * (SCAN_ESTIMATE_US + SCAN_BYTE_US * self.record_bytes) + reads_us
        estimate_us = MASKED_ESTIMATE_US + MASKED_BYTE_US * self.record_bytes
        return qualifying * estimate_us + self.rows * MASK_ROW_US + reads_us

    def brute_force_us(self, qualifying: int) -> float:
        return self.blocks_of(qualifying) * READ_US + self.rows * MASK_ROW_US

    def blocks_of(self, qualifying: float) -> float:
        """How many blocks so many rows by chance lie in."""
        if self.rows == 0:
            return 0.0
        missed: float = (1 - min(1.0, qualifying / self.rows)) ** self.rows_per_block
        return min(qualifying, self.rows / self.rows_per_block * (1 - missed))
