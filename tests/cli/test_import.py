"""``lutra import`` and ``lutra export`` as processes: what they tell, how they end, and a kill in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.server import ServerProcess

import lutra
from lutra.cli.main import main

LUTRA = [sys.executable, "-m", "lutra.cli.main"]
CSV = 'id,title,year,emb\na,Otters,2020,"[1, 2]"\nb,Rivers,2021,"[3, 4]"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "notes.csv").write_text(CSV)
    return tmp_path


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", "data"], catch_exceptions=False, **options)


def test_a_file_becomes_a_table(folder: Path) -> None:
    result = run("import", "notes.csv", "--table", "notes", "--vector", "emb:euclidean")
    assert result.exit_code == 0
    for line in (
        "to     table notes, a new one, in data (to be made)",
        "key    id",
        "vector:2:euclidean",
        "2 rows written",
    ):
        assert line in result.output
    assert not (folder / "notes.rejected.jsonl").exists()
    with lutra.connect("data") as db:
        assert db.table("notes").fields == {"title": str, "year": int, "emb": lutra.Vector(2, "euclidean")}
    again = run("import", "notes.csv", "--table", "notes", "--json")
    told = json.loads(again.output)
    assert (told["written"], told["rejected"], told["table"], told["notes"]) == (2, 0, "notes", [])
    assert json.loads(run("table", "count", "notes", "--json").output)["rows"] == 2


def test_rows_of_one_key_are_told(folder: Path) -> None:
    (folder / "twice.csv").write_text("a,x\n" + "".join(f"{n % 4},{n}\n" for n in range(10)))
    result = run("import", "twice.csv", "--table", "t", "--key", "a")
    assert "note: 6 rows had the key of another, and took its place" in result.output
    assert json.loads(run("table", "get", "t", "1", "--json").output) == {"a": 1, "x": 9}
    assert json.loads(run("import", "twice.csv", "--table", "t", "--key", "a", "--json").output)["notes"] == []


def test_a_dry_run_changes_nothing(folder: Path) -> None:
    result = run("import", "notes.csv", "--table", "notes", "--dry-run", "--json")
    plan = json.loads(result.output)["plan"]
    assert [(one["name"], one["type"]) for one in plan["columns"]] == [
        ("id", "keyword"),
        ("title", "keyword"),
        ("year", "int"),
        ("emb", "vector:2:cosine"),
    ]
    assert [path.name for path in folder.iterdir()] == ["notes.csv"]
    assert "2 rows were looked at" in run("import", "notes.csv", "--table", "notes", "--dry-run").output
    assert [path.name for path in folder.iterdir()] == ["notes.csv"]


def test_statuses(folder: Path) -> None:
    (folder / "bad.csv").write_text(CSV + 'c,"x\nd,y,z,[1]\ne,y,2000,[1]\n')
    result = run("import", "bad.csv", "--table", "notes", "--type", "year=int", "--vector", "emb", "--yes")
    assert result.exit_code == 3
    assert "of 5 that were tried, 3 would be rejected, to notes.rejected.jsonl:" in result.output
    assert "3 rows rejected: " in result.output
    told = [json.loads(line) for line in (folder / "notes.rejected.jsonl").read_text().splitlines()]
    assert [(one["file"], one["line"]) for one in told] == [("bad.csv", 4), ("bad.csv", 5), ("bad.csv", 6)]
    options = ("--table", "notes", "--rejected", "out.jsonl", "--max-rejected", "1", "--json")
    result = run("import", "bad.csv", *options)
    assert result.exit_code == 4
    assert json.loads(result.output)["rejected_file"] == str(folder / "out.jsonl")
    assert len((folder / "out.jsonl").read_text().splitlines()) == 3
    result = run("import", "notes.csv", "--table", "notes", "--rename", "titel=x")
    assert (result.exit_code, "did you mean 'title'" in result.stderr) == (2, True)
    assert run("import", "notes.csv", "--table", "notes", "--key", "title").exit_code == 2
    assert run("import", "notes.csv", "--table", "new", "--type", "title=txet").exit_code == 2
    assert run("export", "out.csv", "--table", "notes", "--columns", "titel").exit_code == 2
    assert run("export", "out.csv", "--table", "nots").exit_code == 1
    assert run("import", "notes.csv", "--table", "notes", "--rename", "titel").exit_code == 2
    assert run("import", "notes.csv", "--table", "notes", "--geo", "a=b").exit_code == 2
    result = run("import", "none.csv", "--table", "notes")
    assert (result.exit_code, result.stderr) == (2, "Error: there is no file none.csv\n")
    result = run("import", "notes.csv", "--table", "notes", "--instance", "mine")
    assert (result.exit_code, "in instance mine (to be made) of data" in result.output) == (0, True)


def test_a_directory_that_is_served(folder: Path) -> None:
    with ServerProcess(folder / "data"):
        result = run("import", "notes.csv", "--table", "notes")
        assert (result.exit_code, "another process has" in result.stderr) == (2, True)
        assert run("import", "notes.csv", "--table", "notes", "--dry-run").exit_code == 0
        assert run("table", "list", "--instance", "test").output.startswith("there are no tables")


def test_from_one_directory_to_another(folder: Path) -> None:
    """A table, its declaration and its rows, by CSV and a schema, and by Parquet alone."""
    assert run("import", "notes.csv", "--table", "notes", "--type", "title=text:split").exit_code == 0
    (folder / "notes.json").write_text(run("table", "show", "notes", "--json").output)
    for path, more in (("out.csv.gz", ("--schema", "notes.json")), ("out.parquet", ())):
        assert f"2 rows of table notes are in {path}" in run("export", path, "--table", "notes").output
        assert run("import", path, "--table", "again", *more).exit_code == 0
        one, other = (json.loads(run("table", "show", name, "--json").output) for name in ("notes", "again"))
        assert {**one, "table": ""} == {**other, "table": ""}
        assert run("table", "drop", "again", "--confirm", "again").exit_code == 0


def test_export_to_stdout_and_over_what_is_there(folder: Path) -> None:
    assert run("import", "notes.csv", "--table", "notes").exit_code == 0
    result = run("export", "-", "--table", "notes", "--format", "jsonl", "--where", "year = 2021", "--columns", "year")
    assert json.loads(result.stdout) == {"id": "b", "year": 2021}
    assert run("export", "-", "--table", "notes").stderr == (
        "Error: stdout has no name: give --format, one of csv, tsv, jsonl, parquet\n"
    )
    result = run("export", "notes.csv", "--table", "notes")
    assert (result.exit_code, "--force" in result.stderr, (folder / "notes.csv").read_text()) == (1, True, CSV)
    told = json.loads(run("export", "notes.csv", "--table", "notes", "--force", "--json").output)
    assert (told["rows"], told["file"]) == (2, "notes.csv")
    assert (folder / "notes.csv").read_text().splitlines()[0] == "id,title,year,emb"


@pytest.mark.slow
def test_a_kill_and_the_same_command_again(folder: Path) -> None:
    rows, bad = 40_000, 20_001
    with (folder / "rows.jsonl").open("w") as file:
        for n in range(rows):
            file.write(f'{{"id": {n}, "x": {n * 2}}}\n' if n != bad else '{"id": \n')
    command = [*LUTRA, "import", "rows.jsonl", "--table", "t", "--data", "data", "--yes", "--no-wait"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    checkpoint = None
    for _ in range(6_000):
        found = list((folder / "data" / "imports").glob("*.json")) if (folder / "data").exists() else []
        checkpoint = json.loads(found[0].read_text()) if found else None
        if checkpoint is not None and checkpoint["written"]:
            break
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    [left] = (folder / "data" / "imports").glob("*.json")
    checkpoint = json.loads(left.read_text())
    told = run("import", "rows.jsonl", "--table", "t", "--dry-run").output
    assert f"{checkpoint['written'] + checkpoint['rejected']:,} rows are dealt with by an earlier run" in told
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert (told["written"], told["rejected"]) == (rows - 1, 1)
    assert 0 < told["rows_of_this_run"] <= rows - checkpoint["positions"][0]["rows"] < rows
    with lutra.connect("data") as db:
        table = db.table("t")
        assert {row["id"]: row["x"] for row in table.scan()} == {n: n * 2 for n in range(rows) if n != bad}
    [line] = (folder / "t.rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["line"] == bad + 1


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "status"), [("n", 1), ("y", 0)])
def test_a_terminal_is_asked_and_shown_how_far_it_is(folder: Path, answer: str, status: int) -> None:
    command = [*LUTRA, "import", "notes.csv", "--table", "notes", "--data", "data"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        printed = b""
        with contextlib.suppress(OSError):  # EIO: the other side is gone
            while piece := os.read(ours, 4_096):
                printed += piece
        os.close(ours)
        assert process.wait(60) == status
    assert b"Go on? [Y/n]" in printed
    assert (folder / "data").exists() is (answer == "y")
    assert (b"2 rows, " in printed) is (answer == "y")


@pytest.mark.slow
def test_a_reader_of_stdout_that_has_enough(folder: Path) -> None:
    with (folder / "rows.csv").open("w") as file:
        file.write("id,x\n")
        file.writelines(f"{n},{'y' * 1000}\n" for n in range(2_000))
    assert run("import", "rows.csv", "--table", "t").exit_code == 0
    command = [*LUTRA, "export", "-", "--table", "t", "--format", "csv", "--data", "data"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"id,x\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_help_has_examples_that_can_be_parsed() -> None:
    for command in ("import", "export", "table", "table search", "table get", "table drop"):
        result = CliRunner().invoke(main, [*command.split(), "--help"])
        assert result.exit_code == 0
        assert f"lutra {command.split()[0]}" in result.output
    result = CliRunner().invoke(main, ["imprt"])
    assert "No such command 'imprt'; did you mean 'import'?" in result.stderr
