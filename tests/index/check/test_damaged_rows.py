"""Rows of a table that cannot be read: the index goes on without them, says which, and is not called damaged itself."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support.feeding import WAIT_S, content, content_of, define
from support.index_feeder import IndexFeeder

from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.resources import Resources
from lutra.kv.batch import WriteBatch
from lutra.kv.store import KeyValueStore
from lutra.model.clock import SystemClock
from lutra.model.errors import Corruption, IndexDamaged, RequestTimeout, RowDamaged
from lutra.model.rows import ChangeKind, RangeRequest, ReadOptions, RowChange
from lutra.model.schema import TableDescription
from lutra.model.values import INF_MAX, INF_MIN
from lutra.tables import keyspace
from lutra.tables.keys import KeyCodec
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables


def damage(store: KeyValueStore, table: TableDescription, number: int, value: bytes = b"\x07nonsense") -> None:
    batch = WriteBatch()
    codec = KeyCodec(keyspace.rows_prefix(table.table_id), table.schema.key)
    batch.put(codec.encode((("id", number),)), value)
    store.commit(batch)


@pytest.mark.parametrize("value", [b"", b"\x07", b"\x01\xff\xff", b"\x02short"])
def test_an_index_goes_on_without_a_damaged_row(
    value: bytes,
    store: KeyValueStore,
    space: TableSpace,
    tables: Tables,
    new_table: Any,
    put: Any,
    put_many: Any,
    resources: Resources,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    table = new_table("t")
    put_many("t", {n: {"n": n} for n in range(20)})
    damage(store, table, 7, value)
    feed = IndexFeed(define(store, table), tables, space.changelog, store, resources, SystemClock())
    while feed.step():
        pass
    assert set(content(feed)) == set(range(20)) - {7}
    assert feed.watermarks().damaged_rows == 1
    assert "{'id': 7}" in caplog.text
    put("t", 8, n=-8)
    put("t", 9, n=-9)
    put("t", 10, n=-10)
    damage(store, table, 9, value)
    damage(store, table, 10, value)
    while feed.step():
        pass
    assert set(content(feed)) == set(range(20)) - {7, 9, 10}
    assert content(feed)[8] == (-8, None)
    assert feed.watermarks().damaged_rows == 3
    assert feed.watermarks().searchable == feed.watermarks().written
    assert caplog.text.count("goes on without a row") == 3
    put("t", 7, n=7)
    put("t", 9, n=9)
    tables.write("t", _deletion(10))
    while feed.step():
        pass
    assert set(content(feed)) == set(range(20)) - {10}
    assert feed.watermarks().damaged_rows == 0
    feed.close()


def _deletion(number: int) -> Any:
    return RowChange(ChangeKind.DELETE, (("id", number),))


def test_every_door_names_the_row(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put_many: Any
) -> None:
    table = new_table("t")
    put_many("t", {n: {"n": n} for n in range(4)})
    damage(store, table, 2)
    key, options = (("id", 2),), ReadOptions(max_versions=1)
    with pytest.raises(RowDamaged, match=r"row \{'id': 2\} of table \[t\] is damaged"):
        tables.read("t", key, options)
    ((whole, damaged),) = tables.read_batch([("t", [(("id", 1),), key], options)])
    assert isinstance(damaged, RowDamaged)
    assert not isinstance(whole, Exception)
    with pytest.raises(RowDamaged, match="'id': 2"):
        tables.read_range("t", RangeRequest((("id", INF_MIN),), (("id", INF_MAX),), options=options))
    with pytest.raises(RowDamaged, match="'id': 2"):
        tables.read_rows(table.table_id, [key])
    with store.snapshot() as snapshot:
        with pytest.raises(RowDamaged, match="'id': 2"):
            list(tables.scan_rows(table.table_id, snapshot))
        told: list[Any] = []
        rows = list(tables.scan_rows(table.table_id, snapshot, on_damaged=lambda *found: told.append(found)))
    assert [row.key[0][1] for row in rows] == [0, 1, 3]
    assert [found[0] for found in told] == [key]
    found = list(tables.each_row(table.table_id, [(("id", 1),), key, (("id", 9),)]))
    assert [type(one).__name__ for one in found] == ["Row", "RowDamaged", "NoneType"]


def test_a_table_that_cannot_be_read_is_not_called_a_damaged_index(
    fast_ticks: None,
    store: KeyValueStore,
    space: TableSpace,
    tables: Tables,
    new_table: Any,
    put: Any,
    feeder: IndexFeeder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed = feeder.follow(define(store, new_table("t")), tables)
    put("t", 1, n=1)
    feeder.wait_searchable(feed, WAIT_S)
    whole = type(space.changelog).read

    def damaged(*_: Any) -> Any:
        raise Corruption("a block of the changelog is cut short")

    with monkeypatch.context() as patch:
        patch.setattr(type(space.changelog), "read", damaged)
        put("t", 2, n=2)
        with pytest.raises(RequestTimeout, match="block of the changelog"):
            feeder.wait_searchable(feed, 0.3)
    assert type(space.changelog).read is whole
    assert "is damaged" not in caplog.text
    assert "delete the index" not in caplog.text
    feeder.wait_searchable(feed, WAIT_S)
    assert content_of(feed.view()) == {1: 1, 2: 2}


def test_a_lost_object_is_told_as_a_damaged_index(
    store: KeyValueStore, space: TableSpace, tables: Tables, new_table: Any, put: Any, resources: Resources
) -> None:
    definition = define(store, new_table("t"))
    put("t", 1, n=1)
    feed = IndexFeed(definition, tables, space.changelog, store, resources, SystemClock())
    while feed.step():
        pass
    feed.index.flush()
    feed.close()
    for name in resources.store.list("indexes"):
        if "/segments/" in name:
            resources.store.delete(name)
    feed = IndexFeed(definition, tables, space.changelog, store, resources, SystemClock())
    with pytest.raises(IndexDamaged, match="delete the index and create it again"):
        feed.step()
    feed.close()
