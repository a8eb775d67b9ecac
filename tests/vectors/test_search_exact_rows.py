"""Rows that codes do not describe: they are kept exact beside the codes, and every search compares them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.segments import MemoryObject, measured

from lutra.kernels.codes import Described, Quantizer, centroid_of
from lutra.kernels.distance import topk
from lutra.kernels.distance import wide as widened
from lutra.kernels.row_mask import RowMask
from lutra.kernels.searcher import Plan, Strategy
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.calibration import Checked, Fallback, rerank_plan
from lutra.vectors.layout import EXACT_MAX, SectionName, SegmentKind
from lutra.vectors.merge import MergeInput, merge_segments
from lutra.vectors.segment import Segment, calibrate, check
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.trial import own_distances
from lutra.vectors.writer import write_segment

ROWS, DIMENSION, LATENT = 2_500, 128, 64
PLAN = BuildPlan(SegmentKind.GRAPH, 4, code_bytes=40, fine_bytes=0, degree=16, beam=48)
Vectors = NDArray[np.float32]


def beside_a_plane(odd: int, rows: int = ROWS) -> tuple[Vectors, NDArray[np.int64]]:
    """Vectors in a plane of `LATENT` dimensions but for ``odd`` of them, short ones at right angles to it."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((DIMENSION, DIMENSION)))[0]
    vectors = rng.standard_normal((rows, LATENT)) @ axes[:LATENT]
    places = np.sort(rng.choice(rows, odd, replace=False))
    vectors[places] = 0.3 * rng.standard_normal((odd, DIMENSION - LATENT)) @ axes[LATENT:]
    return vectors.astype(np.float32), places


def written(path: Path, vectors: Vectors, metric: Metric, plan: BuildPlan = PLAN) -> Segment:
    measure = calibrate if plan.kind is SegmentKind.GRAPH else check
    write_segment(path, vectors, metric, plan=plan, calibrate=measure).close()
    return Segment.open(path)


@pytest.mark.parametrize("kind", [SegmentKind.GRAPH, SegmentKind.CODES])
@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT_PRODUCT])
def test_rows_beside_a_basis_are_kept_exact_and_found(tmp_path: Path, kind: SegmentKind, metric: Metric) -> None:
    vectors, odd = beside_a_plane(20)
    plan = BuildPlan(kind, 4, code_bytes=40, fine_bytes=0, degree=16, beam=48)
    with written(tmp_path / "s", vectors, metric, plan) as segment:
        assert segment.file.load_exact()[0].tolist() == odd.tolist()
        assert segment.checked == Checked(segment.checked.recall, Fallback.NONE, 20)
        assert segment.resident_bytes > 20 * 4 * DIMENSION
        truth, nearest = topk(vectors[odd], vectors, 5, metric)
        found = segment.search(vectors[odd], 5)
        assert np.array_equal(found.distances, nearest)
        assert np.array_equal(np.sort(found.ids, axis=1), np.sort(truth, axis=1))
        mask = np.random.default_rng(1).random(ROWS) < 0.5
        _, nearest = topk(vectors[odd], vectors, 5, metric, mask)
        found = segment.search(vectors[odd], 5, mask=mask)
        assert np.array_equal(found.distances, nearest)
        assert mask[found.ids].all()
        assert all(len(set(ids)) == 5 for ids in found.ids.tolist())
        assert segment.file.verify() == []


