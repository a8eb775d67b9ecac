"""Many writers at once: every acknowledged change counts, and a condition has one winner."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from lutra.model.conditions import Comparator, SingleColumn
from lutra.model.errors import ConditionCheckFail
from lutra.model.rows import (
    CellOperation,
    ChangeKind,
    Condition,
    ReadOptions,
    ReturnType,
    RowChange,
    RowExistence,
)
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import AUTO_INCREMENT, ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

KEY = (("pk", 1),)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def guarded(worker: int) -> None:
        try:
            work(worker)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


@pytest.fixture
def table(tables: Tables) -> Tables:
    tables.create(TableSchema("t", (KeyColumn("pk", ColumnType.INTEGER),)))
    return tables


def increment(pk: int = 1) -> RowChange:
    return RowChange(ChangeKind.UPDATE, (("pk", pk),), [("n", 1, None, CellOperation.INCREMENT)])


def counted(tables: Tables, pk: int = 1) -> object:
    row = tables.read("t", (("pk", pk),), ReadOptions()).row
    return None if row is None else row.cells[0][1]


def test_increments_of_eight_threads_sum_up(table: Tables) -> None:
    def work(worker: int) -> None:
        for _ in range(25):
            table.write("t", increment())

    in_threads(8, work)
    assert counted(table) == 200


def test_increments_in_batches_that_overlap_sum_up(table: Tables) -> None:
    def work(worker: int) -> None:
        for i in range(10):
            keys = [(worker + i + step) % 7 for step in range(5)]
            (results,) = table.write_batch([("t", [increment(pk) for pk in keys])])
            assert not any(isinstance(one, Exception) for one in results)

    in_threads(6, work)
    assert sum(counted(table, pk) for pk in range(7)) == 6 * 10 * 5  # type: ignore[misc]


def test_put_if_absent_has_one_winner(table: Tables) -> None:
    for round_ in range(8):
        winners: list[int] = []

        def work(worker: int, key: tuple[tuple[str, int]] = (("pk", round_),), won: list[int] = winners) -> None:
            absent = Condition(RowExistence.EXPECT_NOT_EXIST)
            try:
                table.write("t", RowChange(ChangeKind.PUT, key, [("by", worker, None, 0)], absent))
            except ConditionCheckFail:
                return
            won.append(worker)

        in_threads(8, work)
        assert len(winners) == 1
        assert counted(table, round_) == winners[0]


def test_compare_and_set_loses_nothing(table: Tables) -> None:
    table.write("t", RowChange(ChangeKind.PUT, KEY, [("n", 0, None, 0)]))

    def work(worker: int) -> None:
        done = 0
        while done < 10:
            seen = counted(table)
            assert isinstance(seen, int)
            same = Condition(columns=SingleColumn(Comparator.EQUAL, "n", seen, pass_if_missing=False))
            try:
                table.write("t", RowChange(ChangeKind.UPDATE, KEY, [("n", seen + 1, None, 0)], same))
                done += 1
            except ConditionCheckFail:
                continue

    in_threads(4, work)
    assert counted(table) == 40


def test_a_conditional_write_never_overwrites_a_blind_one_it_did_not_see(table: Tables) -> None:
    """Put-if-absent fails once a blind put is acknowledged: so of both, the blind one's value stays."""
    for round_ in range(20):
        key = (("pk", round_),)
        both = threading.Barrier(2)

        def work(worker: int, key: tuple[tuple[str, int]] = key, both: threading.Barrier = both) -> None:
            both.wait()
            if worker:
                table.write("t", RowChange(ChangeKind.PUT, key, [("by", "blind", None, 0)]))
                return
            try:
                absent = Condition(RowExistence.EXPECT_NOT_EXIST)
                table.write("t", RowChange(ChangeKind.PUT, key, [("by", "conditional", None, 0)], absent))
            except ConditionCheckFail:
                return

        in_threads(2, work)
        assert counted(table, round_) == "blind"


def test_auto_increment_gives_no_value_twice(tables: Tables) -> None:
    key = (KeyColumn("p", ColumnType.STRING), KeyColumn("id", ColumnType.INTEGER, auto_increment=True))
    tables.create(TableSchema("auto", key))
    given: list[int] = []

    def work(worker: int) -> None:
        change = RowChange(
            ChangeKind.PUT,
            (("p", "same"), ("id", AUTO_INCREMENT)),
            [("c", worker, None, 0)],
            return_type=ReturnType.PRIMARY_KEY,
        )
        mine: list[int] = []
        for _ in range(10):
            row = tables.write("auto", change).row
            assert row is not None
            mine.append(row.key[1][1])  # type: ignore[arg-type]
        assert mine == sorted(mine)
        given.extend(mine)

    in_threads(6, work)
    assert sorted(given) == list(range(1, 61))


def test_tables_of_all_instances_share_one_order(space: TableSpace) -> None:
    ids = []
    for instance in "ab":
        ids.append(space.instance(instance).create(TableSchema("t", (KeyColumn("pk", ColumnType.INTEGER),))).table_id)

    def work(worker: int) -> None:
        for i in range(20):
            space.instance("ab"[worker % 2]).write("t", RowChange(ChangeKind.PUT, (("pk", worker * 100 + i),)))

    in_threads(4, work)
    sequences = [change.sequence for table_id in ids for change in space.changelog.read(table_id, 0, 100)]
    assert sorted(sequences) == list(range(1, 81))
