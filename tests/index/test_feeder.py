"""The feeder over real tables: filling, following, failing, forgetting."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.indexes import resources_in

from lutra.index import feeder as feeder_module
from lutra.index.buffer import Buffer
from lutra.index.catalog import IndexCatalog
from lutra.index.definition import IndexDefinition
from lutra.index.feed import Feed
from lutra.index.feeder import Feeder
from lutra.index.index import SearchIndex
from lutra.index.policy import Policy
from lutra.index.progress import Progress
from lutra.index.resources import Resources
from lutra.index.storage import prefix_of
from lutra.index.trimmer import Trimmer
from lutra.index.view import IndexView, PartView
from lutra.kv.memory import MemoryStore
from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import KeyValueStore, Pair
from lutra.model.clock import SystemClock
from lutra.model.errors import Fenced, ObjectNotExist, RequestTimeout, StorageFailure
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, SyncPhase, VectorOptions
from lutra.model.rows import CellOperation, ChangeKind, Row, RowChange
from lutra.model.schema import KeyColumn, TableDescription, TableSchema, TableUpdate
from lutra.model.values import ColumnType
from lutra.tables import keyspace
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

WAIT_S = 20.0
SCHEMA = IndexSchema(
    (
        FieldSchema("n", FieldType.LONG),
        FieldSchema("tags", FieldType.KEYWORD, is_array=True),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2)),
    )
)


@pytest.fixture
def fast_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be asked for before ``feeder``."""
    monkeypatch.setattr(feeder_module, "_TICK_S", 0.02)


@pytest.fixture
def feeder(space: TableSpace, store: KeyValueStore, resources: Resources) -> Iterator[Feeder]:
    with Feeder(space.changelog, store, resources) as running:
        yield running


def define(store: KeyValueStore, table: TableDescription, name: str = "x") -> IndexDefinition:
    return IndexCatalog(store).create("default", table, name, SCHEMA)


def content(feed: Feed) -> dict[int, tuple[int | None, list[float] | None]]:
    """``n`` and ``v`` of each searchable row."""
    view = feed.view()
    (part,) = view.parts
    assert isinstance(part, PartView)
    numbers, vectors = part.scalars["n"], part.vectors["v"]
    n_of: dict[int, int] = {}
    docs = np.arange(len(numbers.values)) if numbers.docs is None else numbers.docs
    n_of.update(zip(docs.tolist(), numbers.values.tolist(), strict=True))
    v_of: dict[int, list[float]] = {}
    for rows, of in vectors.blocks:
        v_of.update(zip(of.tolist(), rows.tolist(), strict=True))
    keys = {doc: view.decode_key(part.keys.strings[doc]) for doc in np.flatnonzero(part.live).tolist()}
    return {int(key[0][1]): (n_of.get(doc), v_of.get(doc)) for doc, key in keys.items()}


def content_of(view: IndexView) -> dict[int, Any]:
    """``n`` of each row, whatever parts there are."""
    return {
        int(view.decode_key(part.keys.taken(np.array([doc]))[0])[0][1]): part.scalars["n"].value(doc)
        for part in view.parts
        for doc in np.flatnonzero(part.live).tolist()
    }


def in_table(tables: Tables, store: KeyValueStore, table: TableDescription) -> dict[int, Any]:
    result = {}
    with store.snapshot() as snapshot:
        for row in tables.scan_rows(table.table_id, snapshot):
            cells = {name: value for name, value, _ in reversed(row.cells)}
            v = cells.get("v")
            vector = json.loads(v) if isinstance(v, str) else []
            result[int(row.key[0][1])] = (cells.get("n"), vector if len(vector) == 2 else None)
    return result


def test_fills_then_follows(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, put_many: Any, feeder: Feeder
) -> None:
    table = new_table("t")
    put_many("t", {n: {"n": n, "v": f"[{n}, 0]"} for n in range(1_500)})
    feed = feeder.add(define(store, table), tables)
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


