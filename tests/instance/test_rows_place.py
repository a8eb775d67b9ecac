"""Rows on an object store: remembered by the data directory, taken by who opens them last, and nobody else's."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
from support.s3_server import S3Server

import lutra
from lutra.instance.engine import Engine
from lutra.instance.fsck import check_directory
from lutra.instance.rows_place import RowsPlace
from lutra.kv.slatedb.store import SlateStore
from lutra.model.errors import (
    Corruption,
    DirectoryInUse,
    Fenced,
    ForeignObjects,
    ParameterInvalid,
    ReadOnlyDatabase,
    StorageFailure,
)
from lutra.model.rows import ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

FIELDS = {"text": lutra.Text(), "number": int}


def filled(path: Path, rows: Path | str | None, count: int = 20, **options: object) -> None:
    with lutra.connect(path, rows=rows, **options) as database:  # type: ignore[arg-type]
        table = database.create_table("notes", {"id": int}, FIELDS, exist_ok=True)
        table.put_many({"id": i, "text": f"note {i}", "number": i} for i in range(count))


def count_of(path: Path, **options: object) -> int:
    with lutra.connect(path, **options) as database:  # type: ignore[arg-type]
        return sum(1 for _ in database.table("notes").scan())


def test_a_directory_remembers_where_its_rows_are(tmp_path: Path) -> None:
    data, rows = tmp_path / "data", tmp_path / "rows"
    filled(data, rows)
    assert not (data / "kv").exists()
    assert count_of(data) == count_of(data, rows=rows) == count_of(data, rows=f"file://{rows}") == 20
    assert check_directory(data) == []
    with pytest.raises(ParameterInvalid, match=f"are at {rows}, not at"):
        lutra.connect(data, rows=tmp_path / "others")
    assert not (tmp_path / "others").exists()


def test_rows_that_are_in_a_directory_stay_there(tmp_path: Path) -> None:
    filled(tmp_path / "data", None)
    with pytest.raises(ParameterInvalid, match="are in it"):
        lutra.connect(tmp_path / "data", rows=tmp_path / "rows")
    assert count_of(tmp_path / "data") == 20
    assert not (tmp_path / "rows").exists()


def test_a_new_directory_has_rows_that_are_there(tmp_path: Path) -> None:
    rows, objects = tmp_path / "rows", tmp_path / "objects"
    filled(tmp_path / "one", rows, objects=objects)
    shutil.rmtree(tmp_path / "one")
    with lutra.connect(tmp_path / "two", rows=rows, objects=objects) as database:
        assert [row["id"] for row in database.table("notes").search(text="7")] == [7]
        assert sum(1 for _ in database.table("notes").scan()) == 20
    assert check_directory(tmp_path / "two", objects=objects) == []


def test_who_opens_rows_last_is_their_writer(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    filled(tmp_path / "one", rows)
    one = Engine.open(tmp_path / "one")
    tables = one.partition.space.instance("default")
    assert tables.names() == ["notes"]
    other = Engine.open(tmp_path / "two", rows=rows)
    with pytest.raises(Fenced, match="only writer"):
        one.partition.space.changelog.history.begin(0)
    with pytest.raises(Fenced):
        one.partition.store.get(b"m/store")
    other.partition.space.changelog.history.begin(0)
    one.close()
    other.close()
    assert count_of(tmp_path / "two") == 20


def test_a_directory_is_one_processs(tmp_path: Path) -> None:
    engine = Engine.open(tmp_path / "data", rows=tmp_path / "rows")
    with pytest.raises(DirectoryInUse):
        Engine.open(tmp_path / "data")
    engine.partition.space.changelog.history.begin(0)  # it was not taken from it
    engine.close()
    Engine.open(tmp_path / "data").close()


def test_rows_that_are_gone_or_others_are_told(tmp_path: Path) -> None:
    data, rows = tmp_path / "data", tmp_path / "rows"
    filled(data, rows)
    rows.rename(tmp_path / "kept")
    with pytest.raises(Corruption, match="lost its rows"):
        lutra.connect(data)
    filled(tmp_path / "stranger", rows)
    for use in (
        lambda: lutra.connect(data),
        lambda: lutra.connect(data, read_only=True),
        lambda: check_directory(data),
    ):
        with pytest.raises(ForeignObjects, match="others than those of"):
            use()
    shutil.rmtree(rows)
    (tmp_path / "kept").rename(rows)
    (rows / "manifest").rename(tmp_path / "manifest")
    with pytest.raises(StorageFailure, match="no store at"):
        lutra.connect(data)
    (tmp_path / "manifest").rename(rows / "manifest")
    assert count_of(data) == 20


def test_rows_need_a_place_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "full" / "letters").mkdir(parents=True)
    (tmp_path / "full" / "letters" / "letter").write_text("dear")
    with pytest.raises(ForeignObjects, match="no rows"):
        lutra.connect(tmp_path / "data", rows=tmp_path / "full")
    for objects in (tmp_path / "place", tmp_path / "place" / "deep"):
        with pytest.raises(ParameterInvalid, match="among each other"):
            lutra.connect(tmp_path / "data", rows=tmp_path / "place", objects=objects)
    filled(tmp_path / "data", tmp_path / "place" / "rows", objects=tmp_path / "place")


def test_what_the_directory_remembers_may_be_damaged(tmp_path: Path) -> None:
    filled(tmp_path / "data", tmp_path / "rows")
    file = tmp_path / "data" / "rows" / "place.json"
    kept = file.read_text()
    for damaged in ("{", "{}", json.dumps({**json.loads(kept), "format": 9})):
        file.write_text(damaged)
        with pytest.raises(Corruption):
            RowsPlace(tmp_path / "data")
    file.write_text(kept)
    assert count_of(tmp_path / "data") == 20


def test_reading_takes_rows_from_nobody(tmp_path: Path) -> None:
    data, rows = tmp_path / "data", tmp_path / "rows"
    filled(data, rows)
    with lutra.connect(data) as database:
        table = database.table("notes")
        with lutra.connect(data, read_only=True) as reading:
            notes = reading.table("notes")
            table.put({"id": 99, "text": "later", "number": 1})
            assert sum(1 for _ in notes.scan()) == 20
            assert notes.get(99) is None
            with pytest.raises(ReadOnlyDatabase):
                notes.put({"id": 1, "text": "x", "number": 1})
            reading.refresh()
            assert sum(1 for _ in notes.scan()) == 21
        table.put({"id": 100, "text": "latest", "number": 1})
    assert count_of(data) == 22


def test_a_row_and_its_change_are_one_batch(tmp_path: Path) -> None:
    """What the changelog tells is what the rows are, at every commit, also after a process that was killed."""
    engine = Engine.open(tmp_path / "data", rows=tmp_path / "rows")
    batches: list[set[bytes]] = []
    store = engine.partition.store
    assert isinstance(store, SlateStore)
    write = store._write
    store._write = lambda plain, records: (batches.append({key[:1] for key in plain.last}), write(plain, records))[1]  # type: ignore[method-assign]
    engine.create_instance("default")
    tables = engine.instance("default").tables
    tables.create(TableSchema("t", (KeyColumn("k", ColumnType.INTEGER),)))
    batches.clear()
    tables.write("t", RowChange(ChangeKind.PUT, (("k", 1),), [("c", 1, None, 0)]))
    engine.close()
    assert {b"r", b"c", b"m"} in batches


def test_on_s3(tmp_path: Path, s3: S3Server) -> None:
    objects = s3.url("rows-place")
    filled(tmp_path / "one", f"{objects}/rows", objects=objects)
    shutil.rmtree(tmp_path / "one")
    assert count_of(tmp_path / "two", rows=f"{objects}/rows/", objects=objects) == 20
    assert check_directory(tmp_path / "two", objects=objects) == []


def test_a_throw_away_directory_may_have_rows_that_stay(tmp_path: Path) -> None:
    with lutra.connect(rows=tmp_path / "rows") as database:
        database.create_table("notes", {"id": int}, FIELDS).put({"id": 1, "text": "one", "number": 1})
    with lutra.connect(rows=tmp_path / "rows") as database:
        assert [row["id"] for row in database.table("notes").scan()] == [1]
    assert not [thread for thread in threading.enumerate() if thread.name == "lutra-slatedb"]
