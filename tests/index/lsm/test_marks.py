"""How far an index says it is built: never too far, never back, and all the way in the end, whatever comes between."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.feeding import define
from support.folders import folder_in_memory
from support.indexes import PREFIX, index_in, resources_in
from support.steered_builder import SteeredBuilder

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage
from lutra.index.lsm.stored_stats import stored_stats
from lutra.kv.store import KeyValueStore
from lutra.model.clock import SystemClock
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables
from lutra.vectors import build_plan

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 8
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
FLAT_ROWS = 4
"""More of them are to have codes, so that these tests need no megabytes."""
SINGLE = Policy(flush_age_s=3_600, fan_in=1_000, dead_share=1.0)
"""Segments are built one by one."""
PAIRS = Policy(flush_age_s=3_600, fan_in=2, size_ratio=1_000, dead_share=1.0)
IDS = st.lists(st.integers(0, 19), min_size=1, max_size=7, unique=True)


@pytest.fixture(autouse=True)
def few_rows_are_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_plan, "FLAT_BYTES_MAX", 4 * DIMENSION * FLAT_ROWS)


@pytest.fixture
def builder(tmp_path: Path) -> SteeredBuilder:
    return SteeredBuilder(LocalStore(tmp_path / "objects"))


@pytest.fixture
def resources(tmp_path: Path, builder: SteeredBuilder) -> Iterator[Resources]:
    opened = resources_in(tmp_path, policy=SINGLE, builder=builder)
    yield opened
    opened.close()


def rows_of(ids: list[int] | range) -> list[Row]:
    return [Row((("id", n),), [("v", np.full(DIMENSION, n, "<f4").tobytes(), 1)]) for n in ids]


def opened(resources: Resources) -> SearchIndex:
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    return index


def put(index: SearchIndex, ids: range, position: int) -> None:
    """Puts rows by changes up to ``position``."""
    index.apply(rows_of(ids))
    index.reached(Progress(position, True))


def half_built(resources: Resources) -> SearchIndex:
    """Changes up to 5 are where they belong; those of 6 to 9, and of 10 to 12, wait."""
    index = opened(resources)
    index.reached(Progress(2, True))
    index.flush()
    for ids, position in ((range(2), 5), (range(10, 20), 9), (range(20, 30), 12)):
        put(index, ids, position)
        index.flush()
    assert marks(index) == (5, 12, 12)
    return index


def marks(index: SearchIndex) -> tuple[int, int, int]:
    """Indexed, durable, searchable, as everybody tells them."""
    stats = index.stats()
    assert (index.indexed_position, index.durable_position) == (stats.indexed, stats.durable)
    return stats.indexed, stats.durable, stats.searchable.position


def stored(resources: Resources) -> tuple[int, int]:
    """Indexed, and how many segments wait, as whoever looks at the objects has it."""
    stats = stored_stats(IndexStorage(resources.store, PREFIX))
    assert stats is not None
    return stats.indexed, stats.awaited


def build_all(index: SearchIndex, builder: SteeredBuilder) -> None:
    builder.is_held = False
    builder.release()
    index.compact()
    builder.is_held = True


@pytest.mark.parametrize("kill", [False, True])
def test_a_restart_between_flush_and_build(resources: Resources, builder: SteeredBuilder, kill: bool) -> None:
    index = half_built(resources)
    assert [segment.is_awaited for segment in index.stats().segments] == [False, True, True]
    assert stored(resources) == (5, 2)
    if not kill:
        index.close()
    again = opened(resources)
    assert marks(again) == (5, 12, 12)
    assert stored(resources) == (5, 2)
    builder.close()  # those of the first: nobody waits for them
    again.maintain()
    assert marks(again) == (5, 12, 12)
    builder.release(1)
    again.maintain()
    assert marks(again) in {(5, 12, 12), (9, 12, 12)}, "one of the two"
    assert stored(resources)[1] == 1
    build_all(again, builder)
    assert marks(again) == (12, 12, 12)
    assert stored(resources) == (12, 0)
    assert {segment.kind for segment in again.stats().segments} == {"flat", "codes"}
    again.reached(Progress(20, True))
    assert marks(again) == (20, 20, 20), "of other tables: nothing is to be done"
    again.close()


def test_builds_that_fail(resources: Resources, builder: SteeredBuilder) -> None:
    index = half_built(resources)
    builder.failure = MemoryError("too much")
    builder.release()
    index.maintain()
    assert index.waiting_buffers == 0, "flat segments serve"
    assert index.error is not None
    assert index._merges.failure is not None
    assert index._merges.failure.__traceback__ is None, "its frames would hold segments"
    assert marks(index) == (5, 12, 12)
    put(index, range(30, 32), 14)
    index.flush()
    assert marks(index) == (5, 14, 14)
    assert stored(resources) == (5, 2)
    builder.failure = None
    build_all(index, builder)
    assert marks(index) == (14, 14, 14)
    index.close()


@pytest.mark.parametrize("restart", [False, True])
def test_a_merge_takes_in_what_waits(resources: Resources, builder: SteeredBuilder, restart: bool) -> None:
    index = half_built(resources)
    index.close()
    builder.close()
    pairs = replace(resources, policy=PAIRS)
    index = opened(pairs)
    index.maintain()
    assert (builder.waiting, marks(index)) == (1, (5, 12, 12)), "of all three"
    if restart:
        index = opened(pairs)
    build_all(index, builder)
    (segment,) = index.stats().segments
    assert (segment.rows, segment.kind) == (22, "codes")
    assert marks(index) == (12, 12, 12)
    index.close()
    assert marks(opened(pairs)) == (12, 12, 12)


def test_a_segment_shrinks_below_its_kind(resources: Resources, builder: SteeredBuilder) -> None:
    index = half_built(resources)
    index.apply([], [row.key for row in rows_of(range(10, 16))])
    index.reached(Progress(18, True))
    assert marks(index) == (5, 12, 18)
    index.flush()
    assert marks(index) == (9, 18, 18), "as far as before the other"
    assert stored(resources) == (9, 1)
    index.apply([], [row.key for row in rows_of(range(20, 30))])
    index.reached(Progress(28, True))
    index.flush()
    assert marks(index) == (28, 28, 28)
    build_all(index, builder)
    assert marks(index) == (28, 28, 28)
    assert index.rows == 6
    index.close()


def test_an_update_while_it_waits(resources: Resources, builder: SteeredBuilder) -> None:
    index = half_built(resources)
    put(index, range(10, 12), 14)
    assert marks(index) == (5, 12, 14)
    index.flush()
    assert marks(index) == (5, 14, 14)
    again = opened(resources)
    build_all(again, builder)
    assert marks(again) == (14, 14, 14)
    assert again.rows == 22
    again.close()


def test_marks_do_not_go_back(resources: Resources, builder: SteeredBuilder) -> None:
    index = opened(resources)
    put(index, range(10), 5)
    index.flush()
    build_all(index, builder)
    index.reached(Progress(100, True))
    assert marks(index) == (100, 100, 100)
    index.apply([], [row.key for row in rows_of(range(1))])
    index.reached(Progress(101, True))
    assert marks(index) == (100, 100, 101), "not in a manifest yet"
    put(index, range(20, 30), 110)
    assert marks(index) == (100, 100, 110)
    index.flush()
    assert marks(index) == (101, 110, 110)
    build_all(index, builder)
    assert marks(index) == (110, 110, 110)
    put(index, range(40, 41), 120)
    index.close()
    assert marks(index)[:2] == (110, 110), "what it had in memory is gone"


def test_what_is_too_large_to_be_built_becomes_small_enough(resources: Resources, builder: SteeredBuilder) -> None:
    """Nothing better will come of it, until a build fits: then it may, but what was told stays."""
    index = opened(replace(resources, policy=replace(SINGLE, build_memory_bytes=1)))
    put(index, range(20), 5)
    index.flush()
    assert marks(index) == (5, 5, 5)
    (segment,) = index._segments.searched
    index.close()
    narrow = replace(SINGLE, build_memory_bytes=SINGLE.build_need_bytes([segment.shape]) - 1)
    index = opened(replace(resources, policy=narrow))
    assert marks(index) == (5, 5, 5)
    index.apply([], [row.key for row in rows_of(range(10))])
    index.reached(Progress(7, True))
    index.flush()
    assert index.stats().awaited == builder.waiting == 1
    assert marks(index) == (5, 7, 7)
    build_all(index, builder)
    assert marks(index) == (7, 7, 7)
    index.close()


def test_kinds_that_a_later_version_chooses_otherwise(
    resources: Resources, builder: SteeredBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments say what they begin after, those that have their kind as well: it may be another one day."""
    half_built(resources).close()
    builder.close()
    index = opened(replace(resources, policy=PAIRS))
    build_all(index, builder)
    assert marks(index) == (12, 12, 12)
    index.close()
    monkeypatch.setattr(build_plan, "CODES_ROWS_MAX", 10)
    again = opened(resources)
    assert marks(again) == (2, 12, 12)
    assert stored(resources) == (2, 1)
    again.close()


