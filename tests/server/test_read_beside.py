"""A data directory read by this process while a server has it, which the official SDK writes to and which is killed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import tablestore as ots
from support.sdk import IGNORE
from support.server import ServerProcess

import lutra


def _create(client: ots.OTSClient) -> None:
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    client.create_table(ots.TableMeta("t", [("id", "INTEGER")]), ots.TableOptions(), throughput)
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_EUCLIDEAN, 2)
    fields = [
        ots.FieldSchema("n", ots.FieldType.LONG),
        ots.FieldSchema("v", ots.FieldType.VECTOR, vector_options=options),
    ]
    client.create_search_index("t", "i", ots.SearchIndexMeta(fields))


def _put(client: ots.OTSClient, number: int) -> None:
    columns = [("n", number), ("v", bytearray(struct.pack("<2f", number, 0)))]
    client.put_row("t", ots.Row([("id", number)], columns), IGNORE)


def _check(table: lutra.Table, numbers: range) -> None:
    assert [row["id"] for row in table.scan()] == list(numbers)
    assert table.count() == len(numbers)
    assert table.search([numbers[-1], 0], limit=1)[0]["id"] == numbers[-1]
    assert len(table.search(where=lutra.col("n") >= 10, limit=100)) == len(numbers) - 10


@pytest.mark.slow
def test_beside_a_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(data) as server:
        client = server.client()
        _create(client)
        for number in range(20):
            _put(client, number)
        with lutra.connect(data, instance="test", read_only=True) as kept:
            _check(kept.table("t"), range(20))
            for number in range(20, 40):
                _put(client, number)
            _check(kept.table("t"), range(20))
            with lutra.connect(data, instance="test", read_only=True) as reader:
                _check(reader.table("t"), range(40))
            with pytest.raises(lutra.ReadOnlyDatabase):
                kept.table("t").put({"id": 1})
            with pytest.raises(lutra.DirectoryInUse):
                lutra.connect(data)
            kept.refresh()
            _check(kept.table("t"), range(40))
            _put(client, 40)
            server.kill()
            _check(kept.table("t"), range(40))
            kept.refresh()
            _check(kept.table("t"), range(41))
