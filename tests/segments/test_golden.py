"""Index segments of every format version that ever was open, and give the answers they gave."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support import nested_model
from support.golden_segment import DEAD, PLANS, SCHEMA, golden_name, golden_rows, nested_rows
from support.nested_model import buffer_of, expected, found
from support.parts import part_of
from support.stored_segments import Shelf, check_against, nearest_keys

from lutra.segments.build import build_segment
from lutra.segments.deletions import dead_of, read_deletions
from lutra.segments.footer import FORMAT_VERSION
from lutra.segments.index_segment import IndexSegment
from lutra.segments.times import UNKNOWN_MS
from lutra.vectors.layout import SegmentKind

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(params=range(1, FORMAT_VERSION + 1))
def segment(request: pytest.FixtureRequest, shelf: Shelf) -> IndexSegment:
    for suffix in ("segment", "deletions"):
        copy = shelf.folder / suffix
        shutil.copy(GOLDEN / golden_name(suffix, request.param), copy)
        shelf.store.put_file(f"golden/{suffix}", copy)
    dead = read_deletions(shelf.store, "golden/deletions")
    return IndexSegment.open(shelf.store, "golden/segment", SCHEMA, cache=shelf.cache, deletions=dead)


def test_a_golden_segment_holds_what_it_did(segment: IndexSegment) -> None:
    with segment:
        has_oldest = segment.meta.version >= 2
        check_against(segment, SCHEMA, golden_rows(), knows_oldest=has_oldest)
        assert has_oldest or set(segment.oldest_ms().tolist()) == {UNKNOWN_MS}
        assert list(dead_of(segment.live)) == DEAD
        assert segment.kinds == {"v": SegmentKind.GRAPH, "w": SegmentKind.FLAT}
        assert segment.verify() == []


def test_a_golden_segment_answers_as_it_did(segment: IndexSegment) -> None:
    with segment:
        rows = sorted(golden_rows(), key=lambda row: row.key)
        living = [row for doc, row in enumerate(rows) if doc not in DEAD]
        for field in SCHEMA.fields:
            if field.vector is not None:
                query = np.arange(field.vector.dimension, dtype=np.float32)
                _, distances = nearest_keys(living, field, query, 5)
                _, found, _ = segment.fields[field.name].topk(query, 5, segment.live, recall_target=1.0)
                assert np.allclose(found, distances)


@pytest.mark.parametrize("version", range(3, FORMAT_VERSION + 1))
def test_a_golden_segment_holds_documents_within_rows(shelf: Shelf, version: int) -> None:
    copy = shelf.folder / "nested"
    shutil.copy(GOLDEN / golden_name("nested", version), copy)
    shelf.store.put_file("golden/nested", copy)
    with shelf.open("golden/nested", nested_model.SCHEMA) as segment:
        rows = nested_rows()
        assert [found(segment.fields, doc) for doc in range(segment.size)] == [expected(cells) for _, cells in rows]
        assert segment.verify() == []


def test_the_bytes_are_those_that_were_written_once(tmp_path: Path) -> None:
    """But of a graph: the format does not say how it is built."""
    nested = tmp_path / "nested"
    build_segment(nested, [buffer_of(nested_rows()).view()], nested_model.SCHEMA)
    assert nested.read_bytes() == (GOLDEN / golden_name("nested", FORMAT_VERSION)).read_bytes()
    written = {name: plan for name, plan in PLANS.items() if plan.kind is not SegmentKind.GRAPH}
    build_segment(tmp_path / "s", [part_of(SCHEMA, golden_rows())], SCHEMA, plans=written)
    assert (tmp_path / "s").read_bytes() == (GOLDEN / golden_name("flat", FORMAT_VERSION)).read_bytes()
