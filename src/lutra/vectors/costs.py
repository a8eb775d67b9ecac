"""What the parts of a search cost, so that strategies can be compared before one is begun.

All is measured on 2 vCPUs (EPYC, AVX-512 VNNI, 60,000 reads a second) by `bench.planner`: 5,000 to 200,000 rows of 96,
128 and 960 dimensions, codes of 56 to 264 bytes. Strategies are chosen by the ratios.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

START_US: Final = 22.0
"""Of any search of a segment: the call, and what its answer is put in."""
QUERY_US: Final = 5.0
"""A query made ready for codes."""

REQUEST_US: Final = 2.5
"""A request to a local disk, a batch at a time: of the processor,"""
REQUEST_WAIT_US: Final = 2.0
"""and waiting for it that nothing else fills."""
BYTE_US: Final = 1.1 / 4096
"""A byte that is read, its checksum and its part of a distance included; and"""
BYTE_WAIT_US: Final = 3.0 / 4096
ROUND_WAIT_US: Final = 30.0
"""The first batch of reads, be it of one."""
REQUEST_BYTES_MAX: Final = 128 * 1024
"""As in native/search/node_reader.cpp: neighbouring blocks are read by one request up to this size."""
HOP_US: Final = 4.0
"""A node on a walk on disk, beside its read: what is read next is known only when it is there,"""
HOP_WAIT_US: Final = 14.0
"""six at a time."""

SCAN_ESTIMATE_US: Final = 0.002_5
SCAN_BYTE_US: Final = 0.000_04
"""A code looked at, one after the other: 3.5 to 6 ns for 56 bytes, 14 for 248."""
LINE_MISS_US: Final = 0.005
"""A cache line of a code that is not looked at one after the other: under a mask that few pass all are."""
LINE_BYTES: Final = 64
MASK_ROW_US: Final = 0.000_05
"""A row of the mask passed over on a scan."""
CANDIDATE_US: Final = 0.06
"""A row that a scan keeps: put in order, told apart by the longer codes, and its bound looked at."""

LIST_US: Final = 0.006
"""A list whose centroid is compared, and that is put in order;"""
LIST_OPENED_US: Final = 0.013
"""one whose rows are looked at, beside them;"""
LIST_MISS_US: Final = 0.004
"""and a cache line of a code there, of which only those that count are fetched ahead."""
FAST_ROW_US: Final = 0.001_2
"""A row of it by its fast code, and"""
FAST_KEPT_US: Final = 8.0
"""the longer codes of the few hundred rows that these leave."""
FAST_SHARE: Final = 0.1
"""As in native/search/search_fast.cpp: so much of a list has to count."""
DENSE_SHARE: Final = 0.4
"""As in native/search/search_lists.cpp."""

WALK_ESTIMATE_US: Final = 0.012
WALK_BYTE_US: Final = 0.000_2
"""A code looked at on a walk, the keeping of the beam included, of a line or two; for each byte beyond."""
WALK_MISS_US: Final = 0.01
"""As much as lies outside of the processor's cache, though lists and records are fetched ahead: 12 ns at 20,000 rows of
128 dimensions, 17 at 200,000; twice as long where others use the memory."""
CACHED_BYTES: Final = 9 * 1024 * 1024
"""Of codes and graph that a walk finds in the processor's cache."""
FILTERED_WALK_POWER: Final = 0.4
"""A walk under a mask, against one without: of the share that passes, to the power of minus this, times the distances
(of half 1.3 times, of a fifth 1.9),"""
FILTERED_ESTIMATE_FACTOR: Final = 1.5
"""each of which takes so much longer: the mask is asked, and what counts is kept beside the beam."""
BRIDGED_WALK_FACTOR: Final = 2.4
"""Where few pass, and lists are read through beside;"""
BRIDGED_ESTIMATE_FACTOR: Final = 1.8
BRIDGED_BELOW: Final = 0.15
"""As in native/graph/walk.cpp."""

