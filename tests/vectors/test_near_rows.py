"""Rows near a query that a filter is to be checked on: none where codes do not tell which these are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lutra.kernels.distance import topk
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import Fallback
from lutra.vectors.layout import SegmentKind
from lutra.vectors.near_rows import Wanted
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, K = 1_500, 8, 10
WANTED = Wanted(k=K, passing=0.5, recall_target=0.95, us_max=1e9)


def opened(folder: Path, vectors: np.ndarray) -> Segment:
    plan = BuildPlan(SegmentKind.GRAPH, 8, degree=16, beam=48)
    write_segment(folder / "segment", vectors, Metric.EUCLIDEAN, plan=plan, calibrate=calibrate).close()
    segment = Segment.open(folder / "segment")
    assert segment.checked.fallback is Fallback.NONE, "walks are trusted"
    return segment


@pytest.mark.parametrize("longest", [0, 18])
def test_rows_of_all_lengths(tmp_path: Path, longest: int) -> None:
    """Next to the longest all others lie in one place, as far as codes go."""
    rng = np.random.default_rng(7)
    lengths = 10 ** rng.uniform(-3 if longest else 0, longest, (ROWS, 1))
    vectors = (rng.standard_normal((ROWS, DIMENSION)) * lengths).astype(np.float32)
    queries = rng.standard_normal((20, DIMENSION)).astype(np.float32)
    truth, _ = topk(queries, vectors, K, Metric.EUCLIDEAN)
    with opened(tmp_path, vectors) as segment:
        near = [segment.near_rows(query[None], WANTED) for query in queries]
        shares = [np.isin(true, one.rows).mean() for one, true in zip(near, truth, strict=True) if one is not None]
        assert (len(shares) > 10) == (longest == 0)
        assert min(shares, default=1.0) >= 0.8
