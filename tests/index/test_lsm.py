"""The index against a dictionary: flushes, merges, kills and restarts in any order, and a store that fails."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.indexes import index_in, resources_in

from lutra.index.index import SearchIndex
from lutra.index.policy import Policy
from lutra.index.progress import Progress
from lutra.index.view import IndexView
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import KnnVector, MatchAll, Range, ScoreSort, SearchRequest, Term
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.search import search

KEY = (KeyColumn("user", ColumnType.STRING), KeyColumn("id", ColumnType.INTEGER))
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
    )
)
EAGER = Policy(flush_age_s=3_600, fan_in=2, segments_max=3, size_floor_bytes=1)
Model = dict[PrimaryKey, tuple[int | None, str | None, list[float] | None]]
VECTORS = st.none() | st.tuples(st.integers(-2, 2), st.integers(-2, 2)).map(lambda v: [float(x) for x in v])
CONTENT = st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from(["x", "y", "z"]), VECTORS)
KEYS = st.tuples(st.sampled_from(["a", "b", "a\0"]), st.integers(0, 5)).map(lambda k: (("user", k[0]), ("id", k[1])))


def row_of(key: PrimaryKey, content: tuple[Any, Any, Any]) -> Row:
    n, tag, v = content
    cells: list[Any] = []
    if n is not None:
        cells.append(("n", n, 1))
    if tag is not None:
        cells.append(("tags", f'["{tag}"]', 1))
    if v is not None:
        cells.append(("v", np.array(v, "<f4").tobytes(), 1))
    return Row(key, cells)


def found(view: IndexView, query: Any, **options: Any) -> list[tuple[PrimaryKey, float]]:
    request = SearchRequest(query, limit=100, **options)
    return [(hit.key, hit.score) for hit in search(view, request).hits]


def check(view: IndexView, model: Model) -> None:
    """Rows, filters and nearest neighbours are those of ``model``."""
    keys = [key for key, _ in found(view, MatchAll())]
    assert keys == sorted(model, key=lambda k: (k[0][1], k[1][1]))
    assert view.rows == len(model)
    assert {k for k, _ in found(view, Range("n", 1, 2))} == {k for k, (n, _, _) in model.items() if n in (1, 2)}
    assert {k for k, _ in found(view, Term("tags", "x"))} == {k for k, (_, tag, _) in model.items() if tag == "x"}
    query = np.array([0.4, -0.7], np.float32)
    near = found(view, KnnVector("v", query, 5), sort=(ScoreSort(),))
    away = {k: float(((np.array(v, np.float32) - query) ** 2).sum()) for k, (_, _, v) in model.items() if v is not None}
    expected = sorted(away.values())[: len(near)]
    assert len(near) == len(away) or len(near) >= 5
    np.testing.assert_allclose([away[key] for key, _ in near], expected, rtol=1e-5)
    np.testing.assert_allclose([score for _, score in near], [1 / (1 + d) for d in expected], rtol=1e-5)


class Harness:
    """An index, and the log of changes from which it is brought up to date when it is opened again."""

    def __init__(self, folder: Path, store: Any = None, policy: Policy = EAGER) -> None:
        self.resources = resources_in(folder, store=store, policy=policy)
        self.log: list[tuple[PrimaryKey, Row | None]] = []
        self.model: Model = {}
        self.index = self.opened()

    def opened(self) -> SearchIndex:
        index = index_in(self.resources, SCHEMA, KEY)
        index.open()
        position = index.progress.position
        for key, row in self.log[position:]:
            index.apply([] if row is None else [row], [key] if row is None else [])
        index.reached(Progress(len(self.log), True))
        return index

    def put(self, key: PrimaryKey, content: tuple[Any, Any, Any]) -> None:
        self.log.append((key, row_of(key, content)))
        self.model[key] = content
        self._catch_up()

    def delete(self, key: PrimaryKey) -> None:
        self.log.append((key, None))
        self.model.pop(key, None)
        self._catch_up()

    def _catch_up(self) -> None:
        """As the feed does it: a change that cannot be taken in is tried again."""
        for key, row in self.log[self.index.progress.position :]:
            self.index.apply([] if row is None else [row], [key] if row is None else [])
        self.index.reached(Progress(len(self.log), True))

    def restart(self, kill: bool) -> None:
        if not kill:
            self.index.close()
        self.index = self.opened()

    def close(self) -> None:
        self.index.close()
        self.resources.close()


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
            self.harness.close()
            self.folder.cleanup()


TestLsm = LsmMachine.TestCase
TestLsm.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
