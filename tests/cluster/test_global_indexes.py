"""Global secondary indexes of a cluster: tables of their own, which list what their tables say in the end."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
import tablestore as ots
from click.testing import CliRunner
from support.node_cluster import NodeCluster
from support.sdk import IGNORE, NO_THROUGHPUT
from support.waiting import wait_until

from lutra.cli.main import main
from lutra.cluster.fsck import ClusterCheck
from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb.store import SlateStore

WITHIN_S = 120.0
CITIES = ["a", "b", "c", "d", "e", "f"]
Model = dict[int, tuple[str | None, int]]
"""By id: city and n of each row."""


@pytest.fixture(scope="module")
def cluster(two_nodes: NodeCluster) -> NodeCluster:
    return two_nodes


def make_table(cluster: NodeCluster, name: str, *indexes: ots.SecondaryIndexMeta) -> None:
    meta = ots.TableMeta(name, [("id", "INTEGER")], [("city", "STRING"), ("n", "INTEGER")])
    options = ots.TableOptions(max_version=1)
    cluster.client().create_table(meta, options, NO_THROUGHPUT, secondary_indexes=list(indexes))


def by_city(name: str) -> ots.SecondaryIndexMeta:
    return ots.SecondaryIndexMeta(name, ["city"], ["n"], ots.SecondaryIndexType.GLOBAL_INDEX)


def write(client: ots.OTSClient, table: str, number: int, content: tuple[str | None, int] | None) -> None:
    if content is None:
        client.delete_row(table, ots.Row([("id", number)]), IGNORE)
        return
    city, n = content
    columns = [("n", n), *([] if city is None else [("city", city)])]
    client.put_row(table, ots.Row([("id", number)], columns), IGNORE)


def listed(client: ots.OTSClient, index: str) -> list[tuple[str, int, int]]:
    """City, id and n of each row."""
    found = []
    start: Any = [("city", ots.INF_MIN), ("id", ots.INF_MIN)]
    end = [("city", ots.INF_MAX), ("id", ots.INF_MAX)]
    while start:
        _, start, page, _ = client.get_range(index, ots.Direction.FORWARD, start, end, max_version=1)
        for row in page:
            columns = {name: value for name, value, *_ in row.attribute_columns}
            found.append((row.primary_key[0][1], row.primary_key[1][1], columns["n"]))
    return found


def expected(model: Model) -> list[tuple[str, int, int]]:
    return sorted((city, number, n) for number, (city, n) in model.items() if city is not None)


def wait_listed(cluster: NodeCluster, index: str, model: Model) -> None:
    def is_there() -> bool:
        try:
            return listed(cluster.client(), index) == expected(model)
        except ots.OTSServiceError as error:
            if error.get_error_code() != "OTSServerBusy":
                raise
            return False  # it is being filled

    wait_until(is_there, WITHIN_S)
    assert listed(cluster.client(1), index) == expected(model)


def split(cluster: NodeCluster, uid: int) -> None:
    """Each partition of a table or an index that has rows of two partition keys."""
    for entry in cluster.map.partitions_of(uid):
        arguments = ["cluster", "split", entry.id, "--store", cluster.store_address]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.stderr


def uid_of(cluster: NodeCluster, table: str, index: str) -> int:
    schema = cluster.map.table(cluster.instance, table).schema
    return next(one.index_id for one in schema.indexes if one.name == index)


class Writer(threading.Thread):
    """Of rows of its own, through one node, until it is told to stop."""

    def __init__(self, cluster: NodeCluster, table: str, number: int) -> None:
        super().__init__(daemon=True)
        self.model: Model = {}
        self.failures: list[Exception] = []
        self.steps = 0
        self.stopping = threading.Event()
        self._client = cluster.client(number % 2)
        self._table, self._number = table, number
        self._random = random.Random(number)

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                number = 4 * self._random.randrange(40) + self._number
                city = self._random.choice([None, *CITIES])
                content = None if self._random.random() < 0.2 else (city, self._random.randrange(1_000))
                write(self._client, self._table, number, content)
                self.model.pop(number, None)
                if content is not None:
                    self.model[number] = content
                self.steps += 1
        except Exception as error:
            self.failures.append(error)


def test_an_index_lists_what_is_written_while_both_are_split(cluster: NodeCluster) -> None:
    make_table(cluster, "people", by_city("people_by_city"))
    writers = [Writer(cluster, "people", number) for number in range(4)]
    for writer in writers:
        writer.start()

    def go_on() -> None:
        before = [writer.steps for writer in writers]
        wait_until(lambda: all(w.steps > n + 60 or w.failures for w, n in zip(writers, before, strict=True)), WITHIN_S)

    go_on()
    split(cluster, cluster.map.table(cluster.instance, "people").uid)
    go_on()
    split(cluster, uid_of(cluster, "people", "people_by_city"))
    go_on()
    split(cluster, cluster.map.table(cluster.instance, "people").uid)
    go_on()
    for writer in writers:
        writer.stopping.set()
        writer.join(WITHIN_S)
        assert not writer.is_alive()
        assert not writer.failures
    model = {number: content for writer in writers for number, content in writer.model.items()}
    wait_listed(cluster, "people_by_city", model)
    assert len(cluster.map.partitions_of(uid_of(cluster, "people", "people_by_city"))) == 2
    row = cluster.client().get_row("people_by_city", [("city", "none"), ("id", 1)], max_version=1)[1]
    assert row is None


def test_an_index_that_is_made_later_and_dropped(cluster: NodeCluster) -> None:
    make_table(cluster, "later")
    model: Model = {number: (CITIES[number % 6], number) for number in range(60)}
    for number, content in model.items():
        write(cluster.client(), "later", number, content)
    split(cluster, cluster.map.table(cluster.instance, "later").uid)
    client = cluster.client()
    client.create_secondary_index("later", by_city("later_by_city"), True)
    wait_listed(cluster, "later_by_city", model)
    client.create_secondary_index("later", by_city("later_new"), False)
    model[5] = ("a", 7)
    write(client, "later", 5, model[5])
    wait_listed(cluster, "later_by_city", model)
    wait_until(lambda: listed(client, "later_new") == [("a", 5, 7)], WITHIN_S)
    uid = uid_of(cluster, "later", "later_by_city")
    for name in ("later_by_city", "later_new"):
        client.delete_secondary_index("later", name)
        with pytest.raises(ots.OTSServiceError):
            listed(client, name)
    assert all(entry.state.name == "DROPPED" for entry in cluster.map.partitions if entry.table == uid)
    with pytest.raises(ots.OTSServiceError):
        client.put_row("later_by_city", ots.Row([("city", "a"), ("id", 1)], [("n", 1)]), IGNORE)


@pytest.mark.slow
def test_nothing_is_lost_or_left_where_owners_are_killed(cluster: NodeCluster) -> None:
    make_table(cluster, "killed", by_city("killed_by_city"))
    client = cluster.client(0)
    model: Model = {}
    rng = random.Random(7)
    for round_number in range(2):
        for _ in range(80):
            number, content = rng.randrange(50), (rng.choice(CITIES), rng.randrange(100))
            write(client, "killed", number, content)
            model[number] = content
        if not round_number:
            split(cluster, cluster.map.table(cluster.instance, "killed").uid)
        node = cluster.nodes[1]
        node.kill()
        node.start()
        node.wait_joined()
        cluster.wait_serving()
    wait_listed(cluster, "killed_by_city", model)


def test_a_check_compares_indexes_with_their_tables(cluster: NodeCluster) -> None:
    """The last of these: it stops the cluster."""
    make_table(cluster, "checked", by_city("checked_by_city"))
    model: Model = {number: (CITIES[number % 6], number) for number in range(30)}
    for number, content in model.items():
        write(cluster.client(), "checked", number, content)
    split(cluster, cluster.map.table(cluster.instance, "checked").uid)
    wait_listed(cluster, "checked_by_city", model)
    split(cluster, uid_of(cluster, "checked", "checked_by_city"))
    cluster.wait_serving()
    for node in cluster.nodes:
        node.stop()
    check = ClusterCheck(cluster.store_address, cluster.store)
    check.run()
    assert check.faults == []
    entry = cluster.map.partitions_of(uid_of(cluster, "checked", "checked_by_city"))[0]
    rows = SlateStore(f"{cluster.store_address}/rows/{entry.id}")
    batch = WriteBatch()
    stored = list(rows.scan(b"r", b"s"))
    batch.delete(stored[0][0])
    batch.put(stored[1][0], stored[2][1])
    batch.put(stored[0][0][:-1] + b"\x63", stored[0][1])
    rows.commit(batch)
    rows.close()
    again = ClusterCheck(cluster.store_address, cluster.store)
    again.run()
    assert [(fault.table, fault.index) for fault in again.faults] == [("checked", "checked_by_city")] * 3
    assert sorted(fault.text.split("} ")[1] for fault in again.faults) == [
        "is in the index, and not in the table",
        "is in the table, and not in the index",
        "is otherwise in the index than in the table",
    ]
