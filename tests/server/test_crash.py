"""kill -9 of a whole server under writers: nothing acknowledged is lost, no row is torn, index and table agree."""

from __future__ import annotations

import random
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import tablestore as ots
from support.crash_writer import CrashWriter, State
from support.s3_server import S3Server
from support.server import ServerProcess

TABLE = "crash"
INDEX = "crash_index"
WRITERS = 4
KEYS_PER_WRITER = 12


def _columns(version: int) -> list[tuple[str, Any]]:
    """Three columns that carry the same number: a row that mixes two versions is torn."""
    vector = bytearray(struct.pack("<4f", *([float(version)] * 4)))
    return [("number", version), ("text", f"{version}-" * 40), ("vector", vector)]


def _create(client: ots.OTSClient) -> None:
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    client.create_table(ots.TableMeta(TABLE, [("id", "STRING")]), ots.TableOptions(), throughput)
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_EUCLIDEAN, 4)
    fields = [
        ots.FieldSchema("number", ots.FieldType.LONG),
        ots.FieldSchema("vector", ots.FieldType.VECTOR, vector_options=options),
    ]
    client.create_search_index(TABLE, INDEX, ots.SearchIndexMeta(fields))


def _table_state(client: ots.OTSClient) -> dict[str, int]:
    """Every row's number, by GetRange; fails on a torn row."""
    state: dict[str, int] = {}
    start: Any = [("id", ots.INF_MIN)]
    while start:
        _, start, rows, _ = client.get_range(TABLE, "FORWARD", start, [("id", ots.INF_MAX)], max_version=1)
        for row in rows:
            columns = {name: value for name, value, _ in row.attribute_columns}
            assert columns == dict(_columns(columns["number"])), f"torn row {row.primary_key}"
            state[row.primary_key[0][1]] = columns["number"]
    return state


def _index_state(client: ots.OTSClient) -> dict[str, int]:
    """Every row's number as the index has it."""
    state: dict[str, int] = {}
    token = None
    while token != b"":
        query = ots.SearchQuery(ots.MatchAllQuery(), limit=100, next_token=token or None)
        columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL_FROM_INDEX)
        answer = client.search(TABLE, INDEX, query, columns)
        for key, attributes in answer.rows:
            state[key[0][1]] = {name: value for name, value, *_ in attributes}["number"]
        token = answer.next_token
    return state


def _wait_until_index_agrees(client: ots.OTSClient, expected: dict[str, int]) -> None:
    deadline = time.monotonic() + 10
    state = _index_state(client)
    while state != expected and time.monotonic() < deadline:
        time.sleep(0.02)
        state = _index_state(client)
    assert state == expected


def _writer(server: ServerProcess, name: str, seed: int, known: State) -> CrashWriter:
    keys = [f"{name}-{number:02d}" for number in range(KEYS_PER_WRITER)]
    return CrashWriter(server.client(), TABLE, keys, lambda _, version: _columns(version), known, seed=seed)


def _round(server: ServerProcess, seed: int, known: State) -> tuple[State, int]:
    """Writers run, the server is killed and started again; returns the rows' state and how much was acknowledged."""
    writers = [_writer(server, f"w{n}", seed * WRITERS + n, known) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(random.Random(seed).uniform(0.02, 0.5))
    server.kill()
    for writer in writers:
        writer.stopped.set()
        writer.join(timeout=30)
        assert not writer.is_alive()
    server.start()
    client = server.client()
    actual = _table_state(client)
    for writer in writers:
        writer.check(actual)
    _wait_until_index_agrees(client, actual)
    return dict(actual), sum(writer.requests_acknowledged for writer in writers)


def _run_rounds(data_dir: Path, rounds: int, arguments: tuple[str, ...] = ()) -> None:
    with ServerProcess(data_dir, arguments=arguments) as server:
        _create(server.client())
        known: State = {}
        acknowledged_total = 0
        for seed in range(rounds):
            known, acknowledged = _round(server, seed, known)
            acknowledged_total += acknowledged
        assert acknowledged_total > rounds, "the writers hardly wrote: the test shows nothing"


def test_killed_server_loses_nothing(tmp_path: Path) -> None:
    _run_rounds(tmp_path / "data", rounds=3)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_server_loses_nothing_over_sixty_rounds(tmp_path: Path) -> None:
    _run_rounds(tmp_path / "data", rounds=60)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_server_with_rows_on_s3_loses_nothing(tmp_path: Path, s3: S3Server) -> None:
    _run_rounds(tmp_path / "data", 40, ("--objects", s3.url("killed"), "--rows"))
