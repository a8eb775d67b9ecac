"""An index of rows with documents within: through flushes, merges, deletions and restarts, beside a plain model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.indexes import PREFIX, index_in, resources_in
from support.lsm import EAGER
from support.nested_model import CODEC, COLUMNS, KEY, SCHEMA, Document, buffer_of, expected, found, put, row_of

from lutra.feed.progress import Progress
from lutra.fields.capabilities import filterable
from lutra.index.builds.policy import Policy
from lutra.index.check.fsck import IndexCheck
from lutra.index.definitions.schema import check_schema
from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.limits import NESTED_LEVELS_MAX
from lutra.model.rows import Row
from lutra.segments.space import spaces_down_to

Rows = dict[int, Document]
STEPS = st.lists(
    st.tuples(
        st.dictionaries(st.integers(0, 20), COLUMNS, max_size=6),
        st.sets(st.integers(0, 20), max_size=4),
        st.sampled_from(["", "flush", "restart"]),
    ),
    max_size=6,
)


def contents(index: SearchIndex) -> dict[int, Document]:
    """Of all living rows."""
    documents = {}
    for part in index.view().parts:
        docs = part.live.ids()
        for key, doc in zip(part.keys.taken(docs), docs.tolist(), strict=True):
            ((_, number),) = CODEC.decode(key)
            assert number not in documents
            documents[number] = found(part.fields, doc)
    return documents  # type: ignore[return-value]


def faults(resources: Resources, rows: Rows) -> list[Any]:
    """Of all objects, and of all rows but those that came after the newest manifest: here, none did."""
    with IndexCheck(IndexStorage(resources.store, PREFIX), SCHEMA, KEY) as check:
        check.check_objects()
        check.check_rows([row_of(number, rows[number]) for number in sorted(rows)], set())
        return check.faults


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_rows_are_what_was_written_last(steps: list[tuple[Rows, set[int], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        resources = resources_in(Path(folder), policy=EAGER)
        index = index_in(resources, SCHEMA, KEY)
        index.open()
        model: Rows = {}
        for position, (rows, dead, then) in enumerate(steps, 1):
            index.apply(
                [row_of(number, cells) for number, cells in rows.items()],
                [(("id", number),) for number in dead - set(rows)],
            )
            index.reached(Progress(position, True))
            model = {number: cells for number, cells in (model | rows).items() if number not in dead - set(rows)}
            if then:
                index.flush()
            if then == "restart":
                index.close()
                index = index_in(resources, SCHEMA, KEY)
                index.open()
            assert contents(index) == {number: expected(cells) for number, cells in model.items()}
        index.reached(Progress(len(steps) + 1, True))
        index.flush()
        index.close()
        assert faults(resources, model) == []
        resources.close()


def items_of(count: int, text: str = "x") -> Mapping[str, str]:
    """The cell of a row that holds so many documents."""
    items = [{"price": n, "tags": [text], "words": text, "v": [n, n], "parts": [{"k": text}]} for n in range(count)]
    return {"items": json.dumps(items)}


def test_the_memory_of_documents_is_counted() -> None:
    """A buffer of rows with many documents is full as soon as one of as many rows more."""
    few, many = (buffer_of([(n, dict(items_of(count))) for n in range(20)]) for count in (10, 100))
    by_document = (many.size_bytes - few.size_bytes) / (20 * 90)
    # What kinds say of a price, a tag, words, a vector and a part's name; and twice that for all else.
    assert 16 + 16 + 32 + 8 + 16 < by_document < 3 * (16 + 16 + 32 + 8 + 16)
    long = buffer_of([(n, dict(items_of(10, "word " * 200))) for n in range(20)])
    assert long.size_bytes > few.size_bytes + 20 * 10 * 2 * 1_000  # a tag, and a part's name
    assert many.size_bytes < 10 * Policy().flush_bytes
    size_bytes = many.size_bytes
    many.kill([CODEC.encode((("id", n),)) for n in range(10)])
    assert many.compacted(SCHEMA, KEY).size_bytes == pytest.approx(size_bytes / 2, rel=0.2)
    put(many, [(n, {}) for n in range(10)])
    assert many.size_bytes >= size_bytes


def test_values_that_do_not_fit_are_counted() -> None:
    buffer = buffer_of([])
    put(
        buffer,
        [
            (0, {"items": json.dumps([{"price": "1", "tags": "a", "parts": [{"x": "1"}, 7]}, {"price": 1}])}),
            (1, {"items": json.dumps([{}] * 257), "j": "[1]"}),
            (2, {"items": json.dumps([{}] * 256), "j": '{"n": NaN}'}),
            (3, {"items": json.dumps([{"parts": [{}] * 257}]), "j": '{"n": [1, "2"], "in": {"x": 1e999}}'}),
            (4, {"items": "[" * 100_000, "j": '[{"v": [1, 2]}, {"v": [1, 2]}]'}),
        ],
    )
    # A price, tags and parts; an array of too many; one within; brackets; all of j but a number, and two vectors.
    assert buffer.unindexed["items"] == 3 + 1 + 0 + 1 + 1
    assert buffer.unindexed["j"] == 0 + 1 + 1 + 2 + 1
    assert [found(buffer.view().fields, doc) for doc in range(5)] == [
        {"items": [{}, {"items.price": 1}]},
        {},
        {"items": [{}] * 256},
        {"items": [{}]},
        {},
    ]


def test_documents_of_five_levels() -> None:
    field, value = FieldSchema("k", FieldType.KEYWORD), {"k": "deep"}
    for _ in range(NESTED_LEVELS_MAX):
        field, value = FieldSchema("n", FieldType.NESTED, fields=(field,)), {"n": [value, value]}
    schema = IndexSchema((field,))
    check_schema(schema)
    buffer = Buffer(schema, KEY)
    buffer.stage([b"key"], [Row((("id", 1),), [("n", json.dumps(value["n"]), 1)])], 1)
    buffer.publish()
    spaces = spaces_down_to(buffer.view(), "n.n.n.n.n")
    assert [space.size for space in spaces] == [2, 4, 8, 16, 32]
    assert filterable(spaces[-1], "n.n.n.n.n.k").equals("deep").mask().count == 32
    assert spaces[-1].keys.taken(np.arange(32)) == [b"key"] * 32
