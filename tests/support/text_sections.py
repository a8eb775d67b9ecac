"""Sections of words as segments have them, in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutra.kernels.blocks import BlockCache, BlockKind
from lutra.scalars.pages import PAGE_BYTES, PageWriter
from lutra.text.part import TextPart
from lutra.text.segment_text import SegmentText
from lutra.text.writer import write_text


def segment_of(
    parts: Sequence[TextPart],
    cache: BlockCache,
    path: Path,
    renumber: Sequence[npt.NDArray[np.int32]] | None = None,
    size: int | None = None,
) -> SegmentText:
    """The words of ``parts``, one after the other where ``renumber`` does not say otherwise, written to ``path``."""
    if renumber is None:
        begins = np.cumsum([0, *(part.size for part in parts)])
        places = zip(parts, begins[:-1], strict=True)
        renumber = [np.arange(begin, begin + part.size, dtype=np.int32) for part, begin in places]
    if size is None:
        size = sum(part.size for part in parts)
    with path.open("wb") as file:
        pages = PageWriter(lambda pages: file.write(pages.tobytes()))
        meta = write_text(pages.write, size, parts, renumber)
        pages.finish()
    blocks = cache.open_file(path, PAGE_BYTES, kind=BlockKind.COLUMNS, checksums=True)
    return SegmentText(blocks, "text of t", parts[0].field, meta, size)
