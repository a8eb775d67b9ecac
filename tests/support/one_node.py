"""The partitions of one node without a network: rows go where the map says, splits are made as a node makes them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from support.indexes import resources_in

from lutra.cluster import map_changes
from lutra.cluster.errors import Moved
from lutra.cluster.host import OwnedPartition, PartitionHost, place_of
from lutra.cluster.map import ClusterMap, PartitionState, new_partition_id
from lutra.cluster.map_log import MapLog
from lutra.cluster.partition_leases import PartitionLeases
from lutra.cluster.splits.retirement import Retirement
from lutra.cluster.splits.splitting import Split, Splitter, settle
from lutra.index.builds.policy import Policy
from lutra.index.check.fsck import IndexCheck
from lutra.index.lsm.storage import IndexStorage, prefix_of
from lutra.model.clock import SystemClock
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import KnnVector, MatchAll, ScoreSort, SearchRequest
from lutra.model.rows import CellOperation, ChangeKind, RangeRequest, RowChange
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.objects.local import LocalStore
from lutra.objects.store import ObjectStore
from lutra.tables.keys import KeyCodec

WITHIN_S = 60.0
KEY = (KeyColumn("shop", ColumnType.INTEGER), KeyColumn("order", ColumnType.STRING))
SCHEMA = TableSchema(
    "orders",
    KEY,
    (DefinedColumn("city", ColumnType.STRING),),
    indexes=(SecondaryIndex("by_city", ("shop", "city"), (), IndexKind.LOCAL),),
)
INDEX = IndexSchema((FieldSchema("n", FieldType.LONG), FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2))))
POLICY = Policy(flush_age_s=3_600)
Key = tuple[int, str]
Model = dict[Key, int]
"""``n`` by key: all else of a row follows from it."""


class Leases:
    """A `lutra.cluster.splits.splitting.Leases` of the only node there is."""

    def __init__(self) -> None:
        self.claimed: set[str] = set()

    @contextmanager
    def pinned(self, partition_id: str) -> Iterator[None]:
        yield

    def claim(self, partition_id: str) -> int:
        self.claimed.add(partition_id)
        return 1

    def adopt(self, partition_id: str) -> None:
        self.claimed.remove(partition_id)

    def give_up(self, partition_id: str) -> None:
        self.claimed.remove(partition_id)


class OneNode:
    """Opens what the map has, and makes a table with one partition where there is none. A context manager."""

    def __init__(self, root: Path, store: ObjectStore | None = None, policy: Policy = POLICY) -> None:
        """``store``: of the cluster, over ``root``."""
        self.root = root
        root.mkdir(exist_ok=True)
        self.store = store or LocalStore(root)
        self.maps = MapLog(self.store)
        self.resources = resources_in(root, store=self.store, policy=policy)
        self.leases = Leases()
        self.host = PartitionHost(
            str(root), self.resources, lambda: lambda: True, settle=lambda partition_id: settle(self.maps, partition_id)
        )
        self.splitter = Splitter(self.maps, self.host, self.leases, self.store)
        if not self.maps.newest().tables:
            self.maps.change(_with_table)
        for entry in self.map.partitions_of(self.table.uid):
            self.host.open(entry, self.table, 2)

    def __enter__(self) -> OneNode:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.host.close_all()
        self.resources.close()

    @property
    def map(self) -> ClusterMap:
        return self.maps.newest()

    @property
    def table(self) -> Any:
        return self.map.table("main", "orders")

    def at(self, shop: int) -> OwnedPartition:
        """Who has the rows of a shop."""
        entry = self.map.partition_of(self.table.uid, bound(shop))
        return self.host.get(entry.id)

    def put(self, key: Key, n: int) -> None:
        self._write(RowChange(ChangeKind.PUT, keyed(key), cells_of(n)))

    def delete(self, key: Key) -> None:
        self._write(RowChange(ChangeKind.DELETE, keyed(key)))

    def _write(self, change: RowChange) -> None:
        while True:
            try:
                owned = self.at(change.key[0][1])  # type: ignore[arg-type]
                with owned.writing():
                    owned.instance.tables.write("orders", change)
                return
            except Moved:
                continue

    def put_all(self, rows: Model) -> None:
        """A commit for each partition."""
        by_owner: dict[str, list[RowChange]] = {}
        for key, n in rows.items():
            by_owner.setdefault(self.at(key[0]).id, []).append(RowChange(ChangeKind.PUT, keyed(key), cells_of(n)))
        for partition_id, changes in by_owner.items():
            tables = self.host.get(partition_id).instance.tables
            for begin in range(0, len(changes), 200):
                tables.write_batch([("orders", changes[begin : begin + 200])])

    def split(self, partition_id: str | None = None, at: int | None = None) -> Split:
        """Of the only one, unless it is said which."""
        if partition_id is None:
            (partition_id,) = (owned.id for owned in self.host.owned())
        return self.splitter.split(partition_id, None if at is None else bound(at))

    def retirement(self, **options: Any) -> Retirement:
        """Which waits for nobody, unless it is told to."""
        leases = PartitionLeases(self.store, secrets.token_bytes)
        given = {"grace_s": 0.0} | options
        return Retirement(self.maps, self.host, self.store, leases, SystemClock(), **given)

    def rows(self, name: str = "orders") -> Model:
        """Of the table, or as a secondary index has them, read partition by partition."""
        found: Model = {}
        for owned in self.host.owned():
            tables = owned.instance.tables
            columns = [
                column.name for column in (tables.describe("orders").schema.key if name == "orders" else BY_CITY)
            ]
            start = tuple((column, INF_MIN) for column in columns)
            end = tuple((column, INF_MAX) for column in columns)
            while start:
                page = tables.read_range(name, RangeRequest(start, end))
                for row in page.rows:
                    values = dict(row.key)
                    key = values["shop"], values["order"]
                    assert key not in found, "a row is in one partition"
                    found[key] = int(str(values["city"])) if name != "orders" else n_of(row.cells)  # type: ignore[index]
                start = page.next_start or ()
        return found

    def searched(self, query: Any = MatchAll(), **options: Any) -> Model:  # noqa: B008
        """What is found in all partitions, once they have all that was written."""
        found: Model = {}
        for owned in self.host.owned():
            owned.instance.wait_searchable("orders", "x", WITHIN_S)
            request = SearchRequest(query, limit=1_000, **options)
            for row in owned.instance.search("orders", "x", request).rows:
                key = (row.key[0][1], row.key[1][1])
                assert key not in found
                found[key] = 0  # type: ignore[index]
        return found

    def nearest(self, at: tuple[float, float], count: int) -> list[Key]:
        found = []
        for owned in self.host.owned():
            owned.instance.wait_searchable("orders", "x", WITHIN_S)
            query = KnnVector("v", np.array(at, np.float32), count)
            result = owned.instance.search("orders", "x", SearchRequest(query, limit=count, sort=(ScoreSort(),)))
            found += [
                (-score, (row.key[0][1], row.key[1][1])) for score, row in zip(result.scores, result.rows, strict=True)
            ]
        return [key for _, key in sorted(found)[:count]]  # type: ignore[misc]

    def flush(self) -> None:
        """Has all that was written in segments."""
        for owned in self.host.owned():
            owned.instance.wait_searchable("orders", "x", WITHIN_S)
            for feed in owned.instance.index_feeds():
                feed.index.flush()

    def faults(self) -> list[str]:
        """Of the search indexes of all partitions, against their rows."""
        found = []
        for owned in self.host.owned():
            tables = owned.instance.tables
            uid = tables.describe("orders").table_id
            for feed in owned.instance.index_feeds():
                prefix = place_of(owned.id) + prefix_of(feed.definition)
                with (
                    IndexCheck(IndexStorage(self.store, prefix), feed.definition.schema, KEY) as check,
                    owned.partition.store.snapshot() as snapshot,
                ):
                    check.check_objects()
                    position = check.manifest.progress.position if check.manifest else 0
                    codec = KeyCodec(b"", KEY)
                    changes = owned.partition.space.changelog.read(uid, position, 1_000_000)
                    changed = {codec.encode(change.key) for change in changes}
                    check.check_rows(tables.scan_rows(uid, snapshot), changed)
                    found += [f"{owned.id}: {fault}" for fault in check.faults]
        return found

    def check(self, model: Model) -> None:
        """Rows, secondary index, searches and objects are as ``model`` has it."""
        assert self.rows() == model
        assert self.rows("by_city") == {key: n % 10 for key, n in model.items()}
        assert self.searched().keys() == model.keys()
        away = {key: abs(n % 100 - 50.2) for key, n in model.items()}
        near = self.nearest((50.2, 0.0), 5)
        assert sorted(away[key] for key in near) == sorted(away.values())[:5]
        self.flush()
        assert self.faults() == []


BY_CITY = (
    KeyColumn("shop", ColumnType.INTEGER),
    KeyColumn("city", ColumnType.STRING),
    KeyColumn("order", ColumnType.STRING),
)


def _with_table(of: ClusterMap) -> ClusterMap:
    made = map_changes.create_instance(of, "main")
    # So that the table's id in the map is not the one that it has in its partitions.
    other = TableSchema("other", (KeyColumn("id", ColumnType.STRING),))
    other_id = new_partition_id()
    made = map_changes.create_table(made, "main", other, 1_000, [other_id])
    made = map_changes.forget_partition(map_changes.drop_table(made, "main", "other"), other_id)
    made = map_changes.create_table(made, "main", SCHEMA, 1_000, [new_partition_id()])
    return map_changes.create_index(made, "main", "orders", "x", INDEX, 5)


def serving(of: ClusterMap) -> list[str]:
    return [entry.id for entry in of.partitions if entry.state is PartitionState.SERVING]


def bound(shop: int) -> bytes:
    return KeyCodec(b"", KEY).encode_partition_value(shop)


def keyed(key: Key) -> tuple[tuple[str, Any], ...]:
    return (("shop", key[0]), ("order", key[1]))


def cells_of(n: int) -> list[Any]:
    vector = json.dumps([n % 100, 0.0])
    values = {"n": n, "city": str(n % 10), "v": vector}
    return [(name, value, None, CellOperation.PUT) for name, value in values.items()]


def n_of(cells: Any) -> int:
    return next(value for name, value, _ in cells if name == "n")  # type: ignore[no-any-return]
