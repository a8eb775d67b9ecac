"""Tables and indexes together: what an instance refuses, waits for, and keeps within bounds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.waiting import wait_until

from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model import limits
from lutra.model.errors import (
    MetaNotMatch,
    ObjectAlreadyExist,
    ObjectNotExist,
    ParameterInvalid,
    StorageFailure,
)
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.queries import (
    ColumnsToGet,
    KnnVector,
    MatchAll,
    PrimaryKeySort,
    ReturnColumns,
    ScoreSort,
    SearchRequest,
    SearchResult,
    Term,
)
from lutra.model.rows import Cell, CellChange, ChangeKind, ReadOptions, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

SCHEMA = IndexSchema(
    (FieldSchema("number", FieldType.LONG), FieldSchema("vector", FieldType.VECTOR, vector=VectorOptions(2)))
)
ALL = SearchRequest(MatchAll(), limit=100, columns=ColumnsToGet(ReturnColumns.ALL), count_total=True)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = Engine.open(tmp_path / "data")
    opened.create_instance("main")
    yield opened
    opened.close()


@pytest.fixture
def instance(engine: Engine) -> Instance:
    found = engine.instance("main")
    found.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
    found.create_search_index("t", "x", SCHEMA)
    return found


def put(instance: Instance, key: int, **columns: object) -> None:
    cells: list[CellChange] = [(name, value, None, 0) for name, value in columns.items()]  # type: ignore[misc]
    instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", key),), cells))


def delete(instance: Instance, number: int) -> None:
    instance.tables.write("t", RowChange(ChangeKind.DELETE, (("id", number),)))


def ids(found: SearchResult) -> list[object]:
    return [dict(row.key)["id"] for row in found.rows]


def values(cells: list[Cell]) -> dict[str, object]:
    return {name: value for name, value, _ in cells}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (ColumnsToGet(ReturnColumns.ALL), {"number": 7, "note": "n", "vector": "[1,2]"}),
        (ColumnsToGet(ReturnColumns.ALL_FROM_INDEX), {"number": 7, "vector": "[1,2]"}),
        (ColumnsToGet(ReturnColumns.SPECIFIED, ("note", "absent")), {"note": "n"}),
        (ColumnsToGet(ReturnColumns.NONE), {}),
    ],
)
def test_columns_of_a_hit(instance: Instance, columns: ColumnsToGet, expected: dict[str, object]) -> None:
    put(instance, 1, vector="[1,2]", number=7, note="n")
    instance.wait_searchable("t", "x", 5)
    (row,) = instance.search("t", "x", SearchRequest(MatchAll(), columns=columns)).rows
    assert row.key == (("id", 1),)
    assert values(row.cells) == expected
    assert [name for name, _, _ in row.cells] == sorted(expected)


def test_a_deleted_row_takes_no_other_rows_place(instance: Instance) -> None:
    """A search right after a delete, before the index knows of it, still finds as many rows as there are."""
    for number in range(20):
        put(instance, number, vector=f"[{number},0]")
    instance.wait_searchable("t", "x", 5)
    nearest = KnnVector("vector", np.zeros(2, np.float32), top_k=5)
    request = SearchRequest(nearest, limit=5, sort=(ScoreSort(),), columns=ColumnsToGet(ReturnColumns.ALL))
    for number in range(10):
        delete(instance, number)
        found = instance.search("t", "x", request)
        assert [dict(row.key)["id"] for row in found.rows] == list(range(number + 1, number + 6))
        assert len(found.scores) == 5


def test_rows_that_are_gone_hold_up_no_search(instance: Instance) -> None:
    """An index that has not heard of most deletions, and does not hear of them meanwhile, answers in full at once."""
    for number in range(400):
        put(instance, number, vector=f"[{number},0]", number=number % 2)
    instance.wait_searchable("t", "x", 20)
    feed = instance._indexes.opened("t", "x").feed
    feed.paused_until_s = time.monotonic() + 3_600
    for number in range(300):
        delete(instance, number)
    nearest = KnnVector("vector", np.zeros(2, np.float32), top_k=5)
    columns = ColumnsToGet(ReturnColumns.ALL)
    found = instance.search("t", "x", SearchRequest(nearest, limit=5, sort=(ScoreSort(),), columns=columns))
    assert ids(found) == [300, 301, 302, 303, 304]
    assert len(found.scores) == 5

    page = SearchRequest(Term("number", 1), (PrimaryKeySort(),), offset=3, limit=20, columns=columns, count_total=True)
    found = instance.search("t", "x", page)
    assert ids(found) == list(range(307, 347, 2))
    assert 50 <= found.total <= 200
    following = instance.search("t", "x", replace(page, offset=0, token=found.next_token))
    assert ids(following) == list(range(347, 387, 2))
    last = instance.search("t", "x", replace(page, offset=0, token=following.next_token))
    assert (ids(last), last.next_token) == (list(range(387, 400, 2)), b"")
    marks = feed.watermarks()
    assert marks.searchable == marks.written - 300

    for number in range(300, 400):
        delete(instance, number)
    assert ids(instance.search("t", "x", page)) == []


def test_a_table_with_an_index_stays(instance: Instance) -> None:
    with pytest.raises(ParameterInvalid, match=r"^Table\[t\] who has at least one search index cannot be deleted\.$"):
        instance.delete_table("t")
    instance.delete_search_index("t", "x")
    instance.delete_table("t")
    assert instance.tables.names() == []
    with pytest.raises(ObjectNotExist):
        instance.delete_table("t")


def test_what_is_not_there(instance: Instance) -> None:
    with pytest.raises(ParameterInvalid, match=r"table \[absent\] does not exist"):
        instance.search("absent", "x", ALL)
    with pytest.raises(MetaNotMatch, match=r"search index \[absent\] does not exist"):
        instance.search("t", "absent", ALL)
    with pytest.raises(ObjectAlreadyExist):
        instance.create_search_index("t", "x", SCHEMA)
    assert instance.list_search_indexes() == [("t", "x")]


def test_an_index_after_a_restart_answers_in_full(tmp_path: Path) -> None:
    """The first search of a reopened engine waits for the refill instead of answering from a part of it."""
    rows = 3_000
    engine = Engine.open(tmp_path / "data")
    engine.create_instance("main")
    instance = engine.instance("main")
    instance.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
    for start in range(0, rows, limits.BATCH_WRITE_ROWS_MAX):
        batch = [
            RowChange(ChangeKind.PUT, (("id", n),), [("number", n, None, 0)])
            for n in range(start, start + limits.BATCH_WRITE_ROWS_MAX)
        ]
        instance.tables.write_batch([("t", batch)])
    instance.create_search_index("t", "x", SCHEMA)
    instance.wait_searchable("t", "x", 10)
    engine.close()
    for _ in range(3):
        engine = Engine.open(tmp_path / "data")
        assert engine.instance("main").search("t", "x", ALL).total == rows
        engine.close()


def test_an_answer_has_bounds(instance: Instance) -> None:
    text = "x" * (2 * 1024 * 1024 - 1)
    for number in range(18):
        put(instance, number, number=number, text=text)
    instance.wait_searchable("t", "x", 10)
    with pytest.raises(ParameterInvalid, match="The rows of this Search exceed"):
        instance.search("t", "x", ALL)
    keys = [(("id", number),) for number in range(18)]
    (results,) = instance.tables.read_batch([("t", keys, ReadOptions())])
    assert [isinstance(result, ParameterInvalid) for result in results] == [False] * 16 + [True] * 2
    found = instance.search("t", "x", SearchRequest(MatchAll(), limit=100))
    assert len(found.rows) == 18


def test_one_engine_a_directory(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="open already"):
        Engine.open(tmp_path / "data")


def test_a_closed_engine_says_so(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(StorageFailure, match="is closed"):
        engine.instance("main")


def test_instances_are_apart(engine: Engine, instance: Instance) -> None:
    engine.create_instance("other")
    assert engine.instance_names() == ["main", "other"]
    assert engine.instance("other").tables.names() == []
    assert engine.instance("other").list_search_indexes() == []
    with pytest.raises(ObjectNotExist):
        engine.instance("absent")
    for name in ("", "a", "a/b", "..", "x" * 65):
        with pytest.raises(ParameterInvalid, match="invalid instance name"):
            engine.create_instance(name)


def test_transactions_whose_time_is_up_are_let_go_in_the_background(
    engine: Engine, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TRANSACTION_S_MAX", 0.05)
    instance.tables.start_transaction("t", (("id", 1),))
    holders = engine.partition.space.transactions._opened.holders
    wait_until(lambda: not holders)


def test_one_table_for_many_who_create_and_drop_its_index(instance: Instance) -> None:
    """Definitions change one at a time: what the catalog says and what is open stay the same."""
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(10):
                instance.create_search_index("t", name, SCHEMA)
                instance.describe_search_index("t", name)
                instance.delete_search_index("t", name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"y{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert instance.list_search_indexes("t") == [("t", "x")]


def test_writers_find_what_they_wrote(instance: Instance) -> None:
    """After `wait_searchable` a search finds every row its caller wrote before, whoever else writes meanwhile."""
    errors: list[BaseException] = []

    def work(writer: int) -> None:
        try:
            for batch in range(15):
                start = writer * 10_000 + batch * 100
                changes = [
                    RowChange(ChangeKind.PUT, (("id", start + n),), [("number", writer, None, 0)]) for n in range(100)
                ]
                instance.tables.write_batch([("t", changes)])
                instance.wait_searchable("t", "x", 10)
                own = SearchRequest(Term("number", writer), count_total=True)
                assert instance.search("t", "x", own).total == (batch + 1) * 100
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
