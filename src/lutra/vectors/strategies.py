"""Which way a query is answered, by what each would cost. Under a mask every way finds k rows while k qualify.

=============  =====================================================================================================
BRUTE_FORCE    so few rows qualify that comparing all is cheaper than telling them apart by codes first
CODE_SCAN      the codes of all that qualify cost less than a walk
WALK           the rest; rows that do not qualify are walked through. The walk watches its pass rate: it widens its beam
               where some qualify, reads through those that do not where few do, and goes on until it has k
=============  =====================================================================================================

A walk cannot know how far from the query the qualifying rows are: a filter may be correlated with it either way. It
gives up and becomes a scan when it has spent what the scan would have cost: whatever the filter, no query costs more
than twice the better of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lutra.kernels.searcher import Plan, Strategy
from lutra.vectors.calibration import Effort, rerank_plan
from lutra.vectors.costs import SegmentCosts

BEAM_MAX: Final = 4_096
"""As in native/graph.h."""
EXHAUSTIVE_SIGMAS: Final = 3.0
"""Of the bound where the caller says how many candidates to compare: nearly all of them."""


@dataclass(frozen=True, slots=True)
class Residency:
    """What of a segment is in memory."""

    codes: bool
    graph: bool


def choose_plan(
    costs: SegmentCosts,
    residency: Residency,
    k: int,
    effort: Effort,
    *,
    qualifying: int | None = None,
    num_candidates: int | None = None,
) -> Plan:
    """The plan of the least cost.

    :param qualifying: rows under the mask, exactly; None: there is no mask.
    :param num_candidates: rows to keep going with and to compare, in place of what ``effort`` says.
    """
    counting = costs.rows if qualifying is None else qualifying
    k = min(k, counting)
    reads = max(effort.reads, 1.5 * k)
    options = {Strategy.BRUTE_FORCE: costs.brute_force_us(counting)}
    if residency.codes:
        options[Strategy.CODE_SCAN] = costs.scan_us(counting, reads)
    if costs.has_graph and k <= BEAM_MAX:
        walk_us = (costs.effort_us if qualifying is None else costs.filtered_walk_us)(effort.distances, reads)
        if residency.codes and residency.graph:
            options[Strategy.WALK] = walk_us
        elif residency.codes and qualifying is None:
            options[Strategy.NODE_WALK] = walk_us
    strategy = min(options, key=lambda one: options[one])
    if strategy is Strategy.BRUTE_FORCE:
        return Plan(strategy, 0, max(1, k), max(1, k))
    beam = max(k, effort.beam if num_candidates is None else num_candidates)
    sigmas = effort.bound_sigmas if num_candidates is None else EXHAUSTIVE_SIGMAS
    give_up = 0
    if strategy is Strategy.WALK and qualifying is not None:
        give_up = max(1, int(options[Strategy.CODE_SCAN] / costs.walk_estimate_us))
    plan = rerank_plan(strategy, k, min(beam, BEAM_MAX), sigmas, give_up)
    if num_candidates is None:
        return plan
    return Plan(strategy, plan.beam, min(max(k, num_candidates), BEAM_MAX), plan.first, sigmas, give_up)
