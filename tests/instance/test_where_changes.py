"""Rows deleted and updated by a condition: which, how many, and what others may do meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lutra
from lutra.instance import where_changes

col = lutra.col
INDEXED: dict[str, Any] = {"kind": str, "year": int, "n": int, "tags": list[str], "v": lutra.Vector(2)}
STORED: dict[str, Any] = {"kind": lutra.Stored(str), "year": lutra.Stored(int), "n": lutra.Stored(int)}
MIXED: dict[str, Any] = {"kind": str, "year": lutra.Stored(int), "n": int}


@pytest.fixture(params=["indexed", "stored", "mixed", "open"])
def table(db: lutra.Database, request: pytest.FixtureRequest) -> lutra.Table:
    fields = {"indexed": INDEXED, "stored": STORED, "mixed": MIXED, "open": {}}[request.param]
    return db.create_table("t", {"id": int}, fields)


def filled(table: lutra.Table, rows: int = 20) -> lutra.Table:
    table.put_many({"id": n, "kind": "ab"[n % 2], "year": 2000 + n} for n in range(rows))
    return table


def ids(table: lutra.Table) -> list[int]:
    return [row["id"] for row in table.scan()]


# --- delete -----------------------------------------------------------------------------------------------------------


def test_rows_of_a_condition_are_deleted(table: lutra.Table) -> None:
    filled(table)
    assert table.delete_where((col("kind") == "a") & (col("year") >= 2010)) == 5
    assert ids(table) == [n for n in range(20) if n % 2 or n < 10]
    assert table.delete_where(col("id") < 3) == 3
    assert table.delete_where(col("id") < 3) == 0
    assert table.delete_where(col("kind").exists()) == 12
    assert ids(table) == []


def test_rows_with_paths_and_lists_are_deleted(db: lutra.Database) -> None:
    fields: dict[str, Any] = {
        "author": lutra.Object({"name": str}),
        "items": lutra.Nested({"sku": str, "price": int}),
        "words": lutra.Stored(list[str]),
    }
    table = db.create_table("t", {"id": int}, fields)
    table.put({"id": 1, "author": {"name": "Ada"}, "items": [{"sku": "tea", "price": 3}]})
    table.put({"id": 2, "author": {"name": "Bob"}, "items": [{"sku": "tea", "price": 5}], "words": ["x"] * 300})
    assert table.delete_where((col("words") == "x") & (col("author.name") == "Ada")) == 0
    assert table.delete_where(col("items").any((col("sku") == "tea") & (col("price") > 4))) == 1
    assert table.delete_where((col("author.name") == "Ada") & ~col("words").exists()) == 1
    assert ids(table) == []


def test_many_rows_come_in_commits_with_progress(db: lutra.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where_changes, "_KEYS_AT_ONCE", 1_500)
    for number, fields in enumerate((INDEXED, STORED)):
        table = db.create_table(f"t{number}", {"id": int}, fields)
        filled(table, 4_000)
        seen: list[int] = []
        assert table.update_where(col("kind") == "a", n=1, progress=seen.append) == 2_000
        assert table.count(col("kind") == "a") == 2_000
        assert seen[-1] == 2_000
        assert len(seen) >= 2
        assert table.delete_where(col("kind") == "a") == 2_000
        assert len(table) == 2_000


@pytest.mark.parametrize("wrong", [None, True, "year", {"year": 1}])
def test_what_is_no_condition_deletes_nothing(table: lutra.Table, wrong: Any) -> None:
    filled(table)
    with pytest.raises(lutra.ParameterInvalid, match="where takes a filter expression"):
        table.delete_where(wrong)
    assert len(ids(table)) == 20


def test_a_misspelt_column_deletes_nothing(db: lutra.Database) -> None:
    table = filled(db.create_table("t", {"id": int}, INDEXED))
    with pytest.raises(lutra.ParameterInvalid, match=r"no column 'yaer': .*; did you mean 'year'"):
        table.delete_where(col("yaer") == 2000)


# --- update -----------------------------------------------------------------------------------------------------------


def test_rows_of_a_condition_are_updated(table: lutra.Table) -> None:
    filled(table)
    assert table.update_where(col("year") < 2003, kind="old", n=7) == 3
    assert dict(table.get(1) or {}) == {"id": 1, "kind": "old", "year": 2001, "n": 7}
    assert table.update_where(col("kind") == "old", {"kind": None}, increment={"n": 2}) == 3
    assert dict(table.get(1) or {}) == {"id": 1, "year": 2001, "n": 9}
    assert table.update_where(col("kind") == "none", n=1) == 0
    assert dict(table.get(5) or {}) == {"id": 5, "kind": "b", "year": 2005}


def test_large_rows_are_updated_in_several_commits(table: lutra.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.put_many({"id": n, "kind": "x" * 1_000, "year": 2000} for n in range(20))
    monkeypatch.setattr("lutra.model.limits.BATCH_HELD_BYTES_MAX", 4_000)
    assert table.update_where(col("year") == 2000, {"year": 2001}) == 20
    assert table.update_where(col("year") == 2001, lambda row: {"year": 2000 + row["id"]}) == 20
    assert [row["year"] for row in table.scan()] == [2000 + n for n in range(20)]


def test_functions_make_values_of_rows(table: lutra.Table) -> None:
    filled(table)
    assert table.update_where(col("year") >= 2018, year=lambda row: row["year"] + 100, kind="new") == 2
    assert dict(table.get(19) or {}) == {"id": 19, "kind": "new", "year": 2119}
    assert table.update_where(col("year") >= 2100, lambda row: {"n": row["id"]} if row["id"] == 19 else {}) == 1
    assert [(row["id"], row.get("n")) for row in table.scan(start=18)] == [(18, None), (19, 19)]
    assert table.update_where(col("id") == 19, kind=lambda row: None) == 1
    assert "kind" not in (table.get(19) or {})


def test_a_row_is_changed_once_though_it_satisfies_again(table: lutra.Table) -> None:
    filled(table)
    assert table.update_where(col("year") >= 2000, year=lambda row: row["year"] + 1) == 20
    assert [row["year"] for row in table.scan()] == list(range(2001, 2021))


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda t: t.update_where(col("id") < 5), "nothing to update"),
        (lambda t: t.update_where(col("id") < 5, [("s", "x")]), "set= takes a dict of columns, not list"),
        (lambda t: t.update_where(col("id") < 5, increment=["n"]), "increment= takes a dict of columns, not list"),
        (lambda t: t.update(1, set=[("s", "x")]), "set= takes a dict of columns, not list"),
        (lambda t: t.update_where(col("id") < 5, {"n": 1}, kind="x"), "set=, or columns by their names, not both"),
        (lambda t: t.update_where(col("id") < 5, id=1), "'id' is a key column: a key never changes"),
        (lambda t: t.update_where(col("id") < 5, nn=1), "no column 'nn'.*did you mean 'n'"),
        (lambda t: t.update_where(col("id") < 5, n="x"), "field 'n': expected int, got str"),
        (lambda t: t.update_where(col("id") < 5, n=1, increment={"n": 1}), "both to be set and in increment"),
        (lambda t: t.update_where(col("id") < 5, increment={"kind": 1}), "field 'kind' is not an int"),
        (
            lambda t: t.update_where(col("id") == 3, n=lambda row: "x"),
            r"row {'id': 3}: field 'n'.*; 0 rows are updated",
        ),
        (lambda t: t.update_where(col("id") == 3, lambda row: 5), "is a mapping of columns, not int"),
        (lambda t: t.update_where(None, n=1), "where takes a filter expression"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    db: lutra.Database, call: Callable[[lutra.Table], object], complaint: str
) -> None:
    table = filled(db.create_table("t", {"id": int}, INDEXED))
    before = list(table.scan())
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        call(table)
    assert list(table.scan()) == before


# --- others, meanwhile ------------------------------------------------------------------------------------------------


def test_a_row_that_stops_satisfying_is_left_alone(table: lutra.Table) -> None:
    """What the condition found is asked again at the instant of the write."""
    filled(table, 2_500)

    def meanwhile(done: int) -> None:
        table.update(2_499, set={"kind": "saved"})

    assert table.delete_where(col("kind").is_in(["a", "b"]), progress=meanwhile) == 2_499
    assert [dict(row) for row in table.scan()] == [{"id": 2_499, "kind": "saved", "year": 4_499}]


def test_a_function_sees_what_others_wrote(table: lutra.Table) -> None:
    filled(table)
    seen: list[int] = []

    def plus_one(row: lutra.Row) -> int:
        if row["id"] == 3 and len(seen) < 3:  # between reading the row and writing it
            table.update(3, increment={"n": 10})
        if row["id"] == 3:
            seen.append(row.get("n", 0))
        return int(row.get("n", 0)) + 1

    assert table.update_where(col("id") < 5, n=plus_one) == 5
    assert seen == [0, 10, 20, 30]
    assert [row["n"] for row in table.scan(end=5)] == [1, 1, 1, 31, 1]


def test_a_row_that_others_change_on_and_on_is_given_up(table: lutra.Table) -> None:
    filled(table)

    def racing(row: lutra.Row) -> int:
        table.update(row["id"], increment={"n": 1})
        return 0

    with pytest.raises(lutra.OperationConflict, match=r"row {'id': 3} was changed by others each of the 10 times"):
        table.update_where(col("id") == 3, n=racing)
    assert (table.get(3) or {})["n"] == 10


def test_a_row_that_goes_or_stops_satisfying_is_not_asked_of_again(table: lutra.Table) -> None:
    filled(table)

    def going(row: lutra.Row) -> int:
        if row["id"] == 3:
            table.delete(3)
        if row["id"] == 4:
            table.update(4, set={"year": 1900})
        return 1

    assert table.update_where(col("year") >= 2000, n=going) == 18
    assert table.get(3) is None
    assert dict(table.get(4) or {}) == {"id": 4, "kind": "a", "year": 1900}


def test_rows_that_a_transaction_holds_stay_and_are_told_of(table: lutra.Table) -> None:
    filled(table)
    tables = table._instance().tables
    transaction = tables.start_transaction("t", (("id", 7),))
    with pytest.raises(lutra.OperationConflict, match="; 8 rows are changed"):
        table.update_where(col("id") < 9, n=1)
    with pytest.raises(lutra.OperationConflict, match="; 8 rows are changed"):
        table.delete_where(col("id") < 9)
    assert ids(table) == [7, *range(9, 20)]
    assert "n" not in (table.get(7) or {})
    tables.abort_transaction(transaction)
    assert table.delete_where(col("id") < 9) == 1


def test_counts_of_many_threads_all_count(db: lutra.Database) -> None:
    table = filled(db.create_table("t", {"id": int}, INDEXED), 30)
    threads = [
        threading.Thread(target=lambda: [table.update_where(col("id") < 30, increment={"n": 1}) for _ in range(3)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["n"] for row in table.scan()] == [12] * 30


# --- against a model --------------------------------------------------------------------------------------------------

CONDITIONS: dict[str, tuple[lutra.Expression, Callable[[dict[str, Any]], bool]]] = {
    "year": (col("year") >= 3, lambda row: row.get("year", -1) >= 3),
    "kind": (col("kind") == "a", lambda row: row.get("kind") == "a"),
    "missing": (col("kind").is_missing(), lambda row: "kind" not in row),
    "either": ((col("kind") == "b") | (col("n") < 2), lambda row: row.get("kind") == "b" or row.get("n", 9) < 2),
}
ROWS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"kind": st.sampled_from("abc"), "year": st.integers(0, 5), "n": st.integers(0, 3)}
    ),
    min_size=1,
    max_size=8,
)
STEPS = st.lists(st.tuples(st.sampled_from(["delete", "set", "remove", "double"]), st.sampled_from(list(CONDITIONS))))


@given(ROWS, STEPS)
@settings(max_examples=40, deadline=None)
def test_changes_are_those_of_a_model(tables: list[lutra.Table], rows: list[dict[str, Any]], steps: Any) -> None:
    for table in tables:
        table.delete_many(range(8))
        model = {number: {"id": number, **row} for number, row in enumerate(rows)}
        table.put_many(model.values())
        for step, name in steps:
            condition, holds = CONDITIONS[name]
            matching = [number for number, row in model.items() if holds(row)]
            if step == "delete":
                changed = table.delete_where(condition)
                model = {number: row for number, row in model.items() if number not in matching}
            elif step == "set":
                changed = table.update_where(condition, kind="c", n=1)
                model.update({number: {**model[number], "kind": "c", "n": 1} for number in matching})
            elif step == "remove":
                changed = table.update_where(condition, set={"kind": None})
                for number in matching:
                    model[number].pop("kind", None)
            else:
                changed = table.update_where(condition, year=lambda row: row.get("year", 0) * 2)
                model.update({n: {**model[n], "year": model[n].get("year", 0) * 2} for n in matching})
            assert changed == len(matching)
        assert {row["id"]: dict(row) for row in table.scan()} == model


@pytest.fixture(scope="module")
def tables() -> Iterator[list[lutra.Table]]:
    with lutra.connect() as db:
        yield [db.create_table("a", {"id": int}, INDEXED), db.create_table("b", {"id": int}, MIXED)]
