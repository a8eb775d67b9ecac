"""Clones of an index by key range, against a dictionary: they borrow segments, and copy none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.folders import folder_in_memory
from support.indexes import PREFIX, index_in, resources_in
from support.lsm import KEY, SCHEMA, Harness, check

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy, SegmentShape
from lutra.index.lsm.cloning import IndexClone, KeyRange, clone_index
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.manifest import Manifest, SegmentEntry, is_own
from lutra.index.lsm.storage import IndexStorage
from lutra.model.errors import Corruption, Fenced, ServerBusy
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import KnnVector, Range, ScoreSort, SearchRequest
from lutra.model.rows import PrimaryKey, Row
from lutra.search import search
from lutra.tables.keys import KeyCodec

CODEC = KeyCodec(b"", KEY)
LOWER, UPPER = "partitions/low/indexes/1-x-1/", "partitions/up/indexes/1-x-1/"
LAZY = Policy(flush_age_s=3_600, dead_share=2.0, fan_in=100)
"""Merges nothing."""

Content = tuple[int | None, str | None, list[float] | None]
VECTORS = st.none() | st.tuples(st.integers(-2, 2), st.integers(-2, 2)).map(lambda v: [float(x) for x in v])
CONTENT = st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from(["x", "y", "z"]), VECTORS)
KEYS = st.tuples(st.sampled_from(["a", "b", "a\0", "c"]), st.integers(0, 5)).map(
    lambda k: (("user", k[0]), ("id", k[1]))
)
STEPS = st.lists(
    st.tuples(KEYS, st.none() | CONTENT) | st.sampled_from(["flush", "compact", "restart"]), min_size=1, max_size=30
)


class Child(Harness):
    """What goes on with one half of another: its table shows the rows of a range alone, and has the log of all."""

    def __init__(self, folder: Path, parent: Harness, prefix: str, keys: KeyRange, policy: Policy) -> None:
        def is_within(key: PrimaryKey) -> bool:
            encoded = CODEC.encode(key)
            return keys.begin <= encoded and (keys.end is None or encoded < keys.end)

        self.is_within = is_within
        before = Harness.__new__(Harness)
        before.log = [(key, row if is_within(key) else None) for key, row in parent.log]
        before.model = {key: content for key, content in parent.model.items() if is_within(key)}
        super().__init__(folder, policy=policy, before=before, prefix=prefix)


def halves(at: bytes) -> dict[str, KeyRange]:
    return {LOWER: KeyRange(b"", at), UPPER: KeyRange(at, None)}


def cloned(parent: Harness, prefixes: dict[str, KeyRange]) -> dict[str, IndexClone]:
    with parent.index.still() as (storage, segments):
        return clone_index(storage, segments, prefixes)


def take(harness: Harness, steps: list[Any]) -> None:
    for step in steps:
        if step == "flush":
            harness.index.flush()
        elif step == "compact":
            harness.index.compact()
        elif step == "restart":
            harness.restart(kill=True)
        elif not isinstance(harness, Child) or harness.is_within(step[0]):
            key, content = step
            if content is None:
                harness.delete(key)
            else:
                harness.put(key, content)


@settings(max_examples=25, deadline=None)
@given(STEPS, KEYS, STEPS, KEYS)
def test_clones_have_the_rows_of_their_range(
    steps: list[Any], cut: PrimaryKey, later: list[Any], next_cut: PrimaryKey
) -> None:
    """As they are, after more changes, and after each is cloned again."""
    with tempfile.TemporaryDirectory(dir=folder_in_memory()) as name:
        folder, at = Path(name), CODEC.partition(CODEC.encode(cut))
        parent = Harness(folder)
        take(parent, steps)
        clones = cloned(parent, halves(at))
        parent.close()
        for prefix, keys in halves(at).items():
            child = Child(folder, parent, prefix, keys, Policy(flush_age_s=3_600))
            if prefix in clones:
                assert all(e.shape.live for e in clones[prefix].manifest.segments)
            check(child.index.view(), child.model)
            child.index.flush()
            assert child.faults() == []
            take(child, later)
            check(child.index.view(), child.model)
            begin = max(keys.begin, CODEC.partition(CODEC.encode(next_cut)))
            narrower, grandchild_prefix = KeyRange(begin, keys.end), f"grand/{prefix}"
            cloned(child, {grandchild_prefix: narrower})
            grandchild = Child(folder, child, grandchild_prefix, narrower, Policy(flush_age_s=3_600))
            check(grandchild.index.view(), grandchild.model)
            grandchild.index.flush()
            assert grandchild.faults() == []
            grandchild.close()
            child.close()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Harness]:
    """Of 40 rows, ten each of four users, in segments that mix them."""
    harness = Harness(tmp_path, policy=LAZY)
    for number in range(40):
        harness.put(*numbered(number))
        if number % 13 == 12:
            harness.index.flush()
    yield harness
    harness.close()


def numbered(number: int) -> tuple[PrimaryKey, Content]:
    return (("user", "abcd"[number % 4]), ("id", number)), (number % 3, "x", [number / 7, -number / 5])


AT_C = CODEC.partition(CODEC.encode((("user", "c"), ("id", 0))))


def objects_below(harness: Harness, prefix: str) -> list[str]:
    return [name for name in harness.resources.store.list(prefix) if "/manifest/" not in name]


def test_no_segment_is_copied_and_buffers_are_read_again(parent: Harness, tmp_path: Path) -> None:
    segments = objects_below(parent, PREFIX)
    assert len(segments) == 3
    before = parent.resources.store.requests
    clones = cloned(parent, halves(AT_C))
    spent = parent.resources.store.requests - before
    assert all(clone.borrowed == set(segments) for clone in clones.values())
    assert [name.split("/")[4] for name in objects_below(parent, "partitions/")] == ["deletions"] * 6
    assert spent.puts == 2 * (3 + 1), "three objects of deletions and a manifest each; the buffer is not written out"
    assert spent.written_bytes < 4_000
    child = Child(tmp_path, parent, UPPER, KeyRange(AT_C, None), LAZY)
    assert child.index.stats().buffer_rows == 1
    check(child.index.view(), child.model)
    child.close()


def test_what_is_all_in_the_range_is_borrowed_with_its_deletions(parent: Harness) -> None:
    parent.delete(numbered(3)[0])
    parent.delete(numbered(2)[0])
    parent.index.flush()
    (whole, *_) = cloned(parent, {LOWER: KeyRange(b"", None)}).values()
    newest = IndexStorage(parent.resources.store, PREFIX).newest()
    assert newest is not None
    assert whole.borrowed == {PREFIX + name for name in newest[1].names}
    assert objects_below(parent, LOWER) == []
    (none, *_) = cloned(parent, {UPPER: KeyRange(b"z", None)}).values()
    assert none.manifest.segments == ()
    assert none.manifest.progress == newest[1].progress


def test_a_clone_never_deletes_what_it_borrows_and_tells_when_it_needs_it_no_more(
    parent: Harness, tmp_path: Path
) -> None:
    cloned(parent, halves(AT_C))
    segments = set(objects_below(parent, PREFIX))
    child = Child(tmp_path, parent, UPPER, KeyRange(AT_C, None), Policy(flush_age_s=3_600))
    assert child.index.borrowed() == segments
    view = child.index.view()
    child.index.compact()  # half of each is dead
    for _ in range(2):
        child.index.maintain()
    check(view, child.model)
    newest = IndexStorage(child.resources.store, UPPER).newest()
    assert newest is not None
    assert all(map(is_own, newest[1].names))
    assert child.index.borrowed() == segments, "a view has them, and the manifest before the newest"
    del view
    for number in (42, 43, 46):
        child.put(*numbered(number))
        child.index.flush()
    assert child.index.borrowed() == set()
    child.index.flush()
    assert set(objects_below(parent, PREFIX)) == segments
    for name in segments:
        parent.resources.store.delete(name)
    child.restart(kill=False)
    check(child.index.view(), child.model)
    assert child.faults() == []
    child.close()


def test_a_segment_of_which_much_is_beyond_the_range_is_soon_written_anew(parent: Harness, tmp_path: Path) -> None:
    cloned(parent, halves(AT_C))
    child = Child(tmp_path, parent, LOWER, KeyRange(b"", AT_C), Policy(flush_age_s=3_600))
    child.index.maintain()
    child.index.maintain()
    newest = IndexStorage(child.resources.store, LOWER).newest()
    assert newest is not None
    assert sorted((entry.shape.rows, entry.shape.dead) for entry in newest[1].segments) == [(6, 0), (7, 0), (7, 0)]
    child.close()


def test_counts_of_what_was_left_out_go_to_one_clone(parent: Harness) -> None:
    key, _ = numbered(1)
    parent.index.apply([Row(key, [("n", "no number", 1)])])
    parent.index.reached(Progress(len(parent.log) + 1, True))
    parent.index.flush()
    lower, upper = cloned(parent, halves(AT_C)).values()
    assert (dict(lower.manifest.unindexed), dict(upper.manifest.unindexed)) == ({"n": 1}, {})


def test_a_clone_is_not_made_over_another(parent: Harness) -> None:
    cloned(parent, halves(AT_C))
    with pytest.raises(Fenced):
        cloned(parent, halves(AT_C))


def test_an_index_without_a_manifest_has_clones_without_one(tmp_path: Path) -> None:
    resources = resources_in(tmp_path)
    index = index_in(resources, SCHEMA, KEY)
    with pytest.raises(ServerBusy), index.still():
        raise AssertionError("it is not open")
    index.open()
    resources.store.delete(PREFIX + "manifest/00000000000000000001")  # as if its put had not come to anything
    with index.still() as (storage, segments):
        assert clone_index(storage, segments, halves(AT_C)) == {}
    index.close()
    resources.close()


def test_lost_and_damaged_borrowed_objects_are_found(parent: Harness, tmp_path: Path) -> None:
    cloned(parent, halves(AT_C))
    child = Child(tmp_path, parent, UPPER, KeyRange(AT_C, None), LAZY)
    child.index.flush()
    assert child.faults() == []
    lost = min(objects_below(parent, PREFIX))
    parent.resources.store.delete(lost)
    assert [fault.place for fault in child.faults()] == [lost]
    child.close()


@pytest.mark.parametrize("name", ["segment", "a/segments/b/c", "../segments/x", "/segments/x", "x/deletions/y"])
def test_names_of_no_segment_are_refused(name: str) -> None:
    shape = SegmentShape(name, 1, 0, 1)
    data = Manifest("w", "s", segments=(SegmentEntry(shape),)).to_json()
    with pytest.raises(Corruption):
        Manifest.from_json(data)


def test_neighbours_found_by_both_halves_are_those_of_the_whole(tmp_path: Path) -> None:
    """Over codes with half their rows out of range: brute force says which are right."""
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((4_000, 128), np.float32)
    schema = IndexSchema(
        (FieldSchema("n", FieldType.LONG), FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(128)))
    )
    rows = [
        Row((("user", "abcd"[n % 4]), ("id", n)), [("n", n, 1), ("v", vectors[n].tobytes(), 1)])
        for n in range(len(vectors))
    ]
    resources = resources_in(tmp_path, policy=LAZY)
    whole = index_in(resources, schema, KEY)
    whole.open()
    whole.apply(rows)
    whole.reached(Progress(1, True))
    whole.flush()
    whole.compact()
    with whole.still() as (storage, segments):
        clone_index(storage, segments, halves(AT_C))
    children = []
    for prefix in (LOWER, UPPER):
        child = SearchIndex(schema, KEY, IndexStorage(resources.store, prefix), resources)
        child.open()
        child.reached(Progress(1, True))
        children.append(child)
    assert [child.rows for child in children] == [2_000, 2_000]
    recalls: dict[str, list[int]] = {"whole": [], "halves": []}
    for query in rng.standard_normal((30, 128), np.float32):
        away = ((vectors - query) ** 2).sum(axis=1)
        nearest = set(np.argsort(away)[:10].tolist())
        recalls["whole"].append(len(nearest & set(neighbours(whole, query))))
        both = [n for child in children for n in neighbours(child, query)]
        recalls["halves"].append(len(nearest & set(sorted(both, key=lambda n: away[n])[:10])))
    assert np.mean(recalls["halves"]) >= np.mean(recalls["whole"]) - 0.1
    assert np.mean(recalls["whole"]) >= 9
    within = SearchRequest(Range("n", 100, 200), limit=200)
    found = [[hit.key[1][1] for hit in search(child.view(), within).hits] for child in children]
    assert sorted(n for of in found for n in of) == list(range(100, 201))
    for child in children:
        child.close()
    whole.close()
    resources.close()


def neighbours(index: SearchIndex, query: Any) -> list[int]:
    request = SearchRequest(KnnVector("v", query, 10), limit=10, sort=(ScoreSort(),))
    return [int(hit.key[1][1]) for hit in search(index.view(), request).hits]


def test_clones_go_on_with_what_is_open_of_the_whole(tmp_path: Path) -> None:
    """Of codes and graphs there is one in memory, as long as anybody searches it."""
    vectors = np.random.default_rng(5).standard_normal((3_000, 128), np.float32)
    schema = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(128)),))
    rows = [Row((("user", "abcd"[n % 4]), ("id", n)), [("v", vector.tobytes(), 1)]) for n, vector in enumerate(vectors)]
    resources = resources_in(tmp_path, policy=LAZY)
    whole = index_in(resources, schema, KEY)
    whole.open()
    whole.apply(rows)
    whole.reached(Progress(1, True))
    whole.flush()
    whole.compact()
    whole.maintain()
    granted_bytes = resources.memory.granted_bytes
    assert granted_bytes > 0
    with whole.still() as (storage, segments):
        clone_index(storage, segments, halves(AT_C))
    before = resources.store.requests
    lower, upper = (SearchIndex(schema, KEY, IndexStorage(resources.store, p), resources) for p in (LOWER, UPPER))
    for child in (lower, upper):
        child.open()
        child.reached(Progress(1, True))
    assert (resources.store.requests - before).ranged_reads == 0
    assert resources.memory.granted_bytes == granted_bytes
    view = lower.view()
    whole.close()
    lower.close()
    assert upper.rows == 1_500
    assert len(neighbours(upper, np.zeros(128, np.float32))) == 10
    upper.close()
    assert resources.memory.granted_bytes == granted_bytes, "a view has it"
    assert view.rows == 1_500
    del view
    lower.wait_unread(1.0)
    assert resources.memory.granted_bytes == 0
    resources.close()
