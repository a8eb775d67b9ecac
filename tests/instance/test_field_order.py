"""Fields come in the order in which they were declared, whenever the table is opened."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lutra

FIELDS: dict[str, Any] = {
    "title": lutra.Stored(str),
    "year": int,
    "body": lutra.Stored(list[str]),
    "v": lutra.Vector(2),
    "raw": bytes,
    "at": dt.datetime,
    "words": lutra.Text(),
    "n": lutra.Stored(int),
}
ROW = {
    "n": 1,
    "words": "a b",
    "at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    "raw": b"r",
    "v": np.array([1, 2], np.float32),
    "body": ["x"],
    "year": 2020,
    "title": "t",
    "id": 1,
}


def check(table: lutra.Table, names: list[str]) -> None:
    assert list(table.fields) == names
    for row in (table.get(1), next(table.scan()), table.search(limit=1)[0]):
        assert list(row or {}) == ["id", *names]
    results = table.search(limit=1)
    assert results.to_arrow().column_names == ["id", *names]
    assert list(results.to_pandas().columns) == ["id", *names]


@pytest.mark.parametrize("names", [list(FIELDS), sorted(FIELDS), list(FIELDS)[::-1]])
def test_the_order_is_kept_over_reopening(tmp_path: Path, names: list[str]) -> None:
    fields = {name: FIELDS[name] for name in names}
    with lutra.connect(tmp_path) as db:
        table = db.create_table("t", {"id": int}, fields)
        table.put(ROW)
        check(table, names)
        check(db.table("t"), names)
    with lutra.connect(tmp_path) as db:
        check(db.table("t"), names)
        again = db.create_table("t", {"id": int}, dict(sorted(FIELDS.items())), exist_ok=True)
        check(again, names)
        assert again.fields == fields


def test_fields_that_are_added_come_last(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db:
        table = db.create_table("t", {"id": int}, {"b": int, "a": lutra.Stored(str)})
        table.add_field("z", lutra.Stored(list[int]))
        table.add_field("c", int)
        assert list(table.fields) == ["b", "a", "z", "c"]
        table.drop_field("b")
        table.add_field("b", str)
    with lutra.connect(tmp_path) as db:
        assert list(db.table("t").fields) == ["a", "z", "c", "b"]
        assert db.table("t").fields == {"a": lutra.Stored(str), "z": lutra.Stored(list[int]), "c": int, "b": str}


def test_rows_of_a_few_of_many_fields_and_of_none_come_in_order(tmp_path: Path) -> None:
    names = [f"f{n:02}" for n in range(30)][::-1]
    with lutra.connect(tmp_path) as db:
        table = db.create_table("t", {"id": int}, dict.fromkeys(names, int))
        table.put({"id": 1, "f03": 1, "f20": 2, "f11": 3})
        table.put(dict.fromkeys(["id", *names[::-1]], 2))
        table.drop_field("f29")
        assert [list(row) for row in table.scan()] == [["id", "f20", "f11", "f03"], ["id", *names[1:], "f29"]]
        assert list(table.get(1, columns=["f03", "f20"]) or {}) == ["id", "f20", "f03"]


def test_an_index_given_later_keeps_the_order_of_its_declaration(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db:
        db.create_table("t", {"id": int}, {"b": lutra.Stored(str)})
        db.create_table("t", {"id": int}, {"c": int, "b": lutra.Stored(str), "a": int}, exist_ok=True)
        assert list(db.table("t").fields) == ["c", "b", "a"]


def test_a_stored_list_is_as_long_as_it_is(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(10_000)]
    fields: dict[str, Any] = {
        "words": lutra.Stored(list[str]),
        "counts": lutra.Stored(list[int]),
        "shares": lutra.Stored(list[float]),
        "flags": lutra.Stored(list[bool]),
        "tags": list[str],
    }
    with lutra.connect(tmp_path) as db:
        db.create_table("t", {"id": int}, fields)
    with lutra.connect(tmp_path) as db:
        table = db.table("t")
        assert table.fields == fields
        row = {"id": 1, "words": words, "counts": list(range(300)), "shares": [0.5] * 300, "flags": [True, False]}
        table.put(row)
        assert dict(table.get(1) or {}) == row
        assert table.search(limit=1).to_arrow().to_pylist() == [{**row, "tags": None}]
        with pytest.raises(lutra.ParameterInvalid, match=r"257 elements, but .* at most 256; .*Stored\(list\[str\]\)"):
            table.put({"id": 1, "tags": words[:257]})
        with pytest.raises(lutra.ParameterInvalid, match="bytes, but at most 2,097,152"):
            table.put({"id": 1, "words": ["x" * 100] * 30_000})
        with pytest.raises(lutra.ParameterInvalid, match="field 'counts': expected int, got str"):
            table.put({"id": 1, "counts": ["x"]})
        with pytest.raises(lutra.ParameterInvalid, match="is not indexed"):
            table.search(where=lutra.col("words") == "w1")
        for condition in (
            lutra.col("words") == "w9999",
            lutra.col("words").starts_with("w99"),
            lutra.col("counts").between(299, 500),
            lutra.col("shares") < 1,
            lutra.col("flags") == False,  # noqa: E712
            lutra.col("words").exists(),
        ):
            assert [one["id"] for one in table.scan(where=condition)] == [1]
            assert not list(table.scan(where=~condition))
        table.update(1, set={"words": []})
        assert not list(table.scan(where=lutra.col("words").exists()))


@pytest.mark.parametrize("wrong", [list[bytes], list[dt.datetime], list[list[str]], dict, list])
def test_what_cannot_be_stored(wrong: Any) -> None:
    with lutra.connect() as db, pytest.raises(lutra.ParameterInvalid, match=r"Stored\(\) takes str, int"):
        db.create_table("t", {"id": int}, {"x": lutra.Stored(wrong)})