def test_a_fill_counts_once_a_manifest_says_so(resources: Resources, builder: SteeredBuilder) -> None:
    index = opened(resources)
    index.reached(Progress(50))
    index.apply(rows_of(range(10)))
    index.reached(Progress(50, filled_through=b"9"))
    index.flush()
    build_all(index, builder)
    index.reached(Progress(50, True))
    assert (index.indexed_position, stored(resources)) == (0, (0, 0))
    assert index.is_due(time.monotonic())
    index.maintain()
    assert (marks(index), stored(resources)) == ((50, 50, 50), (50, 0))
    index.close()


def test_rows_of_a_fill_are_of_any_position(resources: Resources, builder: SteeredBuilder) -> None:
    index = opened(resources)
    index.reached(Progress(50))
    for number in range(3):
        index.apply(rows_of(range(10 * number, 10 * number + 10)))
        index.reached(Progress(50, filled_through=b"%d" % number))
        index.flush()
        assert index.indexed_position == 0
    index.reached(Progress(50, True))
    index.flush()
    assert marks(index) == (0, 50, 50)
    assert stored(resources) == (0, 3)
    builder.release(1)
    index.maintain()
    assert marks(index) == (0, 50, 50), "two of three wait, which hold changes of any time"
    again = opened(resources)
    assert marks(again) == (0, 50, 50)
    build_all(again, builder)
    assert marks(again) == (50, 50, 50)
    again.reached(Progress(60))
    assert again.indexed_position == 0, "it is filled anew: rows may be back that it left out"
    again.apply(rows_of(range(40, 42)))
    again.reached(Progress(60, True))
    assert again.indexed_position == 0
    again.flush()
    assert marks(again) == (60, 60, 60)
    again.close()


