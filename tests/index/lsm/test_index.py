"""A search index against a dictionary, under any order of writes, deletes, views and compactions."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.indexes import memory_index

from lutra.index.lsm import buffer as buffer_module
from lutra.index.lsm.view import IndexView, PartView
from lutra.model.errors import InvalidPrimaryKey
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType

KEY = (KeyColumn("user", ColumnType.STRING), KeyColumn("id", ColumnType.INTEGER))
SCHEMA = IndexSchema(
    (
        FieldSchema("user", FieldType.KEYWORD),
        FieldSchema("n", FieldType.LONG),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
    )
)
Content = dict[str, Any]


@dataclass
class ManualClock:
    time_us: int = 0

    def now_us(self) -> int:
        return self.time_us


def key_of(user: str, number: int) -> PrimaryKey:
    return (("user", user), ("id", number))


def row_of(key: PrimaryKey, content: Content, timestamp_ms: int = 1) -> Row:
    return Row(key, [(name, value, timestamp_ms) for name, value in sorted(content.items())])


def buffer_of(view: IndexView) -> PartView:
    (part,) = view.parts
    assert isinstance(part, PartView)
    return part


def read(view: IndexView) -> dict[PrimaryKey, Content]:
    """What the view holds, by way of its columns."""
    result: dict[PrimaryKey, Content] = {}
    part = buffer_of(view)
    for doc in part.live.ids().tolist():
        content: Content = {}
        for name in ("n", "tags", "user"):
            column = part.fields[name]
            docs = np.arange(len(column.values)) if column.docs is None else column.docs
            values = column.values[docs == doc].tolist()
            if column.dictionary is not None:
                values = [column.dictionary.strings.strings[v].decode() for v in values]
            if values:
                content[name] = values
        for rows, docs in part.fields["v"].blocks:
            for row in rows[docs == doc]:
                content["v"] = row.tolist()
        key = view.decode_key(part.keys.strings[doc])
        assert key not in result, "a key is live twice"
        result[key] = content
    assert view.rows == len(result)
    return result


def shown(key: PrimaryKey, content: Content) -> Content:
    """What the columns make of a row's content."""
    result: Content = {"user": [key[0][1]]}
    if type(content.get("n")) is int:
        result["n"] = [content["n"]]
    if content.get("tags", "[]") not in ("[]", "bad"):
        result["tags"] = json.loads(content["tags"])
    if content.get("v", "bad") != "bad":
        result["v"] = json.loads(content["v"])
    return result


KEYS = st.builds(key_of, st.sampled_from(["a", "b", "a\0"]), st.integers(0, 3))
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 3) | st.just("bad"),
        "tags": st.sampled_from(["[]", '["x"]', '["x", "y"]', "bad"]),
        "v": st.sampled_from(["[0, 1]", "[2, 3]", "bad"]),
        "other": st.just("ignored"),
    },
)


class IndexMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.index = memory_index(SCHEMA, KEY)
        self.model: dict[PrimaryKey, Content] = {}
        self.misfits = Counter(dict.fromkeys(("n", "tags", "v"), 0))
        self.views: list[tuple[IndexView, dict[PrimaryKey, Content]]] = []

    def put(self, key: PrimaryKey, content: Content) -> None:
        self.model[key] = shown(key, content)
        for name in self.misfits:
            self.misfits[name] += content.get(name) == "bad"

    @rule(key=KEYS, content=CONTENTS)
    def upsert(self, key: PrimaryKey, content: Content) -> None:
        self.index.apply([row_of(key, content)])
        self.put(key, content)

    @rule(key=KEYS)
    def delete(self, key: PrimaryKey) -> None:
        self.index.apply([], [key])
        self.model.pop(key, None)

    @rule(rows=st.lists(st.tuples(KEYS, CONTENTS), max_size=8), deleted=st.lists(KEYS, max_size=4))
    def apply(self, rows: list[tuple[PrimaryKey, Content]], deleted: list[PrimaryKey]) -> None:
        self.index.apply([row_of(key, content) for key, content in rows], deleted)
        for key in deleted:
            self.model.pop(key, None)
        for key, content in dict(rows).items():
            self.put(key, content)

    @rule()
    def keep_view(self) -> None:
        self.views.append((self.index.view(), dict(self.model)))

    @invariant()
    def agrees(self) -> None:
        assert read(self.index.view()) == self.model
        assert self.index.rows == len(self.model)
        assert self.index.unindexed == self.misfits
        assert self.index.view() is self.index.view()

    def teardown(self) -> None:
        for view, content in self.views:
            assert read(view) == content, "a view has changed"


