"""Partitions are split while a cluster of nodes answers: nothing fails, and nothing is lost or comes twice."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tablestore as ots
from click.testing import CliRunner, Result
from support.node_cluster import NodeCluster
from support.sdk import IGNORE, NO_THROUGHPUT
from support.waiting import wait_until

from lutra.cli.main import main
from lutra.cluster.status import PartitionRow

WITHIN_S = 120.0
SHOPS = 40


@pytest.fixture(scope="module")
def cluster(two_nodes: NodeCluster) -> NodeCluster:
    return two_nodes


def make_table(cluster: NodeCluster, name: str) -> None:
    options = ots.TableOptions(max_version=1)
    meta = ots.TableMeta(name, [("shop", "INTEGER"), ("order", "STRING")])
    cluster.client().create_table(meta, options, NO_THROUGHPUT)


def lutra(*arguments: str) -> Result:
    """``lutra cluster split``."""
    return CliRunner().invoke(main, ["cluster", "split", *arguments])


def serving(cluster: NodeCluster, table: str) -> list[PartitionRow]:
    """The partitions of a table that serve, by their ranges."""
    found = cluster.wait_serving().partitions
    return [row for row in found if row.table.endswith(f"/{table}") and row.state == "serving"]


def split(cluster: NodeCluster, partition_id: str, *arguments: str) -> list[str]:
    result = lutra(partition_id, "--store", cluster.store_address, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["partition"] == partition_id
    children: list[str] = found["children"]
    return children


class Writer(threading.Thread):
    """Writes and deletes rows of shops of its own through one node, and reads each right after."""

    def __init__(self, cluster: NodeCluster, table: str, number: int) -> None:
        super().__init__(daemon=True)
        self.model: dict[tuple[int, str], int] = {}
        self.failures: list[Exception] = []
        self.steps = 0
        self.stopping = threading.Event()
        self._client = cluster.client(number % len(cluster.nodes))
        self._table, self._number = table, number

    def run(self) -> None:
        while not self.stopping.is_set() and not self.failures:
            n = self.steps + 1
            key = ((7 * n) % (SHOPS // 4) * 4 + self._number, f"o{n % 49}")
            try:
                self._step(key, n)
            except Exception as error:
                self.failures.append(error)
            self.steps = n

    def _step(self, key: tuple[int, str], n: int) -> None:
        row_key = [("shop", key[0]), ("order", key[1])]
        if n % 9 == 0:
            self._client.delete_row(self._table, ots.Row(row_key), IGNORE)
            self.model.pop(key, None)
        else:
            self._client.put_row(self._table, ots.Row(row_key, [("n", n)]), IGNORE)
            self.model[key] = n
        _, row, _ = self._client.get_row(self._table, row_key, max_version=1)
        found = None if row is None else row.attribute_columns[0][1]
        assert found == self.model.get(key)


class Searcher(threading.Thread):
    """Looks for rows that nobody changes, again and again, through one node: each search has to find all of them."""

    def __init__(self, cluster: NodeCluster, table: str, number: int, ids: list[str]) -> None:
        super().__init__(daemon=True)
        self.failures: list[Exception] = []
        self.steps = 0
        self.longest_s = 0.0
        self.stopping = threading.Event()
        self._client = cluster.client(number % len(cluster.nodes))
        self._table, self._ids = table, ids

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                began_s = time.monotonic()
                assert self.found() == self._ids
                self.longest_s = max(self.longest_s, time.monotonic() - began_s)
                self.steps += 1
        except Exception as error:
            self.failures.append(error)

    def found(self) -> list[str]:
        query = ots.SearchQuery(ots.TermQuery("kind", "still"), limit=100, get_total_count=True)
        columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE)
        answer = self._client.search(self._table, "x", query, columns)
        ids = sorted(key[1][1] for key, _ in answer.rows)
        assert len(ids) == answer.total_count
        return ids


def rows(cluster: NodeCluster, table: str, number: int) -> dict[tuple[int, str], int]:
    found: dict[tuple[int, str], int] = {}
    start: Any = [("shop", ots.INF_MIN), ("order", ots.INF_MIN)]
    end = [("shop", ots.INF_MAX), ("order", ots.INF_MAX)]
    while start:
        _, start, page, _ = cluster.client(number).get_range(table, ots.Direction.FORWARD, start, end, max_version=1)
        for row in page:
            key = (row.primary_key[0][1], row.primary_key[1][1])
            assert key not in found
            found[key] = row.attribute_columns[0][1]
    return found


def go_on(writers: list[Writer]) -> None:
    """Returns when each has written some more."""
    before = [writer.steps for writer in writers]
    wait_until(lambda: all(w.steps > n + 100 or w.failures for w, n in zip(writers, before, strict=True)), WITHIN_S)


def test_writers_notice_nothing(cluster: NodeCluster) -> None:
    make_table(cluster, "orders")
    writers = [Writer(cluster, "orders", number) for number in range(4)]
    for writer in writers:
        writer.start()
    go_on(writers)
    (only,) = serving(cluster, "orders")
    split(cluster, only.entry.id)
    upper = serving(cluster, "orders")[1]
    split(cluster, upper.entry.id, "--at", "33")
    split(cluster, serving(cluster, "orders")[0].entry.id)
    go_on(writers)
    for writer in writers:
        writer.stopping.set()
        writer.join(WITHIN_S)
        assert not writer.is_alive()
        assert not writer.failures
    model = {key: n for writer in writers for key, n in writer.model.items()}
    assert [rows(cluster, "orders", number) for number in (0, 1)] == [model, model]
    found = serving(cluster, "orders")
    assert [row.begin for row in found].count(33) == 1
    assert len(found) == 4


def test_searches_see_the_parent_or_its_children(cluster: NodeCluster) -> None:
    make_table(cluster, "searched")
    client = cluster.client()
    fields = [ots.FieldSchema("kind", ots.FieldType.KEYWORD, index=True)]
    client.create_search_index("searched", "x", ots.SearchIndexMeta(fields))
    ids = sorted(f"still{n}" for n in range(60))
    for n in range(60):
        key = [("shop", n % SHOPS), ("order", f"still{n}")]
        client.put_row("searched", ots.Row(key, [("n", n), ("kind", "still")]), IGNORE)
    searchers = [Searcher(cluster, "searched", number, ids) for number in range(2)]
    wait_until(lambda: searchers[0].found() == ids, WITHIN_S)
    writers = [Writer(cluster, "searched", number) for number in range(2)]
    threads: list[Any] = [*searchers, *writers]
    for thread in threads:
        thread.start()

    def all_go_on() -> None:
        before = [thread.steps for thread in threads]
        wait_until(
            lambda: all(one.steps > n + 20 or one.failures for one, n in zip(threads, before, strict=True)), WITHIN_S
        )

    for _ in range(2):
        all_go_on()
        for row in serving(cluster, "searched"):
            split(cluster, row.entry.id)
    all_go_on()
    for thread in threads:
        thread.stopping.set()
        thread.join(WITHIN_S)
        assert not thread.is_alive()
        assert not thread.failures
    assert len(serving(cluster, "searched")) == 4


def test_children_are_shared_out_with_no_copy(cluster: NodeCluster) -> None:
    make_table(cluster, "shared")
    client = cluster.client()
    for shop in range(16):
        client.put_row("shared", ots.Row([("shop", shop), ("order", "a")], [("n", shop)]), IGNORE)
    (only,) = serving(cluster, "shared")
    for child in split(cluster, only.entry.id):
        split(cluster, child)
    wait_until(
        lambda: {row.owner for row in cluster.status().partitions if row.state == "serving"} == {"node-1", "node-2"},
        WITHIN_S,
    )
    assert rows(cluster, "shared", 1) == {(shop, "a"): shop for shop in range(16)}


def test_what_cannot_be_split_is_told(cluster: NodeCluster, tmp_path: Path) -> None:
    make_table(cluster, "narrow")
    cluster.client().put_row("narrow", ots.Row([("shop", 1), ("order", "a")], [("n", 1)]), IGNORE)
    of_store = ["--store", cluster.store_address]
    (only,) = serving(cluster, "narrow")
    for arguments, told in (
        ([only.entry.id, *of_store], "one partition key stay together"),
        ([only.entry.id, *of_store, "--at", "x"], "'x'"),
        (["none", *of_store], "there is no partition none"),
        ([only.entry.id, "--store", str(tmp_path)], "there is no cluster"),
    ):
        result = lutra(*arguments)
        assert result.exit_code != 0
        assert told in result.stderr
