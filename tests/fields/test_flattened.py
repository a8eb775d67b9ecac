"""FLATTENED fields against walks over the objects."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import memory_index
from support.kinds import KEY, found, rows_of, view_of
from support.shared_out import shared_out
from support.stored_segments import Shelf

from lutra.fields.flattened import FlattenedKind
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.limits import FLATTENED_DEPTH_MAX, FLATTENED_LEAVES_MAX, KEYWORD_BYTES_MAX
from lutra.model.queries import (
    Exists,
    FieldSort,
    Match,
    MatchAll,
    Prefix,
    Query,
    Range,
    SearchRequest,
    SortMode,
    Suffix,
    Term,
    Terms,
    Wildcard,
)
from lutra.scalars.column import ScalarColumn
from lutra.scalars.leaves import leaves_of
from lutra.search import search
from lutra.search.token import Token

FIELD = FieldSchema("f", FieldType.FLATTENED)
ARRAY = FieldSchema("a", FieldType.FLATTENED, is_array=True)
PATHS = ["x", "x.y", "x.y.z", "y", "é", "none", ""]
KEYS = st.sampled_from(["x", "y", "z", "é", "x.y"])
LEAVES = st.sampled_from(["a", "ab", "b", "", "1", "é", "ba", "\0"]) | st.integers(-2, 12) | st.booleans() | st.none()
TREES = st.recursive(
    LEAVES, lambda tree: st.dictionaries(KEYS, tree, max_size=3) | st.lists(tree, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(KEYS, TREES, max_size=3)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "f": st.none() | OBJECTS.map(json.dumps) | st.sampled_from(["[]", "1", "{", "null", '{"x": NaN}']),
            "a": st.none() | st.lists(st.none() | OBJECTS, max_size=2).map(json.dumps),
        }
    ),
    max_size=10,
)


def walked(path: str, node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, below in node.items():
            yield from walked(f"{path}.{key}" if path else key, below)
    elif isinstance(node, list):
        for element in node:
            yield from walked(path, element)
    elif node is not None:
        yield path, json.dumps(node) if isinstance(node, bool | int) else node


def leaves_at(row: dict[str, Any], name: str, path: str) -> list[str]:
    value = row[name]
    if value is None or "NaN" in value or value == "{":
        return []
    node = json.loads(value)
    if not isinstance(node, list if name == "a" else dict):
        return []
    return [text for own, text in walked("", node) if not path or own == path]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.integers(0, 99), st.data())
def test_searches(shelf: Shelf, rows: list[dict[str, Any]], seed: int, data: st.DataObject) -> None:
    view = view_of((FIELD, ARRAY), rows, seed, shelf)
    name, path = data.draw(st.sampled_from(["f", "a"])), data.draw(st.sampled_from(PATHS))
    held = [leaves_at(row, name, path) for row in rows]
    field = f"{name}.{path}" if path else name
    one, two = (data.draw(st.sampled_from(["a", "ab", "b", "", "true", "1", 1, True, "é"])) for _ in range(2))
    text, other = (json.dumps(operand) if isinstance(operand, bool | int) else operand for operand in (one, two))
    asked: list[tuple[Query, Any]] = [
        (Term(field, one), lambda leaf: leaf == text),
        (Match(field, text), lambda leaf: leaf == text),
        (Terms(field, (one, two)), lambda leaf: leaf in (text, other)),
        (Range(field, one, two), lambda leaf: text <= leaf <= other),
        (Range(field, one, None, include_lower=False), lambda leaf: leaf > text),
        (Range(field, None, two, include_upper=False), lambda leaf: leaf < other),
        (Prefix(field, text), lambda leaf: leaf.startswith(text)),
        (Suffix(field, text), lambda leaf: leaf.endswith(text)),
        (Wildcard(field, f"{text}*"), lambda leaf: leaf.startswith(text)),
        (Wildcard(field, f"*{text}?"), lambda leaf: len(leaf) > len(text) and leaf[:-1].endswith(text)),
    ]
    for query, test in asked:
        assert found(view, query) == [at for at, leaves in enumerate(held) if any(map(test, leaves))], query
    exists = [at for at, row in enumerate(rows) if any(has(own, path) for own in paths_of(row, name))]
    assert found(view, Exists(field)) == exists

    for descending, pick in ((False, min), (True, max)):
        with_leaves = [(pick(leaves), at) for at, leaves in enumerate(held) if leaves]
        with_leaves.sort(key=lambda pair: pair[0], reverse=descending)
        without = [at for at, leaves in enumerate(held) if not leaves]
        assert found(view, MatchAll(), FieldSort(field, descending)) == [at for _, at in with_leaves] + without
    filled = sorted((min(leaves) if leaves else "aa", at) for at, leaves in enumerate(held))
    assert found(view, MatchAll(), FieldSort(field, missing="aa")) == [at for _, at in filled]


def paths_of(row: dict[str, Any], name: str) -> list[str]:
    value = row[name]
    if value is None or "NaN" in value or value == "{":
        return []
    node = json.loads(value)
    return [own for own, _ in walked("", node)] if isinstance(node, list if name == "a" else dict) else []


def has(own: str, path: str) -> bool:
    return not path or own == path or own.startswith(f"{path}.")


def test_pages_go_on_after_the_last(shelf: Shelf) -> None:
    rows = [{"f": json.dumps({"deep": {"down": f"{n * 7 % 10:02d}"}})} for n in range(10)]
    index = IndexSchema((FIELD,))
    view = shared_out(memory_index(index, KEY), rows_of(rows), random.Random(1), shelf)
    seen, token = [], b""
    while True:
        answer = search(view, SearchRequest(MatchAll(), (FieldSort("f.deep.down"),), limit=3, token=token or None))
        seen += [dict(hit.key)["id"] for hit in answer.hits]
        token = answer.next_token
        if not token:
            break
        assert Token.decode(token).sort == (FieldSort("f.deep.down"),)
    assert [n * 7 % 10 for n in seen] == list(range(10))  # type: ignore[operator]


def test_what_is_left_out_is_counted() -> None:
    deep: Any = "leaf"
    for _ in range(FLATTENED_DEPTH_MAX + 1):
        deep = {"d": deep}
    value = {
        "long": "x" * (KEYWORD_BYTES_MAX + 1),
        "fits": "x" * KEYWORD_BYTES_MAX,
        "deep": deep,
        "nul\0": 1,
        "half": "\ud800",
    }
    column = ScalarColumn(FIELD)
    assert column.stage(0, json.dumps(value))
    assert column.settle() == 4
    many = json.dumps({"n": list(range(FLATTENED_LEAVES_MAX + 5))})
    leaves = leaves_of(many, is_array=False)
    assert leaves is not None
    assert (len(leaves[0]), leaves[1]) == (2 * FLATTENED_LEAVES_MAX, 5)
    assert not column.stage(1, "[1]")
    assert not column.stage(1, "[" * 100_000)


def test_numbers_are_compared_as_they_are_written(shelf: Shelf) -> None:
    view = view_of((FIELD,), [{"f": '{"n": 1.50}'}, {"f": '{"n": 1.5}'}, {"f": '{"n": 1e400}'}], 0, shelf)
    assert found(view, Term("f.n", "1.50")) == [0]
    assert found(view, Term("f.n", 1.5)) == [1]
    assert found(view, Term("f.n", "1e400")) == [2]


def test_an_average_has_no_meaning(shelf: Shelf) -> None:
    view = view_of((FIELD,), [{"f": '{"n": 1}'}], 0, shelf)
    for field in ("f", "f.n"):
        with pytest.raises(ParameterInvalid, match="has no AVG"):
            found(view, MatchAll(), FieldSort(field, mode=SortMode.AVG))


def test_flags_hold_of_paths(shelf: Shelf) -> None:
    hidden = FieldSchema("f", FieldType.FLATTENED, index=False, sort_and_aggregate=False)
    view = view_of((hidden,), [{"f": '{"n": 1}'}], 0, shelf)
    with pytest.raises(ParameterInvalid, match=r"field: f\.n is not indexed"):
        found(view, Term("f.n", 1))
    with pytest.raises(ParameterInvalid, match=r"field: f\.n was created without sort_and_agg"):
        found(view, MatchAll(), FieldSort("f.n"))
    with pytest.raises(ParameterInvalid, match=r"field: g\.n does not exist"):
        found(view, Term("g.n", 1))


def test_a_buffer_counts_leaves_as_what_they_take() -> None:
    """Or many small leaves would fill the memory long before a buffer is flushed."""
    column = FlattenedKind().column(FIELD)
    before = column.size_bytes
    tracemalloc.start()
    for doc in range(200):
        assert column.stage(doc, json.dumps({f"k{n}": f"{doc}-{n}" for n in range(50)}))
        assert column.settle() == 0
        column.publish()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert before == 0
    assert taken / 2 < column.size_bytes < 2 * taken
    kept = column.compacted(np.where(np.arange(200) < 20, np.arange(200), -1).astype(np.int32))
    assert kept.size_bytes < column.size_bytes / 5
