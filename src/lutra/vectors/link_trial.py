"""Trials of links, when they are made: what walks over them find, of rows and of queries that stray."""

from __future__ import annotations

from dataclasses import replace

from lutra.kernels.searcher import Searcher
from lutra.vectors import trial
from lutra.vectors.calibration import CHECKED_NEIGHBOURS, Fallback
from lutra.vectors.checks import way_checked
from lutra.vectors.links import link_bytes
from lutra.vectors.residency import Residency
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.segment_plan import Way, calibration_of, costs_of
from lutra.vectors.stray_trial import try_strays


def linked_way(file: SegmentFile, searcher: Searcher, residency: Residency) -> Way | None:
    """How walks over links, which ``searcher`` has, fare in this segment; None where nothing was measured when it was
    built, or what walks find is not trusted. What is measured does not depend on the threads."""
    built = calibration_of(file, residency)
    if built.recall is None or built.fallback is not Fallback.NONE:
        return None
    costs = replace(costs_of(file, residency), link_bytes=link_bytes(file) // file.rows)
    sample = trial.draw(searcher, file)
    ask = trial.Asking(searcher, sample, costs)
    walks = trial.try_walks(ask)
    calibration = trial.measure(ask, walks, trial.try_bounds(ask, walks), costs)
    within = calibration.measured_within(CHECKED_NEIGHBOURS)
    calibration = calibration.with_strays(try_strays(searcher, file, sample, within, by_links=True))
    calibration = way_checked(calibration, searcher, sample, residency, costs, 0)
    return Way(costs, calibration) if calibration.fallback is Fallback.NONE else None
