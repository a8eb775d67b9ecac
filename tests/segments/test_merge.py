"""Merging: from the largest graph on, the same bytes each time, and nothing lost of recall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.parts import part_of, schema_of
from support.segment_rows import plain_rows
from support.segments import lattice
from support.stored_segments import Shelf, check_against, nearest_keys

from lutra.kernels.row_mask import RowMask
from lutra.segments.build import build_segment
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import NO_ROW, SegmentKind

SCHEMA = schema_of(16)
GRAPH = {"v": BuildPlan(SegmentKind.GRAPH, 4, degree=12, beam=40)}
CODES = {"v": BuildPlan(SegmentKind.CODES, 4)}


def test_a_merge_goes_on_from_the_largest_graph(shelf: Shelf, tmp_path: Path) -> None:
    small, large = plain_rows(200, 16), plain_rows(500, 16, first=1_000, seed=5)
    buffered = plain_rows(100, 16, first=5_000, seed=9)
    names = [shelf.build([part_of(SCHEMA, rows)], SCHEMA, GRAPH)[0] for rows in (small, large)]
    dead = [0, 1, 77, 499]
    first, second = shelf.open(names[0], SCHEMA), shelf.open(names[1], SCHEMA, dead=dead)
    inputs = [part_of(SCHEMA, buffered), first, second]
    name, _ = shelf.build(inputs, SCHEMA, GRAPH)
    ordered = sorted(large, key=lambda row: row.key)
    left = [*small, *buffered, *[row for doc, row in enumerate(ordered) if doc not in dead]]
    with shelf.open(name, SCHEMA) as merged:
        check_against(merged, SCHEMA, left)
        # Rows lie input by input, those of the largest graph first, in the order that they had.
        vectors = merged.fields["v"]
        keys = merged.keys.taken(vectors.docs())
        before = [
            key for key in second.keys.taken(second.fields["v"].docs()) if second.live.has(second.keys.find([key]))[0]
        ]
        assert keys[: len(before)] == before
        graph = vectors.file.load_graph()
        assert (graph != NO_ROW).sum(axis=1).min() >= 1
        field = SCHEMA.field("v")
        assert field is not None
        hits = 0
        for query in lattice(50, 16, seed=11):
            _, distances = nearest_keys(left, field, query, 10)
            hits += int(np.count_nonzero(vectors.topk(query, 10)[1] <= distances[-1] * (1 + 1e-6)))
        assert hits >= 0.95 * 50 * 10
    for threads in (1, 2):
        build_segment(tmp_path / f"again{threads}", inputs, SCHEMA, plans=GRAPH, threads=threads)
        assert (tmp_path / f"again{threads}").read_bytes() == shelf.path(name).read_bytes()
    first.close()
    second.close()


def test_rows_in_lists_are_found_after_many_merges(shelf: Shelf) -> None:
    """Each clusters anew what the one before left, a tenth of it dead, and new rows."""
    lists = {"v": BuildPlan(SegmentKind.GRAPH, 4, degree=12, beam=40, has_lists=True)}
    left = sorted(plain_rows(400, 16), key=lambda row: row.key)
    name, _ = shelf.build([part_of(SCHEMA, left)], SCHEMA, lists)
    for turn in range(1, 11):
        dead, more = list(range(turn, 400, 10)), plain_rows(40, 16, first=1_000 * turn, seed=turn)
        with shelf.open(name, SCHEMA, dead=dead) as segment:
            name, _ = shelf.build([segment, part_of(SCHEMA, more)], SCHEMA, lists)
        left = sorted([*(row for doc, row in enumerate(left) if doc not in set(dead)), *more], key=lambda row: row.key)
    field = SCHEMA.field("v")
    assert field is not None
    with shelf.open(name, SCHEMA) as segment:
        check_against(segment, SCHEMA, left)
        assert segment.verify() == []
        vectors, keys, hits = segment.fields["v"], [row.key for row in left], 0
        even = RowMask.all(len(left)).minus(np.arange(1, len(left), 2))
        for query in lattice(40, 16, seed=11):
            for mask, rows in ((None, left), (even, left[::2])):
                _, distances = nearest_keys(rows, field, query, 10)
                docs, found, _ = vectors.topk(query, 10, mask)
                assert len(docs) == 10
                assert mask is None or not (docs % 2).any()
                exact = dict(zip(*nearest_keys(rows, field, query, len(rows)), strict=True))
                assert np.allclose(found, [exact[keys[doc]] for doc in docs.tolist()], rtol=1e-5)
                hits += int(np.count_nonzero(found <= distances[-1] * (1 + 1e-6)))
        assert hits >= 0.95 * 2 * 40 * 10


@pytest.mark.slow
def test_a_large_segment_of_few_dimensions_is_in_lists(shelf: Shelf) -> None:
    """Nobody says so; and searches go by them where memory is for codes alone."""
    rows = plain_rows(30_000, 16)
    name, _ = shelf.build([part_of(SCHEMA, rows)], SCHEMA)
    by_key = {row.key: row for row in rows}
    with shelf.open(name, SCHEMA) as segment:
        vectors = segment.fields["v"]
        assert vectors.file.lists is not None
        assert "list_scan" in vectors.predicted(10, None, None).us
        keys = segment.keys.taken(vectors.docs())
        field = SCHEMA.field("v")
        assert field is not None
        stored = vectors.file.read_vectors(np.arange(len(keys)))
        for place in range(0, len(keys), 997):
            expected = np.frombuffer(by_key[keys[place]].content["v"], "<f4")
            assert np.array_equal(stored[place], expected), "each vector is its own document's"
        query = lattice(1, 16, seed=11)[0]
        for mask in (None, RowMask.all(len(rows)).minus(np.arange(0, len(rows), 3))):
            docs, found, _ = vectors.topk(query, 10, mask)
            _, distances, _ = vectors.topk(query, 10, mask, recall_target=1.0)
            assert len(docs) == 10
            assert np.count_nonzero(found <= distances[-1] * (1 + 1e-6)) >= 8


def test_codes_and_buffers_become_a_graph_and_all_can_die(shelf: Shelf) -> None:
    rows, others = plain_rows(150, 16), plain_rows(150, 16, first=1_000, seed=5)
    name, _ = shelf.build([part_of(SCHEMA, rows)], SCHEMA, CODES)
    with shelf.open(name, SCHEMA) as segment:
        merged, meta = shelf.build([segment, part_of(SCHEMA, others)], SCHEMA, GRAPH)
        assert meta.vectors[0].kind is SegmentKind.GRAPH
    with shelf.open(merged, SCHEMA) as segment:
        check_against(segment, SCHEMA, [*rows, *others])
    with shelf.open(merged, SCHEMA, dead=range(300)) as segment:
        assert segment.rows == 0
        empty, meta = shelf.build([segment], SCHEMA)
        assert (meta.size, meta.newest_ms) == (0, (0, 0))
    with shelf.open(empty, SCHEMA) as segment:
        check_against(segment, SCHEMA, [])
        assert segment.verify() == []
        assert len(segment.fields["v"].topk(np.zeros(16, np.float32), 3)[0]) == 0
