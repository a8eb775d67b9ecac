"""The n-th commit fails, before or after it reached the store: nothing acknowledged is lost, nothing is half there."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from typing import Literal

import pytest

from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore, Pair, Snapshot
from lutra.model.errors import LutraError, ObjectNotExist, StorageFailure
from lutra.model.rows import CellOperation, ChangeKind, RangeRequest, Row, RowChange
from lutra.model.schema import KeyColumn, TableSchema, TableUpdate
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

When = Literal["before", "after"]
EVERYTHING = RangeRequest((("pk", INF_MIN),), (("pk", INF_MAX),))


class FailingStore:
    """Fails its n-th commit: before applying it, or after, as an fsync may."""

    def __init__(self, inner: KeyValueStore, fails_at: int, when: When) -> None:
        self.inner = inner
        self.fails_at = fails_at
        self.when = when
        self.commits = 0
        self.lock = threading.Lock()

    def commit(self, batch: WriteBatch) -> None:
        with self.lock:
            self.commits += 1
            fails = self.commits == self.fails_at
        if not (fails and self.when == "before"):
            self.inner.commit(batch)
        if fails:
            raise StorageFailure("input/output error")

    def get(self, key: bytes) -> bytes | None:
        return self.inner.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self.inner.get_many(keys)

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        return self.inner.scan(begin, end, reverse=reverse)

    def snapshot(self) -> Snapshot:
        return self.inner.snapshot()

    def size_bytes(self, begin: bytes, end: bytes) -> int:
        return self.inner.size_bytes(begin, end)

    def split(self, begin: bytes, end: bytes, piece_bytes: int, limit: int) -> list[bytes]:
        return self.inner.split(begin, end, piece_bytes, limit)

    def close(self) -> None:
        self.inner.close()


def rows_of(tables: Tables) -> list[Row]:
    return tables.read_range("t", EVERYTHING).rows


def check_whole(space: TableSpace, acknowledged: dict[int, set[int]], attempted: dict[int, set[int]]) -> None:
    """Each round of a writer put the same number into a pair of rows and incremented a third, in one batch."""
    tables = space.instance("default")
    found = {row.key[0][1]: row.cells[0][1] for row in rows_of(tables)}
    table_id = tables.describe("t").table_id
    logged = [change.key[0][1] for change in space.changelog.read(table_id, 0, 100_000)]
    for worker, rounds in attempted.items():
        base = worker * 1_000
        there = {i for i in rounds if base + 2 * i in found}
        assert {i for i in rounds if base + 2 * i + 1 in found} == there, "a batch is torn"
        assert acknowledged[worker] <= there, "an acknowledged batch is lost"
        assert found.get(-1 - worker, 0) == len(there), "a counter disagrees with the rows of its batches"
        for i in there:
            assert logged.count(base + 2 * i) == 1, "a row and its changelog entry part"
    assert len(logged) == len(set(logged)) + sum(max(0, logged.count(-1 - worker) - 1) for worker in attempted)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fails_at", [*range(1, 13), 20, 35])
def test_a_failed_commit_takes_only_its_own_with_it(fails_at: int, when: When) -> None:
    inner = MemoryStore()
    store = FailingStore(inner, fails_at, when)
    acknowledged: dict[int, set[int]] = {worker: set() for worker in range(3)}
    attempted: dict[int, set[int]] = {worker: set() for worker in range(3)}
    try:
        space = TableSpace(store)
        space.instance("default").create(TableSchema("t", (KeyColumn("pk", ColumnType.INTEGER),)))
    except StorageFailure:
        assert fails_at <= 2
        space = TableSpace(store)
        if "t" not in space.instance("default").names():
            space.instance("default").create(TableSchema("t", (KeyColumn("pk", ColumnType.INTEGER),)))
    tables = space.instance("default")

    def work(worker: int) -> None:
        base = worker * 1_000
        for i in range(12):
            attempted[worker].add(i)
            pair = [RowChange(ChangeKind.PUT, (("pk", base + 2 * i + j),), [("n", i, None, 0)]) for j in (0, 1)]
            count = RowChange(ChangeKind.UPDATE, (("pk", -1 - worker),), [("n", 1, None, CellOperation.INCREMENT)])
            try:
                tables.write_batch([("t", [*pair, count])])
            except StorageFailure:
                continue
            acknowledged[worker].add(i)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_whole(space, acknowledged, attempted)
    last = space.changelog.last_sequence
    reopened = TableSpace(inner)
    check_whole(reopened, acknowledged, attempted)
    assert reopened.changelog.last_sequence >= last
    written = sum(map(len, acknowledged.values()))
    assert written < 36 or store.commits < fails_at or fails_at <= 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fails_at", range(1, 9))
def test_tables_come_and_go_wholly_though_a_commit_fails(fails_at: int, when: When) -> None:
    inner = MemoryStore()
    key = (KeyColumn("pk", ColumnType.INTEGER),)
    TableSpace(inner).instance("default").create(TableSchema("kept", key))
    store = FailingStore(inner, fails_at, when)
    space = TableSpace(store)
    tables = space.instance("default")
    rng = random.Random(fails_at)
    ids = [tables.describe("kept").table_id]
    for _ in range(8):
        try:
            if "t" in tables.names():
                if rng.random() < 0.5:
                    tables.update("t", TableUpdate(max_versions=rng.randrange(1, 9)))
                else:
                    tables.delete("t")
            else:
                ids.append(tables.create(TableSchema("t", key)).table_id)
                tables.write("t", RowChange(ChangeKind.PUT, (("pk", 1),)))
        except StorageFailure:
            # What stands in memory still works, whatever became of it on disk.
            assert set(tables.names()) <= {"kept", "t"}
            if "t" in tables.names():
                tables.write("t", RowChange(ChangeKind.PUT, (("pk", 2),)))
            space = TableSpace(store)
            tables = space.instance("default")
        reopened = TableSpace(inner).instance("default")
        assert reopened.names() == tables.names()
        for name in tables.names():
            assert reopened.describe(name) == tables.describe(name)
        if "t" not in tables.names():
            with pytest.raises(ObjectNotExist):
                rows_of(tables)
    assert len(ids) == len(set(ids))


def test_a_store_that_fails_reads_fails_the_rows_that_need_them(tables: Tables, store: KeyValueStore) -> None:
    tables.create(TableSchema("t", (KeyColumn("pk", ColumnType.INTEGER),)))
    store.close()
    with pytest.raises(LutraError, match="closed"):
        tables.write("t", RowChange(ChangeKind.PUT, (("pk", 1),)))
    with pytest.raises(LutraError, match="closed"):
        rows_of(tables)
