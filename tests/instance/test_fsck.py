"""A data directory that is reopened, moved to other objects, damaged, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lutra
from lutra.index.check.fsck import Remedy
from lutra.instance.engine import Engine
from lutra.instance.fsck import check_directory
from lutra.kv.batch import WriteBatch
from lutra.kv.store import prefix_end
from lutra.model.clock import SystemClock
from lutra.model.errors import RowDamaged, StorageFailure
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, StreamSpec, TableOptions, TableSchema, TableUpdate
from lutra.model.values import ColumnType
from lutra.tables import keyspace
from lutra.tables.keys import KeyCodec


def wait(db: lutra.Database) -> None:
    ((table, index),) = db._open().list_search_indexes("t")
    db._open().wait_searchable(table, index, 20)


def filled(path: Path, rows: int = 400, **options: Any) -> None:
    """A database with a table and an index, all of it in segments, but for some rows changed after that."""
    with lutra.connect(path, **options) as db:
        table = db.create_table("t", {"id": int}, {"n": int, "tags": list[str], "v": lutra.Vector(4)})
        table.put_many({"id": n, "n": n % 7, "tags": ["a", str(n)], "v": [n, 1, 2, 3]} for n in range(rows))
        wait(db)
        db._engine.partition.feeder._feeds[0].index.flush()
        table.put({"id": 1, "n": 3})
        table.delete(2)
        wait(db)


def segments(path: Path) -> list[Path]:
    return sorted(found for found in path.rglob("segments/*") if found.is_file())


def test_a_whole_directory(tmp_path: Path) -> None:
    filled(tmp_path / "d")
    assert check_directory(tmp_path / "d") == []
    with lutra.connect(tmp_path / "d") as db:
        wait(db)
        assert db._engine.partition.feeder._feeds[0].view().rows == 399
    assert check_directory(tmp_path / "d") == []


def test_objects_elsewhere(tmp_path: Path) -> None:
    filled(tmp_path / "d", objects=tmp_path / "o")
    assert not (tmp_path / "d" / "objects").exists()
    assert segments(tmp_path / "o")
    assert check_directory(tmp_path / "d", objects=tmp_path / "o") == []


def test_damage_is_named(tmp_path: Path) -> None:
    filled(tmp_path / "d")
    (segment,) = segments(tmp_path / "d")
    data = bytearray(segment.read_bytes())
    data[100] ^= 1
    segment.write_bytes(data)
    faults = check_directory(tmp_path / "d")
    assert faults
    assert segment.name in str(faults[0])
    segment.unlink()
    faults = check_directory(tmp_path / "d")
    assert any("no such object" in str(fault) for fault in faults)


def test_a_damaged_row_is_named_and_the_rest_is_compared(tmp_path: Path) -> None:
    """The index has the row as it was: that is no fault of the index."""
    filled(tmp_path / "d")
    with lutra.connect(tmp_path / "d") as db:
        table = db._open().tables.describe("t")
        codec = KeyCodec(keyspace.rows_prefix(table.table_id), table.schema.key)
        batch = WriteBatch()
        for number in (5, 300):
            batch.put(codec.encode((("id", number),)), b"\x01\xff")
        db._engine.partition.store.commit(batch)
        wait(db)
        with pytest.raises(RowDamaged, match=r"row \{'id': 5\} of table \[t\]"):
            db.table("t").get(5)
        with pytest.raises(RowDamaged, match=r"row \{'id': 300\} of table \[t\]"):
            db.table("t").search(where=lutra.col("n") == 300 % 7, limit=100).to_list()
    faults = check_directory(tmp_path / "d")
    assert [fault.place for fault in faults] == ["row {'id': 5}", "row {'id': 300}"]
    assert {fault.remedy for fault in faults} == {Remedy.RESTORE}


def test_a_damaged_record_of_a_stream_is_named(tmp_path: Path) -> None:
    filled(tmp_path / "d", rows=3)
    with lutra.connect(tmp_path / "d") as db:
        partition, tables = db._engine.partition, db._open().tables
        tables.update("t", TableUpdate(stream=StreamSpec(1)))
        for number in range(3):
            db.table("t").put({"id": number, "n": 1})
        prefix = keyspace.streams_prefix(tables.describe("t").table_id)
        records = list(partition.store.scan(prefix, prefix_end(prefix)))
        assert len(records) == 3
        batch = WriteBatch()
        batch.put(records[1][0], records[1][1][:-1])
        partition.store.commit(batch)
    (fault,) = check_directory(tmp_path / "d")
    assert (fault.table, fault.place, fault.remedy) == ("t", "stream", Remedy.STREAM)
    assert "record " in fault.text


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="no data directory"):
        check_directory(tmp_path / "nothing")


def test_rows_are_looked_for_in_every_segment(tmp_path: Path) -> None:
    """Also where a segment has none of those that are compared at once."""
    with lutra.connect(tmp_path / "d") as db:
        table = db.create_table("t", {"id": int}, {"n": int, "v": lutra.Vector(4)})
        index = db._engine.partition.feeder._feeds[0].index
        for begin in (0, 2_000):
            table.put_many({"id": n, "n": n % 7, "v": [n, 1, 2, 3]} for n in range(begin, begin + 1_500))
            wait(db)
            index.flush()
        assert len(index.stats().segments) == 2
    assert check_directory(tmp_path / "d") == []


class Later:
    """A clock that is ahead."""

    def __init__(self, ahead_s: int) -> None:
        self._ahead_us = ahead_s * 1_000_000

    def now_us(self) -> int:
        return SystemClock().now_us() + self._ahead_us


def test_what_expires_cell_by_cell_is_no_fault(tmp_path: Path) -> None:
    """A row's older cell expires before its row does: a read has it no more, the index until the row is written."""
    now_ms = SystemClock().now_us() // 1_000
    engine = Engine.open(tmp_path)
    engine.create_instance("i1")
    instance = engine.instance("i1")
    schema = TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),), options=TableOptions(ttl_s=86_400))
    instance.tables.create(schema)
    fields = (FieldSchema("a", FieldType.LONG), FieldSchema("b", FieldType.LONG))
    instance.create_search_index("t", "x", IndexSchema(fields))
    for number, newest_ms in enumerate((now_ms, now_ms - 80_000_000)):
        cells = [("a", 1, now_ms - 80_000_000, CellOperation.PUT), ("b", 2, newest_ms, CellOperation.PUT)]
        instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), cells))
    instance.wait_searchable("t", "x", 20)
    engine.partition.feeder._feeds[0].index.flush()
    engine.close()
    for ahead_s in (0, 10_000, 100_000):
        assert check_directory(tmp_path, clock=Later(ahead_s)) == []
