"""Plans: what is found, what is said, and what the table says; and what does not go together."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lutra
from lutra.embedding.tfidf import TfidfEmbedder
from lutra.model.errors import ParameterInvalid
from lutra.transfer import jsonl_reader, parquet_reader, sampling
from lutra.transfer.csv_dialect import CsvOptions
from lutra.transfer.data_file import DataFile
from lutra.transfer.mapping import ColumnMapping, Place
from lutra.transfer.parquet_reader import TABLE_KEY
from lutra.transfer.plan import Plan
from lutra.transfer.planner import plan_import
from lutra.transfer.table_schema import TableDeclaration

ROWS: list[dict[str, Any]] = [
    {"id": n, "title": f"t{n}", "year": 2000 + n, "lat": 1.5, "lng": n / 10, "emb": [0.5] * 4} for n in range(10)
]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[lutra.Database]:
    with lutra.connect(tmp_path / "data") as database:
        yield database


def planned(path: Path, *files: str, db: lutra.Database | None = None, rows: Any = None, **said: Any) -> Plan:
    given = ROWS if rows is None else rows
    for name in files or ("rows.jsonl",):
        (path / name).write_text("".join(f"{json.dumps(row)}\n" for row in given))
    found = [DataFile.at(path / name) for name in files or ("rows.jsonl",)]
    return plan_import(db, "notes", found, ColumnMapping(**said))


def types(plan: Plan) -> dict[str, Any]:
    return {**plan.key, "|": None, **plan.fields}


def test_what_is_found(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    emb = lutra.Vector(4)
    assert types(plan) == {"id": int, "|": None, "title": str, "year": int, "lat": float, "lng": float, "emb": emb}
    assert (plan.rows_seen, plan.trial.rows, plan.trial.rejected) == (10, 10, 0)
    assert json.loads(json.dumps(plan.as_json()))["key"] == ["id"]


def test_what_is_said(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        key=("title", "year"),
        types={"id": "keyword", "at": "datetime:s"},
        renamed={"title": "name"},
        skipped=("nothing",),
        rows=[{**row, "nothing": 1, "at": 1_600_000_000} for row in ROWS],
        vectors={"emb": "euclidean"},
        places=(Place("lat", "lng", "place"),),
    )
    assert types(plan) == {
        "name": str,
        "year": int,
        "|": None,
        "id": str,
        "emb": lutra.Vector(4, "euclidean"),
        "at": dt.datetime,
        "place": lutra.GeoPoint,
    }
    assert plan.skipped == ["nothing"]
    assert plan.trial.rejected == 0


def test_without_a_key_rows_are_known_by_file_and_number(tmp_path: Path) -> None:
    plan = planned(tmp_path, rows=[{"x": 1}, {"x": 1}])
    assert types(plan) == {"_file": str, "_row": int, "|": None, "x": int}
    (tmp_path / "b").mkdir()
    with pytest.raises(ParameterInvalid, match=r"two files are called rows\.jsonl"):
        planned(tmp_path, "rows.jsonl", "b/rows.jsonl", rows=[{"x": 1}])
    assert list(planned(tmp_path, rows=[{"id": 1}, {"id": 1}]).key) == ["_file", "_row"]  # twice the same
    assert list(planned(tmp_path, rows=[{"id": 1}, {"x": 1}]).key) == ["_file", "_row"]  # a row has none
    assert list(planned(tmp_path, rows=[{"x": 1, "Key": "a"}]).key) == ["Key"]


def test_a_key_is_kept_as_it_is_written(tmp_path: Path) -> None:
    plan = planned(tmp_path, rows=[{"id": "2020-01-02"}])
    assert plan.key == {"id": str}
    with pytest.raises(ParameterInvalid, match="cannot be a key: a key is keyword, int or bytes, not float"):
        planned(tmp_path, key=("x",), rows=[{"x": 1.5}])
    with pytest.raises(ParameterInvalid, match=r"cannot be the name of a key.* --rename 'my id=my_id' --key my_id"):
        planned(tmp_path, key=("my id",), rows=[{"my id": 1}])
    with pytest.raises(ParameterInvalid, match=r"--rename '编号=id' --key id"):
        planned(tmp_path, key=("编号",), rows=[{"编号": 1}])
    with pytest.raises(ParameterInvalid, match=r"--rename '1st=_1st' --key _1st"):
        planned(tmp_path, key=("1st",), rows=[{"1st": 1}])


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"renamed": {"titel": "x"}}, "--rename: there is no column 'titel'.*did you mean 'title'"),
        ({"skipped": ("yaer",)}, "--skip.*did you mean 'year'"),
        ({"key": ("ID_",)}, "--key: there is no column 'ID_'.*did you mean 'id'"),
        ({"vectors": {"embedding": ""}}, "--vector: there is no column 'embedding'"),
        ({"vectors": {"emb": "cosin"}}, "unknown metric 'cosin'.*did you mean 'cosine'"),
        ({"places": (Place("lat", "lon", "p"),)}, "--geo: there is no column 'lon'"),
        ({"types": {"year": "integr"}}, "unknown type 'integr'"),
        ({"types": {"year": "datetime:h"}}, "numbers count s, ms, us since 1970"),
        ({"renamed": {"title": "year"}}, "several columns are to be called 'year'"),
        ({"types": {"emb": "int"}, "skipped": ("title",)}, "none of the first 10 rows.*line 1: field 'emb'"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, said: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        planned(tmp_path, **said)


def test_a_table_that_is_there(tmp_path: Path, db: lutra.Database) -> None:
    fields: dict[str, Any] = {"title": lutra.Text(), "year": float, "emb": lutra.Vector(4, "euclidean")}
    db.create_table("notes", {"id": str}, fields)
    with pytest.raises(ParameterInvalid, match=r"no column 'lat': say --rename lat=COLUMN, or --skip lat\. It has id"):
        planned(tmp_path, db=db)
    left = {"skipped": ("lat", "lng")}
    plan = planned(tmp_path, db=db, **left)
    assert plan.exists
    assert {**plan.key, **plan.fields} == {"id": str, **fields}
    with pytest.raises(ParameterInvalid, match="has the key id, not title"):
        planned(tmp_path, db=db, key=("title",), **left)
    with pytest.raises(ParameterInvalid, match="--type, --vector: column 'year' of table 'notes' is float, not int"):
        planned(tmp_path, db=db, types={"year": "int"}, **left)
    with pytest.raises(
        ParameterInvalid, match="column 'emb' of table 'notes' is vector:4:euclidean, not vector:4:cosine"
    ):
        planned(tmp_path, db=db, vectors={"emb": ""}, **left)
    declared = TableDeclaration({"id": str}, {**fields, "year": int})
    files = [DataFile.at(tmp_path / "rows.jsonl")]
    with pytest.raises(ParameterInvalid, match="--schema: table 'notes' is there, with another key or other fields"):
        plan_import(db, "notes", files, ColumnMapping(skipped=("lat", "lng")), declared=declared)
    same = {"vectors": {"emb": "euclidean"}, "types": {"title": "text", "year": "float"}}
    assert planned(tmp_path, db=db, **same, **left).trial.rejected == 0
    assert planned(tmp_path, db=db, types={"emb": "vector:euclidean"}, **left).trial.rejected == 0
    with pytest.raises(ParameterInvalid, match="expected a vector of 4"):
        planned(tmp_path, db=db, rows=[{"id": 1, "emb": [1.0] * 3}])
    with pytest.raises(ParameterInvalid, match="nothing is given for the key column 'id'"):
        planned(tmp_path, db=db, rows=[{"title": "x"}])


def test_a_table_that_chooses_its_keys(tmp_path: Path, db: lutra.Database) -> None:
    db.create_table("notes", {"of": str, "id": lutra.AUTO_INCREMENT}, {"x": int})
    for rows in ([{"of": "a", "id": 1, "x": 1}], [{"of": "a", "x": 1}]):
        with pytest.raises(ParameterInvalid, match="chooses its keys"):
            planned(tmp_path, db=db, rows=rows)


def test_a_new_table_that_is_declared(tmp_path: Path) -> None:
    """Also with fields that no file has."""
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "x": 2}\n')
    declared = TableDeclaration({"id": str}, {"x": float, "y": lutra.Text()})
    plan = plan_import(None, "notes", [DataFile.at(tmp_path / "rows.jsonl")], ColumnMapping(), declared=declared)
    assert (plan.key, plan.fields) == (declared.key, declared.fields)


def test_names_that_tables_do_not_take(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "#x": 1}\n')
    with pytest.raises(ParameterInvalid, match="invalid field name '#x'"):
        plan_import(None, "notes", [DataFile.at(tmp_path / "rows.jsonl")], ColumnMapping())
    with pytest.raises(ParameterInvalid, match="'my-notes' cannot be a table's name"):
        plan_import(None, "my-notes", [DataFile.at(tmp_path / "rows.jsonl")], ColumnMapping())


def test_files_of_several_formats_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x\n1,2\n")
    (tmp_path / "b.jsonl").write_text('{"id": 2, "y": "z"}\n')
    pq.write_table(
        pa.table({"id": [3], "v": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))}), tmp_path / "c.parquet"
    )
    files = [DataFile.at(tmp_path / name) for name in ("a.csv", "b.jsonl", "c.parquet")]
    plan = plan_import(None, "notes", files, ColumnMapping())
    assert types(plan) == {"id": int, "|": None, "x": int, "y": str, "v": lutra.Vector(2)}


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "rows.xyz").write_text("x")
    with pytest.raises(ParameterInvalid, match="give --format"):
        DataFile.at(tmp_path / "rows.xyz")
    with pytest.raises(lutra.ParameterInvalid, match="there is no file"):
        DataFile.at(tmp_path / "none.csv")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ParameterInvalid, match="has no rows"):
        plan_import(None, "notes", [DataFile.at(tmp_path / "empty.jsonl")], ColumnMapping())
    (tmp_path / "array.json").write_text('[{"a": 1},\n {"a": 2}]\n')
    with pytest.raises(ParameterInvalid, match=r"array\.json has no row that can be read: line 1: .* jq -c"):
        plan_import(None, "notes", [DataFile.at(tmp_path / "array.json")], ColumnMapping())
    (tmp_path / "bad.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(lutra.StorageFailure, match=r"cannot read .*bad\.csv\.gz"):
        plan_import(None, "notes", [DataFile.at(tmp_path / "bad.csv.gz")], ColumnMapping(csv=CsvOptions()))


def test_a_file_that_was_sent_has_no_file_of_the_machine_opened(tmp_path: Path) -> None:
    """What a Parquet file says of its table names the model of a field, which may lie anywhere."""
    saved = tmp_path / "words.npz"
    TfidfEmbedder(["otter"], np.ones(1, np.float32), np.ones((1, 1), np.float32)).save(saved)
    names = {"v": f"tfidf:{saved}", "w": "sentence-transformers:" + str(tmp_path), "u": "tfidf:/etc/passwd"}
    fields = {name: lutra.Vector(1, embed="x", with_=model) for name, model in names.items()}
    table = pa.table({"id": [1], "x": ["otter"]})
    declared = json.dumps(TableDeclaration({"id": int}, {"x": str, **fields}).as_json()).encode()
    pq.write_table(table.replace_schema_metadata({TABLE_KEY: declared}), tmp_path / "a.parquet")
    files = [DataFile.at(tmp_path / "a.parquet")]
    mine = plan_import(None, "notes", files, ColumnMapping()).fields
    assert mine["v"] == fields["v"], "who reads it here is free to open what is here"
    sent = plan_import(None, "notes", files, ColumnMapping(), is_sent=True).fields
    assert {name: of.with_ for name, of in sent.items() if isinstance(of, lutra.Vector)} == dict.fromkeys(names)


def test_rows_with_more_names_than_any_table_takes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": n, **{f"k{n}_{m}": 1 for m in range(500)}}) + "\n" for n in range(10)))
    with pytest.raises(ParameterInvalid, match="more than 4,096 columns"):
        plan_import(None, "notes", [DataFile.at(path)], ColumnMapping())


def test_a_sample_ends_by_what_comes_out_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_SAMPLE_BYTES_MAX", 10_000)
    monkeypatch.setattr(jsonl_reader, "_ROWS_AT_ONCE", 10)
    monkeypatch.setattr(parquet_reader, "_BATCH_BYTES", 10_000)
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), pa.array(["x" * 1_000]))
    pq.write_table(pa.table({"id": list(range(500)), "x": texts}), tmp_path / "a.parquet")
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"id": n, "x": "x" * 1_000}) + "\n" for n in range(500))
    for name in ("a.parquet", "a.jsonl.gz"):
        sample = sampling.Sample()
        sample.take(0, sampling.reader_of(DataFile.at(tmp_path / name), CsvOptions()), 1_000)
        assert 10 <= sample.rows <= 30, name