def test_an_index_of_an_empty_table(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, resources: Resources
) -> None:
    """It is quiet from the start: nobody is to wait for its first row."""
    definition = define(store, new_table("t"))
    new_table("other")
    put("other", 1, n=1)
    feed = IndexFeed(definition, tables, space.changelog, store, resources, SystemClock())
    assert feed.watermarks().indexed == -1
    while feed.step():
        pass
    assert feed.index.is_due(time.monotonic())
    feed.index.maintain()
    put("other", 2, n=2)
    feed.step()
    told = feed.watermarks()
    assert told.written == told.searchable == told.indexed > 0
    feed.close()


class BusyStore(LocalStore):
    """While the first segment is put, more rows come in than a buffer takes."""

    index: SearchIndex | None = None

    def put_file(self, name: str, path: Path) -> None:
        index, self.index = self.index, None
        if index is not None:
            put(index, range(50, 53), 9)
        super().put_file(name, path)


def test_a_buffer_that_is_sealed_while_another_is_written_out(tmp_path: Path) -> None:
    store = BusyStore(tmp_path / "objects")
    resources = resources_in(tmp_path, store=store, policy=replace(SINGLE, flush_bytes=1))
    index = opened(resources)
    index.reached(Progress(2, True))
    index.maintain()
    store.index = index
    put(index, range(3), 5)
    index.maintain()
    assert index.waiting_buffers == 1
    assert marks(index)[1:] == (2, 9)
    assert index.is_due(time.monotonic()), "nothing else may come for long"
    index.maintain()
    assert marks(index) == (9, 9, 9)
    again = opened(resources)
    assert (again.rows, marks(again)) == (6, (9, 9, 9))
    again.close()


