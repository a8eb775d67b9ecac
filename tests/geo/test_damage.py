"""Damaged sections of points are found and named, and what makes no sense is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.geo_model import FIELD, random_documents, view_of
from support.geo_sections import segment_of

from lutra.geo.points import Points
from lutra.geo.segment_geo import SegmentGeo, write_geo
from lutra.kernels.blocks import BlockCache
from lutra.kernels.geo import GeoShape, geo_distances, geo_places_on_curve
from lutra.model.errors import Corruption
from lutra.scalars.pages import PAGE_BYTES, PageReader, PageWriter

SIZE = 3_000


@pytest.fixture
def cache() -> Iterator[BlockCache]:
    cache = BlockCache(1 << 20)
    yield cache
    cache.close()


@pytest.fixture(scope="module")
def points() -> Points:
    return view_of(random_documents(np.random.default_rng(1), SIZE)).points()


def written(points: Points, path: Path, changed: dict[int, int]) -> dict[str, Any]:
    """The section with other bytes at some places, its checksums made good again."""
    stream = bytearray()

    class Collected:
        def write(self, data: Any) -> int:
            place = len(stream)
            stream.extend(data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes())
            return place

    meta = write_geo(Collected(), SIZE, points)
    for place, byte in changed.items():
        stream[place] = byte
    with path.open("wb") as file:
        pages = PageWriter(lambda pages: file.write(pages.tobytes()))
        pages.write(bytes(stream))
        pages.finish()
    return meta


def opened(cache: BlockCache, path: Path, meta: dict[str, Any]) -> SegmentGeo:
    return SegmentGeo(PageReader(cache.open_file(path, PAGE_BYTES, checksums=True), "geo of at"), FIELD, meta, SIZE)


def test_what_was_written_has_no_faults(cache: BlockCache, tmp_path: Path) -> None:
    documents = random_documents(np.random.default_rng(1), SIZE)
    assert list(segment_of([view_of(documents)], cache, tmp_path / "some").faults()) == []
    full = [places[:1] or [(1.0, 2.0)] for places in documents]
    assert list(segment_of([view_of(full)], cache, tmp_path / "full").faults()) == []
    assert list(segment_of([view_of([[]] * 50)], cache, tmp_path / "none").faults()) == []


def test_a_page_that_fails_its_checksum_is_named(cache: BlockCache, points: Points, tmp_path: Path) -> None:
    path = tmp_path / "section"
    meta = written(points, path, {})
    damaged = bytearray(path.read_bytes())
    damaged[PAGE_BYTES + 5] ^= 1
    path.write_bytes(damaged)
    segment = opened(cache, path, meta)
    with pytest.raises(Corruption, match=r"section 'geo of at': .*block 1 .* fails its checksum"):
        segment.points()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (lambda meta: meta["coordinates"] + 7, "not on the earth"),
        (lambda meta: meta["docs"] + 2, "documents do not ascend"),
        (lambda meta: meta["groups"] + 1, "the first document of a group is wrong"),
        (lambda meta: meta["bits"] + 1, "marked wrong"),
        (lambda meta: meta["tree"]["docs"] + 40, "its tree: 1 documents are wrong"),
        (lambda meta: meta["tree"]["points"] + 40, "its tree: 1 points are wrong"),
        (lambda meta: meta["tree"]["levels"][0][0] + 40, "its tree: on level 0 1 boxes are wrong, first box 1"),
    ],
)
def test_what_does_not_agree_is_a_fault(
    cache: BlockCache, points: Points, tmp_path: Path, place: Any, says: str
) -> None:
    meta = written(points, tmp_path / "sound", {})
    meta = written(points, tmp_path / "section", {place(meta): 0x7F})
    faults = list(opened(cache, tmp_path / "section", meta).faults())
    assert any(says in fault for fault in faults), faults


def test_meta_that_does_not_agree_is_a_fault(cache: BlockCache, points: Points, tmp_path: Path) -> None:
    meta = written(points, tmp_path / "section", {})
    for changed, says in (
        ({"documents": meta["documents"] + 1}, "documents are said to have points"),
        ({"tree": None}, "no tree"),
        ({"tree": {**meta["tree"], "levels": meta["tree"]["levels"] * 2}}, "does not have the levels"),
    ):
        faults = list(opened(cache, tmp_path / "section", {**meta, **changed}).faults())
        assert any(says in fault for fault in faults), faults
    with pytest.raises(Corruption, match="format 9"):
        opened(cache, tmp_path / "section", {**meta, "format": 9})


def test_documents_are_checked_before_anything_is_written(points: Points) -> None:
    for docs in ([0, SIZE], [-1, 0], [2, 1]):
        with pytest.raises(ValueError, match="documents are not ascending"):
            write_geo(pytest.fail, SIZE, Points(np.array(docs, np.int32), np.zeros((2, 2))))  # type: ignore[arg-type]


def test_kernels_refuse_what_is_not_theirs() -> None:
    shape = GeoShape.circle(0, 0, 1)
    two = np.zeros((2, 2))
    with pytest.raises(ValueError, match="as many documents"):
        shape.select(two, np.zeros(1, np.int32), 5)
    with pytest.raises(ValueError, match="as many documents"):
        shape.select(two, None, 1)
    for docs in ([0, 5], [-1, 0]):
        with pytest.raises(IndexError, match="no such document"):
            shape.select(two, np.array(docs, np.int32), 5)
    for origins in (np.empty((0, 2)), np.array([[np.nan, 0]]), np.array([[0, 181.0]])):
        with pytest.raises(ValueError, match="measured from points"):
            geo_distances(two, origins, 0, 0)
    for kind, mode in ((2, 0), (-1, 0), (0, 3)):
        with pytest.raises(ValueError, match="no such distance"):
            geo_distances(two, two, kind, mode)
    with pytest.raises(ValueError, match="a point is none"):
        geo_places_on_curve(np.array([[91.0, 0.0]]))
    with pytest.raises(TypeError):
        shape.relations(two)  # type: ignore[arg-type]
