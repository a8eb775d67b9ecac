"""Which way a query is answered, by what each would cost. Under a mask every way finds k rows while k qualify.

=============  =====================================================================================================
BRUTE_FORCE    so few rows qualify that comparing all is cheaper than telling them apart by codes first
CODE_SCAN      the codes of all that qualify cost less than a walk
WALK           the rest; rows that do not qualify are walked through. The walk watches its pass rate: it widens its beam
               where some qualify, reads through those that do not where few do, and goes on until it has k
LIST_SCAN      the codes of all that qualify in the lists nearest to the query: as many lists as recall takes, and more
               where few of their rows qualify. Fast codes, where there are such, say which rows are worth a look; alone
               in memory they say which are worth a read
NODE_WALK      in place of WALK where the graph is not in memory; what it finds of too few is read in full
=============  =====================================================================================================

A walk cannot know how far from the query the qualifying rows are: a filter may be correlated with it either way. It
goes on until the rows it found lie within what it looked through, and becomes a scan when it has spent half as much
again as the scan would have cost, or much more than was planned. Where all that qualifies is far from the query,
thousands of rows may lie closer together than codes tell apart: a scan then takes more of them to be put in order by
the longer codes, and compares as many as these leave in doubt.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, NamedTuple

from lutra.kernels.searcher import Plan, Strategy
from lutra.vectors.calibration import Effort, Fallback, ListEffort, rerank_plan
from lutra.vectors.costs import FILTERED_ESTIMATE_FACTOR, Cost, SegmentCosts
from lutra.vectors.residency import Residency

BEAM_MAX: Final = 4_096
"""As in native/graph/graph.h."""
PATIENCE: Final = 2.5
"""A walk under a mask that costs so many times what was planned is taken for one the filter is set against."""
AWAY_SCAN_US: Final = 2_000.0
"""A scan that takes no longer follows on a walk whose filter leaves out what is near the query: of the many rows that
are then about as far away the walk meets a part only. In larger segments the wider walk has to do."""
FILTERED_REACH: Final = 0.01
"""Under a filter lists are reached for by so much farther: what one leaves near the query is harder to find. (Of the
tenth of 200,000 rows that is near the queries .970 in place of .952, of the fifth .964 in place of .944.)"""
FILTERED_GROWTH_MIN: Final = 0.5
"""By the share that counts to the power of minus this more rows of lists are looked at: of half of 200,000 1.5 times as
many as without a filter, of a hundredth 5.7. (More neighbours take fewer than that.)"""
EXHAUSTIVE_SIGMAS: Final = 3.0
"""Of the bound where the caller says how many candidates to compare, or the usual ones miss too much: nearly all."""

FILTERED_SIGMAS_MIN: Final = 1.6
"""Under a filter: narrower bounds were measured next to rows, and what a filter leaves may lie farther off. (Of 1,350
rows, without a query's nearest 5 %, .7 found the first for .947, 1.6 for .99 of the queries; where a filter leaves some
of 40,000 rows by chance it is 2 % more reads.)"""

FAST_CANDIDATES_MIN: Final = 512
FAST_CANDIDATES_PER_ANSWER: Final = 16
"""Kept where there are no codes but fast ones, at least and for each answer."""


class Foreseen(NamedTuple):
    """What a search was thought to take."""

    distances: float
    """Estimates and exact ones."""
    reads: float


def choose_plan(
    costs: SegmentCosts,
    residency: Residency,
    k: int,
    effort: Effort,
    *,
    qualifying: int | None = None,
    num_candidates: int | None = None,
    within: float = math.inf,
    fallback: Fallback = Fallback.NONE,
    strategy: Strategy | None = None,
) -> Plan:
    """The plan of the least cost.

    :param k: at least 1, at most the rows that count where there are any.
    :param qualifying: rows under the mask, exactly; None: there is no mask.
    :param num_candidates: rows to keep going with and to compare, in place of what ``effort`` says.
    :param within: rows farther than this may be left out.
    :param fallback: what is done in place of what ``effort`` would come to; nothing where ``num_candidates`` are given.
    :param strategy: this way, one of those of `predicted_costs`, in place of the one that costs least.
    """
    if num_candidates is not None:
        fallback = Fallback.NONE
    options = predicted_costs(
        costs, residency, k, effort, qualifying=qualifying, num_candidates=num_candidates, fallback=fallback
    )
    if strategy is None:
        strategy = min(options, key=lambda one: options[one].us)
    if strategy is Strategy.BRUTE_FORCE:
        return Plan(strategy, 0, k, k)
    wanted = _wanted(costs, k, effort, qualifying, num_candidates, is_on_disk=Strategy.NODE_WALK in options)
    is_exhaustive = num_candidates is not None or fallback is not Fallback.NONE
    least = 0.0 if qualifying is None else FILTERED_SIGMAS_MIN
    by_lists = effort.lists if strategy is Strategy.LIST_SCAN else None
    planned_sigmas = effort.bound_sigmas if by_lists is None else by_lists.bound_sigmas
    sigmas = EXHAUSTIVE_SIGMAS if is_exhaustive else max(least, planned_sigmas)
    give_up, scans_when_away = 0, False
    if strategy is Strategy.WALK and qualifying is not None:
        scan, walk = options[Strategy.CODE_SCAN], options[Strategy.WALK]
        scans_when_away = scan.us <= max(AWAY_SCAN_US, 2 * walk.us)
        spend_us = min(1.5 * scan.processor_us, PATIENCE * walk.processor_us)
        give_up = max(1, int(spend_us / (FILTERED_ESTIMATE_FACTOR * costs.walk_estimate_us)))
    if strategy is Strategy.NODE_WALK and qualifying is not None:
        instead, walk = options[Strategy.CODE_SCAN if residency.codes else Strategy.BRUTE_FORCE], options[strategy]
        distances = 0.0 if residency.codes else min(costs.rows, effort.distances * wanted / effort.beam)
        give_up = max(1, int((wanted + distances) * min(instead.us / walk.us, PATIENCE)))
    plan = rerank_plan(strategy, k, min(wanted, BEAM_MAX), sigmas, give_up)
    if by_lists is not None:
        farther = 0.0 if qualifying is None else FILTERED_REACH
        plan = replace(plan, covers=by_lists.covers, reach=farther + _reach(by_lists, effort, num_candidates))
        plan = _by_fast(plan, k, by_lists, has_codes=residency.codes is not None)
    if num_candidates is None:
        return replace(plan, deepens=True, scans_when_away=scans_when_away, within=within)
    candidates = min(max(k, num_candidates), BEAM_MAX)
    return replace(plan, candidates=candidates, within=within)


def predicted_costs(
    costs: SegmentCosts,
    residency: Residency,
    k: int,
    effort: Effort,
    *,
    qualifying: int | None = None,
    num_candidates: int | None = None,
    fallback: Fallback = Fallback.NONE,
) -> dict[Strategy, Cost]:
    """What each way that can be gone would cost. As `choose_plan`, which chooses what takes least on the clock."""
    if num_candidates is not None:
        fallback = Fallback.NONE
    counting = costs.rows if qualifying is None else qualifying
    reads = _reads(k, effort)
    options = {} if residency.is_coming else {Strategy.BRUTE_FORCE: costs.brute_force(counting)}
    if residency.codes and not residency.is_coming and fallback is not Fallback.EXACT:
        kept = rerank_plan(Strategy.CODE_SCAN, k, 0, 0.0).candidates
        options[Strategy.CODE_SCAN] = costs.scan(counting, kept, reads)
    has_lists = costs.lists and (residency.codes or residency.fast)
    if has_lists and effort.lists is not None and fallback is Fallback.NONE:
        kept = rerank_plan(Strategy.LIST_SCAN, k, 0, 0.0).candidates
        covered = rows_looked_at(costs, effort, counting, num_candidates)
        compared = max(reads, effort.lists.reads)
        options[Strategy.LIST_SCAN] = costs.list_scan(counting, covered, kept, compared)
    if not costs.has_graph or k > BEAM_MAX or fallback is not Fallback.NONE or residency.is_coming:
        return options
    if not (residency.codes and residency.graph):
        beam = _wanted(costs, k, effort, qualifying, num_candidates, is_on_disk=True)
        distances = min(costs.rows, effort.distances * beam / effort.beam)
        options[Strategy.NODE_WALK] = costs.node_walk(distances, beam, residency.codes is not None)
        return options
    distances = effort.distances * max(1.0, (num_candidates or 0) / max(1, effort.beam))
    if qualifying is None:
        options[Strategy.WALK] = costs.walk(distances, reads)
    else:
        options[Strategy.WALK] = costs.filtered_walk(qualifying, distances, reads)
    return options


def _by_fast(plan: Plan, k: int, by_lists: ListEffort, *, has_codes: bool) -> Plan:
    """With the slack of the fast codes: without other codes it is what the bound of these would be."""
    if has_codes:
        return replace(plan, slack=by_lists.slack)
    most = max(FAST_CANDIDATES_MIN, FAST_CANDIDATES_PER_ANSWER * k)
    return replace(plan, slack=max(by_lists.bound_sigmas, 0.0), candidates=most)


def _reads(k: int, effort: Effort) -> float:
    """Of the re-rank: those without asking, at least."""
    return max(effort.reads, rerank_plan(Strategy.CODE_SCAN, k, 0, 0.0).first)


def _reach(by_lists: ListEffort, effort: Effort, num_candidates: int | None) -> float:
    """How far lists are reached for; as far as was measured where the caller asks for more than was planned."""
    return by_lists.reach_most if (num_candidates or 0) > effort.beam else by_lists.reach


def rows_looked_at(costs: SegmentCosts, effort: Effort, counting: int, num_candidates: int | None) -> float:
    """Of a LIST_SCAN, on average: rows of the lists that are looked at, whether they count or not. The fewer do, the
    farther the nearest are."""
    by_lists = effort.lists
    assert by_lists is not None
    rows = by_lists.rows_most if (num_candidates or 0) > effort.beam else by_lists.rows
    share = max(1, counting) / max(1, costs.rows)
    covered: float = max(rows, by_lists.covers) * share ** -max(by_lists.growth, FILTERED_GROWTH_MIN)
    return min(float(costs.rows), covered)


def foreseen(
    costs: SegmentCosts,
    residency: Residency,
    k: int,
    effort: Effort,
    strategy: Strategy,
    *,
    qualifying: int | None = None,
    num_candidates: int | None = None,
) -> Foreseen:
    """What going that way would take, as `predicted_costs` reckons it."""
    counting = costs.rows if qualifying is None else qualifying
    reads = _reads(k, effort)
    if strategy is Strategy.BRUTE_FORCE:
        return Foreseen(float(counting), costs.requests_of(counting))
    if strategy is Strategy.CODE_SCAN:
        reads = min(reads, costs.blocks_of(counting))
        return Foreseen(counting + reads, reads)
    if strategy is Strategy.LIST_SCAN:
        looked_at = rows_looked_at(costs, effort, counting, num_candidates) * counting / max(1, costs.rows)
        return Foreseen(costs.lists + looked_at + reads, reads)
    if strategy is Strategy.WALK:
        factor = 1.0 if qualifying is None else costs.filtered_walk_factor(qualifying)
        return Foreseen(factor * effort.distances, 0.0 if costs.link_bytes else reads)
    beam = _wanted(costs, k, effort, qualifying, num_candidates, is_on_disk=True)
    distances = min(costs.rows, effort.distances * beam / effort.beam)
    return Foreseen(distances, beam + (0.0 if residency.codes else distances))


def _wanted(
    costs: SegmentCosts,
    k: int,
    effort: Effort,
    qualifying: int | None,
    num_candidates: int | None,
    *,
    is_on_disk: bool,
) -> int:
    """Candidates to keep going with: on disk, where rows that do not qualify are among them, so many more."""
    wanted = max(k, effort.beam if num_candidates is None else num_candidates)
    if not is_on_disk:
        return wanted
    counting = costs.rows if qualifying is None else qualifying
    return min(BEAM_MAX, int(wanted * costs.rows / max(1, counting)))