def test_writers_and_new_indexes_together(store: KeyValueStore, tables: Tables, new_table: Any, feeder: Feeder) -> None:
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
    feeds = [feeder.add(define(store, table, name), tables) for table in described for name in ("x", "y")]
    for thread in threads:
        thread.join()
    assert not errors
    for feed in feeds:
        feeder.wait_searchable(feed, WAIT_S)
        table = described[0] if feed.definition.table == "a" else described[1]
        assert content(feed) == in_table(tables, store, table)


def test_a_change_is_seen_soon_without_asking(
    store: KeyValueStore, tables: Tables, new_table: Any, put: Any, feeder: Feeder
) -> None:
    feed = feeder.add(define(store, new_table("t")), tables)
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
    feeder: Feeder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = feeder.add(define(store, new_table("t")), tables)
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
    feed = Feed(define(store, table), tables, space.changelog, store, resources, SystemClock())
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
    feed = Feed(define(store, table), tables, space.changelog, store, resources, SystemClock())
    assert feed.step()
    put_many("t", {n: {"n": n} for n in range(1_500)})
    assert feed.step(), "there is more"
    assert feed.view().rows == 1_024
    assert feed.watermarks().synced_us == 0
    assert not feed.step()
    assert feed.view().rows == 1_500
    assert feed.watermarks().synced_us > 0
    feed.close()


def test_large_rows_are_taken_in_few_at_a_time(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, resources: Resources
) -> None:
    table = new_table("t")
    feed = Feed(define(store, table), tables, space.changelog, store, resources, SystemClock())
    assert feed.step()
    for n in range(12):
        put("t", n, n=n, big="x" * 1_000_000)
    assert not feed.step()
    assert feed._chunk_rows < 512
    assert feed.view().rows == 12
    for n in range(20, 30):
        put("t", n, n=n)
        assert not feed.step()
    assert feed._chunk_rows == 512
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

    with Feeder(space.changelog, store, resources, clock) as feeder:
        feed = feeder.add(define(store, table), tables)
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
    store: KeyValueStore, tables: Tables, new_table: Any, put: Any, feeder: Feeder
) -> None:
    feed = feeder.add(define(store, new_table("t")), tables)
    feeder.wait_searchable(feed, WAIT_S)
    feeder.remove(feed)
    feeder.remove(feed)
    put("t", 1, n=1)
    with pytest.raises(RequestTimeout, match=r"\[x\] is not up to date"):
        feeder.wait_searchable(feed, 0.2)
    assert feed.view().rows == 0


def test_the_objects_of_a_removed_index_go(
    store: KeyValueStore, tables: Tables, new_table: Any, put: Any, feeder: Feeder, resources: Resources
) -> None:
    feeds = [feeder.add(define(store, new_table(name)), tables) for name in "tu"]
    for feed in feeds:
        put(feed.definition.table, 1, n=1)
        feeder.wait_searchable(feed, WAIT_S)
        feed.index.flush()
    both = resources.store.list("indexes")
    feeder.remove(feeds[0])
    prefix = prefix_of(feeds[0].definition)
    wait_until(lambda: not resources.store.list(prefix))
    assert resources.store.list("indexes") == [name for name in both if not name.startswith(prefix)]


def test_a_table_that_is_gone(store: KeyValueStore, tables: Tables, new_table: Any, feeder: Feeder) -> None:
    definition = define(store, new_table("t"))
    tables.delete("t")
    with pytest.raises(ObjectNotExist):
        feeder.add(definition, tables)


def test_stop_ends_the_thread_and_those_who_wait(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, resources: Resources
) -> None:
    feeder = Feeder(space.changelog, store, resources)
    feed = feeder.add(define(store, new_table("t")), tables)
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
    assert not any(t.name == "lutra-feeder" for t in threading.enumerate())


def test_an_index_is_whole_again_after_reopening(tmp_path: Path, resources: Resources) -> None:
    key = (KeyColumn("id", ColumnType.INTEGER),)
    for number in range(3):
        store = RocksStore(tmp_path / "store")
        space = TableSpace(store)
        tables = space.instance("default")
        catalog = IndexCatalog(store)
        if number == 0:
            catalog.create("default", tables.create(TableSchema("t", key)), "x", SCHEMA)
        with Feeder(space.changelog, store, resources) as feeder:
            (feed,) = [feeder.add(definition, tables) for definition in catalog.all()]
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

    with Feeder(space.changelog, store, resources) as feeder:
        feeds = [feeder.add(define(store, table), tables) for table in (bad, good)]
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
    feeder: Feeder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = feeder.add(define(store, new_table("t")), tables)
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


