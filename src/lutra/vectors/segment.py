"""A vector segment opened for searching, within a budget of memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.blocks import BlockCache, BlockKind, BlockSource
from lutra.kernels.searcher import SearchCounters, Searcher
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.vectors import calibration
from lutra.vectors.calibration import Calibration
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.strategies import Residency, choose_plan

RECALL_TARGET_DEFAULT: Final = 0.95
CACHE_BYTES_MIN: Final = 256 * 1024
"""Of a segment's own cache; reads need somewhere to land."""


CACHE_BLOCKS_MIN: Final = 8
"""What a cache needs at least (`lutra.kernels.blocks.BlockCache`)."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The answers to queries, nearest first and equals by id."""

    ids: NDArray[np.int64]
    """[q, k'], rows of the segment; k' is the smaller of k and the rows that count."""
    distances: NDArray[np.float32]
    """[q, k'], exact: as `lutra.kernels.distance.topk` has them."""
    counters: SearchCounters


class Segment:
    """One segment. Thread-safe; a context manager.

    Codes and graph stay in memory where the budget holds both; else the codes, and the graph is read node by node
    through the cache; else neither, and every query reads what it looks at. Vectors stay on disk.
    """

    def __init__(self, file: SegmentFile, searcher: Searcher, residency: Residency, resident_bytes: int) -> None:
        """For `open`."""
        self._file = file
        self._searcher = searcher
        self._residency = residency
        self._resident_bytes = resident_bytes
        self._costs = _costs(file)
        try:
            self._calibration = Calibration.from_json(file.calibration)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Corruption(f"{file.name}: the footer's calibration makes no sense: {error!r}.") from error

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str] | SegmentFile,
        *,
        memory_budget_bytes: int | None = None,
        cache: BlockCache | None = None,
    ) -> Segment:
        """Opens a local file, or a segment file that is open already and then belongs to this.

        :param memory_budget_bytes: for codes, graph and a cache of its own where ``cache`` is None. None: whatever they
            need.
        :param cache: through which nodes are read, shared with other segments; its budget is its own. None: nodes are
            read past any cache where codes and graph are in memory, else through one made of what the budget leaves.
        :raises Corruption: bytes fail their checksum. :raises StorageFailure: a read failed.
        """
        file = source if isinstance(source, SegmentFile) else SegmentFile.open(source)
        try:
            return cls._open(file, memory_budget_bytes, cache)
        except BaseException:
            file.close()
            raise

    @classmethod
    def _open(cls, file: SegmentFile, budget_bytes: int | None, cache: BlockCache | None) -> Segment:
        residency = choose_residency(file, budget_bytes)
        records = file.load_codes() if residency.codes else None
        neighbours = file.load_graph() if residency.graph else None
        resident_bytes = sum(array.nbytes for array in (records, neighbours) if array is not None)
        has_all = residency.graph or file.kind is not SegmentKind.GRAPH
        through_cache = cache is not None or not has_all
        left_bytes = max(CACHE_BYTES_MIN, CACHE_BLOCKS_MIN * file.layout(SectionName.NODES).block_bytes)
        if cache is None and through_cache and budget_bytes is not None:
            left_bytes = max(left_bytes, budget_bytes - resident_bytes)
        nodes = _open_nodes(file, BlockCache(left_bytes) if cache is None else cache)
        searcher = Searcher(
            nodes,
            through_cache,
            file.rows,
            file.dimension,
            file.degree,
            file.metric,
            file.code_bits,
            file.seed,
            file.centroid if file.code_bits else None,
            records,
            neighbours,
            file.entries,
        )
        return cls(file, searcher, residency, resident_bytes)

    def close(self) -> None:
        self._searcher.nodes.close()
        self._file.close()

    def __enter__(self) -> Segment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def file(self) -> SegmentFile:
        return self._file

    @property
    def searcher(self) -> Searcher:
        """For measurements: answers by a plan of the caller's."""
        return self._searcher

    @property
    def rows(self) -> int:
        return self._file.rows

    @property
    def dimension(self) -> int:
        return self._file.dimension

    @property
    def residency(self) -> Residency:
        return self._residency

    @property
    def resident_bytes(self) -> int:
        """Codes and graph in memory; a cache counts its own."""
        return self._resident_bytes

    @property
    def scratch_bytes(self) -> int:
        """What searches keep for the next ones: some 200 KB for each that ran at once, however many rows there are."""
        return self._searcher.scratch_bytes

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        mask: NDArray[np.bool_] | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
        num_candidates: int | None = None,
        threads: int = 0,
    ) -> Neighbours:
        """The ``k`` rows nearest to each query.

        :param queries: float32 [q, d], C-contiguous.
        :param mask: bool [rows]; a row where it is False is not returned. Never fewer than k rows while k qualify.
        :param recall_target: 0 to 1: the share of the true neighbours to find, on average. 1: all of them.
        :param num_candidates: how many rows to keep going with and to compare, in place of ``recall_target``.
        :param threads: at most so many; 0: as many as the process may use.
        :raises ParameterInvalid: a query is not finite or has another dimension; k, the target or the candidates are
            out of range; the mask has another length.
        :raises Corruption: a block that was needed fails its checksum. :raises StorageFailure: a read failed.
        """
        self._check(queries, k, mask, recall_target, num_candidates)
        qualifying = None if mask is None else int(np.count_nonzero(mask))
        k = max(1, min(k, self.rows if qualifying is None else qualifying))
        effort = self._calibration.effort(k, recall_target)
        plan = choose_plan(
            self._costs, self._residency, k, effort, qualifying=qualifying, num_candidates=num_candidates
        )
        found = self._searcher.search(queries, k, plan, mask=mask, threads=threads)
        return Neighbours(*found)

    def calibrate(self) -> Mapping[str, Any]:
        """Measures recall against effort; what `SegmentFile.calibration` is to hold. Codes have to be in memory."""
        if not self._residency.codes or self.rows < 2:
            return {}
        count = min(calibration.QUERIES, self.rows)
        rows = np.random.default_rng(self._file.seed).choice(self.rows, count, replace=False).astype(np.uint32)
        vectors = self._file.read_vectors(rows)
        return calibration.measure(self._searcher, rows, vectors, self._costs).to_json()

    def _check(
        self,
        queries: NDArray[np.float32],
        k: int,
        mask: NDArray[np.bool_] | None,
        recall_target: float,
        num_candidates: int | None,
    ) -> None:
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise ParameterInvalid(f"Queries are [q, {self.dimension}], not {list(queries.shape)}.")
        if k < 1:
            raise ParameterInvalid(f"k is at least 1, not {k}.")
        if mask is not None and mask.shape != (self.rows,):
            raise ParameterInvalid(f"The mask is [{self.rows}], not {list(mask.shape)}.")
        if not 0 <= recall_target <= 1:
            raise ParameterInvalid(f"A recall is 0 to 1, not {recall_target}.")
        if num_candidates is not None and num_candidates < 1:
            raise ParameterInvalid(f"There is at least one candidate, not {num_candidates}.")


