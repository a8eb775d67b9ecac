"""Answering queries over one segment (``native/search``): walk or scan codes, compare exactly what is in doubt.

Reads of a query go on while its thread computes for another; many queries are shared out to threads. The GIL is
released for the whole of a call.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import _native
from lutra.kernels.blocks import BlockSource
from lutra.kernels.codes import Quantizer
from lutra.kernels.distance import require_finite
from lutra.kernels.fast_codes import FastCodes
from lutra.kernels.link_codes import Links
from lutra.kernels.lists import Lists
from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import Metric

Vectors = NDArray[np.float32]


class Strategy(enum.IntEnum):
    """How a query is answered; the numbers are those of ``native/search/search_plan.h``."""

    BRUTE_FORCE = 0
    """The vectors of all rows that count are read."""
    CODE_SCAN = 1
    """The codes of all rows that count are looked at, then the vectors of those in doubt."""
    WALK = 2
    """The graph is walked in memory by codes, then the vectors of those in doubt are read."""
    NODE_WALK = 3
    """The graph is walked on disk: each row expanded gives neighbours and vector in one read."""
    LIST_SCAN = 4
    """The codes of what counts in the lists nearest to the query are looked at, then vectors of those in doubt."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to answer queries."""

    strategy: Strategy
    beam: int = 0
    """Of a walk: candidates it keeps going with, 1 to 4096."""
    candidates: int = 0
    """Rows, by estimate, that may be compared exactly at all; at least k."""
    first: int = 0
    """Of these, so many are compared at once; at least k. The others only as far as the bound leaves them in doubt."""
    bound_sigmas: float = 0.0
    """Standard deviations of the estimates' error that the bound allows."""
    effort_max: int = 0
    """Distances (of a NODE_WALK: reads) after which a walk under a mask becomes a scan; 0: never."""
    deepens: bool = False
    """Whether a scan goes on for more candidates (at most 65,536) where codes do not tell those it found apart."""
    scans_when_away: bool = False
    """Whether a WALK is followed by a scan where the mask leaves out what is near the query."""
    within: float = math.inf
    """Rows farther than this may be left out: answers are then fewer, ended by -1 at an infinite distance."""
    measured_within: float = math.inf
    """How far a k-th neighbour was where a walk's effort was measured (of a product: for a query of length 1). A walk
    that ends farther away is followed by a scan."""
    covers: int = 0
    """Of a LIST_SCAN: rows that the lists looked at have, at least."""
    reach: float = 1.0
    """And of the others those that take no larger cosine to hold one of the nearest (``native/lists/lists.h``)."""
    slack: float = 0.0
    """Of a LIST_SCAN with fast codes: how far these may be off, times a distance's root; 0: they are not gone by. Rows
    beyond are not looked at by longer codes, or, where there are none in memory, not read."""
    measured_beyond: float = -math.inf
    """How near a k-th neighbour was at least where a LIST_SCAN's effort was measured (of a product: for a query of
    length 1). One that ends nearer is followed by a scan."""
    contrast_min: float = 0.0
    """A WALK without a mask whose candidates stand out less (`contrast`) is followed by another one,"""
    wider_beam: int = 0
    """so wide; by a scan where that is not wider."""

    @property
    def fields(
        self,
    ) -> tuple[int, int, int, int, float, int, bool, bool, float, float, int, float, float, float, float, int]:
        """As the native call takes them."""
        return (
            self.strategy,
            self.beam,
            self.candidates,
            self.first,
            self.bound_sigmas,
            self.effort_max,
            self.deepens,
            self.scans_when_away,
            self.within,
            self.measured_within,
            self.covers,
            self.reach,
            self.slack,
            self.measured_beyond,
            self.contrast_min,
            self.wider_beam,
        )


@dataclass(frozen=True, slots=True)
class SearchCounters:
    """What answering took; one array element a query."""

    distances: NDArray[np.int64]
    """Estimates and exact ones."""
    exact: NDArray[np.int64]
    """Of these: compared exactly."""
    hops: NDArray[np.int64]
    """Rows whose neighbours were looked at, or lists whose rows were."""
    reads: NDArray[np.int64]
    """Requests to disk or remote store; blocks asked of the cache where it is read through."""
    bytes: NDArray[np.int64]
    planned: NDArray[np.int64]
    """`Strategy` it began with."""
    used: NDArray[np.int64]
    """`Strategy` it ended with."""

    def means(self) -> Mapping[str, float]:
        """Distances, exact, hops, reads and bytes a query."""
        names = ("distances", "exact", "hops", "reads", "bytes")
        return {name: float(getattr(self, name).mean()) if len(self.hops) else 0.0 for name in names}


