"""Where partitions are cut, and what of a store is beyond a range: all that is kept by partition key, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.cluster.map import PartitionEntry
from lutra.cluster.splits.ranges import hidden_ranges, middle_of
from lutra.kv.memory import MemoryStore
from lutra.model.errors import ParameterInvalid
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, TableSchema
from lutra.model.values import AUTO_INCREMENT, ColumnType
from lutra.tables import keyspace
from lutra.tables.keys import KeyCodec
from lutra.tables.space import TableSpace

VALUES: dict[ColumnType, Any] = {
    ColumnType.INTEGER: st.integers(-3, 3) | st.just(2**63 - 1),
    ColumnType.STRING: st.text(alphabet="a\0b\xff", max_size=3),
    ColumnType.BINARY: st.binary(max_size=3),
}


@st.composite
def partition_keys(draw: st.DrawFn) -> tuple[ColumnType, list[Any], int]:
    """Their type, some of them, and how many of those are before the cut."""
    kind = draw(st.sampled_from([ColumnType.INTEGER, ColumnType.STRING, ColumnType.BINARY]))
    values = sorted(draw(st.lists(VALUES[kind], min_size=2, max_size=8, unique=True)))
    return kind, values, draw(st.integers(1, len(values) - 1))


def space_of(kind: ColumnType, values: list[Any], columns: int, rows_each: int = 2) -> tuple[MemoryStore, TableSpace]:
    """A table that is not the first that its store ever had, with rows of each partition key, and a local index."""
    store = MemoryStore()
    space = TableSpace(store)
    tables = space.instance("default")
    tables.create(TableSchema("other", (KeyColumn("id", ColumnType.STRING),)))
    tables.delete("other")
    key = [KeyColumn("p", kind), KeyColumn("n", ColumnType.INTEGER, auto_increment=True)][:columns]
    index = SecondaryIndex("x", ("p", "c"), (), IndexKind.LOCAL)
    tables.create(TableSchema("t", tuple(key), (DefinedColumn("c", ColumnType.STRING),), indexes=(index,)))
    for value in values:
        for _ in range(rows_each if columns == 2 else 1):
            row_key: Any = [("p", value), ("n", AUTO_INCREMENT)][:columns]
            tables.write("t", RowChange(ChangeKind.PUT, row_key, [("c", "x", None, CellOperation.PUT)]))
    return store, space


@given(partition_keys(), st.sampled_from([1, 2]))
def test_what_is_beyond_is_hidden(keys: tuple[ColumnType, list[Any], int], columns: int) -> None:
    kind, values, cut = keys
    if kind is ColumnType.INTEGER and columns == 1:
        columns = 2
    store, space = space_of(kind, values, columns)
    table = space.instance("default").describe("t")
    at = KeyCodec(b"", table.schema.key).encode_partition_value(values[cut])
    parts = [PartitionEntry("lower", 1, b"", at), PartitionEntry("upper", 1, at, None)]
    hidden = [hidden_ranges(entry, store) for entry in parts]
    of_table = (table.table_id, table.schema.indexes[0].index_id)
    seen = 0
    for key, _ in store.scan(b"\0", b"\xff"):
        where = [any(begin <= key < end for begin, end in ranges) for ranges in hidden]
        is_of_rows = key[:1] == b"r" and keyspace.unpack(key[1:9]) in of_table
        is_of_counters = key[:1] == b"n" and keyspace.unpack(key[1:9]) == table.table_id
        assert sum(where) == (1 if is_of_rows or is_of_counters else 0)
        seen += is_of_rows
    assert seen == 2 * len(values) * columns
    assert hidden_ranges(PartitionEntry("whole", 1), store) == []


@given(partition_keys(), st.sampled_from([1, 2]), st.integers(1, 6))
def test_the_middle_leaves_rows_on_both_sides(
    keys: tuple[ColumnType, list[Any], int], columns: int, rows_each: int
) -> None:
    kind, values, _ = keys
    if kind is ColumnType.INTEGER and columns == 1:
        columns = 2
    store, space = space_of(kind, values, columns, rows_each)
    table = space.instance("default").describe("t")
    whole = PartitionEntry("whole", 1)
    at = middle_of(store, whole, table)
    codec = KeyCodec(b"", table.schema.key)
    places = [codec.encode_partition_value(value) for value in values]
    assert at in places[1:]
    before = places.index(at)
    assert abs(before - len(places) / 2) <= 1
    for entry in (PartitionEntry("lower", 1, b"", at), PartitionEntry("upper", 1, at, None)):
        own = [place for place in places if entry.holds(place)]
        if len(own) > 1:
            assert middle_of(store, entry, table) in own[1:]
        else:
            with pytest.raises(ParameterInvalid, match="one partition key"):
                middle_of(store, entry, table)
