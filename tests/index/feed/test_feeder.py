"""The feeder over real tables: filling, following, failing."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.feeding import SCHEMA, WAIT_S, content, define, in_table
from support.index_feeder import IndexFeeder
from support.waiting import wait_until

from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.buffer import Buffer
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import prefix_of
from lutra.kv.memory import MemoryStore
from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import KeyValueStore, Pair
from lutra.model.clock import SystemClock
from lutra.model.errors import ObjectNotExist, RequestTimeout, StorageFailure
from lutra.model.indexes import SyncPhase
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema, TableUpdate
from lutra.model.values import ColumnType
from lutra.tables import keyspace
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables


def test_fills_then_follows(
    store: KeyValueStore,
    space: TableSpace,
    tables: Tables,
    new_table: Any,
    put: Any,
    put_many: Any,
    feeder: IndexFeeder,
) -> None:
    table = new_table("t")
    put_many("t", {n: {"n": n, "v": f"[{n}, 0]"} for n in range(1_500)})
    feed = feeder.follow(define(store, table), tables)
    feeder.wait_searchable(feed, WAIT_S)
    assert content(feed) == {n: (n, [n, 0]) for n in range(1_500)}
    put("t", 3, n=-3)
    put("t", 9_999, n=1, v="[1, 2, 3]")
    tables.write("t", RowChange(ChangeKind.DELETE, (("id", 4),)))
    tables.write("t", RowChange(ChangeKind.UPDATE, (("id", 5),), [("n", 50, None, CellOperation.PUT)]))
    feeder.wait_searchable(feed, WAIT_S)
    seen = content(feed)
    assert seen[3] == (-3, None)
    assert seen[9_999] == (1, None)
    assert 4 not in seen
    assert seen[5] == (50, [5, 0])
    assert seen == in_table(tables, store, table)
    described = feed.description()
    assert (described.table, described.name, described.schema) == ("t", "x", SCHEMA)
    assert (described.phase, described.rows, described.unindexed_values) == (SyncPhase.INCR, 1_500, 1)
    marks = feed.watermarks()
    assert marks.searchable >= marks.written
    assert marks.rows == 1_500


def test_writers_and_new_indexes_together(
    store: KeyValueStore, tables: Tables, new_table: Any, feeder: IndexFeeder
) -> None:
    """Indexes that come while writers run end up with what the tables hold."""
    described = [new_table("a"), new_table("b")]
    errors: list[BaseException] = []

    def write(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(60):
                changes = []
                for number in rng.sample(range(150), rng.randint(1, 8)):
                    key = (("id", number),)
                    if rng.random() < 0.3:
                        changes.append(RowChange(ChangeKind.DELETE, key))
                        continue
                    kind = rng.choice([ChangeKind.PUT, ChangeKind.UPDATE])
                    n, v = rng.randint(0, 9), json.dumps([rng.randint(0, 9), seed])
                    cells = [("n", n, None, CellOperation.PUT), ("v", v, None, CellOperation.PUT)]
                    changes.append(RowChange(kind, key, cells[: rng.randint(1, 2)]))
                tables.write_batch([(rng.choice("ab"), changes)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    feeds = [feeder.follow(define(store, table, name), tables) for table in described for name in ("x", "y")]
    for thread in threads:
        thread.join()
    assert not errors
    for feed in feeds:
        feeder.wait_searchable(feed, WAIT_S)
        table = described[0] if feed.definition.table == "a" else described[1]
        assert content(feed) == in_table(tables, store, table)


def test_a_change_is_seen_soon_without_asking(
    store: KeyValueStore, tables: Tables, new_table: Any, put: Any, feeder: IndexFeeder
) -> None:
    feed = feeder.follow(define(store, new_table("t")), tables)
    feeder.wait_searchable(feed, WAIT_S)
    waits_s = []
    for number in range(20):
        put("t", number, n=number)
        started_s = time.monotonic()
        while feed.view().rows <= number:
            assert time.monotonic() < started_s + WAIT_S
            time.sleep(0.001)
        waits_s.append(time.monotonic() - started_s)
    assert max(waits_s) < 1.0


def test_watermark_moves_on_without_changes(
    fast_ticks: None,
    store: KeyValueStore,
    tables: Tables,
    new_table: Any,
    put: Any,
    feeder: IndexFeeder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = feeder.follow(define(store, new_table("t")), tables)
    new_table("other")
    feeder.wait_searchable(feed, WAIT_S)
    put("other", 1, n=1)
    now_us = SystemClock().now_us()
    deadline_s = time.monotonic() + WAIT_S
    while feed.watermarks().synced_us < now_us or feed.watermarks().searchable < feed.watermarks().written:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_an_index_is_filled_in_chunks(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, resources: Resources
) -> None:
    """So the others get their turn in between; what is filled so far can be seen."""
    table = new_table("t")
    big = "x" * 200_000
    for first in range(0, 1_200, 200):
        changes = [
            RowChange(ChangeKind.PUT, (("id", n),), [("n", n, None, CellOperation.PUT)])
            for n in range(first, first + 200)
        ]
        tables.write_batch([("t", changes)])
    for n in range(2_000, 2_030):
        tables.write("t", RowChange(ChangeKind.PUT, (("id", n),), [("big", big, None, CellOperation.PUT)]))
    feed = IndexFeed(define(store, table), tables, space.changelog, store, resources, SystemClock())
    sizes = []
    while feed.description().phase is SyncPhase.FULL:
        assert feed.step()
        sizes.append(feed.view().rows)
    assert sizes == [512, 1_024, 1_221, 1_230], "by rows twice, by bytes once, and the rest"
    assert feed.watermarks().searchable >= 0
    assert not feed.step()
    feed.close()


def test_many_changes_are_followed_in_turns(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put_many: Any, resources: Resources
) -> None:
    table = new_table("t")
    feed = IndexFeed(define(store, table), tables, space.changelog, store, resources, SystemClock())
    assert feed.step()
    put_many("t", {n: {"n": n} for n in range(1_500)})
    assert feed.step(), "there is more"
    assert feed.view().rows == 1_024
    assert feed.watermarks().synced_us == 0
    assert not feed.step()
    assert feed.view().rows == 1_500
    assert feed.watermarks().synced_us > 0
    feed.close()


class CountedStore(MemoryStore):
    """Counts the bytes of values that are read, but for those of the changelog."""

    read_bytes = 0

    def get(self, key: bytes) -> bytes | None:
        value = super().get(key)
        self.read_bytes += len(value or b"")
        return value

    def get_many(self, keys: Any) -> list[bytes | None]:
        return [self.get(key) for key in keys]


def test_a_chunk_is_bounded_while_it_is_read(monkeypatch: pytest.MonkeyPatch, resources: Resources) -> None:
    """However large rows turn out to be: 4 MB and one row, of as many as have changed."""
    store = CountedStore()
    space = TableSpace(store)
    tables = space.instance("default")
    table = tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
    feed = IndexFeed(define(store, table), tables, space.changelog, store, resources, SystemClock())
    assert feed.step()
    row_bytes = 1_500_000
    numbers = [*range(100), 5, *range(100, 130), 5, *range(50)]
    for number in numbers:
        cells = [("n", number, None, CellOperation.PUT)]
        if number < 30 or number == 129:
            cells.append(("big", "x" * row_bytes, None, CellOperation.PUT))
        tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), cells))
    taken: list[tuple[int, int]] = []
    whole = SearchIndex.apply

    def counted(self: SearchIndex, rows: Any, deleted: Any = ()) -> None:
        taken.append((len(rows), store.read_bytes))
        store.read_bytes = 0
        whole(self, rows, deleted)

    monkeypatch.setattr(SearchIndex, "apply", counted)
    store.read_bytes = 0
    steps = 1
    while feed.step():
        steps += 1
    assert len(taken) == steps, "one chunk a turn"
    assert steps >= 31 * row_bytes // (4 * 1024 * 1024 + row_bytes)
    assert max(read for _, read in taken) <= 4 * 1024 * 1024 + row_bytes + 10_000
    assert max(rows for rows, _ in taken) > 70, "small rows come together"
    assert set(content(feed)) == set(range(130))
    assert feed.watermarks().searchable == feed.watermarks().written
    feed.close()


class ManualClock:
    def __init__(self) -> None:
        self.time_us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.time_us


def test_rows_expire_with_the_table(store: KeyValueStore, resources: Resources) -> None:
    clock = ManualClock()
    space = TableSpace(store, clock)
    tables = space.instance("default")
    table = tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))

    def put(number: int) -> None:
        tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), [("n", 1, None, CellOperation.PUT)]))

    with IndexFeeder(space.changelog, store, resources, clock) as feeder:
        feed = feeder.follow(define(store, table), tables)
        put(1)
        clock.time_us += 80_000 * 1_000_000
        put(2)
        tables.update("t", TableUpdate(ttl_s=86_400))
        put(3)
        feeder.wait_searchable(feed, WAIT_S)
        assert set(content(feed)) == {1, 2, 3}
        clock.time_us += 10_000 * 1_000_000
        assert set(content(feed)) == {2, 3} == set(in_table(tables, store, table))
        tables.update("t", TableUpdate(ttl_s=200_000))
        put(4)
        feeder.wait_searchable(feed, WAIT_S)
        deadline_s = time.monotonic() + WAIT_S
        while set(content(feed)) != {1, 2, 3, 4}:
            assert time.monotonic() < deadline_s
            time.sleep(0.005)
        assert set(in_table(tables, store, table)) == {1, 2, 3, 4}


def test_removed_index_stands_still(
    store: KeyValueStore, tables: Tables, new_table: Any, put: Any, feeder: IndexFeeder
) -> None:
    feed = feeder.follow(define(store, new_table("t")), tables)
    feeder.wait_searchable(feed, WAIT_S)
    feeder.remove(feed)
    feeder.remove(feed)
    put("t", 1, n=1)
    with pytest.raises(RequestTimeout, match=r"\[x\] of table \[t\] is not up to date"):
        feeder.wait_searchable(feed, 0.2)
    assert feed.view().rows == 0


def test_the_objects_of_a_removed_index_go(
    store: KeyValueStore, tables: Tables, new_table: Any, put: Any, feeder: IndexFeeder, resources: Resources
) -> None:
    feeds = [feeder.follow(define(store, new_table(name)), tables) for name in "tu"]
    for feed in feeds:
        put(feed.definition.table, 1, n=1)
        feeder.wait_searchable(feed, WAIT_S)
        feed.index.flush()
    both = resources.store.list("indexes")
    feeder.remove(feeds[0])
    prefix = prefix_of(feeds[0].definition)
    wait_until(lambda: not resources.store.list(prefix))
    assert resources.store.list("indexes") == [name for name in both if not name.startswith(prefix)]


def test_a_table_that_is_gone(store: KeyValueStore, tables: Tables, new_table: Any, feeder: IndexFeeder) -> None:
    definition = define(store, new_table("t"))
    tables.delete("t")
    with pytest.raises(ObjectNotExist):
        feeder.follow(definition, tables)


def test_stop_ends_the_thread_and_those_who_wait(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, resources: Resources
) -> None:
    before = set(threading.enumerate())
    feeder = IndexFeeder(space.changelog, store, resources)
    feed = feeder.follow(define(store, new_table("t")), tables)
    feeder.wait_searchable(feed, WAIT_S)
    waited: list[str] = []

    def wait() -> None:
        try:
            feed.wait(10**9, WAIT_S)
        except RequestTimeout as error:
            waited.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    feeder.stop()
    feeder.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert "closed" in waited[0]
    assert not any(t.name == "lutra-feeder" for t in set(threading.enumerate()) - before)


def test_an_index_is_whole_again_after_reopening(tmp_path: Path, resources: Resources) -> None:
    key = (KeyColumn("id", ColumnType.INTEGER),)
    for number in range(3):
        store = RocksStore(tmp_path / "store")
        space = TableSpace(store)
        tables = space.instance("default")
        catalog = IndexCatalog(store)
        if number == 0:
            catalog.create("default", tables.create(TableSchema("t", key)), "x", SCHEMA)
        with IndexFeeder(space.changelog, store, resources) as feeder:
            (feed,) = [feeder.follow(definition, tables) for definition in catalog.all()]
            cells = [("n", number, None, CellOperation.PUT)]
            tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), cells))
            feeder.wait_searchable(feed, WAIT_S)
            assert content(feed) == {n: (n, None) for n in range(number + 1)}
        store.close()


# --- failure ---------------------------------------------------------------------------------------------------------


class FailingStore(MemoryStore):
    """Refuses reads of keys under ``bad``, while there is one."""

    bad: bytes | None = None

    def _check(self, key: bytes) -> None:
        if self.bad is not None and key.startswith(self.bad):
            raise StorageFailure("the disk says no")

    def get_many(self, keys: Any) -> list[bytes | None]:
        for key in keys:
            self._check(key)
        return super().get_many(keys)

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        self._check(begin)
        return super().scan(begin, end, reverse=reverse)


def test_a_failing_index_does_not_stop_the_others(
    fast_ticks: None, monkeypatch: pytest.MonkeyPatch, resources: Resources
) -> None:
    store = FailingStore()
    space = TableSpace(store)
    tables = space.instance("default")
    key = (KeyColumn("id", ColumnType.INTEGER),)
    bad, good = tables.create(TableSchema("bad", key)), tables.create(TableSchema("good", key))

    def put(table: str, number: int) -> None:
        tables.write(table, RowChange(ChangeKind.PUT, (("id", number),), [("n", number, None, CellOperation.PUT)]))

    with IndexFeeder(space.changelog, store, resources) as feeder:
        feeds = [feeder.follow(define(store, table), tables) for table in (bad, good)]
        for feed in feeds:
            feeder.wait_searchable(feed, WAIT_S)
        store.bad = keyspace.changes_prefix(bad.table_id)
        for number in range(3):
            put("bad", number)
            put("good", number)
        feeder.wait_searchable(feeds[1], WAIT_S)
        assert feeds[1].view().rows == 3
        assert feeds[1].error is None
        with pytest.raises(RequestTimeout, match="the disk says no"):
            feeder.wait_searchable(feeds[0], 0.3)
        assert feeds[0].error == "StorageFailure: the disk says no"
        assert feeds[0].view().rows == 0
        store.bad = None
        feeder.wait_searchable(feeds[0], WAIT_S)
        assert feeds[0].view().rows == 3
        assert feeds[0].error is None


def test_an_index_that_failed_half_way_is_filled_anew(
    fast_ticks: None,
    store: KeyValueStore,
    tables: Tables,
    new_table: Any,
    put: Any,
    feeder: IndexFeeder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = feeder.follow(define(store, new_table("t")), tables)
    put("t", 1, n=1)
    feeder.wait_searchable(feed, WAIT_S)
    whole = Buffer._stage
    failures = []

    def failing(self: Buffer, doc: int, row: Any, now_ms: int) -> int:
        newest_ms = whole(self, doc, row, now_ms)
        if row.key == (("id", 3),) and len(failures) < 2:
            failures.append(feed.view().rows)
            raise MemoryError("no room")
        return newest_ms

    monkeypatch.setattr(Buffer, "_stage", failing)
    tables.write_batch(
        [("t", [RowChange(ChangeKind.PUT, (("id", n),), [("n", n, None, CellOperation.PUT)]) for n in (2, 3, 4)])]
    )
    feeder.wait_searchable(feed, WAIT_S)
    assert failures == [1, 1], "what was searchable stays so until the index is whole again"
    assert content(feed) == {n: (n, None) for n in (1, 2, 3, 4)}
    assert feed.error is None


def test_no_search_sees_an_index_that_begins_anew(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, resources: Resources
) -> None:
    """The index that failed half way and the empty one in its place change as one, seen from any thread."""
    feed = IndexFeed(define(store, new_table("t")), tables, space.changelog, store, resources, SystemClock())
    put("t", 1, n=1)
    while feed.step():
        pass
    seen: set[int] = set()
    stopping = threading.Event()

    def look() -> None:
        while not stopping.is_set():
            seen.add(feed.view().rows)

    switch_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            feed.index._torn = True
            feed.failed(MemoryError("no room"))
            while feed.step():
                pass
    finally:
        stopping.set()
        sys.setswitchinterval(switch_interval_s)
        for thread in threads:
            thread.join(WAIT_S)
    assert seen == {1}
    feed.close()
