"""An index to be flushed, killed and opened again, beside the dictionary it has to agree with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from support.indexes import PREFIX, resources_in

from lutra.feed.progress import Progress
from lutra.index.builds.policy import Policy
from lutra.index.check.fsck import IndexCheck, IndexFault
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.storage import IndexStorage
from lutra.index.lsm.view import IndexView
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


def row_of(key: PrimaryKey, content: tuple[Any, Any, Any]) -> Row:
    n, tag, v = content
    cells: list[Any] = []
    if n is not None:
        cells.append(("n", n, 1))
    if tag is not None:
        cells.append(("tags", f'["{tag}"]', 1))
    if v is not None:
        cells.append(("v", np.array(v, "<f4").tobytes(), 1))
    return Row(key, cells, None if cells else 1)


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

    def __init__(
        self,
        folder: Path,
        store: Any = None,
        policy: Policy = EAGER,
        before: Harness | None = None,
        prefix: str = PREFIX,
    ) -> None:
        """``before``: whose log to go on from."""
        self.prefix = prefix
        self.resources = resources_in(folder, store=store, policy=policy)
        self.log: list[tuple[PrimaryKey, Row | None]] = [] if before is None else before.log
        self.model: Model = {} if before is None else before.model
        self.index = self.opened()

    def opened(self) -> SearchIndex:
        index = SearchIndex(SCHEMA, KEY, IndexStorage(self.resources.store, self.prefix), self.resources)
        index.open()
        self._take_in(index)
        return index

    def put(self, key: PrimaryKey, content: tuple[Any, Any, Any]) -> None:
        self.log.append((key, row_of(key, content)))
        self.model[key] = content
        self.catch_up()

    def delete(self, key: PrimaryKey) -> None:
        self.log.append((key, None))
        self.model.pop(key, None)
        self.catch_up()

    def catch_up(self) -> None:
        """As the feed does it: a change that cannot be taken in is tried again."""
        self._take_in(self.index)

    def _take_in(self, index: SearchIndex) -> None:
        for key, row in self.log[index.progress.position :]:
            index.apply([] if row is None else [row], [key] if row is None else [])
        index.reached(Progress(len(self.log), True))

    def restart(self, kill: bool) -> None:
        """``kill``: without a close."""
        if not kill:
            self.index.close()
        self.index = self.opened()

    def faults(self) -> list[IndexFault]:
        """Of all objects, and of all rows against what was logged."""
        storage = IndexStorage(self.resources.store, self.prefix)
        with IndexCheck(storage, SCHEMA, KEY) as check:
            check.check_objects()
            if check.manifest is not None:
                later = {self.index.encode(key) for key, _ in self.log[check.manifest.progress.position :]}
                rows = sorted(self.model, key=lambda key: (key[0][1], key[1][1]))
                check.check_rows((row_of(key, self.model[key]) for key in rows), later)
            return check.faults

    def close(self) -> None:
        self.index.close()
        self.resources.close()