class Searcher:
    """One segment as far as it is in memory. Thread-safe; the arrays are kept, not copied, and must not change.

    :param nodes: blocks of the section of nodes, ended by their checksums.
    :param through_cache: whether nodes are read through the cache of ``nodes``, or past it.
    :param degree: neighbours a node carries; 0: none.
    :param quantizer: of the codes; None: there are none, and ``records`` is None.
    :param records: uint8 [rows, record bytes]; None: not in memory.
    :param neighbours: uint32 [rows, degree]; None: not in memory.
    :param entries: uint32 [e].
    :param fine_records: uint8 [rows, record bytes], of ``fine_quantizer``: longer codes, by which what a walk or scan
        found is put in order before vectors are read. None: there are none.
    :param apart: uint32 [a]: rows that walks do not come by, so that they look at these before they end. None: no rows.
    :param exact_rows: uint32 [e], ascending: rows that codes do not describe, and ``exact_vectors`` float32 [e, d] are
        theirs: every search compares them. None: there are none.
    :param lists: that the rows are in, over ``quantizer``; None: in none.
    :param links: of the graph's neighbours, beside codes and graph: a WALK without a mask goes by these, and vectors
        are theirs, so that only a NODE_WALK reads. None: not in memory.
    :param fast: of the rows in ``lists``, and ``fast_blocks`` uint8 [blocks, block bytes] are these: a LIST_SCAN by
        them looks at few rows' longer codes, or needs none. None: not in memory.
    :raises ValueError: these do not fit each other.
    """

    __slots__ = ("exact_rows", "fast", "fast_blocks", "lists", "native", "nodes")

    def __init__(
        self,
        nodes: BlockSource,
        through_cache: bool,
        rows: int,
        dimension: int,
        degree: int,
        metric: Metric,
        quantizer: Quantizer | None,
        records: NDArray[np.uint8] | None,
        neighbours: NDArray[np.uint32] | None,
        entries: NDArray[np.uint32],
        *,
        fine_quantizer: Quantizer | None = None,
        fine_records: NDArray[np.uint8] | None = None,
        apart: NDArray[np.uint32] | None = None,
        exact_rows: NDArray[np.uint32] | None = None,
        exact_vectors: Vectors | None = None,
        lists: Lists | None = None,
        links: Links | None = None,
        fast: FastCodes | None = None,
        fast_blocks: NDArray[np.uint8] | None = None,
    ) -> None:
        self.nodes = nodes
        self.exact_rows = np.empty(0, np.uint32) if exact_rows is None else exact_rows
        self.lists = lists
        self.fast, self.fast_blocks = fast, fast_blocks
        self.native = _native.Searcher(
            nodes.native,
            through_cache,
            rows,
            dimension,
            degree,
            metric,
            None if quantizer is None else quantizer.native,
            records,
            neighbours,
            entries,
            None if fine_quantizer is None else fine_quantizer.native,
            fine_records,
            np.empty(0, np.uint32) if apart is None else apart,
            self.exact_rows,
            np.empty((0, dimension), np.float32) if exact_vectors is None else exact_vectors,
            None if lists is None else lists.native,
            None if links is None else links.codes.native,
            None if links is None else links.blocks,
            None if fast is None else fast.native,
            fast_blocks,
        )

    @property
    def scratch_bytes(self) -> int:
        """Memory kept for the next searches."""
        return self.native.scratch_bytes

    def search(
        self,
        queries: Vectors,
        k: int,
        plan: Plan,
        *,
        mask: RowMask | None = None,
        left_out: NDArray[np.uint32] | None = None,
        threads: int = 0,
    ) -> tuple[NDArray[np.int64], Vectors, SearchCounters]:
        """``(ids int64 [q, k'], distances float32 [q, k'], counters)``, nearest first and equals by id.

        k' is the smaller of ``k`` and the rows that count. Distances are those of `lutra.kernels.distance.topk`.

        :param queries: float32 [q, d], C-contiguous.
        :param left_out: uint32 [q]: for each query a row that does not count for it; ``k`` must leave room for it.
        :param threads: at most so many; 0: as many as the process may use.
        :raises ParameterInvalid: a query has an element that is not finite.
        :raises ValueError: shapes or numbers make no sense, or the plan needs what is not in memory.
        :raises Corruption: a block that was read fails its checksum.
        :raises StorageFailure: a read failed.
        :raises RequestTimeout: the deadline of what is under way (`lutra.model.deadline`) passed, or it was given up.
        """
        require_finite(queries)
        ids, distances, figures = self.native.search(
            queries,
            k,
            *plan.fields,
            mask,
            left_out,
            threads,
        )
        return ids, distances, SearchCounters(*figures.T)

    def meet(self, vectors: Vectors, rows: NDArray[np.uint32], beam: int, threads: int = 0) -> NDArray[np.bool_]:
        """bool [n]: whether walks as wide as ``beam`` come by ``rows`` [n], whose ``vectors`` [n, d] are the queries.

        Codes and graph are in memory. A walk ends where it meets its row: this takes a part of a search, and no reads.

        :raises ParameterInvalid: a vector has an element that is not finite.
        :raises ValueError: shapes do not fit, or there is no graph in memory.
        """
        require_finite(vectors)
        return self.native.meet(vectors, rows, beam, threads).astype(np.bool_)

    def come_by(self, query: Vectors, beam: int, count: int) -> tuple[NDArray[np.int64], Vectors, int]:
        """``(rows int64 [n], estimates float32 [n], distances)``: what a walk finds that reads nothing, at most
        ``count`` rows, nearest by estimate first; and how many distances that took. No rows where codes do not tell
        so many apart: others may be as near.

        :param query: float32 [1, d], C-contiguous, finite. Codes and graph are in memory.
        :raises ValueError: the query does not fit, a number is not 1 to 4096, or there is no graph in memory.
        :raises RequestTimeout: as `search`.
        """
        return self.native.come_by(query, beam, count)


