"""A vector segment opened for searching, within a budget of memory."""

from __future__ import annotations

import math
import os
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels import malloc
from lutra.kernels.blocks import BlockCache, BlockSource
from lutra.kernels.link_codes import Links
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Plan, SearchCounters, Searcher, Share, Strategy
from lutra.model.errors import ParameterInvalid
from lutra.vectors import list_trial, trial
from lutra.vectors.build_memory import sample_bytes
from lutra.vectors.calibration import CHECKED_NEIGHBOURS, Calibration, Checked, Fallback
from lutra.vectors.checks import asked_themselves, lists_checked, way_checked
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.coming_codes import WIDER, ComingCodes
from lutra.vectors.doubtful import NOTHING_DOUBTFUL, Doubtful, Measured
from lutra.vectors.fast_trial import FastTrial, measure_fast
from lutra.vectors.layout import EXACT_MAX, SectionName, SegmentKind
from lutra.vectors.link_trial import linked_way
from lutra.vectors.links import can_have_links, make_links
from lutra.vectors.near_rows import NearRows, Wanted, near_rows
from lutra.vectors.part import RECALL_TARGET_DEFAULT, Predicted
from lutra.vectors.residency import (
    FAST_ONLY,
    Residency,
    bytes_beside_cache,
    cache_bytes_min,
    choose_residency,
    code_residencies,
    load_codes,
    quantizer_of,
)
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.segment_plan import (
    Way,
    apart_rows,
    calibration_of,
    coming_instead,
    costs_of,
    effort_of,
    measured_best,
    planned,
)
from lutra.vectors.strategies import foreseen, predicted_costs, rows_looked_at
from lutra.vectors.stray_trial import try_strays
from lutra.vectors.strays import Strays

