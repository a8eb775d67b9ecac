"""The index against a dictionary: flushes, merges, kills and restarts in any order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.lsm import Harness, Model, check

from lutra.index.view import IndexView
from lutra.model.rows import PrimaryKey

VECTORS = st.none() | st.tuples(st.integers(-2, 2), st.integers(-2, 2)).map(lambda v: [float(x) for x in v])
CONTENT = st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from(["x", "y", "z"]), VECTORS)
KEYS = st.tuples(st.sampled_from(["a", "b", "a\0"]), st.integers(0, 5)).map(lambda k: (("user", k[0]), ("id", k[1])))


class LsmMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="lutra-lsm-")
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
