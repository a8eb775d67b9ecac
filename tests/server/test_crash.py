"""kill -9 of a whole server under writers: nothing acknowledged is lost, no row is torn, index and table agree."""

from __future__ import annotations

import random
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tablestore as ots
from support.server import ServerProcess

TABLE = "crash"
INDEX = "crash_index"
WRITERS = 4
KEYS_PER_WRITER = 12
IGNORE = ots.Condition(ots.RowExistenceExpectation.IGNORE)
ABSENT = None


def _columns(version: int) -> list[tuple[str, Any]]:
    """Three columns that carry the same number: a row that mixes two versions is torn."""
    vector = bytearray(struct.pack("<4f", *([float(version)] * 4)))
    return [("number", version), ("text", f"{version}-" * 40), ("vector", vector)]


class Writer(threading.Thread):
    """Writes rows of its own keys until the server dies, remembering what was acknowledged and what was under way."""

    def __init__(self, client: ots.OTSClient, name: str, seed: int, known: dict[str, int | None]) -> None:
        super().__init__(daemon=True)
        self.client, self.random = client, random.Random(seed)
        self.keys = [f"{name}-{number:02d}" for number in range(KEYS_PER_WRITER)]
        self.acknowledged = {key: known.get(key) for key in self.keys}
        self.under_way: dict[str, int | None] = {}
        self.version = max((v for v in known.values() if v is not None), default=0)
        self.acknowledgements = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            self.version += 1
            operation = self.random.choice([self._put_row, self._update_row, self._delete_row, self._write_batch])
            try:
                operation()
            except Exception as error:  # a killed server ends a request in many ways
                if isinstance(error, ots.OTSServiceError):
                    raise
                return
            self.acknowledged.update(self.under_way)
            self.under_way = {}
            self.acknowledgements += 1

    def _one_key(self, state: int | None) -> str:
        key = self.random.choice(self.keys)
        self.under_way = {key: state}
        return key

    def _put_row(self) -> None:
        key = self._one_key(self.version)
        self.client.put_row(TABLE, ots.Row([("id", key)], _columns(self.version)), IGNORE)

    def _update_row(self) -> None:
        key = self._one_key(self.version)
        self.client.update_row(TABLE, ots.Row([("id", key)], {"PUT": _columns(self.version)}), IGNORE)

    def _delete_row(self) -> None:
        key = self._one_key(ABSENT)
        self.client.delete_row(TABLE, [("id", key)], IGNORE)

    def _write_batch(self) -> None:
        keys = self.random.sample(self.keys, 5)
        self.under_way = dict.fromkeys(keys[:4], self.version) | {keys[4]: ABSENT}
        rows: list[Any] = [ots.PutRowItem(ots.Row([("id", key)], _columns(self.version)), IGNORE) for key in keys[:4]]
        rows.append(ots.DeleteRowItem(ots.Row([("id", keys[4])]), IGNORE))
        request = ots.BatchWriteRowRequest()
        request.add(ots.TableInBatchWriteRowItem(TABLE, rows))
        assert self.client.batch_write_row(request).is_all_succeed()


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


def _round(server: ServerProcess, seed: int, known: dict[str, int | None]) -> tuple[dict[str, int | None], int]:
    """Writers run, the server is killed and started again; returns the rows' state and how much was acknowledged."""
    writers = [Writer(server.client(), f"w{n}", seed * WRITERS + n, known) for n in range(WRITERS)]
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
        for key, acknowledged in writer.acknowledged.items():
            allowed = [acknowledged, writer.under_way[key]] if key in writer.under_way else [acknowledged]
            assert actual.get(key) in allowed, f"{key}: {actual.get(key)} is none of {allowed}"
    _wait_until_index_agrees(client, actual)
    return dict(actual), sum(writer.acknowledgements for writer in writers)


def _run_rounds(data_dir: Path, rounds: int) -> None:
    with ServerProcess(data_dir) as server:
        _create(server.client())
        known: dict[str, int | None] = {}
        acknowledged_total = 0
        for seed in range(rounds):
            known, acknowledged = _round(server, seed, known)
            acknowledged_total += acknowledged
        assert acknowledged_total > rounds, "the writers hardly wrote: the test shows nothing"


def test_killed_server_loses_nothing(tmp_path: Path) -> None:
    _run_rounds(tmp_path / "data", rounds=4)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_server_loses_nothing_over_sixty_rounds(tmp_path: Path) -> None:
    _run_rounds(tmp_path / "data", rounds=60)
