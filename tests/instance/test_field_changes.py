"""Fields that come and go while a table is in use, through the embedded API."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lutra
from lutra import col

COUNT = 2_000


@pytest.fixture
def db() -> Iterator[lutra.Database]:
    with lutra.connect() as database:
        yield database


@pytest.fixture
def table(db: lutra.Database) -> lutra.Table:
    made = db.create_table("rows", {"id": int}, {"kind": str})
    made.put_many({"id": n, "kind": "ab"[n % 2]} for n in range(COUNT))
    return made


def ids(results: lutra.Results) -> list[Any]:
    return [row["id"] for row in results]


def test_fields_that_come(db: lutra.Database, table: lutra.Table) -> None:
    table.add_field("n", int)
    table.update(3, set={"n": 5})
    assert ids(table.search(where=(col("n") > 4) & (col("kind") == "b"))) == [3]
    table.add_field("note", lutra.Stored(str))
    table.add_field("v", lutra.Vector(2))
    table.put({"id": 4, "note": "four", "v": [1.0, 2.0]})
    assert ids(table.search([1.0, 2.0])) == [4]
    assert dict(table.get(4) or {})["note"] == "four"
    declared = {"kind": str, "n": int, "note": lutra.Stored(str), "v": lutra.Vector(2)}
    assert table.fields == declared == db.table("rows").fields
    assert table.count() == COUNT


def test_fields_that_go_and_come_back_as_others(table: lutra.Table) -> None:
    table.add_field("n", int)
    table.put_many([{"id": 1, "kind": "x", "n": 7}, {"id": 2, "n": 8}])
    table.drop_field("n")
    with pytest.raises(lutra.ParameterInvalid, match="no column 'n'"):
        table.search(where=col("n") == 7)
    with pytest.raises(lutra.ParameterInvalid, match="no column 'n'"):
        table.put({"id": 5, "n": 1})
    assert dict(table.get(1) or {}) == {"id": 1, "kind": "x", "n": 7}  # as it is stored
    table.add_field("n", str)
    table.put({"id": 2, "n": "eight"})
    assert ids(table.search(where=col("n").exists())) == [2]
    table.drop_field("kind")
    assert table.fields == {"n": str}


def test_a_column_that_is_there_already_is_indexed(db: lutra.Database) -> None:
    plain = db.create_table("plain", {"id": int})
    plain.put_many({"id": n, "size": n} for n in range(10))
    plain.add_field("size", int)
    assert ids(plain.search(where=col("size") >= 8)) == [8, 9]
    assert plain.fields == {"size": int}


def test_stored_columns_come_and_go(table: lutra.Table) -> None:
    table.add_field("note", lutra.Stored(bytes))
    table.put({"id": 1, "note": b"x"})
    table.drop_field("note")
    assert "note" not in table.fields
    with pytest.raises(lutra.ParameterInvalid, match="no column 'note'"):
        table.put({"id": 1, "note": b"x"})


def test_fields_survive_a_restart(tmp_path: Path) -> None:
    with lutra.connect(tmp_path / "data") as db:
        table = db.create_table("t", {"id": int}, {"a": str})
        table.put({"id": 1, "a": "x"})
        table.add_field("b", int)
        table.drop_field("a")
        table.put({"id": 2, "b": 3})
    with lutra.connect(tmp_path / "data") as db:
        assert db.table("t").fields == {"b": int}
        assert ids(db.table("t").search(where=col("b") == 3)) == [2]


def test_searches_go_on_meanwhile(db: lutra.Database, table: lutra.Table) -> None:
    """Each finds all rows, by the index that was there or by the new one."""
    counts: list[int] = []
    failures: list[BaseException] = []
    is_done = threading.Event()
    other = db.table("rows")

    def search() -> None:
        try:
            while not is_done.wait(0.002):  # a thread that never waits keeps the one that fills from the interpreter
                counts.append(other.count(col("kind") == "a"))
        except BaseException as error:
            failures.append(error)

    searching = threading.Thread(target=search)
    searching.start()
    try:
        for name in ("x", "y", "z"):
            table.add_field(name, int)
    finally:
        is_done.set()
        searching.join()
    assert not failures
    assert set(counts) == {COUNT // 2}


@pytest.mark.parametrize(
    ("refused", "complaint"),
    [
        (lambda t: t.add_field("kind", int), r"has a column 'kind' already: drop_field\('kind'\) first"),
        (lambda t: t.add_field("id", int), "has a column 'id' already"),
        (lambda t: t.add_field("#", int), "cannot be the name of a field"),
        (lambda t: t.add_field("n", dict), "cannot store dict"),
        (lambda t: t.drop_field("nope"), "no column 'nope'"),
        (lambda t: t.drop_field("id"), "a key column stays"),
    ],
)
def test_what_makes_no_sense_is_refused(table: lutra.Table, refused: Any, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        refused(table)
    assert table.fields == {"kind": str}
