"""Segments over the whole range of float32 answer as brute force does, to the bit of each distance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.ranges import SCALES, Matrix, scaled

from lutra.kernels.distance import topk
from lutra.kernels.searcher import Strategy
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import rerank_plan
from lutra.vectors.layout import SegmentKind
from lutra.vectors.segment import Neighbours, Segment, calibrate
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, K = 1_200, 24, 10
PLANS = {
    "flat": BuildPlan(SegmentKind.FLAT, 4),
    "codes": BuildPlan(SegmentKind.CODES, 4),
    "graph": BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=48, code_bytes=0),
    "graph and basis": BuildPlan(SegmentKind.GRAPH, 4, degree=24, beam=48, code_bytes=48, fine_bytes=64),
}
FAST = {"denormal", "largest", "some zero"}


def cases() -> Iterator[object]:
    for kind, metric, name in itertools.product(PLANS, Metric, SCALES):
        # Of rows over eighty decades a graph leads to the short ones only from others as short.
        if name == "mixed" and "graph" in kind and metric is not Metric.COSINE:
            continue
        is_fast = name == "one huge" or (name in FAST and kind in ("codes", "graph and basis"))
        marks = () if is_fast else pytest.mark.slow
        yield pytest.param(kind, metric, name, marks=marks, id=f"{kind}-{metric.name.lower()}-{name}")


def data(name: str) -> tuple[Matrix, Matrix]:
    """Rows, and queries near some of them or equal to one."""
    vectors = scaled(np.random.default_rng(5), ROWS, DIMENSION, name)
    queries = vectors[1:200:20] * np.float32(0.8) + vectors[2:201:20] * np.float32(0.2)
    return vectors, np.ascontiguousarray(np.vstack([queries, vectors[7:9]]), np.float32)


@pytest.mark.parametrize(("kind", "metric", "name"), list(cases()))
def test_a_segment_finds_the_nearest(tmp_path: Path, kind: str, metric: Metric, name: str) -> None:
    vectors, queries = data(name)
    everything, distances = topk(queries, vectors, ROWS, metric)
    by_row = np.empty_like(distances)
    np.put_along_axis(by_row, everything, distances, axis=1)
    write_segment(tmp_path / "segment", vectors, metric, plan=PLANS[kind], calibrate=calibrate).close()
    with Segment.open(tmp_path / "segment") as segment:
        answers = [segment.search(queries, K, recall_target=0.95)]
        # Products with rows of one large element each are dealt out along the axes: few edges of a graph lead there.
        if segment.file.kind is SegmentKind.GRAPH and name != "one huge element":
            for strategy in (Strategy.WALK, Strategy.NODE_WALK):
                plan = rerank_plan(strategy, K, 64, 1.9)
                answers.append(Neighbours(*segment.searcher.search(queries, K, plan)))
    for found in answers:
        assert np.isfinite(found.distances).all()
        np.testing.assert_array_equal(found.distances, np.take_along_axis(by_row, found.ids, axis=1))
        if kind == "flat":
            np.testing.assert_array_equal(found.ids, everything[:, :K])
        assert np.mean(found.distances <= distances[:, K - 1 : K]) >= 0.9