PLANS_MAX: Final = 1_024
"""That are kept: by the neighbours that are asked for, of which there are as many kinds as clients like, and by how
many rows are under the mask."""
_SMALL_SECTIONS: Final = (SectionName.BASIS, SectionName.CENTRES, SectionName.LISTS, SectionName.EXACT)
"""What there is in memory beside codes and graph."""
PLANNED_BITS: Final = 5
"""Of the number of rows under a mask, by which it is planned: one in 32 more or less change no plan."""
BLOCKS_AT_ONCE: Final = 4_096
"""Of vectors, that are read in one batch: 16 MB of ordinary ones."""
_TRIAL_CACHE_BYTES_MIN: Final = 8 * 1024 * 1024
"""Of the cache through which a build tries searches, where it has little memory."""
CACHE_SHARE_MIN: Final = 0.05
"""Of the nodes: a segment's own cache that holds less is not made."""


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

    What of codes and graph stays in memory is `lutra.vectors.residency`'s to say; what does not is read node by node
    through the cache. Vectors stay on disk, unless there are links.
    """

    def __init__(
        self,
        file: SegmentFile,
        searcher: Searcher,
        residency: Residency,
        resident_bytes: int,
        through_cache: bool,
        linked: Way | None = None,
        coming: ComingCodes | None = None,
    ) -> None:
        """For `open`."""
        self._coming = coming
        self._through_cache = through_cache
        self._file = file
        self._searcher = searcher
        self._residency = residency
        self._resident_bytes = resident_bytes
        self._costs = costs_of(file, residency)
        self._calibration = calibration_of(file, residency)
        # Of searches without a mask: others do not go by links.
        self._free = linked or Way(self._costs, self._calibration)
        self._plans: dict[tuple[int, float, int | None, int | None], tuple[int, Plan]] = {}

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str] | SegmentFile,
        *,
        memory_budget_bytes: int | None = None,
        cache: BlockCache | None = None,
        sweepers: Executor | None = None,
        may_come: bool = False,
    ) -> Segment:
        """Opens a local file, or a segment file that is open already and then belongs to this.

        :param memory_budget_bytes: for codes, graph and, where ``cache`` is None, a cache of what they leave, where
            that is worth making. None: whatever codes and graph need, and no cache.
        :param cache: through which nodes are read, shared with other segments; its budget is its own.
        :param sweepers: threads that read codes and graph, several sweeps at a time; None: the one that asks.
        :param may_come: of a segment in lists that is far away, reads neither codes nor graph: what searches need of
            the codes comes as they need it (`Residency.is_coming`), until `at` reads all that is to be in memory.
        :raises Corruption: bytes fail their checksum. :raises StorageFailure: a read failed.
        """
        file = source if isinstance(source, SegmentFile) else SegmentFile.open(source)
        try:
            residency = choose_residency(file, memory_budget_bytes, has_cache=cache is not None)
            if may_come and cache is not None:
                residency = coming_instead(file, residency)
            return cls.load(file, residency, memory_budget_bytes, cache, sweepers)
        except BaseException:
            file.close()
            raise

    @classmethod
    def load(
        cls,
        file: SegmentFile,
        residency: Residency,
        budget_bytes: int | None = None,
        cache: BlockCache | None = None,
        sweepers: Executor | None = None,
    ) -> Segment:
        """As `open`, with what is to be in memory said; ``budget_bytes`` then only sizes a cache of its own."""
        resident_bytes = bytes_beside_cache(file, residency)
        left_bytes = 0 if budget_bytes is None else budget_bytes - resident_bytes
        # A cache of little of the nodes finds little, and past it the reads of several queries overlap.
        is_worth = left_bytes >= CACHE_SHARE_MIN * file.sections[SectionName.NODES].size_bytes
        through_cache = cache is not None or is_worth
        left_bytes = max(left_bytes if is_worth else 0, cache_bytes_min(file))
        nodes = file.open_nodes(BlockCache(left_bytes) if cache is None else cache)
        return cls._over(file, nodes, through_cache, residency, sweepers)

    @classmethod
    def _over(
        cls, file: SegmentFile, nodes: BlockSource, through_cache: bool, residency: Residency, sweepers: Executor | None
    ) -> Segment:
        if residency.is_coming:
            file.ahead(_SMALL_SECTIONS)
        codes, fine = load_codes(file, residency, sweepers)
        neighbours = file.load_graph(sweepers) if residency.graph else None
        malloc.trim()  # what loading left free
        quantizer = codes.quantizer if codes is not None else quantizer_of(file) if residency.fast else None
        lists = None if quantizer is None else file.load_lists(quantizer)
        fast = file.load_fast(lists, sweepers) if residency.fast and lists is not None else None
        exact_rows, exact_vectors = file.load_exact()

        def searcher_with(links: Links | None) -> Searcher:
            return Searcher(
                nodes,
                through_cache,
                file.rows,
                file.dimension,
                file.degree,
                file.metric,
                quantizer,
                None if codes is None else codes.records,
                neighbours,
                file.entries,
                fine_quantizer=None if fine is None else fine.quantizer,
                fine_records=None if fine is None else fine.records,
                apart=apart_rows(file, residency),
                exact_rows=exact_rows,
                exact_vectors=exact_vectors,
                lists=lists,
                links=links,
                fast=None if fast is None else fast[0],
                fast_blocks=None if fast is None else fast[1],
            )

        links = None
        if residency.links and neighbours is not None and can_have_links(file):
            links = make_links(file, neighbours)
        searcher = searcher_with(links)
        linked = None if links is None else linked_way(file, searcher, residency)
        if linked is None and residency.links:
            residency = replace(residency, links=False)
            searcher = searcher_with(None)
        coming = None
        if residency.is_coming and codes is not None and lists is not None:
            coming = ComingCodes(file, lists, codes.records)
        return cls(file, searcher, residency, bytes_beside_cache(file, residency), through_cache, linked, coming)

    def at(self, residency: Residency, sweepers: Executor | None = None) -> Segment:
        """The same segment with other codes and graph in memory; this one if they are the same.

        Both read the same file and go on working, each for who has it; one of them is closed, whichever. Raises as
        `open`.
        """
        if residency == self._residency:
            return self
        return self._over(self._file, self._searcher.nodes, self._through_cache, residency, sweepers)

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
    def checked(self) -> Checked:
        """What the build's check found with what of codes and graph is in memory: that is how it is searched."""
        return Checked(self._calibration.recall, self._calibration.fallback, self._file.exact)

    @property
    def resident_bytes(self) -> int:
        """Codes and graph in memory; a cache counts its own."""
        return self._resident_bytes

    @property
    def graph_bytes(self) -> int:
        """Of these: of the graph."""
        return 4 * self.rows * self._file.degree if self._residency.graph else 0

    @property
    def scratch_bytes(self) -> int:
        """What searches keep for the next ones: some 200 KB for each that ran at once, however many rows there are."""
        return self._searcher.scratch_bytes

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        mask: RowMask | NDArray[np.bool_] | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
        num_candidates: int | None = None,
        within: float = math.inf,
        threads: int = 0,
    ) -> Neighbours:
        """The ``k`` rows nearest to each query.

        :param queries: float32 [q, d], C-contiguous.
        :param mask: or bool [rows]; a row that does not count is not returned. Never fewer than k while k qualify.
        :param recall_target: 0 to 1: the share of the true neighbours to find, on average. 1: all of them.
        :param num_candidates: how many rows to keep going with and to compare, in place of ``recall_target``.
        :param within: rows farther than this may be left out, as nearer ones are known: fewer are read. In their place
            stand -1 and an infinite distance.
        :param threads: at most so many; 0: as many as the process may use.
        :raises ParameterInvalid: a query is not finite or has another dimension; k, the target or the candidates are
            out of range; the mask has another length.
        :raises Corruption: a block that was needed fails its checksum. :raises StorageFailure: a read failed.
        """
        if isinstance(mask, np.ndarray):
            mask = RowMask(np.ascontiguousarray(mask, np.bool_))
        self._check(queries, k, mask, recall_target, num_candidates)
        k, plan = self._planned(k, mask, recall_target, num_candidates, within)
        self.come(queries, k, mask, num_candidates, recall_target)
        found = self._searcher.search(queries, k, plan, mask=self._here(mask), threads=threads)
        return Neighbours(*found)

    def _here(self, mask: RowMask | None) -> RowMask | None:
        """What of ``mask`` (None: of all) searches can find: rows whose codes are in memory, where these are coming."""
        if self._coming is None:
            return mask
        return self._coming.here if mask is None else mask & self._coming.here

    def come(
        self,
        queries: NDArray[np.float32],
        k: int,
        mask: RowMask | None,
        num_candidates: int | None,
        recall_target: float,
    ) -> None:
        """Has what `share` needs for ``queries`` read, where that is coming; `search` does so by itself."""
        if self._coming is None:
            return
        counting = self.rows if mask is None else mask.count
        effort = effort_of(self._calibration, self._costs, k, recall_target, None if mask is None else counting)
        rows = math.ceil(WIDER * rows_looked_at(self._costs, effort, counting, num_candidates))
        self._coming.fetch_near(queries, rows, k, mask)

    def share(
        self, docs: NDArray[np.int32], k: int, mask: RowMask | None, num_candidates: int | None, recall_target: float
    ) -> Share:
        """What `search` with one query does, as part of a search of several segments; ``docs`` belong to the rows."""
        k, plan = self._planned(k, mask, recall_target, num_candidates, math.inf)
        return Share(self._searcher, docs, k, plan, self._here(mask))

    def plan_of(
        self, strategy: Strategy, k: int, mask: RowMask | None, recall_target: float = RECALL_TARGET_DEFAULT
    ) -> tuple[int, Plan]:
        """For measurements: how many there can be, and how to find them by a way that `predicted` names, whatever it
        costs."""
        qualifying = None if mask is None else mask.count
        k = max(1, min(k, self.rows if qualifying is None else qualifying))
        way = self._way(qualifying)
        of = way.costs, self._residency, way.calibration, k, recall_target
        return k, planned(*of, qualifying=qualifying, strategy=strategy)

    def _planned(
        self, k: int, mask: RowMask | None, recall_target: float, num_candidates: int | None, within: float
    ) -> tuple[int, Plan]:
        """As many as there can be, and how to find them. What goes by no mask is planned once, and what goes by one
        once for about as many rows."""
        qualifying = None if mask is None else about(mask.count)
        k = max(1, min(k, self.rows if mask is None else mask.count))
        wanted = None
        if within == math.inf:
            wanted = k, recall_target, num_candidates, qualifying
            known = self._plans.get(wanted)
            if known is not None:
                return known
        way = self._way(qualifying)
        plan = planned(
            way.costs,
            self._residency,
            way.calibration,
            k,
            recall_target,
            qualifying=qualifying,
            num_candidates=num_candidates,
            within=within,
        )
        if way.costs.link_bytes:  # what links are followed by, or is done in their place, goes by codes
            sigmas = self._calibration.effort(k, recall_target).bound_sigmas
            plan = replace(plan, bound_sigmas=max(plan.bound_sigmas, sigmas))
        if wanted is not None and len(self._plans) < PLANS_MAX:
            self._plans[wanted] = k, plan
        return k, plan

    def _way(self, qualifying: int | None) -> Way:
        return self._free if qualifying is None else Way(self._costs, self._calibration)

    def near_rows(self, query: NDArray[np.float32], wanted: Wanted) -> NearRows | None:
        """As `lutra.vectors.near_rows.near_rows`; None also where codes or graph are not in memory."""
        if self._residency.codes is None or not self._residency.graph:
            return None
        return near_rows(self._searcher, self._costs, self._calibration, query, self._file.metric, wanted)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, d]: the vectors of ``rows``, in one batch of reads past the cache. Raises as `search`."""
        layout, dimension = self._file.layout(SectionName.NODES), self.dimension
        blocks, places = np.divmod(rows, layout.items_per_block)
        numbers, which = np.unique(blocks, return_inverse=True)
        vectors = np.empty((len(rows), dimension), np.float32)
        for first in range(0, len(numbers), BLOCKS_AT_ONCE):
            some = numbers[first : first + BLOCKS_AT_ONCE]
            read = self._searcher.nodes.read(some.tolist(), bypass=True)
            for at in np.flatnonzero((which >= first) & (which < first + len(some))).tolist():
                vectors[at] = np.frombuffer(
                    read[which[at] - first], "<f4", dimension, int(places[at]) * layout.item_bytes
                )
        return vectors

    def predicted(
        self,
        k: int,
        qualifying: int | None = None,
        num_candidates: int | None = None,
        recall_target: float = RECALL_TARGET_DEFAULT,
    ) -> Predicted:
        """What each strategy, by its name in lower case, was thought to take, of which `search` chose the least.

        ``qualifying``: rows under the mask; None: there is none.
        """
        qualifying = None if qualifying is None else min(qualifying, self.rows)
        k = max(1, min(k, self.rows if qualifying is None else qualifying))
        way = self._way(qualifying)
        effort = effort_of(way.calibration, way.costs, k, recall_target, qualifying)
        of = way.costs, self._residency, k, effort
        costs = predicted_costs(
            *of, qualifying=qualifying, num_candidates=num_candidates, fallback=way.calibration.fallback
        )
        strategy = min(costs, key=lambda one: costs[one].us)
        distances, reads = foreseen(*of, strategy, qualifying=qualifying, num_candidates=num_candidates)
        return Predicted(
            self._file.kind.value,
            {one.name.lower(): cost.us for one, cost in costs.items()},
            {one.name.lower(): cost.processor_us for one, cost in costs.items()},
            strategy.name.lower(),
            round(distances),
            math.ceil(reads),
            math.ceil(reads) * self._file.layout(SectionName.NODES).block_bytes,
            _expected_recall(way.calibration, strategy, k, num_candidates, recall_target),
        )

    def thorough(self, query: NDArray[np.float32], k: int, mask: RowMask | None, bytes_max: int) -> Neighbours | None:
        """The ``k`` rows nearest to ``query`` (float32 [d]), all but surely: by all codes and a bound that hardly any
        of the true ones is outside of, or by all vectors where no codes would do. None where these are more than
        ``bytes_max``. Raises as `search`.
        """
        self._check(query.reshape(1, -1), k, mask, 1.0, None)
        counting = self.rows if mask is None else mask.count
        k = max(1, min(k, counting))
        if self._residency.is_coming:  # most codes are not here
            return None
        if self._residency.codes is not None and self._calibration.fallback is not Fallback.EXACT:
            plan = trial.truth_plan(k)
        elif self._costs.blocks_of(counting) * self._file.layout(SectionName.NODES).block_bytes <= bytes_max:
            plan = Plan(Strategy.BRUTE_FORCE, 0, k, k)
        else:
            return None
        queries = np.ascontiguousarray(query, np.float32).reshape(1, -1)
        return Neighbours(*self._searcher.search(queries, k, plan, mask=mask, threads=1))

    def _check(
        self,
        queries: NDArray[np.float32],
        k: int,
        mask: RowMask | None,
        recall_target: float,
        num_candidates: int | None,
    ) -> None:
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise ParameterInvalid(f"Queries are [q, {self.dimension}], not {list(queries.shape)}.")
        if k < 1:
            raise ParameterInvalid(f"k is at least 1, not {k}.")
        if mask is not None and mask.rows != self.rows:
            raise ParameterInvalid(f"The mask is of {self.rows} rows, not {mask.rows}.")
        if not 0 <= recall_target <= 1:
            raise ParameterInvalid(f"A recall is 0 to 1, not {recall_target}.")
        if num_candidates is not None and num_candidates < 1:
            raise ParameterInvalid(f"There is at least one candidate, not {num_candidates}.")


def about(count: int) -> int:
    """A number of rows but for its lowest bits."""
    beyond = max(0, count.bit_length() - PLANNED_BITS)
    return count >> beyond << beyond


def _expected_recall(
    calibration: Calibration, strategy: Strategy, k: int, num_candidates: int | None, recall_target: float
) -> float | None:
    if strategy is Strategy.BRUTE_FORCE:
        return 1.0
    if num_candidates is not None:  # nobody measured what the caller's choice finds
        return None
    is_planned = calibration.fallback is Fallback.NONE
    return calibration.expected_recall(k, recall_target) if is_planned else calibration.recall


def calibrate(file: SegmentFile, doubtful: Doubtful = NOTHING_DOUBTFUL, *, threads: int = 0) -> Measured:
    """For `lutra.vectors.writer.write_segment`: what to spend on which recall, by bits of the codes kept in memory.

    What that comes to is checked; where it misses `RECALL_TARGET_DEFAULT`, another way that does not is found. And
    every row is asked for by itself: where walks do not come by a row they begin there, too; rows that codes hardly
    describe, and those of the other ``doubtful`` ones that are not found, are kept exact.

    :param threads: at most so many; 0: as many as the process may use. What is measured does not depend on it.
    """
    return _calibrate(file, doubtful, threads, with_effort=True)


def check(file: SegmentFile, doubtful: Doubtful = NOTHING_DOUBTFUL, *, threads: int = 0) -> Measured:
    """As `calibrate`, but only the checks, of what is spent where nothing is measured: for scans, that takes little."""
    return _calibrate(file, doubtful, threads, with_effort=False)


def checked(file: SegmentFile) -> Checked:
    """What the build's check found with all codes in memory."""
    calibration = Calibration.from_json(measured_best(file))
    return Checked(calibration.recall, calibration.fallback, file.exact)


