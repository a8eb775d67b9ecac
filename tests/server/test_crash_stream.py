"""kill -9 of a whole server under writers and a reader of their stream: each change comes once, and makes the table."""

from __future__ import annotations

import http.client
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tablestore as ots
from support.crash_writer import CrashWriter, State
from support.plain_rows import PlainRow, read_row
from support.server import ServerProcess
from support.wire_client import WireClient
from support.wire_tables import call

from lutra.server.wire import stream_pb2, table_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TABLE = "crash"
WRITERS = 3
KEYS_PER_WRITER = 8
ROUNDS = 20


class Reader:
    """Reads the stream of the table from its beginning on, from one server to the next."""

    def __init__(self) -> None:
        self.at = ""
        self.records: list[tuple[int, PlainRow]] = []

    def begin(self, client: WireClient) -> None:
        (stream,) = call(
            client, "ListStream", stream_pb2.ListStreamRequest(table_name=TABLE), stream_pb2.ListStreamResponse
        ).streams
        described = call(
            client,
            "DescribeStream",
            stream_pb2.DescribeStreamRequest(stream_id=stream.stream_id),
            stream_pb2.DescribeStreamResponse,
        )
        request = stream_pb2.GetShardIteratorRequest(stream_id=stream.stream_id, shard_id=described.shards[0].shard_id)
        self.at = call(client, "GetShardIterator", request, stream_pb2.GetShardIteratorResponse).shard_iterator

    def read(self, client: WireClient, limit: int = 50) -> bool:
        """Whether there was something."""
        request = stream_pb2.GetStreamRecordRequest(shard_iterator=self.at, limit=limit)
        response = call(client, "GetStreamRecord", request, stream_pb2.GetStreamRecordResponse)
        self.records += [(one.action_type, read_row(one.record)) for one in response.stream_records]
        self.at = response.next_shard_iterator
        return bool(response.stream_records)

    def read_until_killed(self, endpoint: str) -> None:
        client = WireClient(endpoint)
        try:
            while True:
                if not self.read(client):
                    time.sleep(0.001)
        except (OSError, http.client.HTTPException):
            pass  # what was read before is kept; what was under way is asked for again
        finally:
            client.close()


def columns(version: int) -> list[tuple[str, Any]]:
    return [("number", version), ("text", f"{version}-" * 20)]


def create(server: ServerProcess) -> None:
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    server.client().create_table(ots.TableMeta(TABLE, [("id", "STRING")]), ots.TableOptions(), throughput)
    client = WireClient(server.endpoint)
    spec = table_pb2.StreamSpecification(enable_stream=True, expiration_time=1)
    request = table_pb2.UpdateTableRequest(table_name=TABLE, stream_spec=spec)
    call(client, "UpdateTable", request, table_pb2.UpdateTableResponse)
    client.close()


def state_of_table(client: ots.OTSClient) -> dict[str, int]:
    state: dict[str, int] = {}
    start: Any = [("id", ots.INF_MIN)]
    while start:
        _, start, rows, _ = client.get_range(TABLE, "FORWARD", start, [("id", ots.INF_MAX)], max_version=1)
        for row in rows:
            state[row.primary_key[0][1]] = {name: value for name, value, _ in row.attribute_columns}["number"]
    return state


def state_of_stream(records: list[tuple[int, PlainRow]]) -> dict[str, int]:
    """What the changes make, one after the other; of each row the versions rise."""
    state: dict[str, int] = {}
    newest: dict[str, int] = {}
    for action, row in records:
        key = row.key[0][1]
        assert isinstance(key, str)
        if action == stream_pb2.ACTION_TYPE_DELETE_ROW:
            state.pop(key, None)
            continue
        version = next(value for name, value, _, _ in row.cells if name == "number")
        assert isinstance(version, int)
        assert version > newest.get(key, 0), f"{key}: {version} comes after {newest[key]}"
        state[key] = newest[key] = version
    return state


def play_round(server: ServerProcess, reader: Reader, seed: int, known: State) -> State:
    keys = [[f"w{n}-{number}" for number in range(KEYS_PER_WRITER)] for n in range(WRITERS)]
    writers = [
        CrashWriter(server.client(), TABLE, of, lambda _, version: columns(version), known, seed=seed * WRITERS + n)
        for n, of in enumerate(keys)
    ]
    reading = threading.Thread(target=reader.read_until_killed, args=(server.endpoint,), daemon=True)
    for thread in (*writers, reading):
        thread.start()
    time.sleep(random.Random(seed).uniform(0.05, 0.6))
    server.kill()
    for writer in writers:
        writer.stopped.set()
    for thread in (*writers, reading):
        thread.join(timeout=30)
        assert not thread.is_alive()
    server.start()
    actual = state_of_table(server.client())
    for writer in writers:
        writer.check(actual)
    client = WireClient(server.endpoint)
    while reader.read(client):
        pass
    whole = Reader()
    whole.begin(client)
    while whole.read(client, 5_000):
        pass
    client.close()
    assert reader.records == whole.records, "each once, and in the same order, across the kill"
    assert state_of_stream(whole.records) == actual
    # Also of rows that are gone: a writer's next version is one that the stream has never had.
    return dict(actual) | {"newest of any": newest_version(whole.records)}


def newest_version(records: list[tuple[int, PlainRow]]) -> int:
    versions = [value for _, row in records for name, value, _, _ in row.cells if name == "number"]
    return max((version for version in versions if isinstance(version, int)), default=0)


def test_a_stream_is_what_was_done_to_the_table(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        create(server)
        reader = Reader()
        client = WireClient(server.endpoint)
        reader.begin(client)
        client.close()
        known: State = {}
        for seed in range(ROUNDS):
            known = play_round(server, reader, seed, known)
        assert len(reader.records) > 10 * ROUNDS, "the writers hardly wrote: the test shows nothing"
