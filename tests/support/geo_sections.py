"""Sections of points as segments have them, in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.geo_model import Place, view_of
from support.numbering import Numbers, one_after_the_other

from lutra.geo.part import GeoPart
from lutra.geo.points import merged
from lutra.geo.segment_geo import SegmentGeo, write_geo
from lutra.kernels.blocks import BlockCache, BlockKind
from lutra.scalars.pages import PAGE_BYTES, PageReader, Pages, PageWriter


def segment_of(
    parts: Sequence[GeoPart],
    cache: BlockCache,
    path: Path,
    renumber: Numbers | None = None,
    size: int | None = None,
) -> SegmentGeo:
    """The points of ``parts``, one after the other where ``renumber`` does not say otherwise, written to ``path``."""
    renumber = one_after_the_other(parts) if renumber is None else renumber
    if size is None:
        size = sum(part.size for part in parts)
    points = merged([part.points().renumbered(numbers) for part, numbers in zip(parts, renumber, strict=True)])
    with path.open("wb") as file:
        pages = PageWriter(lambda pages: file.write(pages.tobytes()))
        meta = write_geo(pages, size, points)
        pages.finish()
    blocks = cache.open_file(path, PAGE_BYTES, kind=BlockKind.COLUMNS, checksums=True)
    return SegmentGeo(PageReader(blocks, "geo of at"), parts[0].field, meta, size)


GOLDEN_SIZE = 700


def golden_documents() -> list[list[Place]]:
    """Some at the date line and the poles; some without a point, some with several. The same on every machine."""
    documents: list[list[Place]] = []
    for doc in range(GOLDEN_SIZE):
        places = [
            (((doc + i) * 7_919 % 18_001) / 100 - 90, ((doc + i) * 104_729 % 36_001) / 100 - 180) for i in range(3)
        ]
        documents.append(places[: doc % 4] if doc % 50 else [(90.0, float(doc % 7)), (-90.0, 0.1), (0.0, -180.0)])
    return documents


def golden_section() -> tuple[bytes, dict[str, Any]]:
    """Pages, and their meta."""
    data = bytearray()

    def append(pages: Pages) -> None:
        data.extend(pages.tobytes())

    writer = PageWriter(append)
    meta = write_geo(writer, GOLDEN_SIZE, view_of(golden_documents()).points())
    writer.finish()
    return bytes(data), meta
