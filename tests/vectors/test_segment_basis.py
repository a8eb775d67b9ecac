"""Segments whose codes lie along a basis: all reads back, damage is told by section, merges keep what lives."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.segments import MemoryObject, lattice

from lutra.kernels.checksum import crc32c
from lutra.kernels.codes import CodePart, Quantizer
from lutra.model.errors import Corruption
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.layout import SectionName, SegmentKind
from lutra.vectors.merge import MergeInput, merge_segments
from lutra.vectors.segment import Segment
from lutra.vectors.segment_file import SegmentFile
from lutra.vectors.writer import BASIS_ROWS_MIN, write_segment

PLAN = BuildPlan(SegmentKind.GRAPH, 4, code_bytes=24, fine_bytes=72, degree=8, beam=20)


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(0, 60),
    dimension=st.sampled_from([1, 3, 64, 70, 250]),
    kind=st.sampled_from([SegmentKind.CODES, SegmentKind.GRAPH]),
    metric=st.sampled_from(Metric),
    code_bytes=st.sampled_from([16, 17, 40, 100, 300]),
    fine_bytes=st.sampled_from([0, 16, 72, 200, 4_104]),
    seed=st.integers(0, 2**64 - 1),
)
def test_everything_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    dimension: int,
    kind: SegmentKind,
    metric: Metric,
    code_bytes: int,
    fine_bytes: int,
    seed: int,
) -> None:
    vectors = lattice(rows, dimension)
    path = tmp_path_factory.mktemp("segment") / "s"
    plan = BuildPlan(kind, 2, code_bytes=code_bytes, fine_bytes=fine_bytes, degree=5)
    write_segment(path, vectors, metric, plan=plan, seed=seed).close()
    with SegmentFile.open(path) as segment:
        assert (segment.rows, segment.dimension, segment.metric, segment.kind) == (rows, dimension, metric, kind)
        assert segment.verify() == []
        assert np.array_equal(segment.read_vectors(np.arange(rows)), vectors)
        assert np.array_equal(np.concatenate([np.empty((0, dimension)), *segment.vector_blocks()]), vectors)
        codes, fine, basis = segment.codes, segment.fine, segment.load_basis()
        assert codes is not None
        if rows < 2:
            assert (codes, fine, segment.directions, basis.size) == (CodeFormat(dimension, 2), None, 0, 0)
            return
        assert codes.bits == 0
        assert codes.record_bytes <= code_bytes
        assert basis.shape == (segment.directions, dimension)
        assert segment.directions == max(codes.directions, fine.directions if fine else 0)
        assert fine is None or codes.record_bytes < fine.record_bytes <= fine_bytes
        assert (SectionName.FINE in segment.sections) == (fine is not None)
        for one, loaded in ((codes, segment.load_codes()), (fine, segment.load_fine())):
            if one is None:
                assert loaded.size == 0
                continue
            codec = one.quantizer(metric, segment.centroid, seed, basis)
            assert codec.record_bytes == one.record_bytes
            assert np.array_equal(loaded, codec.encode(vectors))
        assert np.array_equal(np.concatenate(list(segment.code_blocks())), segment.load_codes())


@pytest.mark.parametrize(
    ("kind", "metric"), [(SegmentKind.CODES, Metric.COSINE), (SegmentKind.GRAPH, Metric.EUCLIDEAN)]
)
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, kind: SegmentKind, metric: Metric) -> None:
    vectors = lattice(300, 90)
    plan = dataclasses.replace(PLAN, kind=kind)
    found = set()
    inputs = [
        (vectors, 1),
        (vectors, 3),
        (vectors, 0),
        (np.asfortranarray(vectors), 2),
        (iter([vectors[:7], vectors[7:]]), 5),
    ]
    for i, (given_, threads) in enumerate(inputs):
        write_segment(tmp_path / f"s{i}", given_, metric, plan=plan, threads=threads, seed=5).close()
        found.add((tmp_path / f"s{i}").read_bytes())
    assert len(found) == 1
    write_segment(tmp_path / "other", vectors, metric, plan=plan, seed=6).close()
    assert (tmp_path / "other").read_bytes() not in found


def test_what_a_sample_asks_for_is_chosen_where_there_are_enough_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((BASIS_ROWS_MIN, 10)) @ rng.standard_normal((10, 80))).astype(np.float32)
    plan = BuildPlan(SegmentKind.GRAPH, 4, degree=8, beam=16)
    cases = [
        (vectors, plan, True),
        (vectors[:-1], plan, False),
        (vectors, dataclasses.replace(plan, code_bytes=0), False),
        (vectors, BuildPlan(SegmentKind.CODES, 4), False),
        (np.tile(vectors, (1, 13))[:, :1_025].copy(), plan, False),  # of so many dimensions too few
    ]
    for i, (some, how, has_basis) in enumerate(cases):
        with write_segment(tmp_path / f"{i}", some, Metric.EUCLIDEAN, plan=how) as segment:
            assert (segment.directions > 0) == has_basis
            assert segment.codes is not None
            assert segment.codes.bits == (0 if has_basis else 4)


def written(folder: Path, rows: int = 40, dimension: int = 30, plan: BuildPlan = PLAN) -> bytearray:
    write_segment(folder / "segment", lattice(rows, dimension), Metric.COSINE, plan=plan).close()
    return bytearray((folder / "segment").read_bytes())


def read_everything(data: bytes | bytearray) -> None:
    with SegmentFile.open(MemoryObject(data)) as segment:
        for load in (segment.load_codes, segment.load_fine, segment.load_graph, segment.load_basis):
            load()
        for _ in segment.vector_blocks():
            pass


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_found_and_its_section_named(tmp_path: Path, step: int) -> None:
    data = written(tmp_path)
    read_everything(data)
    with SegmentFile.open(MemoryObject(data)) as segment:
        sections = dict(segment.sections)
        blocked = [name for name in sections if name is not SectionName.NAVIGATION]
    assert {SectionName.FINE, SectionName.BASIS} < set(blocked)
    for name in sections:
        section = sections[name]
        for place in [section.offset, *range(section.offset + 3, section.end, step), section.end - 1]:
            data[place] ^= 1 << (place * 5 % 8)
            try:
                with pytest.raises(Corruption, match=f"section '{name}'"):
                    read_everything(data)
                if name is not SectionName.NAVIGATION:
                    with SegmentFile.open(MemoryObject(data)) as segment:
                        (fault,) = segment.verify()
                    assert fault.section is name
                    assert fault.offset <= place < fault.offset + fault.size_bytes
            finally:
                data[place] ^= 1 << (place * 5 % 8)


def test_each_damaged_block_is_named(tmp_path: Path) -> None:
    data = written(tmp_path, rows=700, dimension=200, plan=dataclasses.replace(PLAN, fine_bytes=150))
    with SegmentFile.open(MemoryObject(data)) as segment:
        sections = dict(segment.sections)
        names = [name for name in sections if name is not SectionName.NAVIGATION]
        layouts = {name: segment.layout(name) for name in names}
        counts = {name: segment.directions if name is SectionName.BASIS else 700 for name in names}
    damaged = []
    for name in names:
        last = layouts[name].blocks(counts[name]) - 1
        assert last > 2
        for block in (0, 2, last):
            data[sections[name].offset + block * layouts[name].block_bytes + 100] ^= 4
            damaged.append((name, block))
    with SegmentFile.open(MemoryObject(data)) as segment:
        assert [(fault.section, fault.block) for fault in segment.verify()] == damaged
        with pytest.raises(Corruption, match="section 'fine', block 0 "):
            segment.load_fine()
        with pytest.raises(Corruption, match="section 'basis', block 0 "):
            segment.load_basis()
    damaged_file = tmp_path / "damaged"
    damaged_file.write_bytes(data)
    with pytest.raises(Corruption, match="section 'basis', block 0 "):
        Segment.open(damaged_file)


def test_directions_that_are_too_long_are_refused_even_with_a_good_checksum(tmp_path: Path) -> None:
    data = written(tmp_path)
    with SegmentFile.open(MemoryObject(data)) as segment:
        section, size_bytes = segment.sections[SectionName.BASIS], segment.layout(SectionName.BASIS).block_bytes
    data[section.offset : section.offset + 60] = b"\xff\x7f" * 30
    body = bytes(data[section.offset : section.offset + size_bytes - 4])
    data[section.offset + size_bytes - 4 : section.offset + size_bytes] = crc32c(body).to_bytes(4, "little")
    (tmp_path / "changed").write_bytes(data)
    with pytest.raises(Corruption, match="section 'basis' makes no sense: a direction is longer than 1"):
        Segment.open(tmp_path / "changed")
    with Segment.open(tmp_path / "changed", memory_budget_bytes=0) as segment_without:
        assert segment_without.search(lattice(2, 30), 3).ids.shape == (2, 3)


@pytest.mark.parametrize("kind", [SegmentKind.CODES, SegmentKind.GRAPH])
def test_merges_keep_what_lives_and_find_a_basis_of_it(tmp_path: Path, kind: SegmentKind) -> None:
    rng = np.random.default_rng(3)
    plan = dataclasses.replace(PLAN, kind=kind)
    plain = dataclasses.replace(plan, code_bytes=0)
    inputs, expected = [], []
    for i, (rows, how) in enumerate([(400, plan), (0, plan), (1, plan), (77, plain), (90, plan)]):
        vectors = lattice(rows, 21, seed=i)
        live = None if i == 2 else rng.random(rows) < 0.6
        inputs.append(MergeInput(write_segment(tmp_path / f"{i}", vectors, Metric.COSINE, plan=how), live))
        expected.append(vectors if live is None else vectors[live])
    wanted = np.concatenate(expected)
    for i, how in enumerate((plan, plain)):
        with merge_segments(tmp_path / f"merged{i}", inputs, plan=how) as merged:
            assert merged.verify() == []
            assert np.array_equal(merged.read_vectors(np.arange(merged.rows)), wanted)
            assert (merged.directions > 0) == (how is plan)
            assert merged.codes is not None
            codec = merged.codes.quantizer(merged.metric, merged.centroid, merged.seed, merged.load_basis())
            assert np.array_equal(merged.load_codes(), codec.encode(wanted))
    # The same as if its rows had been written at once, but for the graph's history.
    with (
        write_segment(tmp_path / "at once", wanted, Metric.COSINE, plan=plan) as once,
        SegmentFile.open(tmp_path / "merged0") as merged,
    ):
        assert np.array_equal(once.load_basis(), merged.load_basis())
        assert np.array_equal(once.load_codes(), merged.load_codes())
        assert np.array_equal(once.load_fine(), merged.load_fine())


def test_codes_are_read_from_where_they_are_written_whole(tmp_path: Path) -> None:
    """A section larger than one sweep, and than what is kept in ordinary pages."""
    vectors = np.random.default_rng(0).standard_normal((9_000, 40)).astype(np.float32)
    plan = BuildPlan(SegmentKind.CODES, 4, code_bytes=40, fine_bytes=4_104)
    with write_segment(tmp_path / "s", vectors, Metric.EUCLIDEAN, plan=plan) as segment:
        assert segment.fine is not None
        many = np.concatenate([vectors] * 8)
    with write_segment(tmp_path / "many", many, Metric.EUCLIDEAN, plan=plan) as segment:
        fine = segment.load_fine()
        assert fine.nbytes > 4 * 1024 * 1024
        assert segment.fine is not None
        codec = segment.fine.quantizer(segment.metric, segment.centroid, segment.seed, segment.load_basis())
        assert np.array_equal(fine[-9_000:], codec.encode(vectors))
        assert fine.flags.writeable
        assert fine.ctypes.data % 4_096 == 0


PARTS = [[8, 64, 0.1], [2, 128, 0.3]]


def test_a_format_reads_back() -> None:
    for one in (
        CodeFormat(100, 4),
        CodeFormat(100, 0, (CodePart(8, 64, 0.1), CodePart(2, 128, 0.3)), 0.2),
        CodeFormat(4096, 0, (CodePart(1, 4096, 1e-5),), 1.0),
    ):
        assert CodeFormat.from_json(one.dimension, one.to_json()) == one
    assert CodeFormat(100, 0, (CodePart(8, 64, 0.1), CodePart(2, 128, 0.3)), 0.2).record_bytes == 64 + 32 + 8
    assert CodeFormat(100, 0, (CodePart(8, 64, 0.1),), 0.2).shared_bytes == 2 * 64 * 128
    assert CodeFormat(100, 4).shared_bytes == 0
    assert list(CodeFormat(100, 0, (CodePart(8, 64, 0.1),), 0.2).widths()) == [
        CodeFormat(100, 0, (CodePart(8, 64, 0.1),), 0.2)
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"bits": 3},
        {"bits": 0, "parts": [], "spread": 0.1},
        {"bits": 0, "spread": 0.1},
        {"bits": 0, "parts": PARTS},
        {"bits": 0, "parts": PARTS[::-1], "spread": 0.1},
        {"bits": 0, "parts": [PARTS[0], PARTS[0]], "spread": 0.1},
        *({"bits": 0, "parts": PARTS, "spread": spread} for spread in (0, -1, 1.1, float("nan"), None)),
        *({"bits": 0, "parts": [[4, 64, step]], "spread": 0.1} for step in (0, -1, 1e-8, 1e7, float("nan"), None)),
        *({"bits": 0, "parts": [[4, count, 0.1]], "spread": 0.1} for count in (0, 63, -64)),
        *({"bits": 0, "parts": [[bits, 64, 0.1]], "spread": 0.1} for bits in (0, 3, 16, -1)),
        {"bits": 0, "parts": [[4, 64]], "spread": 0.1},
        [],
        None,
    ],
    ids=str,
)
def test_formats_that_make_no_sense_are_refused(document: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        CodeFormat.from_json(100, document)  # type: ignore[arg-type]


def test_any_format_that_is_read_makes_a_quantizer() -> None:
    """What `from_json` lets pass, kernels take: at the ends of what it does."""
    basis = np.zeros((64, 10), np.int16)
    for step in (1e-7, 1e6):
        for spread in (1e-30, 1.0):
            one = CodeFormat.from_json(10, {"bits": 0, "parts": [[4, 64, step]], "spread": spread})
            assert isinstance(one.quantizer(Metric.EUCLIDEAN, np.zeros(10, np.float32), 0, basis), Quantizer)
