"""Segments of every format version that ever was open, and give the answers they gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.segments import GOLDEN_EXACT, golden_name, golden_plan, golden_vectors, lattice, nearest

from lutra.kernels.codes import Quantizer, scan, scan_candidates
from lutra.kernels.graph import Walker
from lutra.kernels.searcher import Plan, Strategy
from lutra.model.indexes import Metric
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.layout import SegmentKind
from lutra.vectors.residency import Residency
from lutra.vectors.segment import Segment
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import write_segment

GOLDEN = Path(__file__).parent / "golden"
ALL = [(kind, metric, version) for version in (1, 2) for kind in SegmentKind for metric in Metric]


@pytest.mark.parametrize(("kind", "metric", "version"), ALL)
def test_a_golden_segment_says_and_holds_what_it_did(kind: SegmentKind, metric: Metric, version: int) -> None:
    with SegmentFile.open(GOLDEN / golden_name(kind, metric, version)) as segment:
        assert (segment.kind, segment.metric, segment.rows, segment.dimension) == (kind, metric, 60, 20)
        assert segment.seed == 7
        assert segment.codes == (None if kind is SegmentKind.FLAT else CodeFormat(20, 4))
        assert segment.degree == (6 if kind is SegmentKind.GRAPH else 0)
        assert segment.verify() == []
        assert np.array_equal(segment.read_vectors(np.arange(60)), golden_vectors())


@pytest.mark.parametrize(("kind", "metric", "version"), ALL)
def test_a_golden_segment_answers_as_it_did(kind: SegmentKind, metric: Metric, version: int) -> None:
    with SegmentFile.open(GOLDEN / golden_name(kind, metric, version)) as segment:
        for query in lattice(20, 20, seed=3):
            expected = nearest(golden_vectors(), query, 3, metric)
            if kind is SegmentKind.FLAT:
                found = np.arange(60)
            else:
                codec = Quantizer(20, segment.codes.bits, metric, segment.centroid, segment.seed)
                codes = segment.load_codes()
                if kind is SegmentKind.CODES:
                    found, _, _ = scan_candidates(codec.query(query, 4.0), codes, 3)
                else:
                    walker = Walker(segment.load_graph(), segment.entries, codes, codec)
                    walks = walker.walk(query[None, :], beam=60, count=20)
                    found = np.sort(walks.rows[0])
                    assert (found >= 0).all()
            best = nearest(segment.read_vectors(np.sort(found)), query, 3, metric)
            assert np.sort(found)[best].tolist() == expected


WITH_BASIS = [(kind, metric) for kind in (SegmentKind.CODES, SegmentKind.GRAPH) for metric in Metric]


@pytest.mark.parametrize(("kind", "metric"), WITH_BASIS)
def test_a_golden_segment_with_a_basis_holds_what_it_did(kind: SegmentKind, metric: Metric) -> None:
    with SegmentFile.open(GOLDEN / golden_name(kind, metric, 2, "basis")) as segment:
        assert (segment.kind, segment.metric, segment.rows, segment.dimension) == (kind, metric, 60, 20)
        assert segment.verify() == []
        assert np.array_equal(segment.read_vectors(np.arange(60)), golden_vectors())
        basis = segment.load_basis()
        assert basis.shape == (64, 20)
        assert not basis[20:].any()
        for codes, bits, records in ((segment.codes, 1, segment.load_codes()), (segment.fine, 4, segment.load_fine())):
            assert codes is not None
            assert [(part.bits, part.dimensions) for part in codes.parts] == [(bits, 64)]
            # Made anew of the vectors and the directions that were found then, they are the same to the bit.
            codec = codes.quantizer(metric, segment.centroid, 7, basis)
            assert np.array_equal(codec.encode(golden_vectors()), records)


@pytest.mark.parametrize(("kind", "metric"), WITH_BASIS)
def test_a_golden_segment_with_a_basis_answers_as_it_did(kind: SegmentKind, metric: Metric) -> None:
    with SegmentFile.open(GOLDEN / golden_name(kind, metric, 2, "basis")) as segment:
        assert segment.fine is not None
        codec = segment.fine.quantizer(metric, segment.centroid, 7, segment.load_basis())
        for query in lattice(20, 20, seed=3):
            if kind is SegmentKind.CODES:
                found, _, _ = scan(codec.query(query), segment.load_fine(), 20)
            else:
                walker = Walker(segment.load_graph(), segment.entries, segment.load_fine(), codec)
                found = walker.walk(query[None, :], beam=60, count=20).rows[0]
            best = nearest(segment.read_vectors(np.sort(found)), query, 3, metric)
            assert np.sort(found)[best].tolist() == nearest(golden_vectors(), query, 3, metric)


@pytest.mark.parametrize(("kind", "metric"), WITH_BASIS)
def test_a_golden_segment_with_centres_holds_and_answers_what_it_did(kind: SegmentKind, metric: Metric) -> None:
    with SegmentFile.open(GOLDEN / golden_name(kind, metric, 3, "centres")) as segment:
        assert segment.codes == CodeFormat(20, 4, centres=5)
        assert segment.verify() == []
        codec = segment.codes.quantizer(metric, segment.centroid, 7, segment.load_basis(), segment.load_centres())
        records = segment.load_codes()
        assert np.array_equal(codec.encode(golden_vectors()), records)
        for query in lattice(20, 20, seed=3):
            found, _, _ = scan_candidates(codec.query(query, 4.0), records, 3)
            best = nearest(segment.read_vectors(np.sort(found)), query, 3, metric)
            assert np.sort(found)[best].tolist() == nearest(golden_vectors(), query, 3, metric)


@pytest.mark.parametrize(("kind", "metric"), WITH_BASIS)
def test_a_golden_segment_in_lists_holds_and_answers_what_it_did(kind: SegmentKind, metric: Metric) -> None:
    with Segment.open(GOLDEN / golden_name(kind, metric, 5, "lists")) as segment:
        assert segment.file.verify() == []
        assert segment.file.lists is not None
        assert segment.searcher.lists is not None
        assert len(segment.searcher.lists) == segment.file.lists.count
        vectors = segment.file.read_vectors(np.arange(60))
        assert sorted(vectors.tolist()) == sorted(golden_vectors().tolist()), "in the order of the lists"
        plan = Plan(Strategy.LIST_SCAN, candidates=60, first=60, bound_sigmas=3, covers=60)
        for query in lattice(20, 20, seed=3):
            expected = nearest(vectors, query, 3, metric)
            assert segment.search(query[None], 3, recall_target=1).ids[0].tolist() == expected
            assert segment.searcher.search(query[None], 3, plan)[0][0].tolist() == expected


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.COSINE])
def test_a_golden_segment_with_fast_codes_holds_and_answers_what_it_did(metric: Metric) -> None:
    with SegmentFile.open(GOLDEN / golden_name(SegmentKind.GRAPH, metric, 6, "fast")) as file:
        assert file.verify() == []
        vectors = file.read_vectors(np.arange(60))
        residency = Residency(file.codes, False, fast=True)
    plan = Plan(Strategy.LIST_SCAN, candidates=60, first=60, bound_sigmas=3, covers=60, slack=10)
    for one in (residency, Residency(None, False, fast=True)):
        with Segment.load(SegmentFile.open(file.name), one) as segment:
            assert segment.searcher.fast is not None
            assert segment.searcher.fast_blocks is not None
            # Made anew of the vectors and what was found then, they are the same to the bit.
            assert np.array_equal(segment.searcher.fast.encode(vectors, 0), segment.searcher.fast_blocks)
            for query in lattice(20, 20, seed=3):
                expected = nearest(vectors, query, 3, metric)
                assert segment.searcher.search(query[None], 3, plan)[0][0].tolist() == expected


@pytest.mark.parametrize("kind", [SegmentKind.CODES, SegmentKind.GRAPH])
def test_a_golden_segment_with_rows_kept_exact_holds_and_answers_what_it_did(kind: SegmentKind) -> None:
    with Segment.open(GOLDEN / golden_name(kind, Metric.COSINE, 4, "exact")) as segment:
        assert segment.file.verify() == []
        rows, vectors = segment.file.load_exact()
        assert tuple(rows.tolist()) == GOLDEN_EXACT
        assert np.array_equal(vectors, golden_vectors()[rows])
        for query in lattice(20, 20, seed=3):
            expected = nearest(golden_vectors(), query, 3, Metric.COSINE)
            assert segment.search(query[None], 3, recall_target=1).ids[0].tolist() == expected


@pytest.mark.parametrize("kind", [SegmentKind.FLAT, SegmentKind.CODES])
@pytest.mark.parametrize("metric", Metric)
def test_the_bytes_are_those_that_were_written_once(tmp_path: Path, kind: SegmentKind, metric: Metric) -> None:
    """Of a graph the format does not say how it is built, nor of a basis how it is found: these may get better."""
    path = tmp_path / "s"
    write_segment(path, golden_vectors(), metric, plan=golden_plan(kind), seed=7).close()
    assert path.read_bytes() == (GOLDEN / golden_name(kind, metric)).read_bytes()
