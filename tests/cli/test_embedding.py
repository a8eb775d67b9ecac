"""Fields that models make, from the command line: imported, shown, searched."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import lutra
from lutra.cli.main import main
from lutra.instance.table_part import id_of
from lutra.transfer.embed_start import EmbedStart

MODEL = "wordllama:64"
TEXTS = {
    "otter": "The otter sleeps in the sea, and eats crabs.",
    "bread": "Bread is baked in a hot oven.",
    "stars": "Telescopes look at stars by night.",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    rows = ({"id": name, "words": text} for name, text in TEXTS.items())
    (tmp_path / "notes.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", "data"], catch_exceptions=False, **options)


def imported(*arguments: str) -> Result:
    return run("import", "notes.jsonl", "--table", "notes", "--rename", "words=text", *arguments)


def found(*arguments: str) -> list[str]:
    result = run("table", "search", "notes", *arguments, "--json", "--limit", "1")
    assert result.exit_code == 0, result.output
    return [one["row"]["id"] for one in json.loads(result.output)["rows"]]


def test_a_column_is_embedded_as_it_is_imported(folder: Path) -> None:
    planned = imported("--embed", f"text:meaning:{MODEL}", "--dry-run")
    assert f"made of text, by {MODEL}" in planned.output
    assert not (folder / "data").exists()
    result = imported("--embed", f"words:meaning:{MODEL}")
    assert "3 rows written" in result.output, result.output
    with lutra.connect("data") as db:
        assert db.table("notes").fields["meaning"] == lutra.Vector(64, embed="text", with_=MODEL)
        assert all(len(row["meaning"]) == 64 for row in db.table("notes").scan())
    assert found("--near", "astronomy") == ["stars"]
    assert found("--near", "a marine mammal") == ["otter"]
    assert found("oven", "--near", "baking") == ["bread"]
    again = imported("--embed", f"words:meaning:{MODEL}", "--json")
    assert json.loads(again.output)["written"] == 3
    refused = imported("--embed", "words:meaning:wordllama")
    assert (refused.exit_code, "`lutra embed` adds one" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("words:meaning", "is not COLUMN:FIELD:MODEL"),
        ("wrods:meaning:wordllama", "did you mean 'words'"),
        ("words:meaning:wordlama", "did you mean 'wordllama'"),
        ("words:text:wordllama", "the files have a column 'text'"),
        ("words:meaning:openai:unheard-of", "OPENAI_EMBEDDING_DIMENSION"),
    ],
)
def test_what_cannot_be_embedded(folder: Path, said: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_EMBEDDING_DIMENSION", raising=False)
    result = imported("--embed", said)
    assert (result.exit_code, complaint in result.stderr) == (2, True), result.stderr
    assert not (folder / "data").exists()


def test_a_table_shows_its_model_and_is_made_again_from_that(folder: Path) -> None:
    imported("--embed", f"words:meaning:{MODEL}")
    assert f"of text, by {MODEL}" in run("table", "show", "notes").output
    shown = run("table", "show", "notes", "--json").output
    declared = {"dimension": 64, "metric": "cosine", "embed": "text", "with_": MODEL}
    assert json.loads(shown)["fields"]["meaning"] == {"vector": declared}
    (folder / "notes.json").write_text(shown)
    made = run("import", "notes.jsonl", "--table", "other", "--rename", "words=text", "--schema", "notes.json")
    assert made.exit_code == 0, made.output
    with lutra.connect("data") as db:
        assert db.table("other").fields == db.table("notes").fields
        assert all("meaning" in row for row in db.table("other").scan())


def test_an_exported_table_goes_where_its_model_is_not(folder: Path) -> None:
    lutra.register_model("of-this-test", lutra.open_model(MODEL))
    with lutra.connect("data") as db:
        declared = {"text": str, "meaning": lutra.Vector(64, embed="text", with_="of-this-test")}
        table = db.create_table("notes", {"id": str}, declared)
        table.put_many({"id": name, "text": text} for name, text in TEXTS.items())
    assert run("export", "notes.parquet", "--table", "notes").exit_code == 0
    code = f"""
import lutra, sys
from lutra.cli.main import main
main(["import", "notes.parquet", "--table", "notes", "--data", "elsewhere"], standalone_mode=False)
main(["import", "notes.parquet", "--table", "notes", "--data", "data"], standalone_mode=False)
with lutra.connect("elsewhere") as db, lutra.connect("data", read_only=True) as before:
    assert db.table("notes").fields["meaning"] == lutra.Vector(64)
    rows = list(db.table("notes").scan())
    assert len(rows) == {len(TEXTS)} and all(len(row["meaning"]) == 64 for row in rows)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--near", "a", "--vector", "[1]"), "--near and --vector both say"),
        (("--near", ""), "words to look for"),
        (("--picture", "notes.jsonl"), "makes no vectors of pictures"),
    ],
)
def test_searches_that_make_no_sense(folder: Path, arguments: tuple[str, ...], complaint: str) -> None:
    imported("--embed", f"words:meaning:{MODEL}")
    result = run("table", "search", "notes", *arguments)
    assert (result.exit_code, complaint in result.stderr) == (1, True), result.stderr


