"""Damaged sections are found and named, and what makes no sense is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.text_model import FIELD, part_of, random_documents
from support.text_sections import segment_of

from lutra.kernels.blocks import BlockCache
from lutra.kernels.text import TEXT_TERM_BYTES_MAX, TEXT_TOKENS_MAX, TextBuffer
from lutra.model.errors import Corruption
from lutra.model.limits import TEXT_WORDS_MAX
from lutra.scalars.pages import PAGE_BYTES, PAYLOAD_BYTES, PageReader, PageWriter
from lutra.text.column import TextColumn
from lutra.text.part import TextPart
from lutra.text.segment_text import SegmentText
from lutra.text.writer import write_text

SIZE = 3000


@pytest.fixture
def cache() -> Iterator[BlockCache]:
    cache = BlockCache(1 << 20)
    yield cache
    cache.close()


@pytest.fixture(scope="module")
def part() -> TextPart:
    return part_of(random_documents(np.random.default_rng(1), SIZE, 50))


def written(part: TextPart, path: Path, changed: dict[int, int]) -> dict[str, object]:
    """The section with other bytes at some places, its checksums made good again."""
    stream = bytearray()
    meta = write_text(stream.extend, part.size, [part], [np.arange(part.size, dtype=np.int32)])
    for place, byte in changed.items():
        stream[place] = byte
    with path.open("wb") as file:
        pages = PageWriter(lambda pages: file.write(pages.tobytes()))
        pages.write(bytes(stream))
        pages.finish()
    return meta


def opened(cache: BlockCache, path: Path, meta: dict[str, object]) -> SegmentText:
    blocks = cache.open_file(path, PAGE_BYTES, checksums=True)
    return SegmentText(blocks, "text of t", FIELD, meta, SIZE)


def test_what_was_written_has_no_faults(cache: BlockCache, part: TextPart, tmp_path: Path) -> None:
    assert segment_of([part], cache, tmp_path / "section").faults() == []


def test_a_page_that_fails_its_checksum_is_named(cache: BlockCache, part: TextPart, tmp_path: Path) -> None:
    path = tmp_path / "section"
    meta = written(part, path, {})
    damaged = bytearray(path.read_bytes())
    damaged[PAGE_BYTES + 5] ^= 1
    path.write_bytes(damaged)
    text = opened(cache, path, meta)
    with pytest.raises(Corruption, match=r"section 'text of t': .*block 1 .* fails its checksum"):
        text.matches(["w1"])
    (fault,) = text.faults()
    assert "block 1" in fault
    assert len(list(PageReader(cache.open_file(path, PAGE_BYTES, checksums=True), "text of t").faults())) == 1


def test_a_length_that_is_not_its_documents_is_a_fault(cache: BlockCache, part: TextPart, tmp_path: Path) -> None:
    text = opened(cache, tmp_path / "section", written(part, tmp_path / "section", {7: 200}))
    assert any("document 7 has" in fault for fault in text.faults())


@pytest.mark.parametrize("place", [0, 8 + 14])
def test_a_bound_that_is_not_its_documents_is_a_fault(
    cache: BlockCache, part: TextPart, tmp_path: Path, place: int
) -> None:
    """Of the first term, and of its first block."""
    text = opened(cache, tmp_path / "section", written(part, tmp_path / "section", {SIZE + place: 99}))
    (fault,) = text.faults()
    assert "'w1' does not have the impacts that are said of it" in fault


def test_postings_that_make_no_sense_name_section_and_block(cache: BlockCache, part: TextPart, tmp_path: Path) -> None:
    first = SIZE  # lengths take a byte each: there the first term's impacts begin, and its skips
    changed = dict.fromkeys(range(first + 8, first + 8 + 22 * 2), 255)
    text = opened(cache, tmp_path / "section", written(part, tmp_path / "section", changed))
    with pytest.raises(Corruption, match=rf"section 'text of t', block {first // PAYLOAD_BYTES} "):
        text.matches(["w1"])
    assert text.faults()


def test_a_layout_of_another_section_is_refused(cache: BlockCache, part: TextPart, tmp_path: Path) -> None:
    meta = written(part, tmp_path / "section", {})
    blocks = cache.open_file(tmp_path / "section", PAGE_BYTES, checksums=True)
    with pytest.raises(Corruption, match="do not follow each other"):
        SegmentText(blocks, "text of t", FIELD, meta, SIZE + 1)
    with pytest.raises(Corruption, match="format 9"):
        SegmentText(blocks, "text of t", FIELD, {**meta, "format": 9}, SIZE)


def test_new_numbers_are_checked_before_anything_is_written(part: TextPart) -> None:
    numbers = np.arange(SIZE, dtype=np.int32)
    for size, renumber in ((SIZE - 1, [numbers]), (SIZE, [numbers * 0]), (SIZE, [numbers[1:]]), (SIZE, [])):
        with pytest.raises(ValueError, match="number"):
            write_text(lambda _: pytest.fail("was written"), size, [part], renumber)


def test_documents_of_too_many_words_are_left_out() -> None:
    buffer = TextBuffer()
    most = ["w"] * TEXT_TOKENS_MAX
    assert not buffer.stage(0, [*most, "w"], [*range(TEXT_TOKENS_MAX + 1)])
    assert not buffer.stage(0, ["w"], [1 << 31])
    assert buffer.stage(0, most, [*range(TEXT_TOKENS_MAX)])
    buffer.publish()
    part = TextPart(FIELD, buffer.part(1))
    assert part.statistics(["w"]).tokens == TEXT_TOKENS_MAX
    assert part.phrase(["w", "w"], [0, TEXT_TOKENS_MAX - 1]).count == 1
    assert part.phrase(["w", "w"], [0, TEXT_TOKENS_MAX]).count == 0
    column = TextColumn(FIELD)
    assert not column.stage(0, "w " * (TEXT_WORDS_MAX + 1))
    assert column.stage(0, "w " * 3)


def test_long_terms_count_by_their_first_bytes(cache: BlockCache, tmp_path: Path) -> None:
    long = "茶" * TEXT_TERM_BYTES_MAX
    buffer = part_of([[(long, 0)], [("short", 0)]])
    for part in (buffer, segment_of([buffer], cache, tmp_path / "section")):
        assert part.statistics([long, long[:400], "short"]).frequencies.tolist() == [1, 1, 1]
        assert part.statistics([long[:300]]).frequencies.tolist() == [0]


def test_a_mask_or_documents_of_another_part_are_refused(part: TextPart) -> None:
    from lutra.kernels.row_mask import RowMask

    with pytest.raises(ValueError, match="not of the part's documents"):
        part.topk(["w1"], np.ones(1), 5.0, 1, 3, RowMask(np.ones(3, bool)))
    with pytest.raises(ValueError, match="no such document"):
        part.scores(["w1"], np.ones(1), 5.0, np.array([SIZE]))
    with pytest.raises(ValueError, match="do not ascend"):
        part.scores(["w1"], np.ones(1), 5.0, np.array([4, 3]))
    with pytest.raises(ValueError, match="not a weight for each"):
        part.topk(["w1"], np.ones(2), 5.0, 1, 3)
    with pytest.raises(ValueError, match="finite"):
        part.topk(["w1"], np.array([np.nan]), 5.0, 1, 3)
