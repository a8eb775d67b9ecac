"""Stores that hold the same rows, each of which means only some: together they are what one is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kv.memory import MemoryStore
from lutra.model.rows import ChangeKind, KeyInput, RangeRequest, RangeResult, ReadOptions, RowChange
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType, KeyValue
from lutra.tables.bounds import KeyBounds
from lutra.tables.keys import KeyCodec
from lutra.tables.pages import NEW_PAGE
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

_TYPES = {int: ColumnType.INTEGER, str: ColumnType.STRING, bytes: ColumnType.BINARY}
_VALUES: dict[ColumnType, st.SearchStrategy[KeyValue]] = {
    ColumnType.INTEGER: st.integers(-3, 6),
    ColumnType.STRING: st.text("\0ab\xff", max_size=3),
    ColumnType.BINARY: st.binary(max_size=2),
}


@st.composite
def _parted(draw: st.DrawFn) -> tuple[Tables, list[Tables]]:
    """A table, and the same in several stores that mean a part each."""
    columns = [KeyColumn(f"k{n}", draw(st.sampled_from(list(_VALUES)))) for n in range(draw(st.integers(1, 2)))]
    store = MemoryStore()
    whole = TableSpace(store).instance("i")
    index = SecondaryIndex("x", (columns[0].name, "c"), (), IndexKind.LOCAL)
    whole.create(TableSchema("t", tuple(columns), (DefinedColumn("c", ColumnType.INTEGER),), indexes=(index,)))
    for key in draw(st.lists(st.tuples(*(_VALUES[column.type] for column in columns)), max_size=25, unique=True)):
        named = tuple((column.name, value) for column, value in zip(columns, key, strict=True))
        whole.write("t", RowChange(ChangeKind.PUT, named, [("c", len(key), None, 0), ("d", "x" * 40, None, 0)]))
    cuts = sorted(draw(st.lists(_VALUES[columns[0].type], max_size=3, unique=True)))
    ends = pairwise([None, *cuts, None])
    return whole, [TableSpace(store, bounds=KeyBounds(begin, end)).instance("i") for begin, end in ends]


def _page(parts: list[Tables], name: str, request: RangeRequest) -> RangeResult:
    page, so_far = RangeResult([], None), NEW_PAGE  # type: ignore[arg-type]
    for part in reversed(parts) if request.backward else parts:
        result, so_far = part.go_on(name, request, so_far)
        page = RangeResult(page.rows + result.rows, result.consumed, result.next_start)
        if page.next_start is not None:
            break
    return page


@given(_parted(), st.data())
@settings(deadline=None, max_examples=60)
def test_parts_read_one_after_the_other_give_what_the_whole_does(
    parted: tuple[Tables, list[Tables]], data: st.DataObject
) -> None:
    whole, parts = parted
    assert sum(part.count("t") for part in parts) == whole.count("t")
    assert sum(part.estimate("t", 100).pairs for part in parts) == whole.estimate("t", 100).pairs
    name = data.draw(st.sampled_from(["t", "x"]))
    names = [column.name for column in whole.described(name).schema.key]
    types = {column.name: column.type for column in whole.described(name).schema.key}

    def bound() -> KeyInput:
        return tuple(
            (one, data.draw(st.one_of(st.sampled_from([INF_MIN, INF_MAX]), _VALUES[types[one]]))) for one in names
        )

    for backward in (False, True):
        request: RangeRequest | None = RangeRequest(
            bound(), bound(), backward, data.draw(st.sampled_from([None, 1, 2, 5])), ReadOptions()
        )
        everything = tuple((one, INF_MIN) for one in names), tuple((one, INF_MAX) for one in names)
        while request is not None:
            try:
                expected = whole.read_range(name, request)
            except Exception as error:
                with pytest.raises(type(error)):
                    _page(parts, name, request)
                request = RangeRequest(*(everything[::-1] if backward else everything), backward, 3)
                continue
            assert _page(parts, name, request) == expected
            following = expected.next_start
            request = None if following is None else RangeRequest(following, request.end, backward, request.limit)


@given(st.sampled_from(list(_VALUES)), st.booleans(), st.data())
def test_a_partition_key_is_read_back(kind: ColumnType, is_alone: bool, data: st.DataObject) -> None:
    columns = (KeyColumn("a", kind),) if is_alone else (KeyColumn("a", kind), KeyColumn("b", ColumnType.STRING))
    codec = KeyCodec(b"", columns)
    value = data.draw(_VALUES[kind])
    assert codec.decode_partition(codec.encode_partition_value(value)) == value
    assert codec.encode_partition_value(value) == codec.encode_partition_key((("a", value),))
