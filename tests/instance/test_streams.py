"""Streams of an engine that runs: what has expired goes by itself, and what goes with indexes stays with them."""

from __future__ import annotations

import time
from pathlib import Path

from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model.clock import SystemClock
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, StreamSpec, TableSchema, TableUpdate
from lutra.model.streams import StreamRecord
from lutra.model.values import ColumnType

HOUR_US = 3_600_000_000
GONE_WITHIN_S = 60.0


class AheadClock(SystemClock):
    ahead_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.ahead_us


def put(instance: Instance, key: int) -> None:
    cells = [("n", key, None, CellOperation.PUT)]
    instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", key),), cells))  # type: ignore[arg-type]


def records(instance: Instance) -> list[StreamRecord]:
    (stream,) = instance.list_streams("t")
    assert instance.describe_stream(stream.stream_id) == stream
    at = instance.stream_iterator(stream.stream_id, stream.shards[0].id)
    return instance.read_stream(at, 100, 10**6).records


def test_what_has_expired_goes_by_itself(tmp_path: Path) -> None:
    clock = AheadClock()
    engine = Engine.open(tmp_path / "data", clock=clock)
    try:
        engine.create_instance("one")
        instance = engine.instance("one")
        instance.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
        instance.create_search_index("t", "i", IndexSchema((FieldSchema("n", FieldType.LONG),)))
        put(instance, 1)
        described = instance.update_table("t", TableUpdate(stream=StreamSpec(1)))
        assert described.schema.stream == StreamSpec(1)
        put(instance, 2)
        put(instance, 3)
        assert [record.key for record in records(instance)] == [(("id", 2),), (("id", 3),)]
        assert instance.stream_bytes("t") > 50
        clock.ahead_us = 2 * HOUR_US
        put(instance, 4)
        deadline = time.monotonic() + GONE_WITHIN_S
        while len(found := records(instance)) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert [record.key for record in found] == [(("id", 4),)]
        assert instance.update_table("t", TableUpdate(stream=False)).schema.stream is None
        assert instance.list_streams() == []
        assert instance.list_search_indexes("t") == [("t", "i")]
    finally:
        engine.close()
