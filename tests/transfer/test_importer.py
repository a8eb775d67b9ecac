"""Imports that are broken off at every step and go on, rows that are rejected, and files that change meanwhile."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.tables_of_files import all_of

import lutra
from lutra.instance.instance import Instance
from lutra.tables.tables import Tables
from lutra.transfer import csv_reader, importer, jsonl_reader, parquet_reader, planner, rejects
from lutra.transfer.checkpoint import CheckpointFile, ImportIdentity
from lutra.transfer.data_file import DataFile
from lutra.transfer.importer import ImportRun
from lutra.transfer.mapping import ColumnMapping, Place
from lutra.transfer.planner import plan_import

ROWS = 30
BAD = (3, 11, 12, 28)


class Killed(BaseException):
    """As the end of the process would be: nothing catches it."""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[lutra.Database]:
    with lutra.connect(tmp_path / "data") as database:
        yield database


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (csv_reader, jsonl_reader):
        monkeypatch.setattr(module, "_ROWS_AT_ONCE", 5)
    monkeypatch.setattr(parquet_reader, "_BATCH_ROWS_MIN", 5)
    monkeypatch.setattr(parquet_reader, "_BATCH_ROWS_MAX", 5)


def run_of(db: lutra.Database, folder: Path, *names: str, table: str = "t", **options: Any) -> ImportRun:
    mapping = options.pop("mapping", ColumnMapping())
    files = [DataFile.at(folder / name) for name in names]
    checkpoints = CheckpointFile(folder / "data", ImportIdentity.of("default", table, files, mapping))
    plan = plan_import(db, table, files, mapping, is_being_made=checkpoints.is_being_made)
    return ImportRun(db, plan, checkpoints, folder / "rejected.jsonl", checkpoint_rows=10, **options)


def values(bad: tuple[int, ...] = BAD) -> list[dict[str, Any]]:
    return [{"id": n, "x": "?" if n in bad else n * 2} for n in range(ROWS)]


def write_file(folder: Path, name: str) -> None:
    """With bad rows."""
    path = folder / name
    if name.endswith("csv"):
        path.write_text("id,x\n" + "".join(f"{row['id']},{row['x']}\n" for row in values()))
    elif name.endswith("jsonl"):
        path.write_text("".join(f"{json.dumps(row)}\n" for row in values()))
    else:
        table = pa.table(
            {
                "id": list(range(ROWS)),
                "x": np.array([2**63 + 1 if n in BAD else n * 2 for n in range(ROWS)], dtype=np.uint64),
            }
        )
        pq.write_table(table, path, row_group_size=15)


def rejected(folder: Path) -> list[dict[str, Any]]:
    path = folder / "rejected.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize(
    "name", ["rows.jsonl", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rows.csv", "rows.parquet"))]
)
def test_broken_off_at_every_step(
    db: lutra.Database, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each, the same import comes to the same rows, and each bad row is told once."""
    db.create_table("t", {"id": int}, {"x": int})
    write_file(tmp_path, name)
    expected = [{"id": n, "x": n * 2} for n in range(ROWS) if n not in BAD]
    stages = {
        (lutra.Table, "_write_changes"): 6,
        (CheckpointFile, "write"): 5,
        (CheckpointFile, "remove"): 1,
        (rejects.RejectsFile, "sync"): 4,
    }
    for (owner, method), calls in stages.items():
        real = getattr(owner, method)
        for call in range(calls):
            for is_after in (False, True) if method != "remove" else (False,):  # after which it is done
                left = call

                def once(*given: Any, _real: Any = real, _is_after: bool = is_after, **named: Any) -> Any:
                    nonlocal left
                    left -= 1
                    if left == -1 and not _is_after:
                        raise Killed
                    result = _real(*given, **named)
                    if left == -1:
                        raise Killed
                    return result

                monkeypatch.setattr(owner, method, once)
                with pytest.raises(Killed):
                    run_of(db, tmp_path, name).run()
                monkeypatch.setattr(owner, method, real)
                outcome = run_of(db, tmp_path, name).run()
                assert (outcome.written, outcome.rejected) == (ROWS - len(BAD), len(BAD)), (method, call)
                assert all_of(db.table("t")) == expected
                assert [one["row"] - 1 for one in rejected(tmp_path)] == list(BAD), (method, call)
                (tmp_path / "rejected.jsonl").unlink()
                db.table("t").delete_many(range(ROWS))
                assert list((tmp_path / "data" / "imports").iterdir()) == []


