"""Rows as dicts that nobody can change, and as JSON."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lutra

AT = dt.datetime(2024, 5, 1, 0, 0, 0, 5, tzinfo=dt.UTC)
VALUES: dict[str, Any] = {
    "id": "a",
    "year": 2020,
    "tags": ["p", "é"],
    "v": np.array([0.1, 1, -2.5], np.float32),
    "at": AT,
    "raw": b"\x00\xff",
    "place": lutra.GeoPoint(52.5, 13.4),
    "items": [{"sku": "tea", "when": AT, "v": np.array([0.5], np.float32), "at": lutra.GeoPoint(1.0, 2.0)}],
}
IN_JSON: dict[str, Any] = {
    "id": "a",
    "year": 2020,
    "tags": ["p", "é"],
    "v": [0.1, 1.0, -2.5],
    "at": "2024-05-01T00:00:00.000005+00:00",
    "raw": "AP8=",
    "place": {"lat": 52.5, "lon": 13.4},
    "items": [{"sku": "tea", "when": "2024-05-01T00:00:00.000005+00:00", "v": [0.5], "at": {"lat": 1.0, "lon": 2.0}}],
}


@pytest.fixture
def row() -> lutra.Row:
    return lutra.Row(("a",), VALUES, 0.5)


def test_a_row_of_plain_values_is_json() -> None:
    plain = {"id": "a", "year": 2020, "price": 1.5, "ok": True, "tags": ["p"], "author": {"name": "Ada"}}
    row = lutra.Row(("a",), plain)
    for indent in (None, 2):
        assert json.dumps(row, indent=indent) == json.dumps(plain, indent=indent)
        assert json.dumps([{"rows": [row]}], indent=indent) == json.dumps([{"rows": [plain]}], indent=indent)


def test_what_json_has_no_word_for_has_one_here(row: lutra.Row) -> None:
    assert row.to_dict() == IN_JSON
    assert type(row.to_dict()) is dict
    assert json.loads(row.to_json()) == IN_JSON
    assert "é" in row.to_json()
    assert "\n" not in row.to_json()
    assert json.loads(json.dumps({"rows": [row]}, default=lutra.to_jsonable)) == {"rows": [IN_JSON]}
    with pytest.raises(TypeError, match="JSON has no word for a set"):
        json.dumps({"x": {1}}, default=lutra.to_jsonable)
    assert json.dumps([np.int64(3), np.float32(0.5)], default=lutra.to_jsonable) == "[3, 0.5]"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=5), st.binary())
def test_json_gives_vectors_and_bytes_back_as_they_were(numbers: list[float], data: bytes) -> None:
    vector = np.array(numbers, np.float32)
    back = json.loads(lutra.Row((1,), {"id": 1, "v": vector, "raw": data}).to_json())
    np.testing.assert_array_equal(np.array(back["v"], np.float32), vector)
    assert base64.b64decode(back["raw"]) == data


def test_rows_of_searches_are_json_with_their_scores() -> None:
    with lutra.connect() as db:
        table = db.create_table("t", {"id": int}, {"kind": str, "v": lutra.Vector(2)})
        table.put_many([{"id": 1, "kind": "x", "v": [1, 0]}, {"id": 2, "v": [0, 1]}])
        found = table.search([1, 0])
        assert json.loads(json.dumps(found, default=lutra.to_jsonable)) == [
            {"id": 1, "kind": "x", "v": [1.0, 0.0], "_score": 1.0},
            {"id": 2, "v": [0.0, 1.0], "_score": 0.5},
        ]
        assert json.loads(json.dumps(table.group_by("kind"), default=lutra.to_jsonable))[0]["count"] == 1
        copied = db.create_table("copy", {"id": int}, {"kind": str, "v": lutra.Vector(2)})
        copied.put_many(json.loads(row.to_json()) for row in table.scan())
        assert list(copied.scan()) == list(table.scan())


def test_a_row_is_a_dict_that_nobody_changes(row: lutra.Row) -> None:
    assert isinstance(row, dict)
    assert isinstance(row, Mapping)
    changes: list[Any] = [
        lambda: row.__setitem__("year", 1),
        lambda: row.__delitem__("year"),
        lambda: row.update(year=1),
        lambda: row.setdefault("x", 1),
        lambda: row.pop("year"),
        row.popitem,
        row.clear,
        lambda: row.__ior__({"year": 1}),
    ]
    for change in changes:
        with pytest.raises(TypeError, match=r"a row is read only: change a copy, dict\(row\)"):
            change()
    assert list(row) == list(VALUES)
    for one in (dict(row), {**row}, row | {}, row.copy()):
        assert type(one) is dict
        one["year"] = 2021
    assert row["year"] == 2020


def test_rows_are_equal_where_their_values_are(row: lutra.Row) -> None:
    same = lutra.Row(("a",), dict(reversed(VALUES.items())))
    assert row == same
    assert row == VALUES
    assert not row != same  # noqa: SIM202
    assert row != lutra.Row(("a",), {**VALUES, "v": np.array([0.1, 1, 2], np.float32)})
    assert row != lutra.Row(("a",), {**VALUES, "items": []})
    assert row != {**VALUES, "x": 1}
    assert row != "a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(row)


def test_copies_are_rows(row: lutra.Row) -> None:
    for one in (copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
        assert type(one) is lutra.Row
        assert one == row
        assert (one.key, one.score) == (("a",), 0.5)


# --- notebooks --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> Iterator[lutra.Table]:
    with lutra.connect() as db:
        table = db.create_table("t", {"id": int}, {"text": lutra.Stored(str), "v": lutra.Vector(4)})
        table.put_many({"id": n, "text": "<b>" + "x" * 200, "v": [1, n, 0, 0]} for n in range(60))
        yield table


def test_of_long_vectors_the_ends_are_shown() -> None:
    short, long = (lutra.Row(("a",), {"id": "a", "v": np.arange(size, dtype=np.float32)}) for size in (16, 384))
    assert "15." in repr(short)
    assert "..." not in repr(short)
    assert "381., 382., 383." in repr(long)
    assert len(repr(long)) < 200
    assert repr(np.arange(384)).count(",") > 300, "only rows are shown so"


def test_notebooks_show_tables(table: lutra.Table) -> None:
    results = table.search([1, 0, 0, 0], limit=60)
    shown = results._repr_html_()
    assert shown.count("<tr>") == 51
    assert "and 10 more" in shown
    assert ">score<" in shown
    assert ">1.0000<" in shown
    assert "&lt;b&gt;xxx" in shown
    assert "<b>" not in shown
    assert "x" * 121 not in shown
    assert "[1, 0, 0, …] (4)" in shown
    assert ">score<" not in table.search(limit=1)._repr_html_()
    row = table.get(1)
    assert row is not None
    assert row._repr_html_().count("<tr>") == 2
    groups = table.group_by(lutra.col("id").every(10))
    assert groups._repr_html_().count("<tr>") == 7
