"""Streams over the wire: enabled, listed, described, read as the official SDKs read them, disabled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plain_rows import PlainRow, read_row
from support.server import ServerProcess
from support.wire_client import WireClient
from support.wire_tables import DELETE, PUT, UPDATE, call, change, create_table, delete_table, refusal, write

from lutra.server.wire import stream_pb2 as streams
from lutra.server.wire import table_pb2

ON = table_pb2.StreamSpecification(enable_stream=True, expiration_time=24)
OFF = table_pb2.StreamSpecification(enable_stream=False)
GONE = (404, "OTSTrimmedDataAccess", "Requested stream data is already trimmed or does not exist.")
NO_STREAM = (404, "OTSObjectNotExist", "Requested stream does not exist.")


@pytest.fixture
def table(wire: WireClient) -> Iterator[str]:
    create_table(wire, "streamed", ON)
    yield "streamed"
    delete_table(wire, "streamed")


def details(client: WireClient, table: str) -> table_pb2.StreamDetails:
    request = table_pb2.DescribeTableRequest(table_name=table)
    return call(client, "DescribeTable", request, table_pb2.DescribeTableResponse).stream_details


def change_stream(client: WireClient, table: str, spec: table_pb2.StreamSpecification) -> table_pb2.StreamDetails:
    request = table_pb2.UpdateTableRequest(table_name=table, stream_spec=spec)
    return call(client, "UpdateTable", request, table_pb2.UpdateTableResponse).stream_details


def list_streams(client: WireClient, table: str | None = None) -> list[streams.Stream]:
    return list(
        call(client, "ListStream", streams.ListStreamRequest(table_name=table), streams.ListStreamResponse).streams
    )


def describe(client: WireClient, stream_id: str) -> streams.DescribeStreamResponse:
    return call(
        client, "DescribeStream", streams.DescribeStreamRequest(stream_id=stream_id), streams.DescribeStreamResponse
    )


def begin(client: WireClient, table: str, since_us: int | None = None) -> str:
    (stream,) = list_streams(client, table)
    (shard,) = describe(client, stream.stream_id).shards
    request = streams.GetShardIteratorRequest(stream_id=stream.stream_id, shard_id=shard.shard_id, timestamp=since_us)
    response = call(client, "GetShardIterator", request, streams.GetShardIteratorResponse)
    assert not response.HasField("next_token")
    return response.shard_iterator


def read(client: WireClient, at: str, limit: int | None = None) -> streams.GetStreamRecordResponse:
    request = streams.GetStreamRecordRequest(shard_iterator=at, limit=limit)
    return call(client, "GetStreamRecord", request, streams.GetStreamRecordResponse)


def wire_describe(stream_id: str) -> streams.DescribeStreamRequest:
    return streams.DescribeStreamRequest(stream_id=stream_id)


def wire_read(at: str, limit: int | None = None) -> streams.GetStreamRecordRequest:
    return streams.GetStreamRecordRequest(shard_iterator=at, limit=limit)


def stream_request(fields: dict[str, object]) -> streams.GetShardIteratorRequest:
    return streams.GetShardIteratorRequest(**fields)  # type: ignore[arg-type]


def stream_list(table: str) -> streams.ListStreamRequest:
    return streams.ListStreamRequest(table_name=table)


def described(stream_id: str, **fields: object) -> streams.DescribeStreamRequest:
    return streams.DescribeStreamRequest(stream_id=stream_id, **fields)  # type: ignore[arg-type]


def describe_from(client: WireClient, stream_id: str, shard: str) -> streams.DescribeStreamResponse:
    request = described(stream_id, inclusive_start_shard_id=shard, shard_limit=1)
    return call(client, "DescribeStream", request, streams.DescribeStreamResponse)


def metric(client: WireClient, name: str) -> float:
    text = client.send("/metrics", {}, method="GET").body.decode()
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def rows(response: streams.GetStreamRecordResponse) -> list[PlainRow]:
    return [read_row(record.record) for record in response.stream_records]


def test_a_table_says_what_stream_it_has(wire: WireClient, table: str) -> None:
    before_us = time.time_ns() // 1_000
    told = details(wire, table)
    assert (told.enable_stream, told.expiration_time, list(told.column_to_get)) == (True, 24, [])
    assert abs(told.last_enable_time - before_us) < 60_000_000
    (stream,) = list_streams(wire, table)
    assert (stream.stream_id, stream.table_name, stream.creation_time) == (
        told.stream_id,
        table,
        told.last_enable_time,
    )
    described = describe(wire, stream.stream_id)
    assert (described.stream_id, described.expiration_time, described.table_name) == (stream.stream_id, 24, table)
    assert described.creation_time == stream.creation_time
    assert described.stream_status == 2
    assert len(described.shards) == 1
    assert not described.shards[0].HasField("parent_id")
    assert not described.HasField("next_shard_id")


def test_changes_come_as_the_sdks_read_them(wire: WireClient, table: str) -> None:
    at = begin(wire, table)
    assert read(wire, at).next_shard_iterator == at, "Go reads until the iterator stays as it is"
    write(wire, table, (PUT, change(1, [("b", "x", None, 0), ("a", 7, 1_000 * int(time.time()), 0)])))
    response = read(wire, at)
    (first,) = rows(response)
    at_ms = next(cell[3] for cell in first.cells if cell[0] == "b")
    assert at_ms is not None
    at = response.next_shard_iterator
    update = [("n", 3, None, 4), ("b", None, at_ms, 3), ("a", None, None, 1), ("d", 1.5, None, 0)]
    write(wire, table, (UPDATE, change(1, update)), (DELETE, change(1, is_delete=True)))
    response = read(wire, at)
    second, third = rows(response)
    assert [record.action_type for record in response.stream_records] == [2, 3]
    assert [record.HasField("origin_record") for record in response.stream_records] == [False, False]
    assert (first.key, first.is_delete, [cell[:3] for cell in first.cells]) == (
        [("id", 1)],
        False,
        [("a", 7, None), ("b", "x", None)],
    )
    assert [cell[:3] for cell in second.cells] == [("n", 3, None), ("b", None, 3), ("a", None, 1), ("d", 1.5, None)]
    assert [cell[3] is None for cell in second.cells] == [False, False, True, False]
    assert (third.key, third.cells, third.is_delete) == ([("id", 1)], [], True)
    assert first.sequence is not None
    assert second.sequence is not None
    assert third.sequence is not None
    assert first.sequence.epoch == 0
    assert abs(first.sequence.timestamp_us // 1_000 - at_ms) < 10_000
    assert second.sequence.timestamp_us == third.sequence.timestamp_us > first.sequence.timestamp_us
    assert (second.sequence.row_index, third.sequence.row_index) == (0, 1)
    assert response.consumed.capacity_unit.read == 1
    assert not response.may_more_record


def test_what_the_row_had_before(wire: WireClient, table: str) -> None:
    change_stream(
        wire,
        table,
        table_pb2.StreamSpecification(enable_stream=True, expiration_time=1, columns_to_get=["a", "b"]),
    )
    told = details(wire, table)
    assert (told.expiration_time, list(told.column_to_get)) == (1, ["a", "b"])
    at = begin(wire, table)
    for value in (1, 2):
        write(wire, table, (PUT, change(1, [("a", value, None, 0), ("c", value, None, 0)])))
    first, second = read(wire, at).stream_records
    assert not first.HasField("origin_record")
    origin = read_row(second.origin_record)
    assert (origin.key, [cell[:3] for cell in origin.cells]) == ([("id", 1)], [("a", 1, None)])
    assert origin.cells[0][3] is not None


def test_pages(wire: WireClient, table: str) -> None:
    at = begin(wire, table)
    for first in (0, 100):
        write(wire, table, *((PUT, change(first + number)) for number in range(100)))
    seen: list[int] = []
    while True:
        response = read(wire, at, 30)
        seen += [row.key[0][1] for row in rows(response)]  # type: ignore[misc]
        at = response.next_shard_iterator
        if not response.may_more_record:
            break
        assert len(response.stream_records) == 30
    assert seen == list(range(200))
    (last,) = rows(read(wire, begin(wire, table)))[-1:]
    assert last.sequence is not None
    since = read(wire, begin(wire, table, last.sequence.timestamp_us))
    assert [row.key[0][1] for row in rows(since)] == list(range(100, 200))


def test_large_records_end_a_page(wire: WireClient, table: str) -> None:
    for number in range(4):
        write(wire, table, (PUT, change(number, [("a", "x" * 1_500_000, None, 0)])))
    response = read(wire, begin(wire, table))
    assert (len(response.stream_records), response.may_more_record) == (2, True)
    assert response.consumed.capacity_unit.read == pytest.approx(2 * 1_500_000 / 4_096, abs=2)


def test_a_stream_that_is_disabled_and_enabled_again_is_another(wire: WireClient, table: str) -> None:
    old, at = details(wire, table).stream_id, begin(wire, table)
    write(wire, table, (PUT, change(1)))
    told = change_stream(wire, table, OFF)
    assert (told.enable_stream, told.HasField("stream_id"), told.HasField("expiration_time")) == (False, False, False)
    assert list_streams(wire, table) == []
    assert refusal(wire, "DescribeStream", wire_describe(old)) == NO_STREAM
    assert refusal(wire, "GetStreamRecord", wire_read(at)) == GONE
    write(wire, table, (PUT, change(2)))
    told = change_stream(wire, table, ON)
    assert told.stream_id not in ("", old)
    assert refusal(wire, "GetStreamRecord", wire_read(at)) == GONE
    assert rows(read(wire, begin(wire, table))) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"enable_stream": True}, "Expiration time is required"),
        ({"enable_stream": True, "expiration_time": 169}, "[1, 168] hours, not 169"),
        ({"enable_stream": True, "expiration_time": 0}, "not 0"),
        ({"enable_stream": True, "expiration_time": 1, "columns_to_get": ["id"]}, "'id' among them"),
        ({"enable_stream": False, "expiration_time": 1}, "cannot be set when enable_stream is false"),
    ],
)
def test_what_no_stream_can_be(wire: WireClient, table: str, spec: dict[str, object], said: str) -> None:
    message = table_pb2.StreamSpecification(**spec)  # type: ignore[arg-type]
    request = table_pb2.UpdateTableRequest(table_name=table, stream_spec=message)
    status, code, text = refusal(wire, "UpdateTable", request)
    assert (status, code) == (400, "OTSParameterInvalid")
    assert said in text
    assert details(wire, table).expiration_time == 24


def test_what_is_wrong_is_told(wire: WireClient, table: str) -> None:
    (stream,) = list_streams(wire, table)
    shard = describe(wire, stream.stream_id).shards[0].shard_id
    create_table(wire, "plain")
    assert list_streams(wire, "plain") == []
    assert [one.table_name for one in list_streams(wire)] == [table]
    delete_table(wire, "plain")

    def shard_iterator(**changes: object) -> tuple[int, str, str]:
        fields = {"stream_id": stream.stream_id, "shard_id": shard} | changes
        return refusal(wire, "GetShardIterator", stream_request(fields))

    bad = (400, "OTSParameterInvalid")
    assert refusal(wire, "ListStream", stream_list("none"))[:2] == (404, "OTSObjectNotExist")
    assert refusal(wire, "DescribeStream", wire_describe("none_1")) == NO_STREAM
    assert refusal(wire, "DescribeStream", described(stream.stream_id, shard_limit=0))[:2] == bad
    assert refusal(wire, "DescribeStream", described(stream.stream_id, inclusive_start_shard_id="x"))[:2] == bad
    assert shard_iterator(stream_id="none_1") == NO_STREAM
    assert shard_iterator(shard_id="x") == (404, "OTSObjectNotExist", "Requested shard does not exist: 'x'.")
    assert shard_iterator(timestamp=-1)[:2] == bad
    assert shard_iterator(token="x")[:2] == bad
    for wrong in ("", "x", "1.2.3", "1.2.3.4.5", "1.2.3.-4", "G.1.1.1", "1" * 17 + ".1.1.1", "1.1.1.1" + "0" * 200):
        assert refusal(wire, "GetStreamRecord", wire_read(wrong)) == (*bad, "Invalid shard iterator.")
    assert refusal(wire, "GetStreamRecord", wire_read("ffff.1.1.1")) == GONE
    assert refusal(wire, "GetStreamRecord", wire_read(begin(wire, table), 0))[:2] == bad
    assert describe_from(wire, stream.stream_id, shard).shards[0].shard_id == shard


def test_metrics_tell_what_streams_take(wire: WireClient, table: str) -> None:
    write(wire, table, *((PUT, change(number, [("a", "x" * 10_000, None, 0)])) for number in range(10)))
    assert 100_000 < metric(wire, f'lutra_stream_bytes{{instance="test",table="{table}"}}') < 120_000


@pytest.mark.slow
def test_a_reader_goes_on_after_a_kill(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        client = WireClient(server.endpoint)
        create_table(client, "t", ON)
        at = begin(client, "t")
        write(client, "t", *((PUT, change(number)) for number in range(10)))
        at = read(client, at, 4).next_shard_iterator
        client.close()
        server.kill()
        server.start()
        client = WireClient(server.endpoint)
        assert [row.key[0][1] for row in rows(read(client, at))] == list(range(4, 10))
        client.close()