def calibrate(file: SegmentFile) -> Mapping[str, Any]:
    """For `lutra.vectors.writer.write_segment`: opens the segment all but finished beside ``file`` and measures it."""
    with Segment.open(file.name) as segment:
        return segment.calibrate()


def choose_residency(file: SegmentFile, budget_bytes: int | None) -> Residency:
    """What of codes and graph a budget holds: both, or the codes, or nothing."""
    codes_bytes = file.rows * file.record_bytes
    graph_bytes = 4 * file.rows * file.degree
    has_codes, has_graph = file.kind is not SegmentKind.FLAT, file.kind is SegmentKind.GRAPH
    if budget_bytes is None or codes_bytes + graph_bytes <= budget_bytes:
        return Residency(has_codes, has_graph)
    return Residency(has_codes and codes_bytes + CACHE_BYTES_MIN <= budget_bytes, False)


def _costs(file: SegmentFile) -> SegmentCosts:
    return SegmentCosts(file.rows, file.record_bytes, file.kind is SegmentKind.GRAPH)


def _open_nodes(file: SegmentFile, cache: BlockCache) -> BlockSource:
    layout = file.layout(SectionName.NODES)
    return cache.open_file(
        file.name,
        layout.block_bytes,
        owner=file.name,
        kind=BlockKind.VECTORS,
        checksums=True,
        length=file.sections[SectionName.NODES].stored_bytes,
        queue_depth=64,
    )
