"""What may become of a map, and what may not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.cluster_maps import INDEX, KEYS, NOW_US, key, map_of, split

from lutra.cluster import map_changes as changes
from lutra.cluster.map import ClusterMap, PartitionEntry, PartitionState, TableEntry
from lutra.cluster.map_codec import decode_map, encode_map
from lutra.model.errors import (
    MetaNotMatch,
    ObjectAlreadyExist,
    ObjectNotExist,
    OperationConflict,
    ParameterInvalid,
)
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, StreamSpec, TableSchema
from lutra.model.values import ColumnType


def test_instances_come() -> None:
    of = changes.create_instance(changes.create_instance(ClusterMap(), "second"), "first")
    assert of.instances == ("first", "second")
    with pytest.raises(ObjectAlreadyExist):
        changes.create_instance(of, "first")
    with pytest.raises(ParameterInvalid, match="invalid instance name"):
        changes.create_instance(of, "a/b")


def test_a_table_gets_ids_for_itself_and_its_secondary_indexes() -> None:
    second = SecondaryIndex("by_city", ("city",), kind=IndexKind.LOCAL, includes_base=False)
    schema = TableSchema("orders", KEYS, indexes=(second,), stream=StreamSpec(24))
    of = changes.create_table(replace(map_of(1), version=7), "main", schema, NOW_US, ["a"])
    table = of.table("main", "orders")
    assert (table.uid, table.version, table.description.created_us, of.next_uid) == (2, 8, NOW_US, 4)
    assert table.schema.indexes == (replace(second, includes_base=True, index_id=3),)
    assert table.description.stream_id == f"orders_{NOW_US}"
    assert of.partitions_of(2) == [PartitionEntry("a", 2)]
    for taken in ("orders", "by_city"):
        with pytest.raises(ObjectAlreadyExist):
            changes.create_table(of, "main", TableSchema(taken, KEYS), NOW_US, ["b"])
    with pytest.raises(ObjectNotExist):
        changes.create_table(of, "other", TableSchema("new", KEYS), NOW_US, ["b"])


def test_secondary_indexes_come_and_go() -> None:
    of = changes.add_secondary_index(map_of(1), "main", "orders1", SecondaryIndex("by_city", ("city",)))
    assert [(index.name, index.index_id) for index in of.table("main", "orders1").schema.indexes] == [("by_city", 2)]
    with pytest.raises(ObjectAlreadyExist):
        changes.add_secondary_index(of, "main", "orders1", SecondaryIndex("by_city", ("city",)))
    with pytest.raises(ObjectNotExist, match="'other' does not exist on table 'orders1'"):
        changes.drop_secondary_index(of, "main", "orders1", "other")
    of = changes.drop_secondary_index(of, "main", "orders1", "by_city")
    assert of.table("main", "orders1").schema.indexes == ()
    assert of.next_uid == 3


def test_a_global_index_is_a_table_with_partitions_of_its_own() -> None:
    schema = TableSchema(
        "people", KEYS, (DefinedColumn("city", ColumnType.STRING),), indexes=(SecondaryIndex("by_city", ("city",)),)
    )
    of = changes.create_table(map_of(1), "main", schema, NOW_US, ["p"], new_id=lambda: "i1")
    table = of.table("main", "people")
    uid = table.schema.indexes[0].index_id
    (entry,) = of.partitions_of(uid)
    assert (entry.id, entry.begin, entry.end) == ("i1", b"", None)
    index = of.table_of(entry)
    assert index is not None
    assert (index.uid, index.name, index.is_index, index.version) == (uid, "by_city", True, table.version)
    assert [column.name for column in index.schema.key] == ["city", "shop", "order"]
    assert "by_city" not in [each.name for each in of.tables_of("main")]
    assert decode_map(encode_map(of)) == of
    cut = split(of, "i1", [b"m\0\0"], ["i2", "i3"])
    assert [each.id for each in cut.partitions_of(uid)] == ["i2", "i3"]
    with pytest.raises(ParameterInvalid):
        split(of, "i1", [key(1)], ["i2", "i3"])
    more = changes.add_secondary_index(cut, "main", "people", SecondaryIndex("by_order", ("order",)), lambda: "i4")
    assert [each.id for each in more.partitions_of(uid + 1)] == ["i4"]
    one_less = changes.drop_secondary_index(more, "main", "people", "by_city")
    assert {each.id: each.state.name for each in one_less.partitions if each.id.startswith("i")} == {
        "i1": "DROPPED",
        "i2": "DROPPED",
        "i3": "DROPPED",
        "i4": "SERVING",
    }
    assert one_less.by_uid(uid) is None
    none = changes.drop_table(more, "main", "people")
    assert {each.state.name for each in none.partitions if each.id.startswith(("i", "p1")) and each.table != 1} == {
        "DROPPED"
    }
    local = SecondaryIndex("by_shop", ("shop", "order"), kind=IndexKind.LOCAL)
    assert len(changes.add_secondary_index(of, "main", "people", local).partitions) == len(of.partitions)


def test_a_change_that_changes_nothing_makes_no_other_map() -> None:
    of = map_of(1)
    assert changes.change_table(of, "main", "orders1", lambda table: replace(table)) is of


def test_changing_a_table_says_in_which_version() -> None:
    of = replace(map_of(1, tables=2), version=5)

    def shorter(table: TableEntry) -> TableEntry:
        schema = replace(table.schema, options=replace(table.schema.options, ttl_s=60))
        return replace(table, description=replace(table.description, schema=schema))

    after = changes.change_table(of, "main", "orders2", shorter)
    assert after.table("main", "orders2").version == 6
    assert after.table("main", "orders2").schema.options.ttl_s == 60
    assert after.table("main", "orders1") is of.table("main", "orders1")


def test_dropping_a_table_drops_its_partitions_alone() -> None:
    of = split(map_of(1, tables=2), "p1-0", [key(5)], ["a", "b"])
    of = changes.drop_table(of, "main", "orders1")
    assert [(each.id, each.state.name) for each in of.partitions] == [
        ("p1-0", "DROPPED"),
        ("p2-0", "SERVING"),
        ("a", "DROPPED"),
        ("b", "DROPPED"),
    ]
    assert changes.forget_partition(of, "a").partition("a") is None


def test_search_indexes_of_a_table() -> None:
    of = changes.create_index(map_of(1), "main", "orders1", "first", INDEX, NOW_US)
    of = changes.create_index(of, "main", "orders1", "second", INDEX, NOW_US, source="first")
    first, second = of.table("main", "orders1").indexes
    assert (first.uid, second.uid, second.created_us - first.created_us) == (2, 3, 1)
    with pytest.raises(ObjectAlreadyExist):
        changes.create_index(of, "main", "orders1", "first", INDEX, NOW_US)
    with pytest.raises(MetaNotMatch):
        changes.create_index(of, "main", "orders1", "third", INDEX, NOW_US, source="none")
    with pytest.raises(ParameterInvalid, match=r"\[first\] is re-indexed as \[second\] already"):
        changes.create_index(of, "main", "orders1", "third", INDEX, NOW_US, source="first")
    with pytest.raises(ParameterInvalid, match="delete that one first"):
        changes.drop_index(of, "main", "orders1", "first")
    of = changes.change_index(of, "main", "orders1", "second", lambda index: replace(index, weight=30))
    assert changes.require_index(of.table("main", "orders1"), "second").weight == 30
    of = changes.switch_indexes(of, "main", "orders1", "first", "second")
    assert [(index.uid, index.name, index.source, index.weight) for index in of.table("main", "orders1").indexes] == [
        (2, "second", "first", 0),
        (3, "first", None, 0),
    ]
    of = changes.drop_index(of, "main", "orders1", "second")
    with pytest.raises(MetaNotMatch, match=r"\[second\] does not exist"):
        changes.switch_indexes(of, "main", "orders1", "first", "second")
    assert [index.uid for index in of.table("main", "orders1").indexes] == [3]


def test_indexes_that_are_no_pair_do_not_switch() -> None:
    of = map_of(1)
    for name in ("first", "second"):
        of = changes.create_index(of, "main", "orders1", name, INDEX, NOW_US)
    with pytest.raises(ParameterInvalid, match="not re-indexed"):
        changes.switch_indexes(of, "main", "orders1", "first", "second")


def test_a_split_and_what_becomes_of_the_parent() -> None:
    of = split(map_of(2), "p1-1", [key(10), key(20)], ["a", "b", "c"])
    assert [(each.id, each.begin, each.end, each.parents) for each in of.partitions_of(1)] == [
        ("p1-0", b"", key(0), ()),
        ("a", key(0), key(10), ("p1-1",)),
        ("b", key(10), key(20), ("p1-1",)),
        ("c", key(20), None, ("p1-1",)),
    ]
    parent = of.partition("p1-1")
    assert parent is not None
    assert parent.state is PartitionState.RETIRED
    with pytest.raises(OperationConflict, match="serves no more"):
        split(of, "p1-1", [key(10)], ["d", "e"])
    with pytest.raises(OperationConflict, match="is not dropped"):
        changes.forget_partition(of, "p1-1")
    with pytest.raises(OperationConflict, match="still serves"):
        changes.drop_partition(of, "a")
    of = changes.forget_partition(changes.drop_partition(of, "p1-1"), "p1-1")
    assert of.partition("p1-1") is None
    with pytest.raises(ObjectNotExist):
        changes.drop_partition(of, "p1-1")


def test_a_split_is_planned_and_then_complete_or_cancelled() -> None:
    planned = changes.plan_split(map_of(2), "p1-1", [key(10)], ["a", "b"])
    assert planned.partitions_of(1) == map_of(2).partitions_of(1), "the parent serves as long"
    assert [(each.id, each.state, each.parents) for each in planned.planned_of("p1-1")] == [
        ("a", PartitionState.PLANNED, ("p1-1",)),
        ("b", PartitionState.PLANNED, ("p1-1",)),
    ]
    for refused in (
        lambda: changes.plan_split(planned, "p1-1", [key(20)], ["c", "d"]),
        lambda: changes.merge(planned, ["p1-0", "p1-1"], "m"),
    ):
        with pytest.raises(OperationConflict, match="is being split"):
            refused()
    with pytest.raises(OperationConflict, match="is to do so"):
        changes.drop_partition(planned, "a")
    complete = changes.complete_split(planned, "p1-1", ["a", "b"])
    assert complete == split(map_of(2), "p1-1", [key(10)], ["a", "b"])
    cancelled = changes.cancel_split(planned, "p1-1")
    assert [(each.id, each.state.name) for each in cancelled.partitions[2:]] == [("a", "DROPPED"), ("b", "DROPPED")]
    assert changes.cancel_split(cancelled, "p1-1") is cancelled
    for of, ids in ((cancelled, ["a", "b"]), (complete, ["a", "b"]), (planned, ["a", "c"]), (planned, [])):
        with pytest.raises(OperationConflict):
            changes.complete_split(of, "p1-1", ids)
    again = changes.plan_split(cancelled, "p1-1", [key(10)], ["c", "d"])
    assert [each.id for each in changes.complete_split(again, "p1-1", ["c", "d"]).partitions_of(1)] == [
        "p1-0",
        "c",
        "d",
    ]
    dropped = changes.drop_table(planned, "main", "orders1")
    assert {each.state for each in dropped.partitions} == {PartitionState.DROPPED}
    with pytest.raises(OperationConflict):
        changes.complete_split(dropped, "p1-1", ["a", "b"])


@pytest.mark.parametrize(
    ("bounds", "ids"),
    [
        ([key(0)], ["a", "b"]),  # where it begins
        ([key(100)], ["a", "b"]),  # where it ends
        ([key(-5)], ["a", "b"]),
        ([key(20), key(10)], ["a", "b", "c"]),
        ([key(10), key(10)], ["a", "b", "c"]),
        ([key(10) + b"x"], ["a", "b"]),  # within a partition key
        ([key(10)], ["a"]),
        ([key(10)], ["a", "a"]),
        ([key(10)], ["a", "p1-0"]),
        ([key(10)], ["a", "b/c"]),
    ],
)
def test_a_split_that_is_none(bounds: list[bytes], ids: list[str]) -> None:
    with pytest.raises(ParameterInvalid):
        split(map_of(3), "p1-1", bounds, ids)


@pytest.mark.parametrize(
    ("types", "bound", "is_one"),
    [
        ((ColumnType.STRING, ColumnType.STRING), b"ab\0\0", True),
        ((ColumnType.STRING, ColumnType.STRING), b"a\0\xffb\0\0", True),
        ((ColumnType.STRING, ColumnType.STRING), b"ab", False),
        ((ColumnType.STRING, ColumnType.STRING), b"ab\0\0c\0\0", False),
        ((ColumnType.STRING,), b"ab", True),
        ((ColumnType.INTEGER,), b"ab", False),
    ],
)
def test_bounds_stand_between_partition_keys(types: tuple[ColumnType, ...], bound: bytes, is_one: bool) -> None:
    schema = TableSchema("new", tuple(KeyColumn(f"k{number}", kind) for number, kind in enumerate(types)))
    if is_one:
        made = changes.create_table(map_of(1), "main", schema, NOW_US, ["a", "b"], [bound])
        assert made.partition_of(2, bound).id == "b"
    else:
        with pytest.raises(ParameterInvalid, match="cannot be cut"):
            changes.create_table(map_of(1), "main", schema, NOW_US, ["a", "b"], [bound])


def test_a_merge() -> None:
    of = changes.merge(map_of(3, tables=2), ["p1-2", "p1-1"], "a")
    assert [(each.id, each.begin, each.end, each.parents) for each in of.partitions_of(1)] == [
        ("p1-0", b"", key(0), ()),
        ("a", key(0), None, ("p1-1", "p1-2")),
    ]
    for apart in (["p2-0", "p2-2"], ["p2-0"], ["p2-0", "p2-0"], ["p1-0", "p2-1"]):
        with pytest.raises(ParameterInvalid, match="side by side"):
            changes.merge(of, apart, "b")
    with pytest.raises(OperationConflict):
        changes.merge(of, ["p1-1", "p1-2"], "b")
