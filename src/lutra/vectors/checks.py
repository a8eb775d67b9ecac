"""What a build checks of a calibration: that what is planned by it finds enough, and every row itself."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.searcher import Plan, Searcher, Strategy
from lutra.model.indexes import Metric
from lutra.vectors import trial
from lutra.vectors.calibration import Calibration, Fallback
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.layout import EXACT_MAX
from lutra.vectors.part import RECALL_TARGET_DEFAULT
from lutra.vectors.residency import Residency
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.segment_plan import planned

CHECK_SLACK: Final = 0.03
"""Of recall: what a check finds too little by chance, and no more."""


def lists_checked(
    calibration: Calibration,
    sample: trial.Sample,
    far: NDArray[np.int64],
    exact: set[int],
    searcher: Searcher,
    file: SegmentFile,
    residency: Residency,
    costs: SegmentCosts,
    threads: int,
) -> Calibration:
    """The calibration as it is where searches by lists find enough, and the rows that are ``far`` from themselves, or
    these can be kept ``exact`` with the others; else without lists."""

    def plan(k: int) -> Plan:
        return planned(costs, residency, calibration, k, RECALL_TARGET_DEFAULT, strategy=Strategy.LIST_SCAN)

    recall, _ = trial.check(searcher, sample, plan(sample.truths[0].shape[1]), threads)
    if recall < RECALL_TARGET_DEFAULT - CHECK_SLACK:
        return calibration.with_lists(None)
    missed = trial.missed(searcher, file, far[: trial.UNMET_MAX], plan(1), threads)
    if len(far) > trial.UNMET_MAX or len(exact.union(missed)) > EXACT_MAX:
        return calibration.with_lists(None)
    exact.update(missed)
    return calibration


def asked_themselves(
    calibration: Calibration,
    searcher: Searcher,
    file: SegmentFile,
    raised: NDArray[np.int64],
    exact: set[int],
    residency: Residency,
    costs: SegmentCosts,
    threads: int,
) -> Calibration:
    """The calibration with the first way, from its own on, that misses so few of the ``raised`` rows that they can be
    kept ``exact`` with the others; they are added to those."""
    ways = list(Fallback)
    for fallback in ways[ways.index(calibration.fallback) : ways.index(Fallback.EXACT)]:
        calibration = calibration.with_fallback(fallback)
        missed: list[int] = []
        if file.metric is not Metric.DOT_PRODUCT:  # by which others may be nearer than a row to itself
            own = planned(costs, residency, calibration, 1, RECALL_TARGET_DEFAULT)
            missed = trial.missed(searcher, file, raised, own, threads)
        if len(exact.union(missed)) <= EXACT_MAX:
            exact.update(missed)
            return calibration
    return calibration.checked(Fallback.EXACT, 1.0)


def way_checked(
    calibration: Calibration,
    searcher: Searcher,
    sample: trial.Sample,
    residency: Residency,
    costs: SegmentCosts,
    threads: int,
) -> Calibration:
    """The calibration with the first way that finds enough, and what it finds."""
    k = sample.truths[0].shape[1]
    for fallback in Fallback:
        calibration = calibration.checked(fallback, 1.0)
        if fallback is not Fallback.EXACT:
            plan = planned(costs, residency, calibration, k, RECALL_TARGET_DEFAULT)
            calibration = calibration.checked(fallback, *trial.check(searcher, sample, plan, threads))
        assert calibration.recall is not None
        if calibration.recall >= RECALL_TARGET_DEFAULT - CHECK_SLACK:
            break
    return calibration
