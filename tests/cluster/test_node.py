"""Nodes as processes: they share out what there is, take over from each other, and stop in good order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import tablestore as ots
from support.node_cluster import NodeCluster, NodeRun
from support.s3_server import S3Server
from support.sdk import IGNORE
from support.waiting import wait_until

from lutra.cluster.map import new_partition_id
from lutra.cluster.map_changes import create_table
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType
from lutra.tables.keys import KeyCodec

WITHIN_S = 60.0
KEY = (KeyColumn("id", ColumnType.INTEGER),)
STEP = 100
"""Partitions are cut at every so many ids."""


def make_table(cluster: NodeCluster, name: str, partitions: int) -> None:
    codec = KeyCodec(b"", KEY)
    bounds = [codec.encode_partition_value(STEP * number) for number in range(1, partitions)]
    ids = [new_partition_id() for _ in range(partitions)]
    cluster.maps.change(lambda of: create_table(of, cluster.instance, TableSchema(name, KEY), 1_000_000, ids, bounds))
    cluster.wait_serving()


def put(client: ots.OTSClient, table: str, number: int, value: int = 0) -> None:
    client.put_row(table, ots.Row([("id", number)], [("n", value)]), IGNORE)


def get(client: ots.OTSClient, table: str, number: int) -> int | None:
    _, row, _ = client.get_row(table, [("id", number)], max_version=1)
    return None if row is None else row.attribute_columns[0][1]


def health(node: NodeRun) -> int:
    try:
        with urllib.request.urlopen(f"{node.endpoint}/healthz", timeout=WITHIN_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def metrics(node: NodeRun) -> dict[str, float]:
    """By name and labels."""
    with urllib.request.urlopen(f"{node.endpoint}/metrics", timeout=WITHIN_S) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


def owned(cluster: NodeCluster) -> int:
    """Partitions that some node says it has."""
    return int(sum(metrics(node)["lutra_node_partitions"] for node in cluster.nodes))


def test_any_node_answers_for_all_partitions(cluster: NodeCluster) -> None:
    make_table(cluster, "shared", 6)
    owners = {row.entry.id: row.owner for row in cluster.status().partitions if row.table == "test/shared"}
    assert len(owners) == 6
    assert {*owners.values()} <= {node.name for node in cluster.nodes}  # evenly, a while later
    for number in range(0, 6 * STEP, STEP):
        put(cluster.client(number % 3), "shared", number, number)
    for asked in range(3):
        client = cluster.client(asked)
        assert [get(client, "shared", number) for number in range(0, 6 * STEP, STEP)] == list(range(0, 6 * STEP, STEP))


def test_a_node_tells_how_it_and_its_partitions_are(cluster: NodeCluster) -> None:
    make_table(cluster, "told", 3)
    for number in range(0, 3 * STEP, STEP):
        for asked in range(3):  # two of them have to ask another, whoever has it
            put(cluster.client(asked), "told", number)
    for node in cluster.nodes:
        wait_until(lambda node=node: health(node) == 200)
        wait_until(lambda node=node: 0 < metrics(node)["lutra_node_lease_seconds"] <= 5)
        wait_until(lambda node=node: metrics(node)["lutra_node_map_version"] == cluster.map.version)
    wait_until(lambda: owned(cluster) == len(cluster.status().partitions))  # some may change their node meanwhile
    of_all = [metrics(node) for node in cluster.nodes]
    assert all(found["lutra_node_openings_total"] >= found["lutra_node_partitions"] for found in of_all)
    written = [
        value
        for found in of_all
        for name, value in found.items()
        if re.match(r'lutra_partition_sequence\{.*mark="written".*table="told"', name)
    ]
    assert len(written) == 3
    assert all(value >= 1 for value in written)
    asked = sum(
        value
        for found in of_all
        for name, value in found.items()
        if re.match(r'lutra_peer_calls_total\{method="partition/write",outcome="ok"', name)
    )
    answered = sum(
        value
        for found in of_all
        for name, value in found.items()
        if re.match(r'lutra_peer_answers_total\{method="partition/write",outcome="ok"', name)
    )
    assert asked == answered > 0


def lutra(cluster: NodeCluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lutra.cli.main", "cluster", *arguments, "--store", cluster.store_address],
        capture_output=True,
        text=True,
        env=cluster.environment,
        timeout=WITHIN_S,
        check=False,
    )


def test_a_partition_is_split_by_command(cluster: NodeCluster) -> None:
    make_table(cluster, "cut", 1)
    client = cluster.client()
    for number in range(10):
        put(client, "cut", number, number)
    [parent] = [row for row in cluster.status().partitions if row.table == "test/cut"]
    told = lutra(cluster, "split", parent.entry.id, "--at", "7", "--json")
    assert told.returncode == 0, told.stderr
    children = json.loads(told.stdout)["children"]
    rows = {row.entry.id: row for row in cluster.wait_serving().partitions if row.table == "test/cut"}
    assert [(rows[child].begin, rows[child].end) for child in children] == [(None, 7), (7, None)]
    assert rows[parent.entry.id].state == "retired"
    assert [get(cluster.client(number % 3), "cut", number) for number in range(10)] == list(range(10))
    again = lutra(cluster, "split", parent.entry.id, "--at", "3")
    assert again.returncode == 1
    assert f"partition {parent.entry.id} serves no more: `lutra cluster status` shows those that do" in again.stderr
    nowhere = lutra(cluster, "split", "abcd", "--at", "3")
    assert "there is no partition abcd: `lutra cluster status` shows those there are" in nowhere.stderr
    wrong = lutra(cluster, "split", children[0], "--at", "x")
    assert (wrong.returncode, "key 'x'" in wrong.stderr) == (1, True)


class Load:
    """Threads that write rows through one node each, and remember what was acknowledged and what was not."""

    def __init__(self, cluster: NodeCluster, table: str, partitions: int) -> None:
        self.acknowledged: dict[int, int] = {}
        self.failures: list[tuple[str, Exception]] = []
        self.last_s: dict[str, float] = {}
        """When each node answered last."""
        self._cluster, self._table, self._partitions = cluster, table, partitions
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(2 * len(cluster.nodes))
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        node = self._cluster.nodes[number % len(self._cluster.nodes)]
        client = self._cluster.client(number % len(self._cluster.nodes))
        client.connection.pool.connection_pool_kw["retries"] = False  # else it sends again what was not answered
        value = 0
        while not self._stopping.is_set() and node.is_running:
            value += 1
            # Each thread has rows of its own, in all partitions.
            row = STEP * (value % self._partitions) + number
            try:
                put(client, self._table, row, value)
            except Exception as error:
                self.failures.append((node.name, error))
                self._stopping.wait(0.05)
            else:
                self.acknowledged[row] = value
                self.last_s[node.name] = time.monotonic()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[NodeCluster]:
    """For a test that stops nodes."""
    with NodeCluster(tmp_path / "cluster") as nodes:
        yield nodes
    assert "Traceback" not in nodes.log_text()


def test_a_node_that_stops_under_load_loses_nothing_and_leaves_no_request_unanswered(own_cluster: NodeCluster) -> None:
    partitions = 6
    make_table(own_cluster, "t", partitions)
    leaving = own_cluster.nodes[2]
    with Load(own_cluster, "t", partitions) as load:
        wait_until(lambda: len(load.acknowledged) == 6 * partitions, WITHIN_S)
        stopped_s = time.monotonic()
        leaving.terminate()
        assert leaving.wait_ended() == 0
        ended_s = time.monotonic()
        before = dict(load.acknowledged)
        rows_of_others = [row for row in before if row % STEP % 3 != 2]
        wait_until(lambda: all(load.acknowledged[row] > before[row] for row in rows_of_others), WITHIN_S)
    # Those who ask the others notice nothing; who asked the one that stops is refused once it does not listen.
    assert [(name, error) for name, error in load.failures if name != leaving.name] == []
    unanswered = [error for _, error in load.failures if "refused" not in repr(error).lower()]
    # What waits in the system's own queue as the port is closed is reset: the node never saw it.
    assert [error for error in unanswered if "reset by peer" not in repr(error)] == []
    assert len(unanswered) <= 1
    assert stopped_s < load.last_s[leaving.name] < ended_s, "it answered while it handed over"
    client = own_cluster.client()
    assert {row: get(client, "t", row) for row in load.acknowledged} == load.acknowledged
    told = own_cluster.status()
    assert sum(node.partitions for node in told.nodes) == partitions
    assert {node.name for node in told.nodes} == {"node-1", "node-2"}


@pytest.mark.slow
def test_a_node_that_is_killed_is_replaced_and_has_its_share_again_when_it_is_back(own_cluster: NodeCluster) -> None:
    partitions = 6
    make_table(own_cluster, "t", partitions)
    killed = own_cluster.nodes[0]
    for number in range(partitions):
        put(own_cluster.client(1), "t", STEP * number, 1)
    killed.kill()
    killed_s = time.monotonic()
    for number in range(partitions):  # waits, within the request's deadline, for who takes over
        put(own_cluster.client(1), "t", STEP * number, 2)
    assert time.monotonic() - killed_s < WITHIN_S
    assert [get(own_cluster.client(2), "t", STEP * number) for number in range(partitions)] == [2] * partitions
    killed.start()
    killed.wait_joined()
    wait_until(lambda: [node.partitions for node in own_cluster.status().nodes] == [2, 2, 2], WITHIN_S)
    own_cluster.wait_serving()
    assert [get(own_cluster.client(0), "t", STEP * number) for number in range(partitions)] == [2] * partitions


@pytest.mark.slow
def test_nodes_over_a_bucket_replace_one_that_is_killed(tmp_path: Path, s3: S3Server) -> None:
    partitions = 3
    with NodeCluster(tmp_path / "cluster", store=s3.url("nodes-of-a-cluster")) as nodes:
        make_table(nodes, "t", partitions)
        for number in range(partitions):
            put(nodes.client(number), "t", STEP * number, 1)
        nodes.nodes[0].kill()
        for number in range(partitions):
            put(nodes.client(1), "t", STEP * number, 2)
        assert [get(nodes.client(2), "t", STEP * number) for number in range(partitions)] == [2] * partitions
        nodes.nodes[1].stop()
        assert [get(nodes.client(2), "t", STEP * number) for number in range(partitions)] == [2] * partitions
        assert health(nodes.nodes[2]) == 200
        assert "Traceback" not in nodes.log_text()
