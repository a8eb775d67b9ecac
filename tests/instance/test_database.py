"""Opening databases, making and finding tables."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lutra
from lutra.instance.engine import Engine
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, VectorOptions
from lutra.model.rows import CellOperation, ChangeKind, ReadOptions, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

FIELDS: dict[str, Any] = {
    "text": lutra.Stored(str),
    "raw": bytes,
    "kind": str,
    "year": int,
    "price": float,
    "ok": bool,
    "at": dt.datetime,
    "tags": list[str],
    "v": lutra.Vector(2, "euclidean"),
}


def test_data_and_declarations_outlive_the_process(tmp_path: Path) -> None:
    with lutra.connect(tmp_path / "data") as db:
        made = db.create_table("docs", {"id": str, "part": int}, FIELDS)
        made.put({"id": "a", "part": 1, "kind": "x", "v": [1, 2]})
        assert made.key == {"id": str, "part": int}
        assert made.fields == FIELDS
    with lutra.connect(str(tmp_path / "data")) as db:
        table = db.table("docs")
        assert (table.name, table.key, table.fields) == ("docs", made.key, FIELDS)
        assert table.search([1, 2])[0]["kind"] == "x"
        assert repr(table).startswith("Table('docs', key=['id', 'part'], fields=['text', ")


def test_a_throw_away_database_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with lutra.connect() as db:
        db.create_table("t", {"id": int}).put({"id": 1})
        assert list(tmp_path.iterdir()) != []
    assert list(tmp_path.iterdir()) == []
    db.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    opener = f"import lutra; lutra.connect({str(tmp_path)!r})"
    with lutra.connect(tmp_path):
        refused = subprocess.run([sys.executable, "-c", opener], capture_output=True, text=True, check=False)
    assert f"DirectoryInUse: another process has {tmp_path} open" in refused.stderr
    lutra.connect(tmp_path).close()


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(lutra.StorageFailure, match="file"):
        lutra.connect(tmp_path / "file")


def test_instances_are_apart(tmp_path: Path) -> None:
    with lutra.connect(tmp_path, instance="one") as db:
        db.create_table("t", {"id": int})
    with lutra.connect(tmp_path, instance="two") as db:
        assert db.table_names() == []
    with pytest.raises(lutra.ParameterInvalid, match="instance name"):
        lutra.connect(tmp_path, instance="no spaces")
    lutra.connect(tmp_path).close()


def test_a_database_says_which_it_is(tmp_path: Path) -> None:
    with lutra.connect(tmp_path / "data", instance="photos") as db:
        assert repr(db) == f"Database({str(tmp_path / 'data')!r}, instance='photos')"
        with lutra.connect(tmp_path / "data", instance="photos", read_only=True) as reader:
            assert repr(reader) == f"Database({str(tmp_path / 'data')!r}, instance='photos', read_only=True)"


def test_a_closed_database_is_refused(tmp_path: Path) -> None:
    db = lutra.connect(tmp_path)
    table = db.create_table("t", {"id": int}, {"n": int})
    db.close()
    uses: list[Callable[[], object]] = [
        lambda: table.put({"id": 1}),
        lambda: table.get(1),
        lambda: list(table.scan()),
        table.search,
        table.count,
        db.table_names,
        lambda: db.table("t"),
    ]
    for use in uses:
        with pytest.raises(lutra.StorageFailure, match="closed"):
            use()


def test_tables_come_and_go(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db:
        db.create_table("b", {"id": int}, FIELDS)
        db.create_table("a", {"id": int})
        assert db.table_names() == ["a", "b"]
        db.delete_table("b")
        assert db.table_names() == ["a"]
        with pytest.raises(lutra.ObjectNotExist, match="no table 'b'"):
            db.table("b")
        with pytest.raises(lutra.ObjectNotExist, match="no table 'b'"):
            db.delete_table("b")
        db.delete_table("b", missing_ok=True)
        assert db.create_table("b", {"id": str}, {"n": int}).fields == {"n": int}


def test_a_table_that_is_gone_or_another_is_refused_by_every_use(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db:
        gone = db.create_table("t", {"id": int}, {"n": int})
        gone.put({"id": 1, "n": 1})
        begun = gone.scan()
        uses: list[Callable[[], object]] = [
            lambda: gone.put({"id": 1}),
            lambda: gone.put_many([{"id": 1}]),
            lambda: gone.update(1, set={"n": 1}),
            lambda: gone.delete(1),
            lambda: gone.delete_many([1]),
            lambda: gone.get(1),
            lambda: gone.get_many([1]),
            lambda: list(begun),
            lambda: list(gone.scan()),
            gone.search,
            gone.count,
        ]
        db.delete_table("t")
        for use in uses:
            with pytest.raises(lutra.ObjectNotExist, match="'t' any more: it was deleted"):
                use()
        made_anew = db.create_table("t", {"id": int}, {"n": int})
        for use in uses[:-4] + uses[-3:]:
            with pytest.raises(lutra.ObjectNotExist, match="'t' was deleted and made anew since"):
                use()
        assert made_anew.count() == 0


@pytest.mark.parametrize(
    ("name", "key", "fields", "complaint"),
    [
        ("t", {}, {}, "1 to 4 key columns, not 0"),
        ("t", dict.fromkeys("abcde", int), {}, "1 to 4 key columns, not 5"),
        ("t", {"id": float}, {}, "'id': a key is str, int, bytes"),
        ("t", {"id": int}, {"id": int}, "both as a key column and as a field"),
        ("t", {"id": int}, {"#dash": int}, "invalid field name '#dash'"),
        ("t", {"id": int}, {"f": dict}, "cannot store dict"),
        ("t", {"id": int}, {"f": ["a"]}, "cannot store"),
        ("t", {"id": ["a"]}, {}, "'id': a key is str, int, bytes"),
        ("t", "id", {}, "key says of columns what they hold"),
        ("t", {"id": int}, ["title"], "fields says of columns what they hold"),
        ("t", {"id": int}, {"f": lutra.Vector}, r"say of what it is: lutra.Vector\(384\)"),
        ("t", {"id": int}, {"f": lutra.Nested}, "say of what it is: lutra.Nested"),
        ("t", {"id": int}, {"f": lutra.Object}, "say of what it is: lutra.Object"),
        ("t", {"id": int}, {f"v{n}": lutra.Vector(2) for n in range(6)}, "at most 5"),
        ("t", {"id": int}, {f"s{n}": lutra.Stored() for n in range(33)}, "32"),
        ("no-dash", {"id": int}, {"n": int}, "no-dash"),
        ("t", {"9": int}, {"n": int}, "9"),
    ],
)
def test_tables_that_cannot_be_are_refused_and_leave_nothing(
    tmp_path: Path, name: str, key: Any, fields: Any, complaint: str
) -> None:
    with lutra.connect(tmp_path) as db:
        with pytest.raises(lutra.ParameterInvalid, match=complaint):
            db.create_table(name, key, fields)
        assert db.table_names() == []


def test_exist_ok_takes_the_same_table_only(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db:
        db.create_table("t", {"id": int}, FIELDS).put({"id": 1, "year": 5})
        with pytest.raises(lutra.ObjectAlreadyExist, match=r"'t' already exists: .* exist_ok=True"):
            db.create_table("t", {"id": int}, FIELDS)
        again = db.create_table("t", {"id": int}, FIELDS, exist_ok=True)
        assert again.get(1, columns=["year"]) == {"id": 1, "year": 5}
        others: list[tuple[Any, Any, str]] = [
            ({"id": str}, FIELDS, "id is int, not str"),
            ({"id": int, "part": int}, FIELDS, r"its key is \(id\), not \(id, part\)"),
            ({"id": int}, FIELDS | {"v": lutra.Vector(3, "euclidean")}, "v is Vector.dimension=2, .*, not Vector.dim"),
            ({"id": int}, FIELDS | {"more": int}, "more is not there"),
            ({"id": int}, {"year": int}, "text is there, .*tags is there"),
        ]
        for key, fields, difference in others:
            with pytest.raises(lutra.ObjectAlreadyExist, match=f"already exists with other columns: .*{difference}"):
                db.create_table("t", key, fields, exist_ok=True)


def test_exist_ok_of_many_at_once_makes_one_table(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db, lutra.connect(tmp_path) as other, ThreadPoolExecutor(8) as threads:
        begin = threading.Barrier(8)

        def make(number: int) -> None:
            for name in ("a", "b", "c"):
                begin.wait(60)
                table = (db, other)[number % 2].create_table(name, {"id": int}, {"n": int}, exist_ok=True)
                table.put({"id": number, "n": number})

        list(threads.map(make, range(8)))
        assert [db.table(name).count() for name in ("a", "b", "c")] == [8, 8, 8]


def test_exist_ok_gives_an_index_to_a_table_without(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db:
        db.create_table("t", {"id": int}).put({"id": 1, "year": 5})
        table = db.create_table("t", {"id": int}, {"year": int}, exist_ok=True)
        assert [row["id"] for row in table.search(where=lutra.col("year") == 5)] == [1]
        assert db.table("t").fields == {"year": int}


def make_as_an_sdk_does(path: Path, *indexes: str) -> None:
    engine = Engine.open(path)
    try:
        engine.create_instance("default")
        instance = engine.instance("default")
        instance.tables.create(TableSchema("made", (KeyColumn("pk", ColumnType.STRING),)))
        fields = (
            FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2, Metric.EUCLIDEAN)),
            FieldSchema("day", FieldType.DATE, date_formats=("yyyy-MM-dd",)),
            FieldSchema("at", FieldType.DATE),
            FieldSchema("tags", FieldType.KEYWORD, is_array=True),
            FieldSchema("hidden", FieldType.LONG, index=False),
        )
        for index in indexes:
            instance.create_search_index("made", index, IndexSchema(fields))
        cells = [("v", "[1, 2]"), ("day", "2020-01-01"), ("at", 1_000), ("tags", '["a"]'), ("extra", True)]
        change = RowChange(
            ChangeKind.PUT, (("pk", "k"),), [(name, value, None, CellOperation.PUT) for name, value in cells]
        )
        instance.tables.write("made", change)
    finally:
        engine.close()


def test_tables_made_by_an_sdk_open_as_they_are(tmp_path: Path) -> None:
    make_as_an_sdk_does(tmp_path, "by_look")
    with lutra.connect(tmp_path) as db:
        table = db.table("made")
        assert table.fields == {
            "v": lutra.Vector(2, "euclidean"),
            "day": str,
            "at": dt.datetime,
            "tags": list[str],
            "hidden": lutra.Stored(int),
        }
        row = table.search([1, 2], where=lutra.col("day") > "2019-12-31")[0]
        assert row["v"].tolist() == [1, 2]
        assert row["at"] == dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
        assert (row["tags"], row["extra"]) == (["a"], True)
        table.put({"pk": "l", "v": [5, 5], "at": row["at"], "tags": ["b"], "day": "2021-01-01"})
        assert [found["pk"] for found in table.search([5, 5])] == ["l", "k"]
        assert table.search([5, 5])[0]["v"].tolist() == [5, 5]


def stored_vector(path: Path, table: str, key: object) -> object:
    """As the table holds it, and an SDK reads it."""
    engine = Engine.open(path)
    try:
        read = engine.instance("default").tables.read(table, (("pk", key),), ReadOptions())
        return next(value for name, value, _ in read.row.cells if name == "v")
    finally:
        engine.close()


def test_vectors_put_into_a_table_of_an_sdk_are_text_as_its_readers_expect(tmp_path: Path) -> None:
    make_as_an_sdk_does(tmp_path, "by_look")
    vector = np.array([0.1, -3.4028235e38], dtype=np.float32)
    with lutra.connect(tmp_path) as db:
        table = db.table("made")
        table.put({"pk": "put", "v": vector})
        table.update("k", set={"v": [1e-7, 2]})
    for key, expected in (("put", vector), ("k", np.array([1e-7, 2], dtype=np.float32))):
        stored = stored_vector(tmp_path, "made", key)
        np.testing.assert_array_equal(np.array(json.loads(str(stored)), dtype=np.float32), expected)


def test_vectors_of_a_table_made_here_are_bytes_whoever_opens_it(tmp_path: Path) -> None:
    with lutra.connect(tmp_path) as db:
        db.create_table("t", {"pk": int}, {"n": int, "raw": bytes, "v": lutra.Vector(2)})
    with lutra.connect(tmp_path) as db:
        db.table("t").put({"pk": 1, "v": [1, 2]})
    assert stored_vector(tmp_path, "t", 1) == np.array([1, 2], dtype="<f4").tobytes()


def test_a_table_with_several_indexes_asks_which(tmp_path: Path) -> None:
    make_as_an_sdk_does(tmp_path, "one", "two")
    with lutra.connect(tmp_path) as db:
        with pytest.raises(lutra.ParameterInvalid, match="say index=, one of one, two"):
            db.table("made")
        assert len(db.table("made", index="two").search()) == 1
        with pytest.raises(lutra.ObjectNotExist, match="no search index 'three'"):
            db.table("made", index="three")
        db.delete_table("made")


def test_the_process_ends_though_nobody_closed(tmp_path: Path) -> None:
    program = (
        "import lutra, sys\n"
        "db = lutra.connect(sys.argv[1])\n"
        "db.create_table('t', {'id': int}, {'n': int}).put({'id': 1, 'n': 1})\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "d")]
    ran = subprocess.run(command, check=True, timeout=60, env=dict(os.environ), capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("", "")
    with lutra.connect(tmp_path / "d") as db:
        assert db.table("t").count() == 1