class Share(NamedTuple):
    """What one segment of several is asked by `search_segments`."""

    searcher: Searcher
    docs: NDArray[np.int32]
    """[rows], the document of each row."""
    k: int
    plan: Plan
    mask: RowMask | None
    """Of rows."""


class Found(NamedTuple):
    """What one segment of several answers."""

    docs: NDArray[np.int64]
    """[k'], nearest first and equals by document."""
    distances: Vectors
    """[k']"""
    figures: Sequence[int]
    """Of `SearchCounters`, in that order, of this one query."""
    within: float
    """Farther rows were left out, as so many as were asked for are nearer elsewhere."""
    us: float
    is_complete: bool
    """Whether all was looked at that was to be before the time was up."""


def keep_scratch(size_bytes: int) -> None:
    """What searches of all segments of this process may leave in memory for those that follow, together: 64 MiB where
    nobody says."""
    _native.keep_scratch(size_bytes)


def search_segments(
    queries: Vectors,
    shares: Sequence[Share],
    top_k: int,
    known: Sequence[Vectors],
    *,
    threads: int = 0,
    in_part: bool = False,
) -> list[list[Found]]:
    """Asks segments one after the other, in one call without the GIL, queries being shared out to threads; for each
    query what they find, in their order.

    Each is searched as by `Searcher.search`, but for rows farther than the ``top_k``-th nearest of those that are
    ``known`` and of those that the segments before it found: they may be left out.

    :param queries: float32 [q, d], C-contiguous, finite.
    :param known: float32 [n] of each query, distances of rows that are elsewhere.
    :param threads: at most so many; 0: as many as the process may use.
    :param in_part: whether what was found by the deadline is an answer (`Found.is_complete`), rather than
        RequestTimeout.
    :raises ValueError, Corruption, StorageFailure, RequestTimeout: as `Searcher.search`.
    """
    asked = [(one.searcher.native, one.docs, one.k, *one.plan.fields, one.mask) for one in shares]
    found = _native.search_segments(asked, queries, top_k, list(known), threads, in_part)
    return [[Found(*one) for one in of_query] for of_query in found]
