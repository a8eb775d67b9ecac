"""Trials of lists: how far they have to be reached for so that a share of the true neighbours is in them.

That takes no searches: where the lists of the true neighbours are, and how far the last of these is, say it all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lutra.kernels.lists import Lists
from lutra.model.indexes import Metric
from lutra.vectors.calibration import Effort, ListCurves, Point, frontier
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.trial import BOUND_TRIALS, Bound, Sample, Walks

RECALLS: Final = (0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.965, 0.98, 0.99, 0.995, 1.0)
"""That reaches are told for."""
REACH_MAX: Final = 1_000.0
"""Of a list whose rows are all at its centroid nothing is likely to be elsewhere: to be looked at it would take a reach
without end. Where that makes searches miss too much, the check of a build leaves lists aside."""
UNKNOWN_MAX: Final = 0.5
"""Of the sample's queries, those so short or long that no angles are told and all lists are looked at."""
OWN_ROWS_MAX: Final = 4_096
"""That are covered so that rows find themselves; the few that lie farther from themselves are asked for in earnest."""


def measure_lists(
    lists: Lists,
    sample: Sample,
    bounds: Mapping[int, Sequence[Bound]],
    costs: SegmentCosts,
    least: int,
    threads: int = 0,
    slack: float = 0.0,
) -> ListCurves | None:
    """What recall takes, with what ``bounds`` were measured to keep and to read by k of `BOUND_TRIALS`; None where that
    is of too few queries to say anything of others. ``slack``: of fast codes; 0: there are none."""
    curves = {}
    for trial in BOUND_TRIALS:
        if trial.k not in bounds:
            continue
        truth = np.ascontiguousarray(sample.truths[trial.walks][:, : trial.k])
        last = np.ascontiguousarray(sample.distances[trial.walks][:, trial.k - 1])
        asked = sample.vectors[: len(truth)], truth, last
        taken, _ = lists.reached(*asked, np.empty(0, np.float32), threads)
        if np.isneginf(taken).mean() > UNKNOWN_MAX:
            return None
        reaches = np.unique(np.quantile(taken, RECALLS, method="higher").astype(np.float32))
        _, rows = lists.reached(*asked, reaches, threads)
        points = _points(taken, reaches, rows.mean(axis=0), bounds[trial.k])
        curves[trial.k] = frontier(points, replace(costs, has_graph=False))
    return ListCurves(curves, least, slack) if curves else None


def _points(
    taken: NDArray[np.float32], reaches: NDArray[np.float32], rows: NDArray[np.float64], bounds: Sequence[Bound]
) -> list[Point]:
    """Every reach with every bound, as of walks."""
    hits = tuple(taken <= reach for reach in reaches)
    walks = Walks(tuple(range(len(reaches))), hits, tuple(rows.tolist()), 0, np.empty((0, 0), np.int64))
    recalls = walks.recalls(taken.shape[1])
    beams = np.ceil(1_000 * np.clip(reaches, -1, REACH_MAX)).astype(int)
    return [
        Point(recall * bound.kept, Effort(beam, bound.sigmas, of_lists, bound.reads))
        for recall, beam, of_lists in zip(recalls, beams.tolist(), rows.tolist(), strict=True)
        for bound in bounds
    ]


def far_from_themselves(lists: Lists, file: SegmentFile, threads: int = 0) -> tuple[int, NDArray[np.int64]]:
    """How many rows have to be covered so that rows find themselves, `OWN_ROWS_MAX` at most; and the rows, ascending,
    for which that is too little. By inner product, by which others may be nearer than a row to itself: nothing."""
    least, far = 0, [np.empty(0, np.int64)]
    if file.metric is Metric.DOT_PRODUCT:
        return least, far[0]
    begin = 0
    for block in file.vector_blocks():
        rows = np.arange(begin, begin + len(block), dtype=np.int64)
        covered = lists.covered(block, rows[:, None], threads)[:, 0]
        is_far = covered > OWN_ROWS_MAX
        far.append(rows[is_far])
        least = max(least, int(covered[~is_far].max(initial=0)))
        begin += len(block)
    return least, np.concatenate(far)
