"""Imports by jobs, over an engine that somebody else has open."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

import lutra
from lutra.console.import_forms import form_of
from lutra.console.imports import first_rows, planned, rejected_file, rejected_rows, start_import
from lutra.console.jobs import Jobs, JobState
from lutra.console.uploads import Upload, UploadFile, Uploads
from lutra.instance.database import Database, database_of
from lutra.instance.engine import Engine
from lutra.instance.served_directory import ServedDirectory
from lutra.model.errors import ObjectNotExist, OperationConflict, ParameterInvalid
from lutra.transfer.mapping import ColumnMapping, Place

ENDS_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    opened = Engine.open(tmp_path_factory.mktemp("imports"))
    opened.create_instance("test")
    yield opened
    opened.close()


@pytest.fixture
def database(engine: Engine) -> Database:
    return database_of(ServedDirectory(engine), "test")


@pytest.fixture
def uploads(engine: Engine) -> Iterator[Uploads]:
    made = Uploads(engine.data_dir)
    yield made
    made.close()
    assert not (engine.data_dir / "uploads").exists()


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.close()


def sent(uploads: Uploads, name: str, content: str) -> Upload:
    upload = uploads.begin("test", name)
    with UploadFile(uploads, upload) as file:
        file.write(content.encode())
    return upload


def test_an_instance_that_is_not_there(engine: Engine) -> None:
    with pytest.raises(ObjectNotExist):
        database_of(ServedDirectory(engine), "nowhere")


def test_rows_of_a_file_come_into_a_new_table(database: Database, uploads: Uploads, jobs: Jobs) -> None:
    upload = sent(uploads, "people.csv", "id,name,age\n1,Ann,30\n2,Bo,many\n3,Cy,41\n")
    mapping = ColumnMapping(types={"age": "int"}, renamed={"name": "called"})
    plan = planned(database, "people", upload, mapping)
    assert [column.name for column in plan.columns] == ["id", "called", "age"]
    assert [row.values for row in first_rows(plan, 2)] == [
        {"id": "1", "name": "Ann", "age": "30"},
        {"id": "2", "name": "Bo", "age": "many"},
    ]
    job = start_import(jobs, uploads, database, "test", plan, upload, mapping, 10)
    ended = jobs.wait(job.id, ENDS_WITHIN_S)
    assert (ended.state, ended.error) == (JobState.DONE, None)
    assert ended.outcome == {"written": 2, "rejected": 1, "is_stopped": False, "notes": []}
    assert (ended.progress.done, ended.progress.rejected, ended.progress.share) == (3, 1, 1.0)
    assert [dict(row) for row in database.table("people").scan()] == [
        {"id": 1, "called": "Ann", "age": 30},
        {"id": 3, "called": "Cy", "age": 41},
    ]
    [rejected] = rejected_rows(upload, 10)
    assert (rejected.row, rejected.line) == (2, 3)
    assert "many" in rejected.reason
    [line] = b"".join(rejected_file(upload)).splitlines()
    assert json.loads(line)["file"] == "people.csv"
    assert not upload.path.exists()
    assert uploads.get(upload.id, "test").job_id == job.id
    with pytest.raises(ObjectNotExist):
        uploads.hold(upload)


def test_a_whole_file_leaves_nothing(database: Database, uploads: Uploads, jobs: Jobs) -> None:
    upload = sent(uploads, "more.jsonl", '{"id": "a", "tags": ["x", "y"]}\n')
    plan = planned(database, "more", upload, ColumnMapping())
    job = start_import(jobs, uploads, database, "test", plan, upload, ColumnMapping(), 10)
    assert jobs.wait(job.id, ENDS_WITHIN_S).state is JobState.DONE
    assert not upload.folder.exists()
    assert rejected_rows(upload, 10) == []
    row = database.table("more").get("a")
    assert row is not None
    assert row["tags"] == ["x", "y"]


def test_into_a_table_that_is_there(database: Database, uploads: Uploads, jobs: Jobs) -> None:
    table = database.create_table("places", {"id": str}, {"at": lutra.GeoPoint})
    upload = sent(uploads, "places.csv", "id,lat,lon\nx,1.5,2.5\n")
    with pytest.raises(ParameterInvalid, match="lat"):
        planned(database, "places", upload, ColumnMapping())
    mapping = ColumnMapping(places=(Place("lat", "lon", "at"),))
    plan = planned(database, "places", upload, mapping)
    assert plan.exists
    job = start_import(jobs, uploads, database, "test", plan, upload, mapping, 10)
    assert jobs.wait(job.id, ENDS_WITHIN_S).state is JobState.DONE
    row = table.get("x")
    assert row is not None
    assert row["at"] == lutra.GeoPoint(1.5, 2.5)


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("notes.txt", "hello", "its name does not say what it is"),
        ("people.csv", "\n", "is empty"),
        ("people.jsonl", "[1]\n", "no row that can be read"),
        ("people.parquet", "PAR1", "parquet"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_name(
    database: Database, uploads: Uploads, name: str, content: str, wrong: str
) -> None:
    upload = sent(uploads, name, content)
    with pytest.raises(lutra.LutraError, match=f"(?i){wrong}") as failed:
        planned(database, "other", upload, ColumnMapping())
    assert str(upload.folder) not in str(failed.value)
    uploads.drop(upload)


def test_so_many_rejected_rows_stop_it(database: Database, uploads: Uploads, jobs: Jobs) -> None:
    rows = "".join(f"{number},{'x' if number > 20 else number}\n" for number in range(1, 200))
    upload = sent(uploads, "numbers.csv", f"id,n\n{rows}")
    mapping = ColumnMapping(types={"n": "int"})
    plan = planned(database, "numbers", upload, mapping)
    job = start_import(jobs, uploads, database, "test", plan, upload, mapping, 3)
    ended = jobs.wait(job.id, ENDS_WITHIN_S)
    assert ended.state is JobState.DONE
    assert ended.outcome["is_stopped"]


def test_a_cancelled_import_keeps_what_it_wrote(database: Database, uploads: Uploads, jobs: Jobs) -> None:
    upload = sent(uploads, "many.csv", "id\n" + "".join(f"{number}\n" for number in range(30_000)))
    plan = planned(database, "many", upload, ColumnMapping())
    job = start_import(jobs, uploads, database, "test", plan, upload, ColumnMapping(), 10)
    while not jobs.get(job.id).progress.done and not jobs.get(job.id).state.has_ended:
        time.sleep(0.001)
    jobs.cancel(job.id)
    ended = jobs.wait(job.id, ENDS_WITHIN_S)
    assert ended.state is JobState.CANCELLED
    assert 0 < ended.progress.done < 30_000
    assert sum(1 for _ in database.table("many").scan(columns=[])) >= ended.progress.done
    assert not upload.folder.exists()


def test_a_file_is_imported_once_and_not_discarded_meanwhile(database: Database, uploads: Uploads, jobs: Jobs) -> None:
    upload = sent(uploads, "many.csv", "id\n" + "".join(f"{number}\n" for number in range(30_000)))
    plan = planned(database, "once", upload, ColumnMapping())
    job = start_import(jobs, uploads, database, "test", plan, upload, ColumnMapping(), 10)
    with pytest.raises(OperationConflict):
        start_import(jobs, uploads, database, "test", plan, upload, ColumnMapping(), 10)
    with pytest.raises(OperationConflict):
        uploads.discard(upload)
    assert jobs.wait(job.id, ENDS_WITHIN_S).outcome["written"] == 30_000


def test_an_import_that_is_cancelled_before_it_begins_leaves_nothing(database: Database, uploads: Uploads) -> None:
    never = Jobs(threads=0)
    upload = sent(uploads, "more.jsonl", '{"id": "a"}\n')
    plan = planned(database, "never", upload, ColumnMapping())
    job = start_import(never, uploads, database, "test", plan, upload, ColumnMapping(), 10)
    never.cancel(job.id)
    assert not upload.folder.exists()
    assert "never" not in database


def test_nothing_of_it_stays_when_jobs_are_full(database: Database, uploads: Uploads) -> None:
    full = Jobs(threads=0, waiting_max=0)
    upload = sent(uploads, "more.jsonl", '{"id": "a"}\n')
    plan = planned(database, "full", upload, ColumnMapping())
    with pytest.raises(lutra.LutraError):
        start_import(full, uploads, database, "test", plan, upload, ColumnMapping(), 10)
    assert upload.users == 0
    assert uploads.get(upload.id, "test") is upload


def test_an_import_stops_where_its_rejected_rows_fill_the_disk(
    database: Database, uploads: Uploads, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lutra.console.imports._REJECTS_BYTES_MAX", 100_000)
    monkeypatch.setattr("lutra.transfer.rejects._PENDING_BYTES_MAX", 50_000)
    monkeypatch.setattr("lutra.transfer.jsonl_reader._ROWS_AT_ONCE", 20)
    rows = "".join(json.dumps({"id": number, "n": "x" * 3_000}) + "\n" for number in range(1_000))
    upload = sent(uploads, "rows.jsonl", '{"id": -1, "n": 1}\n' + rows)
    mapping = ColumnMapping(types={"n": "int"}, key=("id",))
    plan = planned(database, "numbers", upload, mapping)
    ended = jobs.wait(start_import(jobs, uploads, database, "test", plan, upload, mapping, 1_000_000).id, ENDS_WITHIN_S)
    assert (ended.state, ended.outcome["is_stopped"], ended.outcome["written"]) == (JobState.DONE, True, 1)
    assert 100_000 < upload.rejected_path.stat().st_size < 300_000


@pytest.mark.parametrize("model", ["tfidf:/etc/passwd", "sentence-transformers:../..", "unknown:x"])
def test_forms_name_no_file_of_the_server(model: str) -> None:
    problem = form_of({"embed-0": "x", "vector-0": "v", "model-0": model, "source-0": "x"}).problem
    assert problem.startswith(f"There is no model {model!r} here")