@pytest.fixture(scope="module")
def odd_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a segment of `beside_a_plane`(20)."""
    path = tmp_path_factory.mktemp("odd") / "s"
    written(path, beside_a_plane(20)[0], Metric.COSINE).close()
    return path


@pytest.mark.parametrize("strategy", sorted(set(Strategy) - {Strategy.LIST_SCAN}))
def test_every_strategy_compares_them_once(odd_path: Path, strategy: Strategy) -> None:
    vectors, odd = beside_a_plane(20)
    with Segment.open(odd_path) as segment:
        plan = rerank_plan(strategy, 30, 64, 2.0) if strategy is not Strategy.BRUTE_FORCE else Plan(strategy, 0, 30, 30)
        queries, left_out = vectors[odd], odd.astype(np.uint32)
        found, distances, counters = segment.searcher.search(queries, 30, plan, left_out=left_out)
        assert all(len(set(ids)) == 30 for ids in found.tolist())
        assert not (found == odd[:, None]).any()
        assert (np.diff(distances, axis=1) >= 0).all()
        truth, _ = topk(queries, vectors, 31, Metric.COSINE)
        for ids, true, own in zip(found.tolist(), truth.tolist(), odd.tolist(), strict=True):
            assert set(ids) & set(odd.tolist()) == set(true) & set(odd.tolist()) - {own}
        assert (counters.exact >= 20).all()
        dead = np.ones(ROWS, np.bool_)
        dead[odd] = False
        found, _, _ = segment.searcher.search(queries, 30, plan, mask=RowMask(dead))
        assert not np.isin(found, odd).any()


def test_of_too_many_codes_without_a_basis_are_made(tmp_path: Path) -> None:
    vectors, odd = beside_a_plane(EXACT_MAX + 200, 6_000)
    with written(tmp_path / "s", vectors, Metric.COSINE) as segment:
        assert segment.file.codes is not None
        assert (segment.file.codes.bits, segment.file.fine, segment.file.exact) == (4, None, 0)
        assert np.array_equal(segment.search(vectors[odd], 1).ids[:, 0], odd)


def test_a_merge_finds_out_anew_which_they_are(odd_path: Path, tmp_path: Path) -> None:
    vectors, odd = beside_a_plane(20)
    with Segment.open(odd_path) as segment:
        live = np.ones(ROWS, np.bool_)
        live[odd[:15]] = False
        for keep, count in ((live, 5), (~np.isin(np.arange(ROWS), odd), 0)):
            target = tmp_path / f"merged {count}"
            merged = merge_segments(target, [MergeInput(segment.file, keep)], plan=PLAN, calibrate=calibrate)
            with merged:
                assert merged.exact == count
                assert np.array_equal(merged.load_exact()[1], vectors[odd[20 - count :]])
                assert (SectionName.EXACT in merged.sections) == (count > 0)


def test_what_is_damaged_in_them_is_found(odd_path: Path) -> None:
    with Segment.open(odd_path) as segment:
        place = segment.file.sections[SectionName.EXACT].offset + 77
    data = bytearray(odd_path.read_bytes())
    data[place] ^= 8
    with SegmentFile.open(MemoryObject(data)) as file:
        assert [fault.section for fault in file.verify()] == [SectionName.EXACT]
        with pytest.raises(Corruption, match="section 'exact', block 0 "):
            file.load_exact()


@pytest.mark.parametrize("rows", [(7, 3), (3, 3)])
def test_rows_that_make_no_sense_are_found(tmp_path: Path, rows: tuple[int, ...]) -> None:
    vectors = np.random.default_rng(0).standard_normal((400, 16)).astype(np.float32)
    plan, forged = BuildPlan(SegmentKind.CODES, 4), measured({}, *rows)
    write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=plan, calibrate=lambda *_: forged).close()
    with SegmentFile.open(tmp_path / "s") as file, pytest.raises(Corruption, match="section 'exact' makes no sense"):
        file.load_exact()


def test_segments_without_them_are_of_the_version_before(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((400, 16)).astype(np.float32)
    versions = []
    for name, exact in (("without", ()), ("with", (3,))):
        plan = BuildPlan(SegmentKind.CODES, 4)
        write_segment(
            tmp_path / name, vectors, Metric.EUCLIDEAN, plan=plan, calibrate=lambda *_, rows=exact: measured({}, *rows)
        ).close()
        versions.append(int.from_bytes((tmp_path / name).read_bytes()[-16:-12], "little"))
    assert versions == [2, 4]


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_bound_of_every_record_holds_of_its_own_vector(metric: Metric, bits: int) -> None:
    rng = np.random.default_rng(bits)
    vectors = rng.standard_t(2.0, (8_000, 40)).astype(np.float32) + np.float32(3)
    vectors[:10] = 0
    vectors[10:20] *= np.float32(1e25)
    quantizer = Quantizer(40, bits, metric, centroid_of(vectors[20:], metric))
    records, described = quantizer.encode_described(vectors)
    assert np.count_nonzero(described == Described.RAISED) < 200
    wide = vectors.astype(np.float64)
    sigmas = 3.0 if metric is Metric.DOT_PRODUCT else 0.0
    for row in [*range(200), *np.flatnonzero(described == Described.RAISED)]:
        lower, _ = quantizer.query(vectors[row], sigmas).bounds(records[row : row + 1])
        own = own_distances(vectors[row : row + 1], metric)[0].astype(np.float64)
        if metric is Metric.DOT_PRODUCT:
            own = -(wide[row] @ wide[row]) * (1 - 2e-6)
        assert described[row] == Described.HARDLY or widened(lower)[0] <= own
