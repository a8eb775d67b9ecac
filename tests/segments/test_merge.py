"""Merging: from the largest graph on, the same bytes each time, and nothing lost of recall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.parts import part_of, schema_of
from support.segment_rows import plain_rows
from support.segments import lattice
from support.stored_segments import Shelf, check_against, nearest_keys

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