# --- the changelog ---------------------------------------------------------------------------------------------------


def test_changes_are_forgotten_once_they_are_in_a_manifest(
    fast_ticks: None,
    store: KeyValueStore,
    space: TableSpace,
    tables: Tables,
    new_table: Any,
    put: Any,
    tmp_path: Path,
) -> None:
    indexed, bare = new_table("indexed"), new_table("bare")
    definition = define(store, indexed)

    def left(table: TableDescription) -> bool:
        return bool(space.changelog.read(table.table_id, 0, 10))

    with Feeder(
        space.changelog, store, resources_in(tmp_path, policy=Policy(flush_age_s=3_600, trim_period_s=0.1))
    ) as feeder:
        feed = feeder.add(definition, tables)
        for number in range(5):
            put("indexed", number, n=number)
            put("bare", number, n=number)
        feeder.wait_searchable(feed, WAIT_S)
        wait_until(lambda: not left(bare))
        time.sleep(0.3)
        assert left(indexed), "they are in memory only"
    with Feeder(
        space.changelog, store, resources_in(tmp_path, policy=Policy(flush_age_s=0.1, trim_period_s=0.1))
    ) as feeder:
        feed = feeder.add(definition, tables)
        feeder.wait_searchable(feed, WAIT_S)
        put("indexed", 9, n=9)
        wait_until(lambda: not left(indexed))
        assert feed.view().rows == 6
        assert feed.index.stats().durable >= 11


