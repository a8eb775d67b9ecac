"""Sections of words as segments have them, in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.numbering import Numbers, one_after_the_other

from lutra.kernels.blocks import BlockCache, BlockKind
from lutra.scalars.pages import PAGE_BYTES, PageWriter
from lutra.text.part import TextPart
from lutra.text.segment_text import SegmentText
from lutra.text.writer import write_text


def segment_of(
    parts: Sequence[TextPart],
    cache: BlockCache,
    path: Path,
    renumber: Numbers | None = None,
    size: int | None = None,
) -> SegmentText:
    """The words of ``parts``, one after the other where ``renumber`` does not say otherwise, written to ``path``."""
    renumber = one_after_the_other(parts) if renumber is None else renumber
    if size is None:
        size = sum(part.size for part in parts)
    with path.open("wb") as file:
        pages = PageWriter(lambda pages: file.write(pages.tobytes()))
        meta = write_text(pages.write, size, parts, renumber)
        pages.finish()
    blocks = cache.open_file(path, PAGE_BYTES, kind=BlockKind.COLUMNS, checksums=True)
    return SegmentText(blocks, "text of t", parts[0].field, meta, size)