def test_searches_are_corrected_by_options(folder: Path) -> None:
    imported("--type", "text=keyword", "--embed", f"words:meaning:{MODEL}")
    result = run("table", "search", "notes", "oven")
    assert "has no text field to find words in: --near looks in the vectors of meaning" in result.stderr
    assert run("embed", "--table", "notes", "--field", "text", "--into", "other", "--model", MODEL).exit_code == 0
    result = run("table", "search", "notes", "--near", "oven")
    assert "several fields to look for words in: say --field, one of meaning, other" in result.stderr


# --- rows that are there ----------------------------------------------------------------------------------------------


def embedded(*arguments: str) -> Result:
    return run("embed", "--table", "notes", *arguments)


def test_rows_that_are_there_get_vectors(folder: Path) -> None:
    imported()
    result = embedded("--field", "text", "--into", "meaning", "--model", MODEL)
    assert (result.exit_code, "3 rows of table notes got a vector in meaning" in result.output) == (0, True)
    assert found("--near", "astronomy") == ["stars"]
    with lutra.connect("data") as db:
        table = db.table("notes")
        assert table.fields["meaning"] == lutra.Vector(64, embed="text", with_=MODEL)
        table.put({"id": "moon", "text": "The moon goes round the earth."})
        assert "meaning" in (table.get("moon") or {})
    told = json.loads(embedded("--into", "meaning", "--json").output)
    assert (told["embedded"], told["failed"], told["failures"], told["field"]) == (0, 0, [], "meaning")
    told = json.loads(embedded("--into", "meaning", "--again", "--where", "id = otter or id = moon", "--json").output)
    assert told["embedded"] == 2
    assert list((folder / "data" / "embeds").iterdir()) == []


def test_rows_that_cannot_be_embedded_are_told(folder: Path) -> None:
    code = """
import sys
import numpy as np
import lutra
from lutra.cli.main import main

class Picky:
    name, dimension = "picky", 2
    def embed(self, texts):
        if any("oven" in text for text in texts):
            raise ValueError("no ovens")
        return np.ones((len(texts), 2))
    embed_query = embed

lutra.register_model("picky", Picky())
of = ["--field", "text", "--into", "v", "--model", "picky"]
main(["embed", "--data", "data", "--table", "notes", *of, *sys.argv[1:]])
"""
    imported()
    for arguments in ((), ("--json",)):
        command = [sys.executable, "-c", code, *arguments]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert finished.returncode == 3, finished.stderr
        if arguments:
            told = json.loads(finished.stdout)
            assert (told["embedded"], told["failed"]) == (0, 1)
            assert told["failures"] == [{"key": ["bread"], "reason": "the model 'picky' failed: ValueError: no ovens"}]
        else:
            assert "2 rows of table notes got a vector" in finished.stdout
            assert "1 could not be done" in finished.stdout
            assert "bread: the model 'picky' failed: ValueError: no ovens" in finished.stdout


def test_all_again_goes_on_where_it_was(folder: Path) -> None:
    """A run that was broken off has left the time at which it began."""
    imported("--embed", f"words:meaning:{MODEL}")
    start = EmbedStart(folder / "data", {"instance": "default", "table": "notes", "into": "meaning", "where": None})
    with lutra.connect("data") as db:
        table = db.table("notes")
        began_ms = start.begun_ms(id_of(table))
        assert start.begun_ms(id_of(table)) == began_ms, "of the run that is gone on with"
        assert start.begun_ms(id_of(table) + 1) > began_ms, "of another table of that name"
        began_ms = start.begun_ms(id_of(table))
        at = dt.datetime.fromtimestamp(began_ms / 1_000, dt.UTC)
        assert table.embed("meaning", since=at, where=lutra.col("id") != "bread") == 2
    told = json.loads(embedded("--into", "meaning", "--again", "--json").output)
    assert told["embedded"] == 1
    assert not start.path.exists()
    assert json.loads(embedded("--into", "meaning", "--again", "--json").output)["embedded"] == 3
    start.begun_ms(1)
    start.path.write_text("{")
    assert json.loads(embedded("--into", "meaning", "--again", "--json").output)["embedded"] == 3


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--into", "meaning"), 2, "say --field and --model"),
        (("--into", "meaning", "--field", "text"), 2, "say --field and --model"),
        (("--into", "meaning", "--field", "text", "--model", "wordlama"), 2, "did you mean 'wordllama'"),
        (("--into", "meaning", "--field", "txt", "--model", MODEL), 2, "did you mean 'text'"),
        (("--into", "text", "--field", "text", "--model", MODEL), 2, "has a column 'text' already"),
        (("--into", "made", "--field", "text", "--model", "wordllama"), 2, "need a field of their own"),
        (("--into", "made", "--where", "nothing = 1"), 2, "there is no column 'nothing'"),
        (("--into", "meaning", "--field", "text", "--model", "tfidf:gone.npz"), 1, "gone.npz is not there"),
    ],
)
def test_what_makes_no_sense(folder: Path, arguments: tuple[str, ...], status: int, complaint: str) -> None:
    imported("--embed", f"words:made:{MODEL}")
    result = embedded(*arguments)
    assert (result.exit_code, complaint in result.stderr) == (status, True), result.stderr
    with lutra.connect("data") as db:
        assert list(db.table("notes").fields) == ["text", "made"]
