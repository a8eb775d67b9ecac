"""Rows near a query, found without a filter and without a read, for whoever checks a filter on these alone."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.searcher import Searcher, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.calibration import Calibration, Effort, Fallback, rerank_plan
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.strategies import BEAM_MAX

SPARE: Final = 1.3
"""Times as many rows are walked to as should do: by chance fewer of those nearby may pass."""


class NearRows(NamedTuple):
    """What a walk came by."""

    rows: NDArray[np.int64]
    """[n], ascending: with those that no codes describe."""
    distances: int
    """Estimates that it took."""


class Wanted(NamedTuple):
    """How many rows are looked for, and why."""

    k: int
    passing: float
    """The share of all rows that pass, about; above 0."""
    recall_target: float
    us_max: float
    """What the walk may take."""


def near_rows(
    searcher: Searcher,
    costs: SegmentCosts,
    calibration: Calibration,
    query: NDArray[np.float32],
    metric: Metric,
    wanted: Wanted,
) -> NearRows | None:
    """So many rows nearest to ``query`` (float32 [1, d]) by estimate that as many of them should pass as a walk under
    the filter would compare.

    None where walks find too little here, or one so wide would take longer than it may; where it ended farther away
    than any that was measured, so that nothing is known of what it missed; or where codes do not tell apart what it
    found. Codes and graph are in memory. Raises RequestTimeout.
    """
    if calibration.fallback is not Fallback.NONE:
        return None
    k, passing = wanted.k, wanted.passing
    narrow, wide = _efforts(calibration, k, math.ceil(SPARE * k / passing), wanted.recall_target)
    count = math.ceil(SPARE * rerank_plan(Strategy.WALK, k, min(narrow.beam, BEAM_MAX), 0.0).candidates / passing)
    beam = max(wide.beam, count)
    if beam > BEAM_MAX or costs.walk(wide.distances * beam / wide.beam, 0).us > wanted.us_max:
        return None
    rows, estimates, distances = searcher.come_by(query, beam, count)
    if len(rows) < k or estimates[k - 1] > _familiar(calibration.measured_within(k), query, metric):
        return None
    rows = np.union1d(rows, searcher.exact_rows) if len(searcher.exact_rows) else np.sort(rows)
    return NearRows(rows, distances)


@lru_cache(maxsize=512)
def _efforts(calibration: Calibration, k: int, many: int, recall_target: float) -> tuple[Effort, Effort]:
    """For so many neighbours, and for those among which they are."""
    return calibration.effort(k, recall_target), calibration.effort(many, recall_target)


def _familiar(measured_within: float, query: NDArray[np.float32], metric: Metric) -> float:
    """The distance beyond which nothing was measured for such a query."""
    if metric is not Metric.DOT_PRODUCT or math.isinf(measured_within):
        return measured_within
    return measured_within * float(np.linalg.norm(query.astype(np.float64)))
