"""Segments built of random rows, merged, with random deletions: beside a plain model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.parts import TestRow, part_of, schema_of, vector
from support.stored_segments import Shelf, check_against, elements_of, nearest_keys

from lutra.fields.kinds import kind_of
from lutra.kernels.row_mask import RowMask
from lutra.segments.part import Part
from lutra.segments.times import UNKNOWN_MS
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

SCHEMA = schema_of()
WORDS = st.sampled_from(["", "a", "ab", "abc", "b", "ä", "日本", "z" * 70, "z" * 71, "a\0"])
CONTENT: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(-3, 3) | st.sampled_from([2**63 - 1, -(2**63)]),
    "x": st.sampled_from([-0.0, 0.0, 1.5, float("inf"), float("-inf"), -2.25]),
    "ok": st.booleans(),
    "word": WORDS,
    "when": st.sampled_from(["1970-01-01 00:00:00", "2020-02-29 12:30:00", "1901-01-01 00:00:01"]),
    "tags": st.lists(WORDS, max_size=4).map(json.dumps),
    "v": st.lists(st.integers(-2, 2), min_size=6, max_size=6).map(vector),
    "w": st.lists(st.integers(-2, 2), min_size=3, max_size=3).map(vector),
}
CONTENTS = st.fixed_dictionaries({}, optional=CONTENT)
KEYS = st.binary(max_size=3) | st.integers(0, 300).map(lambda n: b"key%05d" % n)
KINDS = st.sampled_from(list(SegmentKind))


@st.composite
def row_sets(draw: st.DrawFn) -> list[list[TestRow]]:
    """Rows of several parts, no key twice."""
    keys = draw(st.lists(KEYS, unique=True, max_size=60))
    parts: list[list[TestRow]] = [[] for _ in range(draw(st.integers(1, 4)))]
    for key in keys:
        newest_ms = draw(st.integers(0, 2**41))
        oldest_ms = draw(st.none() | st.just(UNKNOWN_MS) | st.integers(0, newest_ms))
        row = TestRow(key, newest_ms, draw(CONTENTS), oldest_ms)
        parts[draw(st.integers(0, len(parts) - 1))].append(row)
    return parts


def plans_of(kind: SegmentKind, has_lists: bool = False) -> dict[str, BuildPlan]:
    has_lists = has_lists and kind is not SegmentKind.FLAT
    return {field: BuildPlan(kind, 4, degree=6, beam=20, has_lists=has_lists) for field in ("v", "w")}


@settings(max_examples=40, deadline=None)
@given(row_sets(), st.randoms(use_true_random=False), KINDS, KINDS, st.booleans(), st.booleans(), st.booleans())
def test_built_and_merged_segments_hold_what_their_parts_held(
    row_parts: list[list[TestRow]],
    chance: Any,
    first_kind: SegmentKind,
    kind: SegmentKind,
    from_segments: bool,
    first_lists: bool,
    lists: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder), 1 << 20)
        parts: list[Part] = []
        left: list[TestRow] = []
        opened = []
        for rows in row_parts:
            dead = [doc for doc in range(len(rows)) if chance.random() < 0.25]
            if from_segments:
                ordered = sorted(rows, key=lambda row: row.key)
                name, _ = shelf.build([part_of(SCHEMA, rows)], SCHEMA, plans_of(first_kind, first_lists))
                opened.append(shelf.open(name, SCHEMA, dead=dead))
                parts.append(opened[-1])
            else:
                ordered = rows
                parts.append(part_of(SCHEMA, rows, dead))
            left += [row for doc, row in enumerate(ordered) if doc not in dead]
        name, meta = shelf.build(parts, SCHEMA, plans_of(kind, lists))
        assert (meta.size, meta.size_bytes) == (len(left), shelf.path(name).stat().st_size)
        times = [row.newest_ms for row in left]
        assert meta.newest_ms == ((min(times), max(times)) if times else (0, 0))
        with shelf.open(name, SCHEMA) as segment:
            check_against(segment, SCHEMA, left)
            check_values_and_neighbours(segment, left, chance)
            assert segment.verify() == []
            assert [fault for of in segment.fields.values() for fault in kind_of(of.field).faults(of)] == []
            assert [*segment.keys.faults()] == []
        for part in opened:
            part.close()
        shelf.close()


def check_values_and_neighbours(segment: Any, rows: list[TestRow], chance: Any) -> None:
    """Each document's values, ranges of numbers, and neighbours under masks."""
    ordered = sorted(rows, key=lambda row: row.key)
    for doc, row in enumerate(ordered):
        for field in SCHEMA.fields:
            if field.vector is None:
                expected = elements_of(field, row)
                value = segment.fields[field.name].value(doc)
                assert (value or []) == expected if field.is_array else [value][: value is not None] == expected
    between = segment.fields["n"].between(-1, 2, True, False)
    assert between.mask().bools().tolist() == [-1 <= row.content.get("n", 9) < 2 for row in ordered]
    keys = [row.key for row in ordered]
    assert segment.keys.find([*keys, b"none"]).tolist() == [*range(len(keys)), -1]
    for name in ("v", "w"):
        field = SCHEMA.field(name)
        assert field is not None
        assert field.vector is not None
        query = np.array([chance.randint(-2, 2) for _ in range(field.vector.dimension)], np.float32)
        dead = [doc for doc in range(len(ordered)) if chance.random() < 0.3]
        mask = RowMask.all(len(ordered)).minus(np.array(dead, np.int64))
        among = [ordered[doc] for doc in mask.ids()]
        for chosen, rows_left in ((None, ordered), (mask, among)):
            near, distances = nearest_keys(rows_left, field, query, len(rows_left))
            docs, found, _ = segment.fields[name].topk(query, 5, chosen, recall_target=1.0)
            assert len(set(docs.tolist())) == len(docs) == min(5, len(near))
            exact = dict(zip(near, distances, strict=True))
            assert np.allclose(found, [exact[keys[doc]] for doc in docs.tolist()], rtol=1e-5, atol=1e-6)
            answers = list(zip(found.tolist(), docs.tolist(), strict=True))
            assert answers == sorted(answers)
            if segment.kinds[name] is SegmentKind.FLAT:
                assert np.allclose(found, distances[:5], rtol=1e-5, atol=1e-6)
