"""The layout of a segment's sections and its footer."""

from __future__ import annotations

import dataclasses
import itertools
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.kernels.checksum import crc32c
from lutra.model.errors import Corruption, StorageFailure
from lutra.model.indexes import Metric
from lutra.vectors.build_plan import BuildPlan, choose_code_bits, choose_kind, choose_plan
from lutra.vectors.code_format import CodeFormat
from lutra.vectors.footer import (
    FORMAT_VERSION,
    MAGIC,
    TRAILER_BYTES,
    Footer,
    footer_size,
    lay_out,
    parse_footer,
    section_sizes,
)
from lutra.vectors.layout import (
    CHECKSUM_BYTES,
    PAGE_BYTES,
    SWEEP_BLOCK_BYTES,
    SectionName,
    SegmentKind,
    block_layout,
    sweep_layout,
)


def footer_of(kind: SegmentKind, rows: int = 100, **changes: object) -> Footer:
    codes, graph = kind is not SegmentKind.FLAT, kind is SegmentKind.GRAPH
    node = 4 * (24 + 8 * graph)
    footer = Footer(
        kind=kind,
        rows=rows,
        dimension=24,
        metric=Metric.COSINE,
        seed=2**64 - 1,
        codes=CodeFormat(24, 4) if codes else None,
        fine=None,
        degree=8 * graph,
        entry_count=3 * graph,
        block_bytes=(block_layout(node) if codes else sweep_layout(node, rows)).block_bytes,
        sections={},
        navigation_checksum=7,
        build={"beam": 100},
        calibration={"recall": [0.5, 0.95]},
    )
    footer = dataclasses.replace(footer, **changes)
    return dataclasses.replace(footer, sections=lay_out(section_sizes(footer)))


@given(st.integers(1, 20_000), st.integers(0, 5_000))
def test_items_lie_whole_in_blocks_and_apart(item_bytes: int, rows: int) -> None:
    for layout in (block_layout(item_bytes), sweep_layout(item_bytes, rows)):
        assert layout.block_bytes % PAGE_BYTES == 0
        assert layout.items_per_block >= 1
        assert layout.items_per_block * item_bytes + CHECKSUM_BYTES <= layout.block_bytes
        places = [layout.place(row) for row in range(min(rows, 100))]
        starts = [block * layout.block_bytes + offset for block, offset in places]
        assert all(b - a >= item_bytes for a, b in itertools.pairwise(starts))
        assert rows == 0 or layout.place(rows - 1)[0] == layout.blocks(rows) - 1


def test_items_read_one_by_one_take_as_few_pages_as_hold_them() -> None:
    assert block_layout(4 * (960 + 32)).block_bytes == 4096
    assert block_layout(4 * (960 + 63)).block_bytes == 4096
    assert block_layout(4 * (960 + 64)).block_bytes == 8192
    assert block_layout(4 * (128 + 32)).items_per_block == 6
    assert block_layout(4 * (1536 + 32)).block_bytes == 8192


@given(st.integers(1, 4 * 4096), st.integers(0, 3_000))
def test_blocks_of_a_sweep_are_filled(item_bytes: int, rows: int) -> None:
    layout = sweep_layout(item_bytes, rows)
    assert layout.block_bytes <= 2 * SWEEP_BLOCK_BYTES
    # Each block leaves less than an item and two pages empty.
    waste = layout.blocks(rows) * layout.block_bytes - rows * item_bytes
    assert waste <= layout.blocks(rows) * (item_bytes + 2 * PAGE_BYTES)


@pytest.mark.parametrize("kind", SegmentKind)
@pytest.mark.parametrize("rows", [0, 1, 100])
def test_a_footer_reads_back(kind: SegmentKind, rows: int) -> None:
    footer = footer_of(kind, rows, entry_count=min(rows, 3) * (kind is SegmentKind.GRAPH))
    data = footer.to_bytes()
    assert len(data) % PAGE_BYTES == 0
    assert footer_size(data, "x") == len(data)
    assert parse_footer(data, footer.offset + len(data), "x") == footer


