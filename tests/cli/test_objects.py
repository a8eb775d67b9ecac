"""``lutra objects``: whose a place is, taking it over, and what others are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.lutra_command import run_lutra

import lutra


def fill(data: Path, place: Path, table: str = "notes") -> None:
    with lutra.connect(data, objects=place) as db:
        notes = db.create_table(table, {"id": int}, {"n": int}, exist_ok=True)
        notes.put_many({"id": number, "n": number} for number in range(20))
        assert len(notes.search(where=lutra.col("n") >= 0, limit=100)) == 20


def test_a_place_is_shown_and_adopted(tmp_path: Path) -> None:
    mine, other, place = tmp_path / "mine", tmp_path / "other", tmp_path / "place"
    fill(mine, place)
    fill(other, tmp_path / "elsewhere")
    where = ["--data", str(other), "--objects", str(place)]
    status, _, errors = run_lutra("serve", *where, "--port", "0")
    assert status == 1
    assert f"data directory {mine} on " in errors
    assert "run `lutra objects adopt`" in errors
    status, printed, _ = run_lutra("fsck", *where)
    assert status == 1
    assert printed.startswith(f"objects:\n  {place}: the objects at {place} belong to another store: store ")
    assert f"lutra objects adopt --data {other} --objects {place}\n" in printed
    status, printed, _ = run_lutra("objects", "show", *where)
    assert status == 0
    assert "another store's (store " in printed
    assert ": 1 object, of store " in printed or " objects, of store " in printed
    shown = json.loads(run_lutra("objects", "show", *where, "--json")[1])
    assert shown["store"] != shown["owner"]["store"]
    assert [index["own"] for index in shown["indexes"]] == [False]
    status, printed, _ = run_lutra("objects", "adopt", *where)
    assert status == 0
    assert f"{place} is now this data directory's: store {shown['store']}" in printed
    assert f"before, it had store {shown['owner']['store']}" in printed
    again = json.loads(run_lutra("objects", "adopt", *where, "--json")[1])
    assert (again["adopted"], again["owner"]["store"]) == (False, shown["store"])
    fill(other, place)
    with pytest.raises(lutra.ParameterInvalid, match="belong to another store"):
        lutra.connect(mine, objects=place)
    status, printed, _ = run_lutra("fsck", *where)
    assert status == 0
    assert f"of no index of this directory, of store {shown['owner']['store']}: nothing deletes " in printed
    mine_there = ["--data", str(mine), "--objects", str(place)]
    status, _, errors = run_lutra("index", "rebuild", *mine_there, "notes", "search")
    assert (status, "belong to another store" in errors) == (1, True)


def test_what_there_is_to_show_of_a_fresh_place(tmp_path: Path) -> None:
    fill(tmp_path / "data", tmp_path / "place")
    (tmp_path / "empty").mkdir()
    where = ["--data", str(tmp_path / "data"), "--objects", str(tmp_path / "empty")]
    status, printed, _ = run_lutra("objects", "show", *where)
    assert (status, printed.splitlines()[-1]) == (0, f"{tmp_path / 'empty'}: nobody's")
    assert list((tmp_path / "empty").iterdir()) == [], "looking makes nothing"
    status, printed, _ = run_lutra(
        "objects", "show", "--data", str(tmp_path / "data"), "--objects", str(tmp_path / "place")
    )
    assert "this directory's (store " in printed
    assert run_lutra("objects", "show", "--data", str(tmp_path / "none"))[0] == 1
