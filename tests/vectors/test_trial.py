"""What the trials of a segment foretell, against what searches for other vectors then find and take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.search_recall import recall

from lutra.kernels.blocks import BlockCache
from lutra.kernels.distance import topk
from lutra.kernels.searcher import Strategy
from lutra.model.indexes import Metric
from lutra.vectors import trial
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import rerank_plan
from lutra.vectors.costs import SegmentCosts
from lutra.vectors.layout import SegmentKind
from lutra.vectors.residency import code_residencies
from lutra.vectors.segment import Segment, calibrate
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

ROWS, DIMENSION = 4_000, 64


def dataset(seed: int, rows: int) -> np.ndarray:
    """Vectors of 24 latent dimensions and some noise: the narrowest walks miss a few of ten neighbours."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((24, DIMENSION))
    vectors = rng.standard_normal((rows, 24)) @ mixing + 0.5 * rng.standard_normal((rows, DIMENSION))
    return vectors.astype(np.float32)


VECTORS, QUERIES = dataset(0, ROWS), dataset(1, 300)
PLAN = BuildPlan(SegmentKind.GRAPH, 4, code_bytes=40, fine_bytes=72, degree=24, beam=64)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SegmentFile]:
    path = tmp_path_factory.mktemp("segment") / "graph"
    with write_segment(path, VECTORS, Metric.EUCLIDEAN, plan=PLAN, calibrate=calibrate) as file:
        yield file


def test_points_foretell_recall_distances_and_reads(file: SegmentFile) -> None:
    assert sorted(file.calibration) == ["basis", "fine"]
    cache = BlockCache(16 << 20)
    for residency in code_residencies(file, True):
        searcher = Segment.load(file, residency, cache=cache).searcher
        for k, points in file.calibration[residency.name]["curves"].items():
            truth, _ = topk(QUERIES, VECTORS, int(k), Metric.EUCLIDEAN)
            for foretold, beam, sigmas, distances, reads in points:
                found, _, counters = searcher.search(
                    QUERIES, int(k), rerank_plan(Strategy.WALK, int(k), int(beam), sigmas)
                )
                assert recall(found, truth) == pytest.approx(foretold, abs=0.035)
                assert counters.means()["distances"] == pytest.approx(distances, rel=0.08)
                assert counters.means()["reads"] == pytest.approx(reads, rel=0.08)
        searcher.nodes.close()
    cache.close()


def test_curves_rise_and_reach_what_may_be_asked_for(file: SegmentFile) -> None:
    for curves in file.calibration.values():
        assert set(curves["curves"]) == {"1", "10", "100"}
        for points in curves["curves"].values():
            recalls = [point[0] for point in points]
            assert recalls == sorted(recalls)
            assert 0.99 < recalls[-1] <= 1


def test_what_is_measured_does_not_depend_on_the_threads(file: SegmentFile) -> None:
    assert calibrate(file, threads=1) == calibrate(file, threads=3) == file.calibration


def test_queries_answered_in_full_are_not_asked_again(file: SegmentFile) -> None:
    residency = code_residencies(file, True)[0]
    searcher = Segment.load(file, residency).searcher
    sample = trial.draw(searcher, file)
    asked: list[tuple[int, int]] = []

    class Counting(trial.Asking):
        def __call__(self, chosen, k, beam, sigmas):  # type: ignore[no-untyped-def]
            asked.append((k, len(chosen)))
            return super().__call__(chosen, k, beam, sigmas)

    walks = trial.try_walks(Counting(searcher, sample, SegmentCosts(ROWS, 40, True)))[0]
    searcher.nodes.close()
    *numbers, _ = [number for k, number in asked if k == 10]
    assert numbers[0] == 256
    for number, found in zip(numbers[1:], walks.hits, strict=False):
        panel = np.arange(256) < trial.PANEL
        assert number == np.count_nonzero(panel | ~found.all(axis=1)) < 256
    assert all(
        (later | ~found.all(axis=1)[:, None]).all() for found, later in zip(walks.hits, walks.hits[1:], strict=False)
    )


def test_truth_by_codes_is_that_by_vectors(file: SegmentFile, monkeypatch: pytest.MonkeyPatch) -> None:
    searcher = Segment.load(file, code_residencies(file, True)[0]).searcher
    exact = trial.draw(searcher, file)
    monkeypatch.setattr(trial, "EXACT_BYTES_MAX", 0)
    by_codes = trial.draw(searcher, file)
    searcher.nodes.close()
    np.testing.assert_array_equal(exact.rows, by_codes.rows)
    for one, other in zip(exact.truths, by_codes.truths, strict=True):
        assert recall(other, one) >= 0.999
        assert not (one == exact.rows[: len(one), None]).any()


@pytest.mark.parametrize("power", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("k", [1, 3])
def test_what_is_missed_of_the_first_ranks_is_told_from_all(power: float, k: int) -> None:
    missed = 0.05 * np.arange(1, 11) ** power

    def walks(queries: int, threshold: np.ndarray) -> trial.Walks:
        hits = np.random.default_rng(0).random((queries, 10)) >= threshold
        return trial.Walks((32,), (hits,), (1.0,), 0, np.empty((0, 10), np.int64))

    foretold = 1 - walks(4_000, missed).recalls(k)[0]
    assert missed[:k].mean() * 0.95 < foretold < missed[:k].mean() * 1.25
    assert 1 - walks(4_000, missed).recalls(10)[0] == pytest.approx(missed.mean(), rel=0.03)
    assert walks(4, np.zeros(10)).recalls(k) == [1.0]


@pytest.mark.parametrize("rows", [2, 3, 12, 130])
@pytest.mark.parametrize("kind", [SegmentKind.CODES, SegmentKind.GRAPH])
def test_segments_of_a_few_rows_are_measured_as_far_as_there_are_neighbours(
    tmp_path: Path, rows: int, kind: SegmentKind
) -> None:
    plan = BuildPlan(kind, 4, code_bytes=0)
    with write_segment(tmp_path / "s", VECTORS[:rows], Metric.EUCLIDEAN, plan=plan, calibrate=calibrate) as file:
        expected = {str(k) for k in (1, 10, 100) if k < rows}
        assert all(set(one["curves"]) == expected for one in file.calibration.values())
        assert sorted(file.calibration) == ["1", "2", "4"]
