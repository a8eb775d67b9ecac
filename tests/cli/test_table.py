"""``lutra table``: one's own tables, for people and as JSON."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import lutra
from lutra.cli.main import main


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "160")
    with lutra.connect(tmp_path / "data") as db:
        fields: dict[str, Any] = {
            "title": lutra.Text(),
            "year": int,
            "tags": list[str],
            "emb": lutra.Vector(2, "euclidean"),
            "author": lutra.Object({"name": str}),
        }
        notes = db.create_table("notes", {"id": str}, fields)
        notes.put_many(
            {
                "id": f"n{n}",
                "title": f"otter [{n}]",
                "year": 2000 + n,
                "tags": ["a"],
                "emb": [n, 0],
                "author": {"name": f"A{n % 2}"},
            }
            for n in range(6)
        )
        notes.put({"id": "bare"})
        db.create_table("visits", {"town": str, "n": int}).put({"town": "x", "n": 5, "any": 1.5})
        db.create_table("blobs", {"k": bytes}).put({"k": b"\x00"})
    return tmp_path / "data"


def run(data: Path, *arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(main, ["table", *arguments, "--data", str(data)], catch_exceptions=False, **options)


def told(data: Path, *arguments: str) -> Any:
    result = run(data, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def found(data: Path, *arguments: str) -> list[str]:
    return [one["row"]["id"] for one in told(data, "search", "notes", *arguments)["rows"]]


def test_list_show_count(data: Path) -> None:
    assert "notes  (id)  title, year, tags, emb, author\n" in run(data, "list").output
    assert "visits  (town, n)  any column, not searchable\n" in run(data, "list").output
    assert [one["table"] for one in told(data, "list")["tables"]] == ["blobs", "notes", "visits"]
    shown = run(data, "show", "notes").output
    assert "table notes: 7 rows" in shown
    assert "vector:2:euclidean" in shown
    assert told(data, "show", "notes")["fields"]["author"] == {"object": {"name": "keyword"}}
    assert run(data, "count", "notes").output == "7\n"
    assert run(data, "count", "notes", "--where", "year >= 2003 and author.name = A1").output == "2\n"
    assert run(data, "count", "visits", "--where", "any > 1").output == "1\n"


def test_get(data: Path) -> None:
    assert told(data, "get", "notes", "n1") == {
        "id": "n1",
        "title": "otter [1]",
        "year": 2001,
        "tags": ["a"],
        "emb": [1.0, 0.0],
        "author": {"name": "A1"},
    }
    assert told(data, "get", "notes", "n1", "--columns", "year") == {"id": "n1", "year": 2001}
    assert "otter [1]" in run(data, "get", "notes", "n1").output
    assert told(data, "get", "visits", "x", "5") == {"town": "x", "n": 5, "any": 1.5}
    assert told(data, "get", "blobs", base64.b64encode(b"\x00").decode()) == {"k": "AA=="}
    for key, complaint in ((["n9"], "has no row of key n9"), (["a", "b"], "a value for each is needed, not 2")):
        result = run(data, "get", "notes", *key)
        assert (result.exit_code, complaint in result.stderr) == (1, True)
    assert "'y' is no number" in run(data, "get", "visits", "x", "y").stderr


def test_search(data: Path, tmp_path: Path) -> None:
    assert found(data, "--vector", "[2, 0]", "--limit", "1") == ["n2"]
    (tmp_path / "query.json").write_text("[4.1, 0]")
    assert found(data, "--vector", f"@{tmp_path / 'query.json'}", "--limit", "2") == ["n4", "n5"]
    assert found(data, "--vector", "4 0", "--where", "year < 2003", "--limit", "1") == ["n2"]
    assert found(data, "--like", "n0", "--limit", "2") == ["n1", "n2"]
    assert found(data, "--like", "n0", "--limit", "2", "--offset", "2") == ["n3", "n4"]
    assert found(data, "otter 3", "--match", "all") == ["n3"]
    assert found(data, "3", "--like", "n2", "--limit", "1") == ["n3"]
    assert found(data, "--where", "year exists", "--order-by", "year:desc", "--limit", "2") == ["n5", "n4"]
    assert found(data, "--where", "year exists", "--order-by", "year", "--offset", "4") == ["n4", "n5"]
    assert "explain" in told(data, "search", "notes", "--vector", "[2, 0]", "--explain")
    assert told(data, "search", "notes", "--vector", "[2, 0]", "--deadline-ms", "9000", "--no-fresh")["is_complete"]
    shown = run(data, "search", "notes", "--vector", "[2, 0]", "--limit", "2", "--explain").output
    assert "otter [2]" in shown
    assert "1.0000  n2" in shown
    assert "rows searched in" in shown
    assert "nothing found" in run(data, "search", "notes", "--where", "year = 1").output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["search", "notes", "--vector", "[1]"], "expected a vector of 2"),
        (["search", "notes", "--vector", "nothing"], "--vector: 'nothing' is no number"),
        (["search", "notes", "--vector", "@none"], "--vector: none cannot be read"),
        (["search", "notes", "--like", "bare"], "the row of key bare has no emb"),
        (["search", "notes", "--like", "none"], "has no row of key none"),
        (["search", "notes", "--like", "n1", "--field", "embb"], "no vector field 'embb'; did you mean 'emb'?"),
        (["search", "notes", "--like", "n1", "--vector", "[1, 2]"], "give one"),
        (["search", "notes", "--where", "yaer = 1"], "did you mean 'year'?"),
        (["search", "visits"], "cannot be searched"),
        (["count", "nots"], "there is no table 'nots': there are blobs, notes, visits; did you mean 'notes'?"),
        (["get", "notes", "n1", "--columns", "titel"], "did you mean 'title'?"),
        (
            ["count", "notes", "--instance", "defualt"],
            "there is no instance 'defualt': there are default; did you mean",
        ),
    ],
)
def test_what_is_misspelt_or_wrong(data: Path, arguments: list[str], complaint: str) -> None:
    result = run(data, *arguments)
    assert (result.exit_code, complaint in result.stderr) == (1, True), result.stderr


def test_drop_asks_for_the_name(data: Path) -> None:
    result = run(data, "drop", "notes", input="nots\n")
    assert (result.exit_code, "nothing is deleted" in result.stderr) == (1, True)
    assert run(data, "count", "notes").output == "7\n"
    assert "table notes is deleted" in run(data, "drop", "notes", input="notes\n").output
    assert told(data, "drop", "visits", "--confirm", "visits") == {"dropped": "visits"}
    assert [one["table"] for one in told(data, "list")["tables"]] == ["blobs"]


def test_what_is_no_data_directory(tmp_path: Path) -> None:
    for command in (["list"], ["drop", "x", "--confirm", "x"]):
        result = run(tmp_path / "none", *command)
        assert (result.exit_code, "there is no data directory" in result.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []
