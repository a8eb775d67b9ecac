"""Messages the Python client has no method for, or never sends: made by hand and signed by it."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import tablestore as ots
from support.sdk import invalid, load, put, refused, send
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.plainbuffer.plain_buffer_coded_stream import PlainBufferCodedInputStream
from tablestore.plainbuffer.plain_buffer_stream import PlainBufferInputStream
from tablestore.protobuf import table_store_pb2 as wire

MIB = 1024 * 1024
OPERATIONS = [
    "CreateTable",
    "DescribeTable",
    "UpdateTable",
    "DeleteTable",
    "GetRow",
    "PutRow",
    "UpdateRow",
    "DeleteRow",
    "BatchGetRow",
    "BatchWriteRow",
    "GetRange",
    "ComputeSplitPointsBySize",
    "AddDefinedColumn",
    "DeleteDefinedColumn",
    "CreateSearchIndex",
    "DescribeSearchIndex",
    "DeleteSearchIndex",
    "Search",
]


@pytest.fixture
def table_wire() -> Any:
    """Lutra's own messages, where the tests run on the interpreter that has them."""
    return pytest.importorskip("lutra.server.wire.table_pb2", reason="Lutra is not installed for this interpreter")


def _defined(client: ots.OTSClient, table: str) -> list[tuple[str, str]]:
    return client.describe_table(table).table_meta.defined_columns


def test_defined_columns_are_added_and_deleted(sync_client: ots.OTSClient, make: TableMaker, table_wire: Any) -> None:
    table = make.table(defined=[("a", "STRING")])
    columns = [
        table_wire.DefinedColumnSchema(name="b", type=table_wire.DEFINED_COLUMN_TYPE_INTEGER),
        table_wire.DefinedColumnSchema(name="c", type=table_wire.DEFINED_COLUMN_TYPE_BLOB),
    ]
    add = table_wire.AddDefinedColumnRequest(table_name=table, columns=columns)
    assert send(sync_client, "AddDefinedColumn", add.SerializeToString()) == b""
    assert _defined(sync_client, table) == [("a", "STRING"), ("b", "INTEGER"), ("c", "BINARY")]
    with invalid():
        put(sync_client, table, [("id", "x")], b="no integer")

    delete = table_wire.DeleteDefinedColumnRequest(table_name=table, columns=["a", "b"])
    assert send(sync_client, "DeleteDefinedColumn", delete.SerializeToString()) == b""
    assert _defined(sync_client, table) == [("c", "BINARY")]
    put(sync_client, table, [("id", "x")], b="no integer")


def test_defined_columns_that_cannot_be_added(sync_client: ots.OTSClient, make: TableMaker, table_wire: Any) -> None:
    table = make.table(defined=[("a", "STRING")])
    for name in ("a", "id", "#bad", ""):
        column = table_wire.DefinedColumnSchema(name=name, type=table_wire.DEFINED_COLUMN_TYPE_INTEGER)
        add = table_wire.AddDefinedColumnRequest(table_name=table, columns=[column])
        with invalid():
            send(sync_client, "AddDefinedColumn", add.SerializeToString())
    with invalid():
        send(sync_client, "AddDefinedColumn", table_wire.AddDefinedColumnRequest(table_name=table).SerializeToString())
    delete = table_wire.DeleteDefinedColumnRequest(table_name=table, columns=["absent"])
    with invalid():
        send(sync_client, "DeleteDefinedColumn", delete.SerializeToString())
    assert _defined(sync_client, table) == [("a", "STRING")]
    missing = table_wire.DeleteDefinedColumnRequest(table_name="absent", columns=["a"])
    with refused("OTSObjectNotExist", 404, "Requested table does not exist."):
        send(sync_client, "DeleteDefinedColumn", missing.SerializeToString())


def _split(client: ots.OTSClient, table: str, unit_bytes: int, size: int = 1) -> wire.ComputeSplitPointsBySizeResponse:
    request = wire.ComputeSplitPointsBySizeRequest(
        table_name=table, split_size=size, split_size_unit_in_byte=unit_bytes
    )
    answer = send(client, "ComputeSplitPointsBySize", request.SerializeToString())
    return wire.ComputeSplitPointsBySizeResponse.FromString(answer)


def test_split_points_cut_a_table_into_pieces(sync_client: ots.OTSClient, make: TableMaker) -> None:
    table = make.table([("n", "INTEGER"), ("s", "STRING")])
    for start in range(0, 40, 10):
        rows = [([("n", n), ("s", "x")], {"blob": bytearray(100_000)}) for n in range(start, start + 10)]
        load(sync_client, table, rows)
    response = _split(sync_client, table, MIB)
    assert [column.name for column in response.schema] == ["n", "s"]
    points = []
    for point in response.split_points:
        key, _ = PlainBufferCodedInputStream(PlainBufferInputStream(point)).read_row()
        assert key[0][0] == "n"
        points.append(key[0][1])
    assert points == sorted(set(points))
    assert all(0 < point < 40 for point in points)
    assert 2 <= len(points) <= 6
    assert [(len(place.location), place.repeat) for place in response.locations] == [(32, len(points) + 1)]


def test_split_points_of_little(sync_client: ots.OTSClient, table: str) -> None:
    assert list(_split(sync_client, table, MIB).split_points) == []
    put(sync_client, table, [("id", "a")], n=1)
    assert list(_split(sync_client, table, MIB).split_points) == []


def test_split_points_that_cannot_be(sync_client: ots.OTSClient, table: str) -> None:
    with refused("OTSObjectNotExist", 404, "Requested table does not exist."):
        _split(sync_client, "absent", MIB)
    for size in (0, -1):
        with invalid("The split_size should be greater than 0."):
            _split(sync_client, "absent", MIB, size)
    for unit_bytes in (MIB - 1, 0, -MIB):
        with invalid("The split_size_unit_in_byte should be greater equal than: 1048576"):
            _split(sync_client, table, unit_bytes, 1000)
    with invalid(mentions="split size"):
        _split(sync_client, table, MIB, 2**62)
    with invalid("Invalid table name: '0'."):
        _split(sync_client, "0", MIB)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("body", [b"\xff\xff\xff\xff", b"\x0a\x05ab", b""], ids=["garbage", "cut off", "empty"])
def test_bodies_that_are_no_message(sync_client: ots.OTSClient, operation: str, body: bytes) -> None:
    with invalid():
        send(sync_client, operation, body)


def _put_request(table: str, row: bytes) -> bytes:
    condition = wire.Condition(row_existence=wire.IGNORE)
    return wire.PutRowRequest(table_name=table, row=row, condition=condition).SerializeToString()


def test_rows_whose_bytes_were_changed(sync_client: ots.OTSClient, table: str) -> None:
    """Checksums find a changed byte wherever it is; what is cut off is found too."""
    row = bytes(PlainBufferBuilder.serialize_for_put_row([("id", "a")], [("n", 1), ("text", "otter")]))
    for position in range(len(row)):
        changed = bytearray(row)
        changed[position] ^= 0x55
        with pytest.raises(ots.OTSServiceError) as caught:
            send(sync_client, "PutRow", _put_request(table, bytes(changed)))
        assert caught.value.get_http_status() == 400
        with pytest.raises(ots.OTSServiceError) as caught:
            send(sync_client, "PutRow", _put_request(table, row[:position]))
        assert caught.value.get_http_status() == 400
    send(sync_client, "PutRow", _put_request(table, row))


def test_a_table_split_beforehand_at_the_longest_key(sync_client: ots.OTSClient) -> None:
    """The Python client has no room for it, Java's has."""
    point = b"\x03" + (64).to_bytes(4, "little") + b"x" * 64
    meta = wire.TableMeta(table_name="split", primary_key=[wire.PrimaryKeySchema(name="id", type=wire.STRING)])
    request = wire.CreateTableRequest(table_meta=meta)
    request.reserved_throughput.capacity_unit.read = request.reserved_throughput.capacity_unit.write = 0
    request.partitions.add(begin=b"\x09", end=point)
    request.partitions.add(begin=point, end=b"\x0a")
    send(sync_client, "CreateTable", request.SerializeToString())
    sync_client.delete_table("split")
    request.partitions.add(begin=b"\x00" + bytes(8), end=point)
    with invalid():
        send(sync_client, "CreateTable", request.SerializeToString())


def test_numbers_that_mean_nothing(sync_client: ots.OTSClient, table: str) -> None:
    """Enumerations whose value is unknown, as a newer client might send."""
    row = bytes(PlainBufferBuilder.serialize_for_put_row([("id", "a")], [("n", 1)]))
    name = table.encode()
    prefix = b"\x0a" + bytes([len(name)]) + name + b"\x12" + bytes([len(row)]) + row
    with invalid():
        send(sync_client, "PutRow", prefix + b"\x1a\x02\x08\x63")  # condition.row_existence = 99
    with invalid():
        send(sync_client, "PutRow", prefix + b"\x1a\x02\x08\x00" + b"\x22\x02\x08\x63")  # return_type = 99


def test_rows_as_a_matrix(sync_client: ots.OTSClient, table: str) -> None:
    """Node's messages have the hint, and Go reads what is answered; the answer says which format it has."""
    put(sync_client, table, [("id", "a")], n=1, s="x")
    put(sync_client, table, [("id", "b")], n=2)
    request = wire.GetRangeRequest(table_name=table, direction=wire.FORWARD, max_versions=1)
    request.inclusive_start_primary_key = bytes(PlainBufferBuilder.serialize_primary_key([("id", ots.INF_MIN)]))
    request.exclusive_end_primary_key = bytes(PlainBufferBuilder.serialize_primary_key([("id", ots.INF_MAX)]))
    plain, matrix = b"\x78\x00", b"\x78\x01"  # data_block_type_hint
    body = send(sync_client, "GetRange", request.SerializeToString() + plain)
    response = wire.GetRangeResponse.FromString(body)
    rows = PlainBufferCodedInputStream(PlainBufferInputStream(response.rows)).read_rows()
    assert [row.primary_key for row in rows] == [[("id", "a")], [("id", "b")]]
    assert body.endswith(b"\x28\x00\x30\x00")  # data_block_type, compress_type
    body_of_plain = body
    body = send(sync_client, "GetRange", request.SerializeToString() + matrix)
    assert body.endswith(b"\x28\x01\x30\x00")
    block = wire.GetRangeResponse.FromString(body).rows
    names = b"\x02\x00id\x01\x00n\x01\x00s"
    options = b"\x0a\x01\x03" + struct.pack("<i", 2)
    data = b"\x02" + cell("a") + cell(1) + cell("x") + b"\x02" + cell("b") + cell(2) + b"\x06"
    header = b"SRM0" + struct.pack("<iiii", 20 + len(names + options), 20 + len(names), 1, 2)
    assert block[:-1] == header + names + options + data + b"\x01"
    asked_for_none = send(sync_client, "GetRange", request.SerializeToString())
    assert asked_for_none == body_of_plain.removesuffix(b"\x28\x00\x30\x00")


def cell(value: int | str) -> bytes:
    """A value of a matrix."""
    if isinstance(value, int):
        return struct.pack("<Bq", 0, value)
    return struct.pack("<Bi", 3, len(value)) + value.encode()


def test_other_methods_and_paths(server: ServerProcess, sync_client: ots.OTSClient) -> None:
    pool = sync_client.connection.pool
    assert pool.request("GET", f"{server.endpoint}/healthz").status == 200
    assert b"# HELP" in pool.request("GET", f"{server.endpoint}/metrics").data
    assert pool.request("GET", f"{server.endpoint}/ListTable").status in (403, 404, 405)
    assert pool.request("POST", f"{server.endpoint}/ListTable").status in (400, 403)
    assert pool.request("POST", f"{server.endpoint}/").status in (400, 403, 404, 405)
