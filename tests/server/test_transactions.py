"""Local transactions of a real server: histories of many clients, kill -9, an orderly end, and time."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tablestore as ots
from support.histories import History, Unit, serial_order
from support.sdk import IGNORE, refused
from support.server import ServerProcess
from urllib3.exceptions import HTTPError

TABLE = "accounts"
PARTITIONS = ("p", "q")
ROWS = ("a", "b", "c")
THREADS = 4
ROUND_S = 0.6
WITHIN_S = 60


def create(client: ots.OTSClient) -> None:
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    meta = ots.TableMeta(TABLE, [("p", "STRING"), ("r", "STRING")], [("v", "INTEGER")])
    index = ots.SecondaryIndexMeta("by_value", ["p", "v"], [], ots.SecondaryIndexType.LOCAL_INDEX)
    client.create_table(meta, ots.TableOptions(), throughput, [index])


def key(partition: str, row: str) -> list[tuple[str, str]]:
    return [("p", partition), ("r", row)]


def value_of(row: Any) -> int | None:
    if row is None:
        return None
    [(_, value, _)] = row.attribute_columns
    assert isinstance(value, int)
    return value


class Client(threading.Thread):
    """Does units until it is stopped, or its server is gone."""

    def __init__(self, server: ServerProcess, histories: dict[str, History], seed: int, number: int) -> None:
        super().__init__(daemon=True)
        self._client = server.client()
        self._histories = histories
        self._random = random.Random(f"{seed} {number}")
        self._name = f"{seed}.{number}"
        self._values = iter(range((seed * THREADS + number) * 1_000_000, 2**62))
        self.stopped = threading.Event()
        self.committed = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                partition = self._random.choice(PARTITIONS)
                one = self._histories[partition].begin(f"{self._name} {next(self._values)}")
                try:
                    self._unit(one, partition)
                except ots.OTSServiceError as error:
                    if error.get_error_code() != "OTSRowOperationConflict":
                        raise
                    continue  # nothing was done
                except (HTTPError, ots.OTSClientError):  # the server is gone; what was under way may have been done
                    if one.writes:
                        self._histories[partition].end(one, is_certain=False)
                    return
                self._histories[partition].end(one)
        except BaseException as error:
            self.error = error

    def _unit(self, one: Unit, partition: str) -> None:
        if self._random.random() < 0.3:
            row = self._random.choice(ROWS)
            one.writes[row] = value = next(self._values)
            self._client.put_row(TABLE, ots.Row(key(partition, row), [("v", value)]), IGNORE)
            return
        transaction = self._client.start_local_transaction(TABLE, [("p", partition)])
        writes: dict[str, int | None] = {}
        for _ in range(self._random.randint(1, 4)):
            row = self._random.choice(ROWS)
            if self._random.random() < 0.5:
                _, found, _ = self._client.get_row(TABLE, key(partition, row), transaction_id=transaction)
                if row in writes:
                    assert value_of(found) == writes[row]
                else:
                    one.saw(row, value_of(found))
                continue
            value = None if self._random.random() < 0.2 else next(self._values)
            item: Any = ots.DeleteRowItem(ots.Row(key(partition, row)), IGNORE)
            if value is not None:
                item = ots.PutRowItem(ots.Row(key(partition, row), [("v", value)]), IGNORE)
            batch = ots.BatchWriteRowRequest()
            batch.add(ots.TableInBatchWriteRowItem(TABLE, [item]))
            batch.set_transaction_id(transaction)
            assert self._client.batch_write_row(batch).is_all_succeed()
            writes[row] = value
        if self._random.random() < 0.2:
            self._client.abort_transaction(transaction)
            return
        one.writes = writes  # from here on it may have been done
        self._client.commit_transaction(transaction)
        self.committed += 1


def run_round(server: ServerProcess, histories: dict[str, History], seed: int, *, is_killed: bool) -> int:
    """So many transactions that were committed."""
    clients = [Client(server, histories, seed, number) for number in range(THREADS)]
    for client in clients:
        client.start()
    time.sleep(ROUND_S if not is_killed else random.Random(seed).uniform(0.1, ROUND_S))
    if is_killed:
        server.kill()
    for client in clients:
        client.stopped.set()
        client.join(WITHIN_S)
        assert not client.is_alive()
        if client.error is not None:
            raise client.error
    if is_killed:
        server.start()
    return sum(client.committed for client in clients)


def check(server: ServerProcess, histories: dict[str, History], states: dict[str, dict[str, int]]) -> None:
    """What happened from ``states`` on is explained, with what a transaction reads now, which is the new state."""
    client = server.client()
    for partition, history in histories.items():
        history.settle()
        end = history.begin("end")
        transaction = client.start_local_transaction(TABLE, [("p", partition)])
        _, _, rows, _ = client.get_range(
            TABLE,
            "FORWARD",
            key(partition, ots.INF_MIN),  # type: ignore[arg-type]
            key(partition, ots.INF_MAX),  # type: ignore[arg-type]
            max_version=1,
            transaction_id=transaction,
        )
        found = {row.primary_key[1][1]: value_of(row) for row in rows}
        for row in ROWS:
            end.saw(row, found.get(row))
        client.commit_transaction(transaction)
        history.end(end)
        assert serial_order(history.units, states[partition]) is not None, history.units
        states[partition] = {row: value for row, value in found.items() if value is not None}


def run(data_dir: Path, rounds: int, *, is_killed: bool) -> None:
    states: dict[str, dict[str, int]] = {partition: {} for partition in PARTITIONS}
    with ServerProcess(data_dir) as server:
        create(server.client())
        committed = 0
        for seed in range(rounds):
            histories = {partition: History() for partition in PARTITIONS}
            committed += run_round(server, histories, seed, is_killed=is_killed)
            check(server, histories, states)
        assert committed > rounds, "hardly a transaction was committed: this shows nothing"
        assert "Traceback" not in server.log_path.read_text()
    # The local index, and all that is stored, is as the table says.
    done = subprocess.run(
        [sys.executable, "-m", "lutra.cli.main", "fsck", "--data", str(data_dir)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_histories_of_clients_have_a_serial_order(tmp_path: Path) -> None:
    run(tmp_path / "data", rounds=1, is_killed=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("is_killed", [False, True])
def test_histories_over_many_rounds(tmp_path: Path, is_killed: bool) -> None:
    """Killed, a transaction was committed as a whole or has never been."""
    run(tmp_path / "data", rounds=25, is_killed=is_killed)


@pytest.mark.slow
def test_an_orderly_end_is_an_abort(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        client = server.client()
        create(client)
        transaction = client.start_local_transaction(TABLE, [("p", "p")])
        row = ots.Row(key("p", "a"), [("v", 1)])
        client.put_row(TABLE, row, IGNORE, transaction_id=transaction)
        server.stop()
        server.start()
        client = server.client()
        with refused("OTSSessionNotExist", 404, "Session not exist or may be timeout."):
            client.commit_transaction(transaction)
        _, found, _ = client.get_row(TABLE, key("p", "a"))
        assert found is None
        client.put_row(TABLE, row, IGNORE)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_minute_ends_it(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        client = server.client()
        create(client)
        row = ots.Row(key("p", "a"), [("v", 1)])
        transaction = client.start_local_transaction(TABLE, [("p", "p")])
        time.sleep(50)
        client.put_row(TABLE, row, IGNORE, transaction_id=transaction)  # from its start, not from its last use
        with refused("OTSRowOperationConflict", 409):
            client.put_row(TABLE, row, IGNORE)
        time.sleep(11)
        client.put_row(TABLE, row, IGNORE)
        with refused("OTSSessionNotExist", 404):
            client.commit_transaction(transaction)
