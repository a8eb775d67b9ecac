"""Changes of tables over partitions: the map decides, and owners follow, whoever is away meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.local_cluster import INSTANCE, LocalCluster, local_cluster
from support.waiting import wait_until

from lutra.cluster import map_changes
from lutra.cluster.gateway.engine import GatewayEngine
from lutra.cluster.map import PartitionState
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import (
    InvalidPrimaryKey,
    LutraError,
    ObjectAlreadyExist,
    ObjectNotExist,
    ParameterInvalid,
    ServerBusy,
)
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.rows import ChangeKind, RangeRequest, ReadOptions, RowChange, WriteResult
from lutra.model.schema import (
    DefinedColumn,
    IndexKind,
    KeyColumn,
    SecondaryIndex,
    StreamSpec,
    TableSchema,
    TableUpdate,
)
from lutra.model.values import INF_MAX, INF_MIN, ColumnType

SCHEMA = TableSchema(
    "t",
    (KeyColumn("k", ColumnType.INTEGER), KeyColumn("s", ColumnType.STRING)),
    (DefinedColumn("c", ColumnType.INTEGER),),
    splits=(10, 20),
)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path) as cluster:
        cluster.nodes[0].instance.create_table(SCHEMA)
        yield cluster


def put(number: int, value: object = 1, column: str = "c") -> RowChange:
    return RowChange(ChangeKind.PUT, (("k", number), ("s", "x")), [(column, value, None, 0)])  # type: ignore[list-item]


def test_a_dropped_table_takes_no_row_by_way_of_who_does_not_know_yet(cluster: LocalCluster) -> None:
    """Which nobody would ever see. Here nobody but the owners is told."""
    other = cluster.nodes[1].instance
    other.tables.write("t", put(5))
    engine = GatewayEngine(cluster.nodes[0].router, lambda of, entries: None)
    engine.instance(INSTANCE).delete_table("t")
    assert cluster.nodes[1].router.maps.known.has_table(INSTANCE, "t")
    for number in (5, 15, 25):
        with pytest.raises(ObjectNotExist):
            other.tables.write("t", put(number))
    with pytest.raises(ObjectNotExist):
        cluster.nodes[2].instance.tables.read("t", put(5).key, ReadOptions())


def test_two_gateways_change_a_table_at_once_and_both_have_their_way(cluster: LocalCluster) -> None:
    def define(node: int) -> None:
        for number in range(5):
            column = DefinedColumn(f"n{node}_{number}", ColumnType.INTEGER)
            cluster.nodes[node].instance.tables.add_defined_columns("t", [column])

    threads = [threading.Thread(target=define, args=(node,)) for node in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = {f"n{node}_{number}" for node in range(3) for number in range(5)}
    known = cluster.nodes[0].router.maps.read()
    assert {column.name for column in known.table(INSTANCE, "t").schema.defined} == names | {"c"}
    for entry in cluster.partitions("t"):
        owned = cluster.owner(entry.id).host.get(entry.id)
        assert {column.name for column in owned.instance.tables.describe("t").schema.defined} == names | {"c"}


def test_an_owner_that_is_away_follows_when_it_is_back(cluster: LocalCluster) -> None:
    entry = cluster.partitions("t")[1]
    cluster.owner(entry.id).host.close(entry.id)
    instance = cluster.nodes[1].instance
    with working_for(Deadline(1.0)), pytest.raises(ServerBusy):
        instance.tables.add_defined_columns("t", [DefinedColumn("d", ColumnType.STRING)])
    with working_for(Deadline(1.0)), pytest.raises(ServerBusy):
        instance.update_table("t", TableUpdate(stream=StreamSpec(24)))
    assert [column.name for column in instance.tables.described("t").schema.defined] == ["c", "d"]
    cluster.move(entry.id)
    for number in (5, 15, 25):
        with pytest.raises(ParameterInvalid):
            instance.tables.write("t", put(number, 1, "d"))
        instance.tables.write("t", put(number, "v", "d"))
    (stream,) = instance.list_streams()
    places = [instance.stream_iterator(stream.stream_id, shard.id) for shard in stream.shards]
    assert [len(instance.read_stream(at, 9, 1 << 20).records) for at in places] == [1, 1, 1]


def test_a_stream_that_is_enabled_again_is_another(cluster: LocalCluster) -> None:
    instance = cluster.nodes[1].instance
    instance.update_table("t", TableUpdate(stream=StreamSpec(24)))
    instance.tables.write("t", put(15))
    (before,) = instance.list_streams("t")
    at = instance.stream_iterator(before.stream_id, before.shards[1].id)
    assert len(instance.read_stream(at, 9, 1 << 20).records) == 1
    entry = cluster.partitions("t")[1]
    cluster.owner(entry.id).host.close(entry.id)  # it sees neither that it was disabled, nor that it was enabled
    for update in (TableUpdate(stream=False), TableUpdate(stream=StreamSpec(48))):
        with working_for(Deadline(0.5)), pytest.raises(ServerBusy):
            instance.update_table("t", update)
    cluster.move(entry.id)
    (after,) = instance.list_streams("t")
    assert after.stream_id != before.stream_id
    assert instance.read_stream(instance.stream_iterator(after.stream_id, after.shards[1].id), 9, 1 << 20).records == []
    with pytest.raises(LutraError, match="already trimmed or does not exist"):
        instance.read_stream(at, 9, 1 << 20)
    with pytest.raises(ObjectNotExist):
        instance.stream_iterator(before.stream_id, before.shards[1].id)
    with pytest.raises(ObjectNotExist):
        instance.stream_iterator(after.stream_id, before.shards[1].id)


def test_a_local_index_is_filled_in_all_partitions_and_dropped(cluster: LocalCluster) -> None:
    one, other = cluster.nodes[0].instance, cluster.nodes[1].instance
    (written,) = one.tables.write_batch([("t", [put(number, -number) for number in range(30)])])
    assert all(isinstance(result, WriteResult) for result in written)
    other.create_secondary_index("t", SecondaryIndex("x", ("k", "c"), (), IndexKind.LOCAL))
    (index,) = one.tables.described("t").schema.indexes
    wait_until(lambda: one.tables.is_index_filled(index))
    key = [column.name for column in one.tables.described("x").schema.key]
    assert key == ["k", "c", "s"]
    request = RangeRequest(tuple((name, INF_MAX) for name in key), tuple((name, INF_MIN) for name in key), True)
    assert [row.key[1][1] for row in one.tables.read_range("x", request).rows] == [-number for number in range(30)][
        ::-1
    ]
    with pytest.raises(ParameterInvalid, match="is a secondary index"):
        one.tables.write("x", put(1))
    for name in ("x", "t"):
        with pytest.raises(ObjectAlreadyExist):
            one.create_secondary_index("t", SecondaryIndex(name, ("k", "c"), (), IndexKind.LOCAL))
    with pytest.raises(ParameterInvalid, match="is used by index"):
        one.tables.delete_defined_columns("t", ["c"])
    one.drop_secondary_index("t", "x")
    with pytest.raises(ObjectNotExist):
        other.drop_secondary_index("t", "x")
    with pytest.raises(ObjectNotExist):
        other.tables.read_range("x", request)


def test_tables_are_made_listed_and_deleted_from_any_node(cluster: LocalCluster) -> None:
    one, other = cluster.nodes[1].instance, cluster.nodes[2].instance
    with pytest.raises(ObjectAlreadyExist, match="Requested table already exists"):
        one.create_table(SCHEMA)
    with pytest.raises(ParameterInvalid):
        one.create_table(TableSchema("bad name", SCHEMA.key))
    one.create_table(TableSchema("a", (KeyColumn("k", ColumnType.STRING),)))
    assert other.tables.names() == ["a", "t"]
    assert len(cluster.partitions("a")) == 1
    with pytest.raises(InvalidPrimaryKey):
        other.tables.write("a", put(1))
    changed = map_changes.create_index(
        cluster.nodes[1].router.maps.read(), INSTANCE, "a", "i", IndexSchema((FieldSchema("k", FieldType.KEYWORD),)), 1
    )
    cluster.nodes[0].maps.change(lambda _: changed)
    with pytest.raises(ParameterInvalid, match="at least one search index"):
        other.delete_table("a")
    partitions = [entry.id for entry in cluster.partitions("t")]
    other.delete_table("t")
    for instance in (one, other):
        assert instance.tables.names() == ["a"]
        with pytest.raises(ObjectNotExist, match="Requested table does not exist"):
            instance.tables.write("t", put(1))
    known = cluster.nodes[0].router.maps.read()
    states = {entry.id: entry.state for entry in known.partitions}
    assert {states[entry] for entry in partitions} == {PartitionState.DROPPED}
    assert not set(partitions) & set(cluster.owners)
    with pytest.raises(ObjectNotExist):
        other.delete_table("t")


def test_instances_are_made_by_any_node(cluster: LocalCluster) -> None:
    engine = cluster.nodes[1].engine
    engine.create_instance("second")
    with pytest.raises(ObjectAlreadyExist):
        cluster.nodes[2].engine.create_instance("second")
    with pytest.raises(ParameterInvalid):
        engine.create_instance("no/name")
    assert cluster.nodes[0].engine.instance_names() == [INSTANCE, "second"]
    second = cluster.nodes[0].engine.instance("second")
    assert second.tables.names() == []
    second.create_table(SCHEMA)
    second.tables.write("t", put(1))
    with pytest.raises(ObjectNotExist):
        engine.instance("third")
