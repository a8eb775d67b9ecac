"""A table as Python's own operations see it: its length, its rows, whether a key is there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import lutra
from lutra.instance import table_reader


@pytest.fixture
def db() -> Iterator[lutra.Database]:
    with lutra.connect() as database:
        yield database


@pytest.fixture(params=["indexed", "open"])
def table(db: lutra.Database, request: pytest.FixtureRequest) -> lutra.Table:
    return db.create_table("t", {"user": str, "at": int}, {"n": int} if request.param == "indexed" else {})


def test_a_table_has_a_length_and_is_never_false(table: lutra.Table) -> None:
    assert len(table) == 0
    assert table
    assert bool(table) is True
    table.put_many({"user": "u", "at": n, "n": n} for n in range(1_500))
    assert len(table) == table.count() == 1_500
    table.delete_many([("u", 3), ("u", 4)])
    assert len(table) == table.count() == 1_498
    assert table.count(lutra.col("n") < 5) == 3


def test_a_length_does_not_wait_for_an_index(db: lutra.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    table = db.create_table("t", {"id": int}, {"n": int})
    monkeypatch.setattr(table_reader, "_LOOK_S", -1.0)
    table.put_many({"id": n, "n": n} for n in range(3_000))
    assert len(table) == 3_000
    table._instance().delete_search_index("t", "search")
    assert len(table) == 3_000
    db.delete_table("t")
    with pytest.raises(lutra.ObjectNotExist, match="it was deleted"):
        len(table)


def test_a_key_is_in_a_table_or_not(table: lutra.Table, db: lutra.Database) -> None:
    table.put({"user": "u", "at": 1})
    assert ("u", 1) in table
    assert ("u", 2) not in table
    with pytest.raises(lutra.InvalidPrimaryKey, match="got 1 values"):
        _ = "u" in table
    single = db.create_table("single", {"id": str})
    single.put({"id": "a", "x": 1})
    assert "a" in single
    assert "b" not in single
    with pytest.raises(lutra.InvalidPrimaryKey, match="expected str, got int"):
        _ = 5 in single


def test_a_table_gives_its_rows_in_key_order(table: lutra.Table) -> None:
    table.put_many({"user": f"u{n % 2}", "at": n, "n": n} for n in range(5))
    assert [row.key for row in table] == [("u0", 0), ("u0", 2), ("u0", 4), ("u1", 1), ("u1", 3)]
    assert list(table) == list(table.scan())
    frame = pd.DataFrame(table)
    assert frame["n"].tolist() == [0, 2, 4, 1, 3]


def test_a_head_is_the_first_rows(table: lutra.Table) -> None:
    table.put_many({"user": "u", "at": n, "n": n} for n in range(9))
    head = table.head()
    assert [row["at"] for row in head] == [0, 1, 2, 3, 4]
    assert list(table.head(2, columns=["n"]).to_pandas().columns) == ["user", "at", "n"]
    assert list(table.head(0)) == []
    assert "<td" in head._repr_html_()
    assert len(table.head(np.int64(3))) == 3
    for n in (-1, 2.5, True, "3", None):
        with pytest.raises(lutra.ParameterInvalid, match="head takes an int of at least 0"):
            table.head(n)  # type: ignore[arg-type]


def test_a_notebook_shows_what_a_table_is_made_of(db: lutra.Database) -> None:
    shown = db.create_table("t", {"id": str}, {"<b>": int, "v": lutra.Vector(2)})._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "Vector(dimension=2" in shown
    assert shown.count("<tr>") == 4
    assert shown.count(">key<") == 1


def test_a_condition_on_a_path_reads_the_column_that_has_it(db: lutra.Database) -> None:
    table = db.create_table("t", {"id": int}, {"author": lutra.Object({"name": str}), "n": int})
    table.put({"id": 1, "author": {"name": "Ada"}, "n": 5})
    found = table.scan(where=lutra.col("author.name") == "Ada", columns=["n"])
    assert [dict(row) for row in found] == [{"id": 1, "n": 5}]
