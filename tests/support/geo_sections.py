"""Sections of points as segments have them, in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutra.geo.part import GeoPart
from lutra.geo.points import merged
from lutra.geo.segment_geo import SegmentGeo, write_geo
from lutra.kernels.blocks import BlockCache, BlockKind
from lutra.scalars.pages import PAGE_BYTES, PageReader, PageWriter


def segment_of(
    parts: Sequence[GeoPart],
    cache: BlockCache,
    path: Path,
    renumber: Sequence[npt.NDArray[np.int32]] | None = None,
    size: int | None = None,
) -> SegmentGeo:
    """The points of ``parts``, one after the other where ``renumber`` does not say otherwise, written to ``path``."""
    if renumber is None:
        begins = np.cumsum([0, *(part.size for part in parts)])
        places = zip(parts, begins[:-1], strict=True)
        renumber = [np.arange(begin, begin + part.size, dtype=np.int32) for part, begin in places]
    if size is None:
        size = sum(part.size for part in parts)
    points = merged([part.points().renumbered(numbers) for part, numbers in zip(parts, renumber, strict=True)])
    with path.open("wb") as file:
        pages = PageWriter(lambda pages: file.write(pages.tobytes()))
        meta = write_geo(pages, size, points)
        pages.finish()
    blocks = cache.open_file(path, PAGE_BYTES, kind=BlockKind.COLUMNS, checksums=True)
    return SegmentGeo(PageReader(blocks, "geo of at"), parts[0].field, meta, size)