def test_it_goes_on_and_does_not_begin_anew(db: lutra.Database, tmp_path: Path) -> None:
    db.create_table("t", {"id": int}, {"x": int})
    for name in ("a.csv", "b.csv"):
        write_file(tmp_path, name)
    steps: list[int] = []

    def stop(progress: importer.Progress) -> None:
        steps.append(progress.rows)
        if progress.rows == 40:
            raise Killed

    with pytest.raises(Killed):
        run_of(db, tmp_path, "a.csv", "b.csv", on_progress=stop).run()
    assert steps == list(range(5, 45, 5))
    again: list[tuple[int, int]] = []
    run = run_of(db, tmp_path, "a.csv", "b.csv", on_progress=lambda now: again.append((now.rows, now.read_bytes)))
    outcome = run.run()
    assert (outcome.rows, outcome.written, outcome.rejected) == (20, 52, 8)
    assert [rows for rows, _ in again] == list(range(5, 25, 5))
    assert (
        again[-1][1] == run.progress.total_bytes == sum((tmp_path / name).stat().st_size for name in ("a.csv", "b.csv"))
    )
    assert [(Path(one["file"]).name, one["line"]) for one in rejected(tmp_path)] == [
        (name, n + 2) for name in ("a.csv", "b.csv") for n in BAD
    ]


def test_it_begins_anew_where_that_is_wanted_or_has_to_be(db: lutra.Database, tmp_path: Path) -> None:
    def broken_off() -> None:
        def stop(progress: importer.Progress) -> None:
            if progress.rows == 15:
                raise Killed

        with pytest.raises(Killed):
            run_of(db, tmp_path, "rows.csv", on_progress=stop, restarts=True).run()

    db.create_table("t", {"id": int}, {"x": int})
    write_file(tmp_path, "rows.csv")
    broken_off()
    assert run_of(db, tmp_path, "rows.csv", restarts=True).run().rows == ROWS
    broken_off()
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("1000,1\n")
    run = run_of(db, tmp_path, "rows.csv")
    outcome = run.run()
    assert (outcome.rows, outcome.began_empty) == (ROWS + 1, False)
    assert run.notes == [f"{tmp_path / 'rows.csv'} has changed since an earlier run: it is read anew"]
    broken_off()
    db.delete_table("t")
    db.create_table("t", {"id": int}, {"x": int})
    run = run_of(db, tmp_path, "rows.csv")
    assert run.run().rows == ROWS + 1
    assert run.notes == ["the table was made anew since an earlier run, so the import begins anew"]
    broken_off()
    [checkpoint] = (tmp_path / "data" / "imports").iterdir()
    checkpoint.write_bytes(checkpoint.read_bytes()[:50])
    run = run_of(db, tmp_path, "rows.csv")
    assert run.run().rows == ROWS + 1
    assert run.notes == [f"{checkpoint} cannot be read, so the import begins anew"]