def _calibrate(file: SegmentFile, doubtful: Doubtful, threads: int, *, with_effort: bool) -> Measured:
    found: dict[str, Any] = {}
    if file.kind is SegmentKind.FLAT or file.rows < 2:
        return Measured(found, np.empty(0, np.int64))
    sample: trial.Sample | None = None
    walks: dict[CodeFormat, tuple[trial.Walks, ...]] = {}
    strays: dict[CodeFormat, Strays | None] = {}
    apart: dict[CodeFormat, list[int]] = {}
    far: tuple[int, NDArray[np.int64]] | None = None
    fast: FastTrial | None = None
    best: Calibration | None = None
    exact: set[int] = set(doubtful.hardly.tolist())
    cache = BlockCache(min(trial.CACHE_BYTES, max(_TRIAL_CACHE_BYTES_MIN, sample_bytes())))
    for residency in code_residencies(file, file.kind is SegmentKind.GRAPH):
        residency = replace(residency, fast=with_effort and file.fast is not None and residency.codes == file.codes)
        costs, codes = costs_of(file, residency), residency.codes
        assert codes is not None
        searcher = Segment.load(file, residency, cache=cache).searcher
        sample = sample or trial.draw(searcher, file, threads, with_effort=with_effort)  # by the best codes
        calibration, lists = Calibration({}, sample.farthest, nearest=sample.nearest), None
        if with_effort:
            ask = trial.Asking(searcher, sample, costs, threads)
            if codes not in walks:
                walks[codes], strays[codes] = trial.try_walks(ask), None
                if costs.has_graph:
                    within = calibration.measured_within(CHECKED_NEIGHBOURS)
                    strays[codes] = try_strays(searcher, file, sample, within, threads)
            bounds = trial.try_bounds(ask, walks[codes])
            calibration = trial.measure(ask, walks[codes], bounds, costs).with_strays(strays[codes])
            if searcher.lists is not None:
                far = far or list_trial.far_from_themselves(searcher.lists, file, threads)
                if searcher.fast is not None and searcher.fast_blocks is not None:
                    fast = fast or measure_fast(searcher.fast, searcher.fast_blocks, sample, file.metric)
                slack = fast.slack if fast is not None and searcher.fast is not None else 0.0
                of_lists = replace(costs, has_fast=slack > 0)
                lists = list_trial.measure_lists(searcher.lists, sample, bounds, of_lists, far[0], threads, slack)
        calibration = way_checked(calibration, searcher, sample, residency, costs, threads)
        if costs.has_graph and calibration.fallback is Fallback.NONE:
            if codes not in apart:
                own = planned(costs, residency, calibration, 1, RECALL_TARGET_DEFAULT)
                apart[codes] = trial.apart(searcher, file, own, threads)
            calibration = calibration.with_apart(apart[codes])
        calibration = asked_themselves(calibration, searcher, file, doubtful.raised, exact, residency, costs, threads)
        if far is not None and lists is not None and calibration.fallback is Fallback.NONE:
            way = searcher, file, residency, costs, threads
            calibration = lists_checked(calibration.with_lists(lists), sample, far[1], exact, *way)
        found[residency.name] = calibration.to_json()
        searcher.nodes.close()
        best = best or calibration
    if fast is not None and fast.slack > 0 and far is not None and sample is not None and best is not None:
        alone = _alone(file, best, fast, sample, far, exact, cache, threads)
        found |= {} if alone is None else {FAST_ONLY: alone.to_json()}
    cache.close()
    return Measured(found, np.array(sorted(exact) if len(exact) <= EXACT_MAX else [], np.int64))


def _alone(
    file: SegmentFile,
    best: Calibration,
    fast: FastTrial,
    sample: trial.Sample,
    far: tuple[int, NDArray[np.int64]],
    exact: set[int],
    cache: BlockCache,
    threads: int,
) -> Calibration | None:
    """Of searches with fast codes alone in memory; None where they find too little. ``best``: with all codes."""
    residency = Residency(None, False, fast=True)
    if best.fallback is not Fallback.NONE:
        return None
    costs = costs_of(file, residency)
    searcher = Segment.load(file, residency, cache=cache).searcher
    assert searcher.lists is not None
    lists = list_trial.measure_lists(searcher.lists, sample, fast.alone, costs, far[0], threads)
    calibration = Calibration({}, sample.farthest).with_lists(lists)
    if lists is not None:
        way = searcher, file, residency, costs, threads
        calibration = lists_checked(calibration, sample, far[1], exact, *way)
    searcher.nodes.close()
    return calibration if calibration.lists is not None else None
