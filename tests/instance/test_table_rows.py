"""Rows through the embedded API: written, read, scanned, guarded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lutra


@pytest.fixture
def db() -> Iterator[lutra.Database]:
    with lutra.connect() as database:
        yield database


@pytest.fixture
def docs(db: lutra.Database) -> lutra.Table:
    return db.create_table(
        "docs",
        key={"id": str},
        fields={
            "title": lutra.Stored(str),
            "year": lutra.Stored(int),
            "views": lutra.Stored(int),
            "data": bytes,
        },
    )


@pytest.fixture
def events(db: lutra.Database) -> lutra.Table:
    """Two key columns, any other column."""
    return db.create_table("events", key={"user": str, "at": int})


# --- put and get ------------------------------------------------------------------------------------------------------


def test_a_row_reads_back_as_it_was_put(docs: lutra.Table) -> None:
    assert docs.put({"id": "a", "title": "One", "year": 2020, "data": b"\x00"}) == ("a",)
    row = docs.get("a")
    assert row is not None
    assert dict(row) == {"id": "a", "data": b"\x00", "title": "One", "year": 2020}
    assert row.key == ("a",)
    assert row.score is None
    assert (len(row), "title" in row, row.get("views")) == (4, True, None)
    with pytest.raises(KeyError):
        _ = row["views"]
    assert repr(row).startswith("Row({'id': 'a'")
    assert docs.get("b") is None


def test_a_put_replaces_the_whole_row_and_none_is_absent(docs: lutra.Table) -> None:
    docs.put({"id": "a", "title": "One", "year": 2020})
    docs.put({"id": "a", "title": "Two", "year": None})
    assert dict(docs.get("a") or {}) == {"id": "a", "title": "Two"}


def test_a_row_can_be_its_key_alone(docs: lutra.Table) -> None:
    docs.put({"id": "a"})
    assert dict(docs.get("a", columns=["title"]) or {}) == {"id": "a"}


def test_columns_are_what_is_read(docs: lutra.Table) -> None:
    docs.put({"id": "a", "title": "One", "year": 2020})
    assert dict(docs.get("a", columns=["year"]) or {}) == {"id": "a", "year": 2020}
    assert dict(docs.get("a", columns=["id"]) or {}) == {"id": "a"}
    assert dict(docs.get("a", columns=[]) or {}) == {"id": "a"}
    with pytest.raises(lutra.ParameterInvalid, match="no column 'yaer'"):
        docs.get("a", columns=["yaer"])
    with pytest.raises(lutra.ParameterInvalid, match=r"write \['year'\]"):
        docs.get("a", columns="year")


@pytest.mark.parametrize(
    ("row", "error", "complaint"),
    [
        ({"title": "x"}, lutra.InvalidPrimaryKey, "no value for the key column 'id'"),
        ({"id": None}, lutra.InvalidPrimaryKey, "no value for the key column 'id'"),
        ({"id": 5}, lutra.InvalidPrimaryKey, "'id': expected str, got int 5"),
        ({"id": "é" * 600}, lutra.InvalidPrimaryKey, "1,200 bytes, at most 1,024"),
        ({"id": "\ud800"}, lutra.InvalidPrimaryKey, "lone surrogate"),
        ({"id": lutra.AUTO_INCREMENT}, lutra.InvalidPrimaryKey, "expected str"),
        ({"id": "a", "year": "2020"}, lutra.ParameterInvalid, "field 'year': expected int, got str '2020'"),
        ({"id": "a", "color": "red"}, lutra.ParameterInvalid, "no column 'color': it has id, title, year, views, data"),
        (["id", "a"], lutra.ParameterInvalid, "a row is a mapping"),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_written(
    docs: lutra.Table, row: Any, error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        docs.put(row)
    assert list(docs.scan()) == []


def test_bad_keys_are_refused(docs: lutra.Table, events: lutra.Table) -> None:
    for call in (docs.get, docs.delete, lambda *key: docs.update(*key, set={"year": 1})):
        with pytest.raises(lutra.InvalidPrimaryKey, match=r"key \(id\): got 2 values"):
            call("a", "b")
        with pytest.raises(lutra.InvalidPrimaryKey, match="expected str, got int"):
            call(1)
    with pytest.raises(lutra.InvalidPrimaryKey, match=r"key \(user, at\): got 1 values"):
        events.get("a")
    with pytest.raises(lutra.InvalidPrimaryKey, match="does not fit 64 bits"):
        events.get("a", 2**63)
    with pytest.raises(lutra.InvalidPrimaryKey, match="expected int, got bool"):
        events.get("a", True)


def test_auto_increment_keys_are_chosen_and_returned(db: lutra.Database) -> None:
    log = db.create_table("log", key={"stream": bytes, "number": lutra.AUTO_INCREMENT})
    first = log.put({"stream": b"s", "text": "one"})
    second = log.put({"stream": b"s", "number": lutra.AUTO_INCREMENT, "text": "two"})
    assert first[0] == second[0] == b"s"
    assert first[1] < second[1]
    assert [row["text"] for row in log.scan(b"s")] == ["one", "two"]
    assert dict(log.get(*second) or {})["text"] == "two"


def test_open_tables_take_any_plain_column(events: lutra.Table) -> None:
    events.put({"user": "u", "at": 1, "kind": "click", "x": 0.5, "ok": True, "raw": b"r", "n": np.int64(-1)})
    assert dict(events.get("u", 1) or {}) == {
        "user": "u", "at": 1, "kind": "click", "n": -1, "ok": True, "raw": b"r", "x": 0.5,
    }  # fmt: skip
    for value in ([1.0, 2.0], np.zeros(2), dt.datetime.now(dt.UTC), {}):
        with pytest.raises(lutra.ParameterInvalid, match="takes str, int, float, bool and bytes"):
            events.put({"user": "u", "at": 2, "v": value})
    assert events.get("u", 2) is None


# --- put_many ---------------------------------------------------------------------------------------------------------


def test_put_many_takes_a_generator_and_tells_progress(docs: lutra.Table) -> None:
    seen: list[int] = []
    written = docs.put_many(({"id": f"{n:04}", "year": n} for n in range(450)), progress=seen.append)
    assert written == 450
    assert seen == [200, 400, 450]
    assert [row["year"] for row in docs.scan()] == list(range(450))
    assert docs.put_many([]) == 0


def test_put_many_keeps_the_last_of_a_key(docs: lutra.Table) -> None:
    docs.put_many({"id": "same", "year": n} for n in range(10))
    assert (docs.get("same") or {})["year"] == 9


def test_put_many_names_the_bad_row_and_what_is_kept(docs: lutra.Table) -> None:
    rows = [{"id": f"{n:04}", "year": n} for n in range(300)]
    rows[250]["year"] = "soon"  # type: ignore[assignment]
    with pytest.raises(lutra.ParameterInvalid, match=r"row 250: field 'year': .*; the 200 rows before it are written"):
        docs.put_many(rows)
    assert len(list(docs.scan())) == 200
    with pytest.raises(lutra.InvalidPrimaryKey, match=r"row 0: .*; nothing is written"):
        docs.put_many([{}])


def test_put_many_of_large_rows_stays_within_what_a_write_may_bring(docs: lutra.Table) -> None:
    seen: list[int] = []
    docs.put_many(({"id": str(n), "data": bytes(700_000)} for n in range(7)), progress=seen.append)
    assert seen[-1] == 7
    assert len(seen) > 2
    docs.put_many([{"id": "wide", "title": "語" * 500_000}, {"id": "wide2", "title": "語" * 500_000}])
    assert docs.get("wide2", columns=[]) is not None


def test_a_value_too_large_is_refused_before_anything_is_written(docs: lutra.Table) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=r"row 1: column 'data': 2,097,153 bytes.*nothing is written"):
        docs.put_many([{"id": "a"}, {"id": "b", "data": bytes(2 * 1024 * 1024 + 1)}])
    assert docs.count() == 0


def test_what_the_store_refuses_of_a_batch_names_the_row(db: lutra.Database) -> None:
    wide = db.create_table("wide", key={"id": str})
    rows: list[dict[str, object]] = [{"id": str(n)} for n in range(5)]
    rows[3] |= {f"c{n}": n for n in range(1_025)}
    with pytest.raises(lutra.ParameterInvalid, match=r"row 3: .*1024.*; nothing is written"):
        wide.put_many(rows)
    assert list(wide.scan()) == []
    rows = [{"id": str(n)} for n in range(203)]
    rows[201]["#"] = 1
    with pytest.raises(
        lutra.ParameterInvalid, match=r"row 201: Invalid column name: '#'\.; the 200 rows before it are"
    ):
        wide.put_many(rows)
    assert sum(1 for _ in wide.scan()) == 200


def test_columns_have_any_name(db: lutra.Database) -> None:
    names = ["price-2", "公司", "a b", "a\nb", "'\"", "9", "a.b"]
    named = db.create_table("named", key={"id": str}, fields=dict.fromkeys(names, int))
    for n in range(3):
        named.put({"id": str(n), **dict.fromkeys(names, n)})
    for name in names:
        assert [row["id"] for row in named.search(where=lutra.col(name) == 1)] == ["1"]
        assert [dict(row) for row in named.scan(where=lutra.col(name) >= 2, columns=[name])] == [{"id": "2", name: 2}]
    assert named.search(limit=3).to_arrow().column_names[1:] == names
    assert named.update("1", increment={"a\nb": 5}) == {"a\nb": 6}


# --- update, increment, delete, guards --------------------------------------------------------------------------------


def test_update_changes_some_columns(docs: lutra.Table) -> None:
    docs.put({"id": "a", "title": "One", "year": 2020})
    assert docs.update("a", set={"title": "Two", "year": None}) == {}
    assert dict(docs.get("a") or {}) == {"id": "a", "title": "Two"}
    docs.update("new", set={"year": 1})
    assert (docs.get("new") or {})["year"] == 1


def test_increments_count_from_nothing_and_return_the_sum(docs: lutra.Table) -> None:
    assert docs.update("a", increment={"views": 5}) == {"views": 5}
    assert docs.update("a", increment={"views": -2, "year": 1}, set={"title": "x"}) == {"views": 3, "year": 1}
    assert dict(docs.get("a") or {}) == {"id": "a", "title": "x", "views": 3, "year": 1}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "nothing to update"),
        ({"set": {"id": "b"}}, "'id' is a key column"),
        ({"increment": {"id": 1}}, "'id' is a key column"),
        ({"set": {"color": None}}, "no column 'color'"),
        ({"increment": {"title": 1}}, "'title' is not an int"),
        ({"increment": {"views": 1.5}}, "expected int, got float"),
        ({"increment": {"views": None}}, "expected int, got None"),
        ({"set": {"views": 1}, "increment": {"views": 1}}, "both in set and in increment"),
    ],
)
def test_bad_updates_are_refused(docs: lutra.Table, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        docs.update("a", **changes)
    assert docs.get("a") is None


def test_increments_of_open_columns(events: lutra.Table) -> None:
    assert events.update("u", 1, increment={"clicks": 2}) == {"clicks": 2}
    with pytest.raises(lutra.ParameterInvalid, match="an increment is an int"):
        events.update("u", 1, increment={"clicks": "2"})  # type: ignore[dict-item]


def test_deletes(docs: lutra.Table, events: lutra.Table) -> None:
    docs.put({"id": "a"})
    docs.delete("a")
    docs.delete("a")
    assert docs.get("a") is None
    events.put_many({"user": "u", "at": n} for n in range(450))
    assert events.delete_many(("u", n) for n in range(420)) == 420
    assert [row["at"] for row in events.scan("u")] == list(range(420, 450))
    assert docs.delete_many([]) == 0
    assert docs.delete_many(["x", "y"]) == 2


def test_guards(docs: lutra.Table) -> None:
    docs.put({"id": "a", "year": 1}, exists=False)
    with pytest.raises(lutra.ConditionCheckFail):
        docs.put({"id": "a", "year": 2}, exists=False)
    with pytest.raises(lutra.ConditionCheckFail):
        docs.update("b", set={"year": 2}, exists=True)
    with pytest.raises(lutra.ConditionCheckFail):
        docs.delete("a", where=lutra.col("year") > 1)
    with pytest.raises(lutra.ConditionCheckFail):
        docs.update("a", set={"year": 5}, where=lutra.col("views") == 0)
    docs.update("a", set={"year": 2}, where=(lutra.col("year") == 1) & lutra.col("views").is_missing())
    docs.put({"id": "a", "year": 3}, where=lutra.col("year").is_in([2]))
    docs.delete("a", exists=True, where=lutra.col("year") == 3)
    assert docs.get("a") is None


# --- get_many, scan ---------------------------------------------------------------------------------------------------


def test_get_many_keeps_order_and_gaps(docs: lutra.Table, events: lutra.Table) -> None:
    docs.put_many({"id": str(n), "year": n} for n in range(250))
    keys = [str(n) for n in range(300)][::-1]
    rows = docs.get_many(keys, columns=["year"])
    assert [row and row["year"] for row in rows] == [n if n < 250 else None for n in range(300)][::-1]
    events.put({"user": "u", "at": 1})
    assert [row and row.key for row in events.get_many([("u", 1), ("u", 2)])] == [("u", 1), None]
    assert docs.get_many([]) == []


def test_one_text_is_no_list_of_keys_and_one_row_no_list_of_rows(docs: lutra.Table) -> None:
    docs.put_many([{"id": "a"}, {"id": "b"}])
    for keys in ("ab", b"ab"):
        with pytest.raises(lutra.ParameterInvalid, match="keys are a list, not one"):
            docs.get_many(keys)  # type: ignore[arg-type]
        with pytest.raises(lutra.ParameterInvalid, match="keys are a list, not one"):
            docs.delete_many(keys)  # type: ignore[arg-type]
    with pytest.raises(lutra.ParameterInvalid, match=r"put_many\(\[row\]\)"):
        docs.put_many({"id": "c"})
    assert docs.count() == 2


def test_a_scan_says_how_many_parts_it_takes(docs: lutra.Table) -> None:
    docs.put_many({"id": str(number), "year": number} for number in range(40))
    year = lutra.col("year")
    assert len(list(docs.scan(where=year.is_in(range(1, 1_025))))) == 39
    parts: lutra.Expression = year == 0
    for number in range(1, 32):
        parts = parts | (year == number)
    with pytest.raises(lutra.ParameterInvalid, match=r"33 parts: .* 32 at most. Take is_in\(\)"):
        list(docs.scan(where=parts))
    with pytest.raises(lutra.ParameterInvalid, match="32 at most"):
        docs.put({"id": "1"}, where=parts)


def test_scans_bound_by_prefix_start_end_and_direction(events: lutra.Table) -> None:
    events.put_many({"user": user, "at": at} for user in "abc" for at in range(4))
    everything = [(user, at) for user in "abc" for at in range(4)]

    def keys(*prefix: Any, **bounds: Any) -> list[tuple[Any, ...]]:
        return [row.key for row in events.scan(*prefix, **bounds)]

    assert keys() == everything
    assert keys(reverse=True) == everything[::-1]
    assert keys("b") == [("b", n) for n in range(4)]
    assert keys("b", reverse=True) == [("b", n) for n in range(4)][::-1]
    assert keys("b", start=1, end=3) == [("b", 1), ("b", 2)]
    assert keys("b", start=3, end=1, reverse=True) == [("b", 3), ("b", 2)]
    assert keys(start="b") == everything[4:]
    assert keys(end="b") == everything[:4]
    assert keys(start=("a", 2), end=("b", 1)) == everything[2:5]
    assert keys(start="b", reverse=True) == everything[:8][::-1]
    assert keys(start="b", end="a", reverse=True) == everything[4:8][::-1]
    assert keys(start=("b", 1), end=("a", 2), reverse=True) == everything[3:6][::-1]
    assert keys("nobody") == []
    assert keys("b", limit=2) == [("b", 0), ("b", 1)]
    assert keys(limit=0) == []


def test_scans_refuse_at_once(docs: lutra.Table, events: lutra.Table) -> None:
    for limit in (-1, 2.5, "3"):
        with pytest.raises(lutra.ParameterInvalid, match="limit is an int of at least 0"):
            docs.scan(limit=limit)  # type: ignore[arg-type]
    with pytest.raises(lutra.ParameterInvalid, match="values for more"):
        docs.scan("a")
    with pytest.raises(lutra.ParameterInvalid, match="values for more"):
        events.scan("a", start=(1, 2))
    with pytest.raises(lutra.InvalidPrimaryKey, match="expected int"):
        events.scan("a", start="x")
    with pytest.raises(lutra.ParameterInvalid, match="no column"):
        docs.scan(columns=["nope"])


def test_long_scans_page_and_filter(docs: lutra.Table) -> None:
    docs.put_many({"id": f"{n:05}", "year": n % 7} for n in range(2_500))
    assert sum(1 for _ in docs.scan()) == 2_500
    assert sum(1 for _ in docs.scan(limit=2_100)) == 2_100
    found = [row["id"] for row in docs.scan(where=lutra.col("year") == 3, columns=[], limit=200)]
    assert found == [f"{n:05}" for n in range(2_500) if n % 7 == 3][:200]
    assert docs.count() == 2_500
    assert docs.count(lutra.col("year") == 3) == len([n for n in range(2_500) if n % 7 == 3])


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "update", "delete", "increment"]), st.integers(0, 5), st.integers(-9, 9)),
        max_size=20,
    )
)
@settings(deadline=None, max_examples=15)
def test_a_table_behaves_as_a_dict_of_dicts(operations: list[tuple[str, int, int]]) -> None:
    model: dict[int, dict[str, Any]] = {}
    with lutra.connect() as database:
        table = database.create_table("t", key={"k": int})
        for operation, key, value in operations:
            if operation == "put":
                table.put({"k": key, "v": value})
                model[key] = {"k": key, "v": value}
            elif operation == "update":
                table.update(key, set={"w": value})
                model.setdefault(key, {"k": key})["w"] = value
            elif operation == "delete":
                table.delete(key)
                model.pop(key, None)
            else:
                after = model.setdefault(key, {"k": key}).get("n", 0) + value
                model[key]["n"] = after
                assert table.update(key, increment={"n": value}) == {"n": after}
        assert [dict(row) for row in table.scan()] == [
            {"k": key, **dict(sorted(model[key].items()))} for key in sorted(model)
        ]