LINK_ESTIMATE_US: Final = 0.004
LINK_BYTE_US: Final = 0.000_2
"""A neighbour looked at by its code in its row's block, of which it is so many bytes: 16 ns of 58 at 128 dimensions."""

# By these a build weighs what is walked against what is read after it.
_EFFORT_READ_US: Final = 8.0
_EFFORT_ESTIMATE_US: Final = 0.037


class Cost(NamedTuple):
    """Of one way to search a segment, on one thread."""

    processor_us: float
    waiting_us: float = 0.0
    """For reads, where nothing else is done meanwhile."""

    @property
    def us(self) -> float:
        """On the clock, of a search that is alone."""
        return self.processor_us + self.waiting_us

    def plus(self, other: Cost) -> Cost:
        """Both, one after the other."""
        return Cost(self.processor_us + other.processor_us, self.waiting_us + other.waiting_us)


@dataclass(frozen=True, slots=True)
class SegmentCosts:
    """Of one segment; microseconds on one thread."""

    rows: int
    record_bytes: int
    """0: there are no codes."""
    has_graph: bool
    rows_per_block: int = 1
    """Of vectors, and their neighbours: what is read at once."""
    block_bytes: int = 4096
    degree: int = 0
    """Neighbours of a row, 4 bytes each."""
    lists: int = 0
    """In memory; 0: none."""
    link_bytes: int = 0
    """Of a row, where walks go by links, and read nothing; 0: they do not."""
    has_fast: bool = False
    """Whether lists have fast codes in memory."""

    @property
    def walk_estimate_us(self) -> float:
        """A distance of a walk over what is in memory."""
        if self.link_bytes:
            return LINK_ESTIMATE_US + LINK_BYTE_US * self.link_bytes / self.degree
        footprint = self.rows * (self.record_bytes + 4 * self.degree)
        missed = max(0.0, 1 - CACHED_BYTES / footprint) if footprint else 0.0
        beyond = max(0, self.record_bytes - LINE_BYTES)
        return WALK_ESTIMATE_US + WALK_BYTE_US * beyond + WALK_MISS_US * missed

    @property
    def row_us(self) -> float:
        """A row of lists that are looked at."""
        return FAST_ROW_US if self.has_fast else self.scan_estimate_us

    @property
    def scan_estimate_us(self) -> float:
        return SCAN_ESTIMATE_US + SCAN_BYTE_US * self.record_bytes

    def effort_us(self, distances: float, reads: float) -> float:
        """What a build compares efforts by: a walk of so many estimates, and the reads after it; the same for a scan
        where there is no graph."""
        if self.link_bytes:
            return distances * self.walk_estimate_us
        walked_us = _EFFORT_ESTIMATE_US + WALK_BYTE_US * self.record_bytes
        return distances * (walked_us if self.has_graph else self.row_us) + reads * _EFFORT_READ_US

    def reads(self, requests: float, blocks: float) -> Cost:
        """Batches of reads of so many blocks; none: nothing."""
        if requests <= 0:
            return Cost(0.0)
        size = blocks * self.block_bytes
        return Cost(
            requests * REQUEST_US + size * BYTE_US,
            ROUND_WAIT_US + requests * REQUEST_WAIT_US + size * BYTE_WAIT_US,
        )

    def walk(self, distances: float, reads: float) -> Cost:
        """A walk of so many distances, and the reads after it."""
        walked = Cost(START_US + QUERY_US + distances * self.walk_estimate_us)
        return walked if self.link_bytes else walked.plus(self.reads(reads, reads))

    def filtered_walk(self, qualifying: int, distances: float, reads: float) -> Cost:
        """As `walk`, which would take so many distances without a mask."""
        is_bridged = qualifying < BRIDGED_BELOW * self.rows
        slower = BRIDGED_ESTIMATE_FACTOR if is_bridged else FILTERED_ESTIMATE_FACTOR
        return self.walk(slower * self.filtered_walk_factor(qualifying) * distances, reads)

    def filtered_walk_factor(self, qualifying: int) -> float:
        """So many times the distances a walk takes under a mask that ``qualifying`` rows pass."""
        if qualifying < BRIDGED_BELOW * self.rows:
            return BRIDGED_WALK_FACTOR
        factor: float = (self.rows / max(1, qualifying)) ** FILTERED_WALK_POWER
        return factor

    def node_walk(self, distances: float, hops: float, has_codes: bool) -> Cost:
        """A walk on disk: a read a hop, or one for every distance where codes are not in memory."""
        hopped = Cost(START_US + QUERY_US + hops * HOP_US, hops * HOP_WAIT_US).plus(self.reads(hops, hops))
        if has_codes:
            return hopped.plus(Cost(distances * self.walk_estimate_us))
        return hopped.plus(self.reads(distances, distances))

    def scan(self, qualifying: int, candidates: int, reads: float) -> Cost:
        """The codes of so many rows, of which so many are kept, and the reads after it."""
        reads = min(reads, self.blocks_of(qualifying))
        missed = 1 - qualifying / self.rows if self.rows else 0.0
        estimate_us = self.scan_estimate_us + LINE_MISS_US * missed * (1 + self.record_bytes / LINE_BYTES)
        mask_us = 0.0 if qualifying == self.rows else self.rows * MASK_ROW_US
        kept_us = min(candidates, qualifying) * CANDIDATE_US
        scanned = Cost(START_US + QUERY_US + qualifying * estimate_us + mask_us + kept_us)
        return scanned.plus(self.reads(reads, reads))

    def list_scan(self, qualifying: int, covered: float, candidates: int, reads: float) -> Cost:
        """The codes of what qualifies in lists of so many rows, and the reads after it."""
        share = qualifying / self.rows if self.rows else 0.0
        looked_at = covered * share
        estimates_us = self._estimates_us(covered, looked_at, share)
        lists_us = self.lists * (LIST_US + LIST_OPENED_US * (covered / self.rows if self.rows else 0.0))
        kept_us = min(candidates, looked_at) * CANDIDATE_US
        scanned = Cost(START_US + QUERY_US + lists_us + estimates_us + kept_us)
        return scanned.plus(self.reads(reads, reads))

    def _estimates_us(self, covered: float, looked_at: float, share: float) -> float:
        if self.has_fast and (share >= FAST_SHARE or self.record_bytes == 0):
            return covered * FAST_ROW_US + FAST_KEPT_US
        dense = share >= DENSE_SHARE
        missed_us = 0.0 if dense else LIST_MISS_US * (1 + self.record_bytes / LINE_BYTES)
        return (covered if dense else looked_at) * (self.scan_estimate_us + missed_us)

    def brute_force(self, qualifying: int) -> Cost:
        """All that qualify, read and compared."""
        read = self.reads(self.requests_of(qualifying), self.blocks_of(qualifying))
        return read.plus(Cost(START_US + self.rows * MASK_ROW_US))

    def blocks_of(self, qualifying: float) -> float:
        """How many blocks so many rows by chance lie in."""
        if self.rows == 0:
            return 0.0
        missed: float = (1 - min(1.0, qualifying / self.rows)) ** self.rows_per_block
        return min(qualifying, self.rows / self.rows_per_block * (1 - missed))

    def requests_of(self, qualifying: float) -> float:
        """By how many requests these blocks are read, in their order: neighbouring ones by one."""
        blocks = self.blocks_of(qualifying)
        if blocks <= 0:
            return 0.0
        all_blocks = math.ceil(self.rows / self.rows_per_block)
        most = max(1, REQUEST_BYTES_MAX // self.block_bytes)
        return max(blocks * (1 - min(1.0, blocks / all_blocks)), blocks / most)