def test_a_newer_format_is_told_from_a_damaged_one() -> None:
    footer = footer_of(SegmentKind.GRAPH)
    data = footer.to_bytes()
    head = data[:-16] + struct.pack("<I", FORMAT_VERSION + 1)
    newer = head + struct.pack("<I", crc32c(head)) + MAGIC
    assert len(newer) == len(data)
    with pytest.raises(StorageFailure, match=f"format version {FORMAT_VERSION + 1}; this Lutra reads up to"):
        parse_footer(newer, footer.offset + len(data), "x")
    with pytest.raises(Corruption, match="footer"):
        parse_footer(head + data[-12:], footer.offset + len(data), "x")


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": -1},
        {"rows": 2**31},
        {"dimension": 0},
        {"dimension": 4097},
        {"codes": None},
        {"fine": CodeFormat(24, 4)},
        {"degree": 0},
        {"degree": 2000},
        {"entry_count": 0},
        {"entry_count": 101},
        {"block_bytes": 4095},
        {"block_bytes": 0},
        {"block_bytes": 2**20},
    ],
)
def test_a_footer_whose_numbers_make_no_sense_is_refused(changes: dict[str, int]) -> None:
    footer = dataclasses.replace(footer_of(SegmentKind.GRAPH), **changes)  # type: ignore[arg-type]
    data = footer.to_bytes()
    with pytest.raises(Corruption, match="makes no sense"):
        parse_footer(data, footer.offset + len(data), "x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(st.data(), st.sampled_from(SegmentKind), JSON)
def test_any_other_document_is_refused_or_a_footer(data: st.DataObject, kind: SegmentKind, value: object) -> None:
    footer = footer_of(kind)
    document = json.loads(footer.to_bytes()[:-TRAILER_BYTES])
    field = data.draw(st.sampled_from([None, *document, *document["sections"]]))
    if field is None:
        document = value
    elif field in document:
        document[field] = value
    else:
        document["sections"][field] = value
    text = json.dumps(document).encode().ljust(PAGE_BYTES - TRAILER_BYTES)
    head = text + struct.pack("<II", PAGE_BYTES, FORMAT_VERSION)
    changed = head + struct.pack("<I", crc32c(head)) + MAGIC
    try:
        parsed = parse_footer(changed, footer.offset + PAGE_BYTES, "x")
    except Corruption:
        return
    assert parsed.sections == footer.sections
    assert section_sizes(parsed) == section_sizes(footer)


def test_sections_elsewhere_than_they_must_be_are_refused() -> None:
    footer = footer_of(SegmentKind.CODES)
    moved = dict(footer.sections)
    moved[SectionName.CODES] = dataclasses.replace(moved[SectionName.CODES], offset=0)
    data = dataclasses.replace(footer, sections=moved).to_bytes()
    with pytest.raises(Corruption, match="not where they have to be"):
        parse_footer(data, footer.offset + len(data), "x")
    with pytest.raises(Corruption, match="not where they have to be"):
        parse_footer(footer.to_bytes(), footer.offset + len(data) + PAGE_BYTES, "x")


def test_few_rows_are_flat_more_get_codes_and_many_a_graph() -> None:
    assert choose_kind(0, 960) is SegmentKind.FLAT
    assert choose_kind(250, 960) is SegmentKind.FLAT
    assert choose_kind(10_000, 960) is SegmentKind.CODES
    assert choose_kind(1_000_000, 960) is SegmentKind.GRAPH
    assert choose_kind(200_000, 1) is SegmentKind.FLAT
    assert [choose_code_bits(d) for d in (2, 128, 383, 384, 960)] == [4, 4, 4, 2, 2]
    assert choose_plan(1_000_000, 128) == BuildPlan(SegmentKind.GRAPH, 4)


def test_lists_are_for_few_dimensions_and_for_stores_far_away() -> None:
    assert choose_plan(30_000, 256, may_reorder=True).has_lists
    assert not choose_plan(30_000, 257, may_reorder=True).has_lists
    assert choose_plan(30_000, 257, may_reorder=True, is_far=True).has_lists
    assert not choose_plan(30_000, 257, is_far=True).has_lists
    assert not choose_plan(20_000, 257, may_reorder=True, is_far=True).has_lists


@pytest.mark.parametrize("plan", [{"code_bits": 3}, {"code_bits": 2, "degree": 0}, {"code_bits": 2, "degree": 1025}])
def test_a_plan_that_cannot_be_built_is_refused(plan: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="not"):
        BuildPlan(SegmentKind.GRAPH, **plan)