def wait_until(reached: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not reached():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize("kill", [False, True])
def test_an_index_goes_on_from_its_manifest(
    fast_ticks: None,
    store: KeyValueStore,
    space: TableSpace,
    tables: Tables,
    new_table: Any,
    put: Any,
    put_many: Any,
    tmp_path: Path,
    kill: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing that a manifest covers is read again; what came after it, or while nobody looked, is."""
    definition = define(store, new_table("t"))
    resources = resources_in(tmp_path, policy=Policy(flush_age_s=3_600))
    with Feeder(space.changelog, store, resources) as feeder:
        feed = feeder.add(definition, tables)
        put_many("t", {n: {"n": n, "v": f"[{n}, 0]"} for n in range(300)})
        feeder.wait_searchable(feed, WAIT_S)
        feed.index.flush()
        put("t", 1, n=-1)
        tables.write("t", RowChange(ChangeKind.DELETE, (("id", 2),)))
        feeder.wait_searchable(feed, WAIT_S)
        if not kill:
            feed.index.flush()
    put("t", 3, n=-3)
    taken: list[Any] = []
    whole = SearchIndex.apply

    def watched(self: SearchIndex, rows: Any, deleted: Any = ()) -> None:
        taken.extend([row.key[0][1] for row in rows] + [key[0][1] for key in deleted])
        whole(self, rows, deleted)

    monkeypatch.setattr(SearchIndex, "apply", watched)
    with Feeder(space.changelog, store, resources) as feeder:
        feed = feeder.add(definition, tables)
        assert feed.watermarks().searchable == -1
        feeder.wait_searchable(feed, WAIT_S)
        assert sorted(taken) == ([1, 2, 3] if kill else [3])
        view = feed.view()
        assert view.rows == 299
        assert content_of(view) == {n: -n if n in (1, 3) else n for n in range(300) if n != 2}
        marks = feed.watermarks()
        assert marks.written == marks.searchable >= marks.indexed > 0


def test_a_fill_that_was_broken_off_goes_on(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, put_many: Any, tmp_path: Path
) -> None:
    table = new_table("t")
    definition = define(store, table)
    put_many("t", {n: {"n": n} for n in range(2_000)})
    resources = resources_in(tmp_path, policy=Policy(flush_bytes=1))
    feed = Feed(definition, tables, space.changelog, store, resources, SystemClock())
    for _ in range(2):
        assert feed.step()
    feed.index.maintain()
    assert feed.step()
    feed.close()
    for number in (5, 1_999):
        put("t", number, n=-number)
    tables.write("t", RowChange(ChangeKind.DELETE, (("id", 6),)))
    feed = Feed(definition, tables, space.changelog, store, resources, SystemClock())
    assert feed.step()
    assert feed.index.progress.filled_through == feed.index.encode((("id", 1_535),)), "from 1,024 on"
    assert feed.description().phase is SyncPhase.FULL
    while feed.step():
        pass
    assert feed.description().phase is SyncPhase.INCR
    assert feed.view().rows == 1_999
    assert content_of(feed.view()) == {n: -n if n in (5, 1_999) else n for n in range(2_000) if n != 6}
    feed.close()


def test_what_waits_to_be_built_holds_the_feed_up(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, tmp_path: Path
) -> None:
    definition = define(store, new_table("t"))
    resources = resources_in(tmp_path, policy=Policy(flush_bytes=1))
    feed = Feed(definition, tables, space.changelog, store, resources, SystemClock())
    while feed.step():
        pass
    for number in range(12):
        put("t", number, n=number)
        feed.step()
    assert feed.index.waiting_buffers == 8
    assert feed.view().rows == 8
    assert feed.paused_until_s > time.monotonic() - 1
    feed.index.maintain()
    assert feed.index.waiting_buffers == 0
    assert not feed.step()
    assert feed.view().rows == 12
    feed.close()


def test_an_index_of_another_table_s_past_is_filled_anew(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, resources: Resources
) -> None:
    """Where the table is an older backup than its index."""
    definition = define(store, new_table("t"))
    put("t", 1, n=1)
    feed = Feed(definition, tables, space.changelog, store, resources, SystemClock())
    while feed.step():
        pass
    feed.index.apply([Row((("id", 7),), [("n", 7, 1)])])
    feed.index.reached(Progress(10_000, True))
    feed.index.flush()
    feed.close()
    feed = Feed(definition, tables, space.changelog, store, resources, SystemClock())
    while feed.step():
        pass
    assert content(feed) == {1: (1, None)}
    feed.close()


def test_another_writer_stops_this_one(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, resources: Resources
) -> None:
    definition = define(store, new_table("t"))
    feeds = [Feed(definition, tables, space.changelog, store, resources, SystemClock()) for _ in range(2)]
    for feed in feeds:
        while feed.step():
            pass
    put("t", 1, n=1)
    for feed in feeds:
        assert not feed.step()
    with pytest.raises(Fenced):
        feeds[0].index.flush()
    with pytest.raises(Fenced):
        feeds[0].step()
    with pytest.raises(Fenced):
        feeds[0].view()
    feeds[1].index.flush()
    assert content_of(feeds[1].view()) == {1: 1}
    for feed in feeds:
        feed.close()


def test_changes_left_from_before_are_forgotten(
    fast_ticks: None,
    store: KeyValueStore,
    space: TableSpace,
    new_table: Any,
    put: Any,
    tmp_path: Path,
) -> None:
    table = new_table("t")
    put("t", 1, n=1)
    with Feeder(space.changelog, store, resources_in(tmp_path, policy=Policy(trim_period_s=0.05))) as feeder:
        feeder.hurry([table.table_id])
        deadline_s = time.monotonic() + WAIT_S
        while space.changelog.read(table.table_id, 0, 10):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


def test_trimmer_waits_for_many_or_long(space: TableSpace, new_table: Any, put: Any) -> None:
    table = new_table("t").table_id
    trimmer = Trimmer(space.changelog, changes_min=5, period_s=30.0)
    needed = 0

    def left() -> list[int]:
        return [change.sequence for change in space.changelog.read(table, 0, 100)]

    def run(now_s: float) -> list[int]:
        trimmer.run(now_s, lambda _: needed)
        return left()

    for number in range(3):
        put("t", number, n=1)
        trimmer.changed({table}, 0.0)
    first = left()
    needed = first[1]
    assert run(1.0) == first, "few, and not for long"
    assert run(31.0) == first[2:], "what is needed stays"
    assert run(32.0) == first[2:]
    for number in range(6):
        put("t", number, n=1)
        trimmer.changed({table}, 33.0)
    needed = left()[-1]
    assert run(34.0) == [], "many go at once"