@pytest.mark.parametrize("step", ["create", "create_search_index", "nothing"])
def test_broken_off_while_it_makes_the_table(
    db: lutra.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The table may be there without its index."""

    def kill(*_: Any) -> None:
        raise Killed

    write_file(tmp_path, "rows.csv")
    with monkeypatch.context() as patches:
        patches.setattr(Instance, "delete_table", kill)  # a process that was killed does not tidy up
        owner = Tables if step == "create" else Instance if step == "create_search_index" else CheckpointFile
        real, writes = CheckpointFile.write, iter(range(9))
        if step == "nothing":  # the table is made, and nobody has noted that
            patches.setattr(CheckpointFile, "write", lambda *given: kill() if next(writes) else real(*given))
        else:
            patches.setattr(owner, step, kill)
        with pytest.raises(Killed):
            run_of(db, tmp_path, "rows.csv", mapping=ColumnMapping(types={"x": "int"})).run()
    run = run_of(db, tmp_path, "rows.csv", mapping=ColumnMapping(types={"x": "int"}))
    outcome = run.run()
    assert (outcome.written, outcome.rejected, run.notes) == (ROWS - len(BAD), len(BAD), [])
    assert db.table("t").count(lutra.col("x") >= 0) == ROWS - len(BAD)


def test_another_import_is_another(db: lutra.Database, tmp_path: Path) -> None:
    write_file(tmp_path, "rows.csv")
    db.create_table("t", {"id": int}, {"x": int})
    names = {run_of(db, tmp_path, "rows.csv").checkpoints.path}
    names.add(run_of(db, tmp_path, "rows.csv", mapping=ColumnMapping(types={"x": "int"})).checkpoints.path)
    names.add(run_of(db, tmp_path, "rows.csv", table="u").checkpoints.path)
    assert len(names) == 3


def test_it_stops_where_too_many_are_rejected_and_goes_on_with_more(db: lutra.Database, tmp_path: Path) -> None:
    db.create_table("t", {"id": int}, {"x": int})
    write_file(tmp_path, "rows.csv")
    outcome = run_of(db, tmp_path, "rows.csv", rejected_max=2).run()
    assert (outcome.is_stopped, outcome.rejected, outcome.rows) == (True, 3, 15)
    outcome = run_of(db, tmp_path, "rows.csv", rejected_max=2).run()
    assert (outcome.is_stopped, outcome.rejected, outcome.rows) == (True, 3, 5)
    outcome = run_of(db, tmp_path, "rows.csv", rejected_max=4).run()
    assert (outcome.is_stopped, outcome.rejected, outcome.rows) == (False, 4, ROWS - 20)
    assert [one["row"] - 1 for one in rejected(tmp_path)] == list(BAD)


def test_what_the_file_of_rejected_rows_had_stays(db: lutra.Database, tmp_path: Path) -> None:
    (tmp_path / "rejected.jsonl").write_text("mine")
    db.create_table("t", {"id": int}, {"x": int})
    write_file(tmp_path, "rows.csv")

    def stop(progress: importer.Progress) -> None:
        if progress.rows == 15:
            with (tmp_path / "rejected.jsonl").open("a") as file:
                file.write("mine, too\n")
            raise Killed

    with pytest.raises(Killed):
        run_of(db, tmp_path, "rows.csv", on_progress=stop).run()
    run_of(db, tmp_path, "rows.csv").run()
    lines = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert lines[0] == "mine"
    assert "mine, too" in lines
    assert [json.loads(line)["row"] - 1 for line in lines if line.startswith("{")] == list(BAD)


def test_reasons_are_told(db: lutra.Database, tmp_path: Path) -> None:
    db.create_table("t", {"id": str}, {"x": int, "v": lutra.Vector(2), "at": lutra.Stored(bytes)})
    lines = [
        {"id": "a", "x": 1, "v": [1, 2], "at": "AAE="},
        {"id": "b", "x": 1.5},
        {"id": "c", "v": [1, 2, 3]},
        {"x": 1},
        {"id": "x" * 2_000},
        {"id": "d", "z": 1},
        {"id": "e", "at": "?"},
        {"id": "f", "v": [1, "x"]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in lines))
    run_of(db, tmp_path, "rows.jsonl", mapping=ColumnMapping(skipped=("z",))).run()
    assert [one["line"] for one in rejected(tmp_path)] == [2, 3, 4, 5, 7, 8]
    reasons = [one["reason"] for one in rejected(tmp_path)]
    for reason, expected in zip(
        reasons,
        [
            "expected int, got float 1.5",
            "expected a vector of 2",
            "no value for the key column 'id'",
            "2,000 bytes",
            "'?' is not base64",
            "expected a vector of 2 numbers",
        ],
        strict=True,
    ):
        assert expected in reason
    assert [row["id"] for row in all_of(db.table("t"))] == ["a", "d"]


def test_what_was_rejected_is_told_as_json_has_it() -> None:
    day = dt.date(2024, 5, 1)
    told = rejects.shown_value({"a": [float("inf"), day, b"x"], "b": {"c": dt.timedelta(1), "d": np.float64("nan")}})
    assert told == {"a": ["inf", "2024-05-01", "eA=="], "b": {"c": "1 day, 0:00:00", "d": "nan"}}
    assert rejects.shown_value(np.array([1.5, np.nan])) == [1.5, "nan"]
    assert rejects.shown_value(["x" * 5_000])[-4:] == "x..."
    for value in (None, True, 5, 1.5, "x"):
        assert rejects.shown_value(value) == value


def test_columns_that_come_late_are_rejected_by_name(
    db: lutra.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "_SAMPLE_ROWS_MIN", 10)
    rows = [{"id": n} if n < 20 else {"id": n, "late": 1} for n in range(21)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    files = [DataFile.at(tmp_path / "rows.jsonl")]
    mapping = ColumnMapping()
    plan = plan_import(db, "t", files, mapping, sample_rows=10)
    checkpoints = CheckpointFile(tmp_path / "data", ImportIdentity.of("default", "t", files, mapping))
    assert ImportRun(db, plan, checkpoints, tmp_path / "rejected.jsonl").run().rejected == 1
    assert "say --type late=TYPE, or --skip late" in rejected(tmp_path)[0]["reason"]
    outcome = run_of(db, tmp_path, "rows.jsonl", table="u", mapping=ColumnMapping(types={"late": "int"})).run()
    assert (outcome.written, outcome.rejected) == (21, 0)


@pytest.mark.parametrize("text_at", [False, True])
def test_parquet_by_batches_and_by_rows(db: lutra.Database, tmp_path: Path, text_at: bool) -> None:
    """With what needs a look at each value, and without: the same rows."""
    vectors = np.arange(30, dtype=np.float32).reshape(10, 3)
    moments = [f"2020-01-0{n + 1}" if n < 9 else None for n in range(10)]
    table = pa.table(
        {
            "name": pa.array([f"n{n % 2}" for n in range(10)]).dictionary_encode(),
            "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 3),
            "lat": pa.array([1.5, None] * 5),
            "lon": pa.array([2.5, None] * 5),
            "at": moments if text_at else pa.array(moments).cast(pa.timestamp("us")),
            "tags": [["a"], None] * 5,
            "items": [[{"sku": "x", "price": 1.5}]] * 10 if text_at else pa.nulls(10),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    mapping = ColumnMapping(places=(Place("lat", "lon", "place"),), types={"items": "stored"} if not text_at else {})
    outcome = run_of(db, tmp_path, "rows.parquet", mapping=mapping).run()
    assert (outcome.written, outcome.rejected) == (10, 0)
    rows = all_of(db.table("t"))
    assert [row["_row"] for row in rows] == list(range(1, 11))
    assert rows[0]["_file"] == "rows.parquet"
    assert rows[0]["place"] == lutra.GeoPoint(1.5, 2.5)
    assert rows[3]["v"] == [9.0, 10.0, 11.0]
    assert rows[0]["at"].isoformat() == "2020-01-01T00:00:00+00:00"
    assert "at" not in rows[9]
    assert "place" not in rows[1]
    assert rows[0]["tags"] == ["a"]
    assert ("items" in rows[0]) is text_at
