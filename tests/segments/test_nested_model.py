"""Nested documents in buffers and segments, through updates, deletions, compaction and merges: beside a plain model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nested_model import CODEC, COLUMNS, KEY, SCHEMA, Document, buffer_of, expected, found, put
from support.stored_segments import Shelf

from lutra.fields.kinds import kind_of
from lutra.index.check.digests import Digester
from lutra.segments.part import Part
from lutra.segments.space import spaces_down_to
from lutra.vectors.build_plan import BuildPlan
from lutra.vectors.layout import SegmentKind

ROWS = st.dictionaries(st.integers(0, 12), COLUMNS, max_size=8)
PLANS = {path: BuildPlan(SegmentKind.GRAPH, 4, degree=4, beam=8) for path in ("items.v", "j.v")}


def number_of(key: bytes) -> int:
    ((_, number),) = CODEC.decode(key)
    assert isinstance(number, int)
    return number


def contents(part: Part) -> dict[int, Document]:
    """Of each living row."""
    docs = part.live.ids()
    keys = part.keys.taken(docs)
    return {number_of(key): found(part.fields, doc) for key, doc in zip(keys, docs.tolist(), strict=True)}


def expected_of(rows: dict[int, Document]) -> dict[int, Document]:
    return {number: expected(cells) for number, cells in rows.items()}


def check_spaces(part: Part, rows: dict[int, Document]) -> None:
    """Who lives, in which order, and of whom: in the items, and in what these hold."""
    model = expected_of(rows)
    items, parts = spaces_down_to(part, "items.parts")
    held = {number: document.get("items", []) for number, document in model.items()}
    assert items.rows == sum(map(len, held.values()))
    assert parts.rows == sum(len(one.get("items.parts", [])) for of in held.values() for one in of)
    living = items.live.ids()
    owners = [number_of(key) for key in items.keys.taken(living)]
    assert {number: owners.count(number) for number in held} == {number: len(of) for number, of in held.items()}
    assert items.newest_ms().tolist() == [1] * items.size
    dear = items.fields["items.price"].between(1, None).mask() & items.live  # type: ignore[attr-defined]
    holders = part.keys.taken((items.children.parents_of(dear)).ids())
    prices = {number: [one.get("items.price", 0) for one in of] for number, of in held.items()}
    assert sorted(map(number_of, holders)) == sorted(n for n, of in prices.items() if any(p >= 1 for p in of))
    with_items = part.fields["items"].exists().mask() & part.live
    assert sorted(number_of(key) for key in part.keys.taken(with_items.ids())) == sorted(n for n in held if held[n])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(ROWS, st.sets(st.integers(0, 12), max_size=5), st.booleans()), max_size=5))
def test_a_buffer_has_the_newest_documents_of_all_rows(steps: list[tuple[dict[int, Document], set[int], bool]]) -> None:
    buffer = buffer_of([])
    model: dict[int, Document] = {}
    for rows, dead, compacts in steps:
        before = buffer.view(), dict(model)
        put(buffer, list(rows.items()))
        model |= rows
        buffer.kill([CODEC.encode((("id", number),)) for number in dead])
        model = {number: cells for number, cells in model.items() if number not in dead}
        if compacts:
            buffer = buffer.compacted(SCHEMA, KEY)
        assert contents(buffer.view()) == expected_of(model)
        check_spaces(buffer.view(), model)
        assert contents(before[0]) == expected_of(before[1]), "earlier views are as they were"


@settings(max_examples=20, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=3), st.randoms(use_true_random=False), st.booleans())
def test_segments_and_merges_have_what_their_parts_had(
    parts: list[dict[int, Document]], chance: Any, is_graph: bool
) -> None:
    plans = PLANS if is_graph else {}
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder), 1 << 20)
        inputs: list[Part] = []
        left: dict[int, Document] = {}
        for number, drawn in enumerate(parts):
            rows = {100 * number + key: cells for key, cells in drawn.items()}
            dead = [key for key in rows if chance.random() < 0.3]
            if number % 2:
                inputs.append(buffer_of(list(rows.items()), dead).view())
            else:
                name, _ = shelf.build([buffer_of(list(rows.items())).view()], SCHEMA, plans)
                docs = [sorted(rows).index(key) for key in dead]
                inputs.append(shelf.open(name, SCHEMA, dead=docs))
            left |= {key: cells for key, cells in rows.items() if key not in dead}
        name, meta = shelf.build(inputs, SCHEMA, plans)
        paths = ["items", "items.parts", "items.parts.deepest", "j.docs"]
        assert sorted(space.path for space in meta.nested) == paths
        with shelf.open(name, SCHEMA) as segment:
            assert contents(segment) == expected_of(left)
            check_spaces(segment, left)
            assert segment.verify() == []
            assert [fault for of in segment.fields.values() for fault in kind_of(of.field).faults(of)] == []
            check_same(segment, left)
            assert set(segment.kinds) == set(segment.checked) == {"items.v", "j.v"}
        for part in inputs:
            getattr(part, "close", lambda: None)()
        shelf.close()


def check_same(segment: Part, rows: dict[int, Document]) -> None:
    """A check against the table finds that each document is that of its row, and of no other row."""
    ordered = sorted(rows)
    view = buffer_of([(number, rows[number]) for number in ordered]).view()
    digester = Digester()
    assert np.array_equal(digester.digests(view), digester.digests(segment))
    documents = [expected(rows[number]) for number in ordered]
    for doc, other in zip(range(len(ordered)), reversed(range(len(ordered))), strict=True):
        is_same = all(
            kind_of(field.field).is_same(field, doc, segment.fields[name], other) for name, field in view.fields.items()
        )
        assert is_same == (documents[doc] == documents[other])
