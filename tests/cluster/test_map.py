"""A map of a cluster: every key has one partition, whatever was split and merged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cluster_maps import key, map_of, split

from lutra.cluster.map import ClusterMap, PartitionEntry, new_partition_id
from lutra.cluster.map_changes import drop_partition, drop_table, merge
from lutra.model.errors import ObjectNotExist
from lutra.objects.name import is_part


def test_looking_up() -> None:
    of = map_of(3, tables=2)
    table = of.table("main", "orders2")
    assert [one.name for one in of.tables_of("main")] == ["orders1", "orders2"]
    assert [each.id for each in of.partitions_of(table.uid)] == ["p2-0", "p2-1", "p2-2"]
    assert of.partition_of(table.uid, key(-1)).id == "p2-0"
    assert of.partition_of(table.uid, key(0)).id == of.partition_of(table.uid, key(99) + b"zz").id == "p2-1"
    assert of.partition_of(table.uid, key(100)).id == "p2-2"
    found = of.partition("p1-1")
    assert found is not None
    assert of.table_of(found) is of.table("main", "orders1")
    assert of.partition("p9-9") is None
    with pytest.raises(ObjectNotExist, match="Requested table does not exist"):
        of.table("main", "orders3")
    with pytest.raises(ObjectNotExist):
        of.partition_of(99, b"")
    with pytest.raises(ObjectNotExist, match="'other' does not exist"):
        of.require_instance("other")


def test_a_dropped_table_is_found_no_more_but_its_partitions_are() -> None:
    of = drop_table(map_of(2), "main", "orders1")
    gone = of.partition("p1-0")
    assert gone is not None
    assert of.table_of(gone) is None
    with pytest.raises(ObjectNotExist):
        of.partitions_of(gone.table)


def test_ids_of_partitions_are_names_of_objects() -> None:
    assert new_partition_id(lambda length: bytes(range(length))) == "0001020304050607"
    assert is_part(new_partition_id())
    assert new_partition_id() != new_partition_id()


BOUNDS = st.one_of(st.integers(-500, 500).map(key), st.just(b""), st.binary(max_size=9))


@given(
    steps=st.lists(st.tuples(st.integers(0, 10_000), st.integers(-450, 450)), max_size=12),
    ranges=st.lists(st.tuples(BOUNDS, st.one_of(BOUNDS, st.none())), min_size=1, max_size=5),
    keys=st.lists(BOUNDS, min_size=1, max_size=5),
)
def test_every_key_has_one_partition(
    steps: list[tuple[int, int]], ranges: list[tuple[bytes, bytes | None]], keys: list[bytes]
) -> None:
    of = map_of(4)
    table = of.table("main", "orders1").uid
    for number, (choice, at) in enumerate(steps):
        serving = of.partitions_of(table)
        if choice % 3 == 0 and len(serving) > 1:
            first = choice % (len(serving) - 1)
            of = merge(of, [each.id for each in serving[first : first + 2]], f"m{number}")
        elif (cut := of.partition_of(table, key(at))).begin < key(at):
            of = split(of, cut.id, [key(at)], [f"l{number}", f"r{number}"])
        if choice % 2:
            retired = [each.id for each in of.partitions if each.state == 2]
            of = drop_partition(of, retired[0]) if retired else of
    serving = [each for each in of.partitions if each.table == table and each.state == 1]
    for one in keys:
        assert [each for each in serving if each.holds(one)] == [of.partition_of(table, one)]
    for begin, end in ranges:
        expected = sorted((each for each in serving if overlaps(each, begin, end)), key=lambda each: each.begin)
        assert of.partitions_of(table, begin, end) == expected


def overlaps(each: PartitionEntry, begin: bytes, end: bytes | None) -> bool:
    if end is not None and begin >= end:
        return False
    return (each.end is None or begin < each.end) and (end is None or each.begin < end)


def test_an_empty_map_has_nothing() -> None:
    assert ClusterMap().tables_of("main") == []
