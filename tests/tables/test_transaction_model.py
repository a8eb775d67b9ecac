"""What a transaction writes is what the same writes would have written without it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.transaction_rows import USER, key, put, rows

from lutra.kv.memory import MemoryStore
from lutra.model.errors import LutraError
from lutra.model.rows import (
    CellChange,
    CellOperation,
    ChangeKind,
    Condition,
    KeyInput,
    RangeRequest,
    ReadOptions,
    RowChange,
    RowExistence,
)
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

KEYS = st.integers(-2, 2)
CELLS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3), st.none(), st.just(CellOperation.PUT)),
    min_size=1,
    max_size=2,
    unique_by=lambda cell: cell[0],
)
CONDITIONS = st.sampled_from([Condition(existence) for existence in RowExistence])
CHANGES = st.one_of(
    st.builds(lambda n, cells, condition: (ChangeKind.PUT, n, cells, condition), KEYS, CELLS, CONDITIONS),
    st.builds(
        lambda n, cells, condition: (ChangeKind.UPDATE, n, cells, condition),
        KEYS,
        st.one_of(
            CELLS,
            st.just([("a", None, None, CellOperation.DELETE_ALL)]),
            st.just([("c", 1, None, CellOperation.INCREMENT)]),
        ),
        CONDITIONS,
    ),
    st.builds(lambda n, condition: (ChangeKind.DELETE, n, [], condition), KEYS, CONDITIONS),
)
STEPS = st.lists(
    st.one_of(
        CHANGES.map(lambda change: ("write", [change], False)),
        st.tuples(st.just("batch"), st.lists(CHANGES, min_size=1, max_size=4), st.booleans()),
    ),
    max_size=6,
)


class StandingClock:
    def now_us(self) -> int:
        return 1_700_000_000_000_000


INDEXED = TableSchema(
    "t",
    (KeyColumn("p", ColumnType.STRING), KeyColumn("n", ColumnType.INTEGER)),
    (DefinedColumn("a", ColumnType.INTEGER), DefinedColumn("c", ColumnType.INTEGER)),
    indexes=(
        SecondaryIndex("by_a", ("p", "a"), ("c",), IndexKind.LOCAL),
        SecondaryIndex("by_c", ("p", "c"), (), IndexKind.LOCAL),
    ),
)


@given(st.lists(CHANGES, max_size=4), STEPS, st.booleans(), st.integers(1, 3))
def test_it_does_what_the_same_writes_do_without_it(before, steps, is_committed: bool, limit: int) -> None:  # type: ignore[no-untyped-def]
    """To the rows and, at the commit, to the local indexes of the table."""
    tables = TableSpace(MemoryStore(), StandingClock()).instance("default")
    plain = TableSpace(MemoryStore(), StandingClock()).instance("default")
    for one in (tables, plain):
        one.create(INDEXED)
        one.write("t", put(0, "a", v=1))
        one.write("t", put(0, "x", v=1))
        for change in before:
            _ = [one.write_batch([("t", [made(change)])])]
    untouched, unindexed = everything(tables, None, limit), entries(tables)
    transaction = tables.start_transaction("t", USER)
    for kind, changes, is_atomic in steps:
        done = [
            outcome(one, kind, [made(change) for change in changes], is_atomic, transaction if one is tables else None)
            for one in (tables, plain)
        ]
        assert done[0] == done[1]
        assert everything(tables, transaction, limit) == everything(plain, None, limit)
        assert (everything(tables, None, limit), entries(tables)) == (untouched, unindexed)
    if is_committed:
        tables.commit_transaction(transaction)
        untouched, unindexed = everything(plain, None, limit), entries(plain)
    else:
        tables.abort_transaction(transaction)
    assert (everything(tables, None, limit), entries(tables)) == (untouched, unindexed)
    assert rows(tables, p="a") == rows(tables, p="x") == {0: {"v": 1}}


def entries(tables: Tables) -> list[list[tuple[object, object]]]:
    """What the local indexes have."""
    found = []
    for index in INDEXED.indexes:
        names = [*index.key, *(name for name in ("p", "n") if name not in index.key)]
        low, high = (tuple((name, bound) for name in names) for bound in (INF_MIN, INF_MAX))
        rows = tables.read_range(index.name, RangeRequest(low, high)).rows
        found.append([(row.key, row.cells) for row in rows])
    return found


def made(change: tuple[ChangeKind, int, list[CellChange], Condition]) -> RowChange:
    kind, n, cells, condition = change
    return RowChange(kind, key(n), cells, condition)


def outcome(tables: Tables, kind: str, changes: list[RowChange], is_atomic: bool, transaction: str | None) -> object:
    """What came of a step, comparable."""
    try:
        if kind == "write":
            return tables.write("t", changes[0], transaction)
        [results] = tables.write_batch([("t", changes)], transaction=transaction, is_atomic=is_atomic)
        return [repr(result) for result in results]
    except LutraError as error:
        return repr(error)


def everything(tables: Tables, transaction: str | None, limit: int) -> object:
    """All that reads tell of the partition key, by pages, in both directions, and row by row."""
    low, high = (("p", "u"), ("n", INF_MIN)), (("p", "u"), ("n", INF_MAX))
    pages = []
    for backward in (False, True):
        start: KeyInput | None = high if backward else low
        end = low if backward else high
        while start is not None:
            found = tables.read_range("t", RangeRequest(start, end, backward, limit), transaction)
            pages.append([(row.key, row.cells) for row in found.rows])
            start = found.next_start
    return pages, [tables.read("t", key(n), ReadOptions(), transaction).row for n in range(-2, 3)]