class CompactingMachine(IndexMachine):
    """The same, with a copy of the living at every chance."""

    def __init__(self) -> None:
        super().__init__()
        buffer_module._DEAD_MIN = 0  # type: ignore[misc]

    @invariant()
    def stays_small(self) -> None:
        assert buffer_of(self.index.view()).size <= 2 * len(self.model) + 1

    def teardown(self) -> None:
        buffer_module._DEAD_MIN = 1_024  # type: ignore[misc]
        super().teardown()


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=20, stateful_step_count=20)
TestCompactingIndex = CompactingMachine.TestCase
TestCompactingIndex.settings = settings(max_examples=20, stateful_step_count=20)


def test_compacts_by_itself_and_frees() -> None:
    index = memory_index(SCHEMA, KEY)
    for n in range(30):
        index.apply([row_of(key_of("a", i), {"n": n, "v": f"[{n}, {i}]", "tags": f'["t{n}"]'}) for i in range(1_000)])
    view = index.view()
    part = buffer_of(view)
    assert view.rows == 1_000
    assert part.size <= 2 * 1_000 + 1_024
    dictionary = part.fields["tags"].dictionary
    assert dictionary is not None
    assert dictionary.strings.size <= 4
    assert not (part.live - part.fields["n"].equals(29).mask()).count
    docs, _, _ = part.fields["v"].topk(np.array([29, 7], np.float32), 1, part.live)
    assert view.decode_key(part.keys.strings[int(docs[0])]) == key_of("a", 7)


def test_a_bad_key_changes_nothing() -> None:
    index = memory_index(SCHEMA, KEY)
    index.apply([row_of(key_of("a", 1), {"n": 1})])
    with pytest.raises(InvalidPrimaryKey):
        index.apply([row_of(key_of("a", 1), {"n": 2}), row_of((("user", "a"),), {"n": "bad"})], [key_of("a", 1)])
    assert read(index.view()) == {key_of("a", 1): {"user": ["a"], "n": [1]}}
    assert index.unindexed.total() == 0


def test_newest_version_counts() -> None:
    index = memory_index(SCHEMA, KEY)
    index.apply([Row(key_of("a", 1), [("n", 5, 9), ("n", 4, 8), ("n", "bad", 7)])])
    assert read(index.view())[key_of("a", 1)]["n"] == [5]
    assert index.unindexed.total() == 0


@pytest.mark.parametrize("of_table", [True, False])
def test_expiry(of_table: bool) -> None:
    clock = ManualClock(1_000_000_000)
    index = memory_index(SCHEMA if of_table else IndexSchema(SCHEMA.fields, ttl_s=10), KEY, clock)
    if of_table:
        index.lifetime.table_ttl_s = 10
    now_ms = clock.time_us // 1_000
    index.apply([Row(key_of("old", 1), [("n", 1, now_ms - 9_000)])])
    index.apply([Row(key_of("new", 1), [("n", 1, now_ms - 9_000), ("v", "[1, 2]", now_ms)])])
    index.apply([Row(key_of("bare", 1), [])])
    assert index.view().rows == 3
    assert index.drop_expired() == 0
    clock.time_us += 1_000_000
    assert index.view().rows == 3, "at its age, a row is still there"
    clock.time_us += 1_000
    assert set(read(index.view())) == {key_of("new", 1), key_of("bare", 1)}
    before = index.view()
    assert index.drop_expired() == 1
    assert index.rows == 2
    assert set(read(before)) == set(read(index.view()))
    clock.time_us += 20_000_000
    assert index.view().rows == 0
    assert index.drop_expired() == 2


def test_shorter_life_counts() -> None:
    clock = ManualClock(1_000_000_000)
    index = memory_index(IndexSchema(SCHEMA.fields, ttl_s=10), KEY, clock)
    index.apply([Row(key_of("a", 1), [("n", 1, clock.time_us // 1_000 - 7_000)])])
    index.lifetime.table_ttl_s = 5
    assert index.view().rows == 0
    index.lifetime.table_ttl_s = -1
    assert index.view().rows == 1


def test_readers_beside_a_writer() -> None:
    """Every view is whole: all columns tell of the same write, and every key is there once."""
    index = memory_index(SCHEMA, KEY)
    keys = [key_of("a", n) for n in range(50)]
    index.apply([row_of(key, {"n": 0, "v": "[0, 0]", "tags": '["t0"]'}) for key in keys])
    done = threading.Event()
    errors: list[BaseException] = []

    def watch() -> None:
        try:
            while not done.is_set():
                seen = read(index.view())
                assert set(seen) == set(keys)
                for content in seen.values():
                    (n,) = content["n"]
                    assert content["v"] == [n, n]
                    assert content["tags"] == [f"t{n}"]
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=watch) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(1, 400):
        some = keys[n % 7 :: 7]
        index.apply([row_of(key, {"n": n, "v": f"[{n}, {n}]", "tags": f'["t{n}"]'}) for key in some], some[:1])
    done.set()
    for reader in readers:
        reader.join()
    assert not errors
