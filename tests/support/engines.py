"""An engine whose indexes are flushed and merged all the time, and a dictionary beside it."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lutra.index.builds.policy import Policy
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import ROOT, IndexStorage
from lutra.instance.engine import Engine
from lutra.instance.partition import Partition
from lutra.kv.rocksdb import RocksStore
from lutra.model.clock import SystemClock
from lutra.model.errors import Corruption, LutraError
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import FieldSort, KnnVector, MatchAll, Range, ScoreSort, SearchRequest
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.objects.store import ObjectStore

EAGER = Policy(
    flush_bytes=8 * 1024,
    flush_age_s=0.1,
    fan_in=3,
    size_floor_bytes=4 * 1024,
    segments_max=6,
    trim_changes=50,
    trim_period_s=0.3,
)
INSTANCE, TABLE, INDEX = "tests", "t", "x"
DIMENSION = 16
_SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),
    )
)
_MEMORY_BYTES = 64 * 1024 * 1024


def open_engine(
    data_dir: Path,
    *,
    objects: str | None = None,
    policy: Policy = EAGER,
    wrapped: Callable[[Resources], Resources] = lambda resources: resources,
) -> Engine:
    """As `Engine.open`, with that policy, and with what ``wrapped`` makes of the resources."""
    data_dir.mkdir(parents=True, exist_ok=True)
    store = RocksStore(data_dir / "kv")
    try:
        resources = Resources.open(objects or str(data_dir / "objects"), data_dir / "scratch", _MEMORY_BYTES)
        shared = wrapped(replace(resources, policy=policy))
        return Engine(data_dir, Partition(store, data_dir, shared, SystemClock()))
    except BaseException:
        store.close()
        raise


def vector_of(n: int) -> bytes:
    return np.random.default_rng(n).standard_normal(DIMENSION).astype("<f4").tobytes()


class IndexedTable:
    """A table of integers with an index, in an engine, and what it holds."""

    def __init__(self, engine: Engine, before: IndexedTable | None = None) -> None:
        """Makes table and index, or finds them as ``before`` left them."""
        self.model: dict[int, int] = {} if before is None else before.model
        if before is None:
            engine.create_instance(INSTANCE)
        self._instance = engine.instance(INSTANCE)
        if before is None:
            self._instance.tables.create(TableSchema(TABLE, (KeyColumn("id", ColumnType.INTEGER),)))
            self._instance.create_search_index(TABLE, INDEX, _SCHEMA)
        (self.feed,) = engine.partition.feeder._feeds

    def write(self, rng: random.Random, rows: int, keys: int) -> None:
        """One batch; a row in five is deleted."""
        changes = []
        for key in rng.sample(range(keys), rows):
            n = rng.randrange(1_000_000)
            if rng.random() < 0.2:
                self.model.pop(key, None)
                changes.append(RowChange(ChangeKind.DELETE, (("id", key),), []))
            else:
                self.model[key] = n
                cells = [("n", n, None, CellOperation.PUT), ("v", vector_of(n), None, CellOperation.PUT)]
                changes.append(RowChange(ChangeKind.PUT, (("id", key),), cells))
        (results,) = self._instance.tables.write_batch([(TABLE, changes)])
        assert not [result for result in results if isinstance(result, LutraError)]

    def wait(self, timeout_s: float = 20.0) -> None:
        """Raises RequestTimeout."""
        self._instance.wait_searchable(TABLE, INDEX, timeout_s)

    def check(self) -> None:
        """What is found is what was written, once `wait` has returned. Raises what a search raises."""
        model = self.model
        found = self._found(SearchRequest(MatchAll(), (FieldSort("n"),), limit=1_000))
        assert found == sorted(model, key=lambda key: (model[key], key))
        low = set(self._found(SearchRequest(Range("n", 0, 300_000), limit=1_000)))
        assert low == {key for key, n in model.items() if n <= 300_000}
        keys = list(model)
        vectors = np.stack([np.frombuffer(vector_of(model[key]), "<f4") for key in keys])
        query = np.random.default_rng(len(keys)).standard_normal(DIMENSION).astype("<f4")
        nearest = np.argsort(((vectors - query) ** 2).sum(axis=1))[:10]
        assert set(self._found(SearchRequest(KnnVector("v", query, 10), (ScoreSort(),), limit=10))) == {
            keys[place] for place in nearest.tolist()
        }

    def check_while_failing(self, timeout_s: float = 5.0) -> bool:
        """Whether there was an answer, which is then right; errors are none, as long as something fails."""
        with contextlib.suppress(LutraError):
            self.wait(timeout_s)
            self.check()
            return True
        return False

    def settle(self, within_s: float = 60.0) -> None:
        """Has all in segments, merged. What still fails is tried again for a while."""
        deadline_s = time.monotonic() + within_s
        while True:
            try:
                self.feed.index.flush()  # first, as the feed waits where too much does
                self.wait()
                self.feed.index.flush()
                self.feed.index.compact()
                self.feed.index.maintain()
                return
            except LutraError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)

    def _found(self, request: SearchRequest) -> list[int]:
        return [row.key[0][1] for row in self._instance.search(TABLE, INDEX, request).rows]


def unnamed(store: ObjectStore) -> set[str]:
    """Objects of indexes that no manifest names, and manifests beyond the last two."""
    extra: set[str] = set()
    for prefix in {"/".join(name.split("/")[:2]) + "/" for name in store.list(ROOT)}:
        found = set(store.list(prefix))
        manifests = list(IndexStorage(store, prefix).manifests())
        for name, manifest in manifests:
            assert not isinstance(manifest, Corruption), name
            found -= {prefix + part for part in manifest.names}
        extra |= found - {name for name, _ in manifests[-2:]}
    return extra
