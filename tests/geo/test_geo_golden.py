"""Sections of points of every format version that ever was are read, and give the answers they gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from support.geo_model import FIELD, Ring, arc_m, in_rectangle
from support.geo_sections import GOLDEN_SIZE, golden_documents, golden_section

from lutra.geo.segment_geo import SegmentGeo
from lutra.kernels.blocks import BlockCache
from lutra.kernels.geo import GeoShape
from lutra.scalars.pages import PAGE_BYTES, PageReader

GOLDEN = Path(__file__).parent / "golden"


def test_a_golden_section_answers_as_it_did() -> None:
    documents = golden_documents()
    cache = BlockCache(1 << 20)
    reader = PageReader(cache.open_file(GOLDEN / "v1.pages", PAGE_BYTES, checksums=True), "golden")
    segment = SegmentGeo(reader, FIELD, json.loads((GOLDEN / "v1.json").read_bytes()), GOLDEN_SIZE)
    assert [segment.value(doc) for doc in range(GOLDEN_SIZE)] == documents
    ring = [(-40.0, 100.0), (-40.0, -120.0), (50.0, -120.0), (50.0, 100.0)]
    model = Ring.of(ring)
    for shape, test in (
        (GeoShape.circle(30, 120, 3e6), lambda place: arc_m((30, 120), place) <= 3e6),
        (GeoShape.rectangle(90, 150, -20, -150), lambda place: in_rectangle(place, 90, 150, -20, -150)),
        (GeoShape.polygon(np.array(ring)), model.holds),
    ):
        expected = [doc for doc, own in enumerate(documents) if any(map(test, own))]
        assert segment.within(shape).mask().ids().tolist() == expected
        assert 0 < len(expected) < GOLDEN_SIZE
    assert list(segment.faults()) == []
    cache.close()


def test_the_bytes_are_those_that_were_written_once() -> None:
    pages, meta = golden_section()
    assert pages == (GOLDEN / "v1.pages").read_bytes()
    assert meta == json.loads((GOLDEN / "v1.json").read_bytes())