def test_a_manifest_of_before_positions_were_kept(resources: Resources, builder: SteeredBuilder) -> None:
    index = half_built(resources)
    index.close()
    builder.close()
    log = ManifestLog(resources.store, PREFIX + "manifest")
    newest = log.latest()
    assert newest is not None
    old = json.loads(newest.payload)
    for segment in old["segments"]:
        del segment["since"]
    log.commit(newest.number + 1, json.dumps(old).encode())
    assert stored(resources) == (0, 2), "they may hold anything"
    again = opened(resources)
    assert marks(again) == (0, 12, 12)
    build_all(again, builder)
    assert marks(again) == (12, 12, 12)
    again.close()


class MarksMachine(RuleBasedStateMachine):
    """Position n is that of the n-th change. What is said to be indexed is looked for in segments, row by row."""

    @initialize(policy=st.sampled_from([SINGLE, PAIRS]))
    def begin(self, policy: Policy) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(build_plan, "FLAT_BYTES_MAX", 4 * DIMENSION * FLAT_ROWS)
        self.folder = tempfile.TemporaryDirectory(prefix="lutra-marks-", dir=folder_in_memory())
        folder = Path(self.folder.name)
        self.builder = SteeredBuilder(LocalStore(folder / "objects"))
        self.resources = resources_in(folder, policy=policy, builder=self.builder)
        self.log: list[tuple[int, bool]] = []
        self.open()

    def open(self) -> None:
        self.index = opened(self.resources)
        self.told = 0
        self.follow()

    def follow(self) -> None:
        for number, is_put in self.log[self.index.progress.position :]:
            self.index.apply(rows_of([number]) if is_put else [], [] if is_put else [(("id", number),)])
        self.index.reached(Progress(len(self.log), True))

    @rule(ids=IDS)
    def put(self, ids: list[int]) -> None:
        self.log += [(number, True) for number in ids]
        self.follow()

    @rule(ids=IDS)
    def delete(self, ids: list[int]) -> None:
        self.log += [(number, False) for number in ids]
        self.follow()

    @rule()
    def flush(self) -> None:
        self.index.flush()

    @rule(fails=st.booleans())
    def build(self, fails: bool) -> None:
        self.builder.failure = MemoryError("too much") if fails else None
        self.builder.release(1)
        self.index.maintain()
        self.builder.failure = None

    @rule()
    def quiet(self) -> None:
        self.index.flush()
        build_all(self.index, self.builder)
        assert marks(self.index) == (len(self.log),) * 3
        assert stored(self.resources) == (len(self.log), 0)

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        if not kill:
            self.index.close()
        self.builder.close()
        before = stored(self.resources)[0]
        self.open()
        assert self.index.indexed_position >= before

    @invariant()
    def is_right(self) -> None:
        if not hasattr(self, "index"):
            return
        indexed, durable, searchable = marks(self.index)
        assert self.told <= indexed <= durable <= searchable == len(self.log)
        self.told = indexed
        policy = self.resources.policy
        home: set[int] = set()
        for segment in self.index._segments.searched:
            if segment.is_in_manifest and not policy.is_awaited(segment.shape):
                keys = segment.segment.keys.keys(segment.live().ids())
                home.update(int(self.index.decode(key)[0][1]) for key in keys)
        last = {number: (position, is_put) for position, (number, is_put) in enumerate(self.log, 1)}
        due = {number for number, (position, is_put) in last.items() if is_put and position <= indexed}
        assert due <= home

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.quiet()
            self.index.close()
            self.resources.close()
            self.folder.cleanup()
            self.patch.undo()


TestMarks = MarksMachine.TestCase
TestMarks.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
