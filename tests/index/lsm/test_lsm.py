"""The index against a dictionary: flushes, merges, kills and restarts in any order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.folders import folder_in_memory
from support.indexes import PREFIX, index_in, resources_in
from support.lsm import EAGER, KEY, SCHEMA, Harness, Model, check, row_of

from lutra.index.lsm.view import IndexView
from lutra.model.rows import PrimaryKey, Row

VECTORS = st.none() | st.tuples(st.integers(-2, 2), st.integers(-2, 2)).map(lambda v: [float(x) for x in v])
CONTENT = st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from(["x", "y", "z"]), VECTORS)
KEYS = st.tuples(st.sampled_from(["a", "b", "a\0"]), st.integers(0, 5)).map(lambda k: (("user", k[0]), ("id", k[1])))


class LsmMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="lutra-lsm-", dir=folder_in_memory())
        self.harness = Harness(Path(self.folder.name))
        self.views: list[tuple[IndexView, Model]] = []

    @rule(key=KEYS, content=CONTENT)
    def put(self, key: PrimaryKey, content: tuple[Any, Any, Any]) -> None:
        self.harness.put(key, content)

    @rule(rows=st.lists(st.tuples(KEYS, CONTENT), min_size=3, max_size=8))
    def put_many(self, rows: list[tuple[PrimaryKey, tuple[Any, Any, Any]]]) -> None:
        for key, content in rows:
            self.harness.put(key, content)

    @rule(key=KEYS)
    def delete(self, key: PrimaryKey) -> None:
        self.harness.delete(key)

    @rule()
    def flush(self) -> None:
        self.harness.index.flush()
        assert self.harness.index.durable_position == len(self.harness.log)

    @rule()
    def compact(self) -> None:
        self.harness.index.compact()
        assert len(self.harness.index.stats().segments) <= 2

    @rule(key=KEYS, content=CONTENT)
    def change_mid_flush(self, key: PrimaryKey, content: tuple[Any, Any, Any]) -> None:
        """The buffer is sealed and written out while its rows change; then it goes."""
        index = self.harness.index
        with index._writer:
            index._seal()
        self.harness.put(key, content)
        index.maintain()
        assert index.error is None

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        self.harness.restart(kill)

    @rule()
    def keep_view(self) -> None:
        self.views.append((self.harness.index.view(), dict(self.harness.model)))

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "harness"):
            check(self.harness.index.view(), self.harness.model)
            assert self.harness.index.rows == len(self.harness.model)

    def teardown(self) -> None:
        if hasattr(self, "harness"):
            for view, model in self.views:
                check(view, model)
            assert self.harness.faults() == []
            self.harness.close()
            self.folder.cleanup()


TestLsm = LsmMachine.TestCase
TestLsm.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


class ManualClock:
    def __init__(self) -> None:
        self.time_us = 1_000_000_000

    def now_us(self) -> int:
        return self.time_us


def test_rows_of_segments_expire(tmp_path: Path) -> None:
    clock = ManualClock()
    resources = resources_in(tmp_path, policy=EAGER)
    index = index_in(resources, SCHEMA, KEY, clock)
    index.open()
    index.lifetime.table_ttl_s = 10
    now_ms = clock.time_us // 1_000
    keys = [(("user", "a"), ("id", number)) for number in range(6)]
    for part in (keys[:3], keys[3:]):
        index.apply([Row(key, [("n", 1, now_ms + 1_000 * number)]) for number, key in enumerate(part)])
        index.flush()
    index.compact()
    assert index.view().rows == 6
    assert index.drop_expired() == 0
    before = index.view()
    clock.time_us += 11_500_000
    assert index.view().rows == 2, "those of the first two seconds have expired"
    assert index.rows == 6
    assert index.drop_expired() == 4
    assert index.rows == index.view().rows == 2
    assert before.rows == 6
    index.flush()
    index.compact()
    (segment,) = index.stats().segments
    assert (segment.rows, segment.dead) == (2, 0)
    index.close()
    again = index_in(resources, SCHEMA, KEY, clock)
    assert again.open() == 10
    assert again.rows == 2
    again.close()


def test_a_view_keeps_its_segments(tmp_path: Path) -> None:
    resources = resources_in(tmp_path, policy=EAGER)
    index = index_in(resources, SCHEMA, KEY)
    index.open()
    model: Model = {}
    for number in range(4):
        key = (("user", "a"), ("id", number))
        model[key] = (number, "x", [float(number), 0.0])
        index.apply([row_of(key, model[key])])
        index.flush()
    kept, then = index.view(), dict(model)
    index.apply([row_of(key, (9, None, None)) for key in model])
    for _ in range(4):
        index.flush()
    index.compact()
    check(kept, then)
    held = len(resources.store.list(PREFIX + "segments"))
    del kept
    index.flush()
    index.maintain()
    index.maintain()
    assert len(resources.store.list(PREFIX + "segments")) < held
    assert resources.memory.granted_bytes == 0, "nothing here has codes"
    index.close()
