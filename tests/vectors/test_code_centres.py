"""Segments of vectors in clusters: codes against centres of their own, found where they are worth it and only there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.graphs import manifold

from lutra.kernels.codes import centroid_of
from lutra.kernels.distance import topk
from lutra.kernels.searcher import Strategy
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.code_centres import choose_centres
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.merge import MergeInput, merge_segments
from lutra.vectors.residency import choose_residency
from lutra.vectors.segment import Segment, calibrate, check
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

Vectors = NDArray[np.float32]
DIMENSION, ROWS = 32, 5_000
PLANS = {kind: BuildPlan(kind, 4, degree=24, beam=64) for kind in (SegmentKind.CODES, SegmentKind.GRAPH)}


def clusters(rows: int, size: int, width: float = 1e-3, dimension: int = DIMENSION, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((-(-rows // size), dimension), dtype=np.float32)
    noise = rng.standard_normal((rows, dimension), dtype=np.float32)
    made: Vectors = centres[np.arange(rows) % len(centres)] + np.float32(width) * noise
    return made


def chosen(rows: Vectors, metric: Metric = Metric.EUCLIDEAN, threads: int = 0) -> Vectors | None:
    return choose_centres(rows, metric, centroid_of(rows, metric), None, 3, threads)


@pytest.mark.parametrize("metric", list(Metric), ids=lambda metric: metric.name.lower())
@pytest.mark.parametrize(("size", "most"), [(2_500, 16), (500, 64), (50, 256)])
def test_clusters_get_centres_of_their_own(metric: Metric, size: int, most: int) -> None:
    rows = clusters(ROWS, size)
    centres = chosen(rows, metric)
    assert centres is not None
    assert 2 <= len(centres) <= most
    told = rows / np.linalg.norm(rows, axis=1, keepdims=True) if metric is Metric.COSINE else rows
    _, left = topk(np.ascontiguousarray(told), centres, 1, Metric.EUCLIDEAN)
    assert np.quantile(left, 0.9) < 1e-3 * np.median(np.square(told).sum(axis=1))
    assert np.array_equal(chosen(rows, metric, threads=3), centres)


@pytest.mark.parametrize(
    "rows",
    [
        np.random.default_rng(0).standard_normal((ROWS, DIMENSION), dtype=np.float32),
        manifold(ROWS, DIMENSION),
        np.random.default_rng(0).standard_t(1.5, (ROWS, DIMENSION)).astype(np.float32),
        clusters(ROWS, 5),
        clusters(200, 50),
        np.zeros((ROWS, DIMENSION), np.float32),
        clusters(ROWS, 500) * np.float32(1e30),
        np.zeros((0, DIMENSION), np.float32),
    ],
    ids=["normal", "manifold", "tails", "tiny", "few", "zeros", "extreme", "none"],
)
def test_others_keep_the_one(rows: Vectors) -> None:
    assert chosen(rows) is None


@pytest.mark.parametrize("metric", list(Metric), ids=lambda metric: metric.name.lower())
@pytest.mark.parametrize("kind", list(PLANS), ids=lambda kind: kind.value)
def test_searches_in_clusters_reach_the_target_and_read_little(
    tmp_path: Path, kind: SegmentKind, metric: Metric
) -> None:
    rows, queries = clusters(ROWS, 500), clusters(ROWS, 500, seed=1)[:40]
    measure = calibrate if kind is SegmentKind.GRAPH else check
    with write_segment(tmp_path / "s", rows, metric, plan=PLANS[kind], calibrate=measure) as file:
        assert file.codes is not None
        assert file.codes.has_centres
        assert file.load_centres().shape == (file.codes.centres, DIMENSION)
        assert file.verify() == []
        assert choose_residency(file, None).codes == file.codes
        assert choose_residency(file, 1_000).codes is None  # such codes are not made shorter
    with Segment.open(tmp_path / "s") as segment:
        found = segment.search(queries, 10)
    _, truth = topk(queries, rows, 10, metric)
    hits = found.distances <= truth[:, -1:] + 1e-6 * np.abs(truth[:, -1:])
    assert hits.mean() >= 0.95
    if metric is not Metric.DOT_PRODUCT:  # whose errors are as long as queries are, and not as near as rows are
        assert found.counters.exact.mean() <= 64
        assert Strategy.BRUTE_FORCE not in found.counters.used


def test_only_segments_with_centres_are_of_the_third_version(tmp_path: Path) -> None:
    versions = {}
    for name, rows in {"clusters": clusters(ROWS, 500), "manifold": manifold(ROWS, DIMENSION)}.items():
        write_segment(tmp_path / name, rows, Metric.EUCLIDEAN, plan=PLANS[SegmentKind.CODES]).close()
        versions[name] = int.from_bytes((tmp_path / name).read_bytes()[-16:-12], "little")
    assert versions == {"clusters": 3, "manifold": 2}


def test_a_merge_without_the_clusters_has_one_centre_again(tmp_path: Path) -> None:
    rows = np.concatenate([clusters(ROWS, 500), np.random.default_rng(1).standard_normal((1_000, DIMENSION))])
    plan = PLANS[SegmentKind.CODES]
    with write_segment(tmp_path / "s", rows.astype(np.float32), Metric.EUCLIDEAN, plan=plan) as file:
        assert file.centres == file.codes.centres > 1
        merged = merge_segments(tmp_path / "m", [MergeInput(file, np.arange(len(rows)) >= ROWS)], plan=plan)
        assert merged.codes == CodeFormat(DIMENSION, 4)
        assert SectionName.CENTRES not in merged.sections
        merged.close()


def test_a_damaged_centre_is_found_and_named(tmp_path: Path) -> None:
    with write_segment(tmp_path / "s", clusters(ROWS, 500), Metric.EUCLIDEAN, plan=PLANS[SegmentKind.CODES]) as file:
        section = file.sections[SectionName.CENTRES]
    damaged = bytearray((tmp_path / "s").read_bytes())
    damaged[section.offset + 5] ^= 1
    (tmp_path / "d").write_bytes(damaged)
    with SegmentFile.open(tmp_path / "d") as file:
        assert [fault.section for fault in file.verify()] == [SectionName.CENTRES]
    with pytest.raises(Corruption, match="centres"):
        Segment.open(tmp_path / "d")


def test_the_number_of_centres_can_be_said(tmp_path: Path) -> None:
    plan = replace(PLANS[SegmentKind.CODES], centres=3)
    with write_segment(tmp_path / "s", manifold(ROWS, DIMENSION), Metric.EUCLIDEAN, plan=plan) as file:
        assert file.codes == CodeFormat(DIMENSION, 4, centres=3)
    with pytest.raises(ValueError, match="1 to 1024 centres"):
        replace(plan, centres=0)
