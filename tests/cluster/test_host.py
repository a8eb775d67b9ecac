"""Partitions of a node: opened from what storage has, made what the map says, answered from, and let go."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.waiting import wait_until

from lutra.cluster.errors import Moved
from lutra.cluster.host import OwnedPartition, PartitionHost
from lutra.cluster.map import IndexEntry, PartitionEntry, TableEntry
from lutra.feed.crew import THREADS
from lutra.feed.crews import HOUSEKEEPERS, Crews
from lutra.index.lsm.resources import Resources
from lutra.kv.batch import WriteBatch
from lutra.model.errors import Fenced, ParameterInvalid, StorageFailure
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import Range, SearchRequest
from lutra.model.rows import CellOperation, ChangeKind, ReadOptions, RowChange
from lutra.model.schema import (
    DefinedColumn,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    TableDescription,
    TableOptions,
    TableSchema,
)
from lutra.model.values import ColumnType
from lutra.tables.incomingindex import IndexRow
from lutra.tables.keys import KeyCodec

WITHIN_S = 30.0
MEMORY_BYTES = 32 * 1024 * 1024
SCHEMA = TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),), (DefinedColumn("n", ColumnType.INTEGER),))
N = IndexEntry(2, "x", IndexSchema((FieldSchema("n", FieldType.LONG),)), 5)
ENTRY = PartitionEntry("ab12", 1)


@dataclass
class Run:
    is_sure: bool = True

    def __call__(self) -> bool:
        return self.is_sure


@dataclass
class Lease:
    """Of a node: of its newest run."""

    run: Run = field(default_factory=Run)

    @property
    def is_sure(self) -> bool:
        return self.run.is_sure

    @is_sure.setter
    def is_sure(self, is_sure: bool) -> None:
        self.run.is_sure = is_sure


@contextmanager
def node(root: Path, lease: Lease) -> Iterator[PartitionHost]:
    crews = Crews()
    resources = replace(Resources.open(str(root), root / "scratch", MEMORY_BYTES), crews=crews)
    host = PartitionHost(str(root), resources, lambda: lease.run)
    try:
        yield host
    finally:
        host.close_all()
        crews.stop()
        resources.close()


def entry(version: int = 1, *indexes: IndexEntry, schema: TableSchema = SCHEMA) -> TableEntry:
    return TableEntry("main", TableDescription(schema, 1, 1_000, 1_000), indexes, version)


def put(owned: OwnedPartition, *numbers: int) -> None:
    for number in numbers:
        with owned.writing():
            cells = [("n", number, None, CellOperation.PUT)]
            owned.instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), cells))


def found(owned: OwnedPartition) -> list[object]:
    with owned.reading():
        owned.instance.wait_searchable("t", "x", WITHIN_S)
        rows = owned.instance.search("t", "x", SearchRequest(Range("n", 0, None), limit=100)).rows
        return [row.key[0][1] for row in rows]


def read_and_lose(owned: OwnedPartition, lease: Lease) -> None:
    with owned.reading():
        owned.instance.tables.read("t", (("id", 1),), ReadOptions())
        lease.is_sure = False


def test_what_one_node_wrote_another_answers_from(tmp_path: Path) -> None:
    with node(tmp_path, Lease()) as first:
        owned = first.open(ENTRY, entry(1, N), 1)
        put(owned, 1, 2, 3)
        assert found(owned) == [1, 2, 3]
        assert owned.instance.tables.describe("t").created_us == 1_000
        first.close(ENTRY.id)
        assert first.owned() == []
        with pytest.raises(Moved):
            first.get(ENTRY.id)
        with pytest.raises(Moved):
            put(owned, 4)
    with node(tmp_path, Lease()) as second:
        owned = second.open(ENTRY, entry(1, N), 2)
        assert [one.epoch for one in second.owned()] == [2]
        assert found(owned) == [1, 2, 3]
        put(owned, 4)
        assert found(owned) == [1, 2, 3, 4]


def test_nothing_is_answered_by_a_node_that_is_not_sure(tmp_path: Path) -> None:
    lease = Lease()
    with node(tmp_path, lease) as host:
        owned = host.open(ENTRY, entry(), 1)
        put(owned, 1)
        lease.is_sure = False
        with pytest.raises(Moved):
            host.get(ENTRY.id)
        with pytest.raises(Moved):
            put(owned, 2)
        lease.is_sure = True
        with pytest.raises(Moved):
            read_and_lose(owned, lease)
        lease.is_sure = True
        with owned.reading():
            assert owned.instance.tables.read("t", (("id", 2),), ReadOptions()).row is None


def test_what_one_run_of_a_node_opened_the_next_does_not_answer_from(tmp_path: Path) -> None:
    """Somebody else may have had it in between."""
    lease = Lease()
    with node(tmp_path, lease) as host:
        owned = host.open(ENTRY, entry(), 1)
        put(owned, 1)
        lease.is_sure, lease.run = False, Run()
        with pytest.raises(Moved):
            host.get(ENTRY.id)
        again = host.open(ENTRY, entry(), 3)
        put(again, 2)
        assert host.get(ENTRY.id) is again


def test_who_was_overtaken_acknowledges_nothing_though_it_is_sure(tmp_path: Path) -> None:
    with node(tmp_path, Lease()) as first, node(tmp_path, Lease()) as second:
        before = first.open(ENTRY, entry(1, N), 1)
        put(before, 1)
        owned = second.open(ENTRY, entry(1, N), 2)
        for number in (2, 3):
            with pytest.raises(Fenced):
                put(before, number)
        assert (first.broken(), second.broken()) == ([ENTRY.id], [])
        assert found(owned) == [1]
        put(owned, 4)
        first.close(ENTRY.id)
        assert first.broken() == []
        assert found(owned) == [1, 4]


def names_beside(before: set[threading.Thread]) -> Counter[str]:
    """Of the threads that have come since: others of the process may be those of tests that ran in it."""
    return Counter(thread.name for thread in threading.enumerate() if thread not in before)


def test_many_partitions_take_a_thread_each_and_share_the_others(tmp_path: Path) -> None:
    count, before = 12, set(threading.enumerate())
    with node(tmp_path, Lease()) as host:
        for number in range(count):
            put(host.open(replace(ENTRY, id=f"p{number}"), entry(1, N), 1), number)
        for number, owned in enumerate(host.owned()):
            assert len(found(owned)) == 1, number
        names = names_beside(before)
        assert names["lutra-feeder"] == count
        shared = sum(names[name] for name in ("lutra-feed", "lutra-tidy", "lutra-housekeeper"))
        assert shared <= 2 * (THREADS + 1) + HOUSEKEEPERS + 1
        host.close("p0")
        assert found(host.get("p1")) == [1]
    assert not names_beside(before).keys() & {"lutra-feed", "lutra-tidy", "lutra-feeder"}


def test_a_node_that_is_not_sure_lets_go_without_the_store(tmp_path: Path) -> None:
    lease = Lease()
    with node(tmp_path, lease) as host:
        owned = host.open(ENTRY, entry(1, N), 1)
        put(owned, 1)
        lease.is_sure = False
        host.close(ENTRY.id)
        assert host.owned() == []
        with pytest.raises(StorageFailure, match="not surely here any more"):
            owned.partition.store.commit(batch_of(b"zz"))
        wait_until(lambda: not abandoning(), WITHIN_S)
        lease.is_sure = True
        again = host.open(ENTRY, entry(1, N), 3)
        assert found(again) == [1]


def batch_of(key: bytes) -> WriteBatch:
    batch = WriteBatch()
    batch.put(key, b"")
    return batch


def abandoning() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("lutra-abandon")]


def test_only_the_rows_of_its_range_are_meant(tmp_path: Path) -> None:
    codec = KeyCodec(b"", SCHEMA.key)
    begin, end = (codec.encode((("id", number),)) for number in (2, 4))
    with node(tmp_path, Lease()) as host:
        put(host.open(ENTRY, entry(1), 1), 1, 2, 3, 4)
        host.close(ENTRY.id)
        owned = host.open(replace(ENTRY, begin=begin, end=end), entry(1), 2)
        with owned.reading():
            assert owned.instance.tables.count("t") == 2


def test_a_partition_that_was_closed_follows_the_map_when_it_is_opened(tmp_path: Path) -> None:
    local = SecondaryIndex("by_n", ("id", "n"), (), IndexKind.LOCAL)
    other = SecondaryIndex("of_n", ("n",), (), IndexKind.GLOBAL)
    wider = replace(SCHEMA, options=TableOptions(max_versions=1, allow_update=False))
    with node(tmp_path, Lease()) as host:
        put(host.open(ENTRY, entry(1, N), 1), 1)
        host.close(ENTRY.id)
        owned = host.open(ENTRY, entry(5, schema=replace(wider, indexes=(local, other))), 2)
        described = owned.instance.tables.describe("t")
        assert described.schema.options == wider.options
        assert [index.name for index in described.schema.indexes] == ["by_n"], "the global one is a table of its own"
        assert owned.instance.list_search_indexes("t") == []
        owned.reconcile(entry(4, N))
        assert owned.instance.list_search_indexes("t") == [], "what an older map says was"
        owned.reconcile(entry(6, replace(N, uid=9), schema=wider))
        assert found(owned) == [1]
        assert owned.table.version == 6


def test_what_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    broken, before = entry(schema=replace(SCHEMA, key=())), set(threading.enumerate())
    with node(tmp_path, Lease()) as host:
        with pytest.raises(ParameterInvalid):
            host.open(ENTRY, broken, 1)
        assert host.owned() == []
        assert "lutra-feeder" not in names_beside(before)
        put(host.open(ENTRY, entry(), 2), 1)


def test_partitions_are_let_go_together_and_calls_under_way_end_first(tmp_path: Path) -> None:
    begun, end, told = threading.Event(), threading.Event(), []
    with node(tmp_path, Lease()) as host:
        for number in range(3):
            host.open(replace(ENTRY, id=f"p{number}"), entry(), 1)
        owned = host.get("p1")

        def write() -> None:
            with owned.writing():
                begun.set()
                end.wait(WITHIN_S)
                cells = [("n", 1, None, CellOperation.PUT)]
                told.append(owned.instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", 1),), cells)))

        writer = threading.Thread(target=write)
        writer.start()
        begun.wait(WITHIN_S)
        closer = threading.Thread(target=host.close_all)
        closer.start()
        wait_until(lambda: owned.is_closed, WITHIN_S)
        end.set()
        closer.join(WITHIN_S)
        writer.join(WITHIN_S)
        assert len(told) == 1
        assert host.owned() == []
        with pytest.raises(StorageFailure):
            owned.instance.tables.read("t", (("id", 1),), ReadOptions())
        with pytest.raises(Moved):
            put(owned, 5)


def test_what_is_only_prepared_sends_nothing(tmp_path: Path) -> None:
    """Its stamps are larger than those of the partition whose place it is to take, and may not."""
    sent: list[tuple[int, list[IndexRow]]] = []
    indexed = replace(
        SCHEMA,
        defined=(DefinedColumn("n", ColumnType.INTEGER),),
        indexes=(SecondaryIndex("by_n", ("n",), (), IndexKind.GLOBAL, index_id=9),),
    )
    with node(tmp_path, Lease()) as host:
        host.send_index_rows = lambda uid, rows: sent.append((uid, list(rows)))
        before = host.open(ENTRY, entry(schema=indexed), 1)
        put(before, 1)
        wait_until(lambda: len(sent) == 1, WITHIN_S)
        prepared = host.prepare(replace(ENTRY, id="cd34"), entry(schema=indexed), 1, lambda: True)
        put(prepared, 2)
        feeds = list(prepared.outgoing._feeds.values())
        wait_until(lambda: "not answered from yet" in str(feeds[0].error), WITHIN_S)
        assert len(sent) == 1
        host.exchange(before, [prepared])
        wait_until(lambda: len(sent) == 2, WITHIN_S)
    assert [(uid, len(rows)) for uid, rows in sent] == [(9, 1), (9, 1)]
