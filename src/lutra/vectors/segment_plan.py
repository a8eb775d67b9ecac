"""How a segment's searches are planned: by what its build measured, and by what of it is in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.searcher import Plan, Strategy
from lutra.model.errors import Corruption
from lutra.vectors.calibration import Calibration, Effort, Fallback
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.residency import Residency, code_residencies
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.strategies import BEAM_MAX, choose_plan

READS_ALL_SHARE: Final = 0.5
"""Of the blocks: where a check's searches read so many, codes tell so little that all rows are compared at once."""


class Way(NamedTuple):
    """What searches cost, and what is known of how much they take."""

    costs: SegmentCosts
    calibration: Calibration


def planned(
    costs: SegmentCosts,
    residency: Residency,
    calibration: Calibration,
    k: int,
    recall_target: float,
    *,
    qualifying: int | None = None,
    num_candidates: int | None = None,
    within: float = math.inf,
    strategy: Strategy | None = None,
) -> Plan:
    """As `lutra.vectors.strategies.choose_plan`, by what was measured of this segment."""
    plan = choose_plan(
        costs,
        residency,
        k,
        effort_of(calibration, costs, k, recall_target, qualifying),
        qualifying=qualifying,
        num_candidates=num_candidates,
        within=within,
        fallback=calibration.fallback,
        strategy=strategy,
    )
    plan = replace(plan, measured_within=calibration.measured_within(k), measured_beyond=calibration.measured_beyond(k))
    is_free = qualifying is None and num_candidates is None
    return _asking_strays(plan, costs, calibration, k, recall_target) if is_free else plan


def _asking_strays(plan: Plan, costs: SegmentCosts, calibration: Calibration, k: int, recall_target: float) -> Plan:
    """A walk with what is to be done for queries that stray from the rows: another walk, or a scan that costs less."""
    wider = calibration.wider_beam(k, recall_target)
    if plan.strategy is not Strategy.WALK or calibration.strays is None or 0 < wider <= plan.beam:
        return plan
    distances = calibration.effort(k, recall_target).distances * wider / max(1, plan.beam)
    is_less = costs.walk(distances, plan.first).us < costs.scan(costs.rows, plan.candidates, plan.first).us
    is_wider = wider <= BEAM_MAX and is_less
    return replace(plan, contrast_min=calibration.strays.contrast, wider_beam=wider if is_wider else 0)


def effort_of(
    calibration: Calibration, costs: SegmentCosts, k: int, recall_target: float, qualifying: int | None
) -> Effort:
    """What is planned with: what the build's check came to, under a filter, or where it mostly read half of all."""
    expected = calibration.expected_effort(k, recall_target, filtered=qualifying is not None)
    if qualifying is None and costs.blocks_of(expected.reads) < READS_ALL_SHARE * costs.blocks_of(costs.rows):
        return calibration.effort(k, recall_target)
    return expected


def _measured(file: SegmentFile, residency: Residency) -> Mapping[str, Any]:
    """What the build measured with such codes; with the best, where none are in memory and distances are exact."""
    if residency.codes is None and not residency.fast:
        return measured_best(file)
    found: Mapping[str, Any] = file.calibration.get(residency.name, {})
    return found


def measured_best(file: SegmentFile) -> Mapping[str, Any]:
    """With the best codes. The footer has them in the order of their names, which says nothing."""
    names = [one.name for one in code_residencies(file, file.kind is SegmentKind.GRAPH)]
    return next((file.calibration[name] for name in names if name in file.calibration), {})


def apart_rows(file: SegmentFile, residency: Residency) -> NDArray[np.uint32]:
    """uint32 [n]: the rows that walks do not come by. Raises Corruption where there are none such."""
    apart = np.array(calibration_of(file, residency).apart, np.int64)
    if ((apart < 0) | (apart >= file.rows)).any():
        raise Corruption(f"{file.name}: the footer's calibration makes no sense: a place to start that is no row.")
    return apart.astype(np.uint32)


def coming_instead(file: SegmentFile, residency: Residency) -> Residency:
    """Codes list by list in place of all that is to be in memory, where that is far away and searches go by lists."""
    if not file.is_remote or file.lists is None or residency.codes is None or residency.codes != file.codes:
        return residency
    coming = Residency(residency.codes, False, is_coming=True)
    calibration = calibration_of(file, coming)
    can_go = calibration.lists is not None and calibration.fallback is Fallback.NONE
    return coming if can_go else residency


def calibration_of(file: SegmentFile, residency: Residency) -> Calibration:
    """What the build measured. Raises Corruption where it makes no sense."""
    try:
        return Calibration.from_json(_measured(file, residency))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise Corruption(f"{file.name}: the footer's calibration makes no sense: {error!r}.") from error


def costs_of(file: SegmentFile, residency: Residency) -> SegmentCosts:
    """Of the segment with that in memory."""
    code_bytes = residency.codes.record_bytes if residency.codes else 0
    nodes, has_graph = file.layout(SectionName.NODES), file.kind is SegmentKind.GRAPH
    lists = file.lists.count if file.lists is not None and (residency.codes or residency.fast) else 0
    blocks = nodes.items_per_block, nodes.block_bytes
    return SegmentCosts(file.rows, code_bytes, has_graph, *blocks, file.degree, lists, has_fast=residency.fast)
