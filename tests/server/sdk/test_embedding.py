"""Rows that SDKs put into a table whose vector field has a model: they get their vectors soon after."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tablestore as ots
from support.sdk import IGNORE, get, put, values
from support.server import ServerProcess
from support.waiting import wait_until
from tablestore import KnnVectorQuery

import lutra
from lutra.embedding.tfidf import TfidfEmbedder

MODEL = "wordllama:64"
FIELDS: dict[str, Any] = {"text": lutra.Text(), "kind": str, "v": lutra.Vector(64, embed="text", with_=MODEL)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with lutra.connect(tmp_path / "data", instance="test") as db:
        db.create_table("notes", {"id": str}, FIELDS)
    return tmp_path / "data"


@pytest.fixture
def server(data: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data) as server:
        yield server
    log = server.log_path.read_text()
    assert "Traceback" not in log, log


def vector_of(client: ots.OTSClient, key: str, table: str = "notes") -> np.ndarray | None:
    row = get(client, table, [("id", key)])
    data = values(row).get("v") if row is not None else None
    return None if data is None else np.frombuffer(bytes(data), dtype="<f4")


def expected(text: str) -> np.ndarray:
    model = lutra.open_model(MODEL)
    return np.asarray(model.embed([text])[0])  # type: ignore[list-item]


def has(client: ots.OTSClient, key: str, text: str) -> bool:
    found = vector_of(client, key)
    return found is not None and np.allclose(found, expected(text), atol=1e-6)


def metrics(server: ServerProcess, name: str) -> dict[str, float]:
    text = urllib.request.urlopen(f"{server.endpoint}/metrics").read().decode()
    return {
        found[1]: float(found[2]) for found in re.finditer(rf'^{name}{{.*table="(\w+)"}} (\S+)$', text, re.MULTILINE)
    }


def update(client: ots.OTSClient, key: str, **columns: Any) -> None:
    client.update_row("notes", ots.Row([("id", key)], {"PUT": list(columns.items())}), IGNORE)


def test_rows_get_their_vectors_and_are_found(server: ServerProcess) -> None:
    client = server.client()
    texts = {"otter": "The otter eats crabs in the sea.", "stars": "Telescopes look at stars by night."}
    for key, text in texts.items():
        put(client, "notes", [("id", key)], text=text)
    put(client, "notes", [("id", "none")], kind="without a text")
    wait_until(lambda: all(has(client, key, text) for key, text in texts.items()))

    def nearest() -> list[str]:
        query = KnnVectorQuery("v", 1, expected("astronomy").tolist())
        found = client.search("notes", "search", ots.SearchQuery(query, limit=1))
        return [row[0][0][1] for row in found.rows]

    wait_until(lambda: nearest() == ["stars"])
    update(client, "stars", text="Bread is baked in an oven.")
    wait_until(lambda: has(client, "stars", "Bread is baked in an oven."))
    update(client, "stars", kind="other")
    given = np.ones(64, dtype="<f4")
    put(client, "notes", [("id", "given")], text="a text", v=bytearray(given.tobytes()))
    update(client, "otter", text="")
    wait_until(lambda: vector_of(client, "otter") is None)
    assert has(client, "stars", "Bread is baked in an oven.")
    assert vector_of(client, "given").tolist() == given.tolist()  # type: ignore[union-attr]
    assert vector_of(client, "none") is None
    wait_until(lambda: metrics(server, "lutra_embedding_rows_total") == {"notes": 3.0})
    assert metrics(server, "lutra_embedding_failed_rows_total") == {"notes": 0.0}
    assert metrics(server, "lutra_embedding_stuck") == {"notes": 0.0}
    assert metrics(server, "lutra_embedding_lag_seconds")["notes"] < 60


@pytest.mark.slow
def test_a_kill_loses_none(server: ServerProcess) -> None:
    client = server.client()
    texts = {f"n{number:03}": f"text {number} of otters" for number in range(300)}
    items = [ots.PutRowItem(ots.Row([("id", key)], [("text", text)]), IGNORE) for key, text in texts.items()]
    for first in (0, 100, 200):
        request = ots.BatchWriteRowRequest()
        request.add(ots.TableInBatchWriteRowItem("notes", items[first : first + 100]))
        assert client.batch_write_row(request).is_all_succeed()
    server.kill()
    server.start()
    client = server.client()
    put(client, "notes", [("id", "last")], text="the last one")
    wait_until(lambda: has(client, "last", "the last one"))
    wait_until(lambda: all(has(client, key, texts[key]) for key in ("n000", "n150", "n299")))
    assert all(has(client, key, text) for key, text in texts.items())


def test_tables_that_come_and_go(data: Path) -> None:
    """One that was there is dropped, which ends its following; its file goes, too."""
    with ServerProcess(data) as server:
        client = server.client()
        put(client, "notes", [("id", "a")], text="otters")
        wait_until(lambda: has(client, "a", "otters"))
        [note] = (data / "embeds").glob("table-*.json")
        assert json.loads(note.read_text())["position"] >= 0
        client.delete_search_index("notes", "search")
        client.delete_table("notes")
        wait_until(lambda: not note.exists())
        assert metrics(server, "lutra_embedding_rows_total") == {}


@pytest.mark.slow
def test_it_can_be_turned_off(data: Path) -> None:
    with ServerProcess(data, arguments=("--no-embed",)) as server:
        client = server.client()
        put(client, "notes", [("id", "a")], text="otters")
        assert metrics(server, "lutra_embedding_rows_total") == {}
    assert not (data / "embeds").exists()
    with ServerProcess(data) as server:
        client = server.client()
        put(client, "notes", [("id", "b")], text="herons")
        wait_until(lambda: has(client, "b", "herons"))
        assert vector_of(client, "a") is None, "what was written before is for `lutra embed`"
    with lutra.connect(data, instance="test") as db:
        assert db.table("notes").embed() == 1


@pytest.mark.slow
def test_a_model_that_is_away_for_a_while(tmp_path: Path) -> None:
    """Rows wait for it, and lose nothing; a file that is not there is what a service is that does not answer."""
    file, data = tmp_path / "words.npz", tmp_path / "data"
    model = TfidfEmbedder(["otter", "heron"], np.ones(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    model.save(file)
    with lutra.connect(data, instance="test") as db:
        fields = {"text": str, "v": lutra.Vector(2, embed="text", with_=f"tfidf:{file}")}
        db.create_table("words", {"id": str}, fields)
    file.rename(tmp_path / "away")
    with ServerProcess(data) as server:
        client = server.client()
        put(client, "words", [("id", "a")], text="an otter")
        wait_until(lambda: metrics(server, "lutra_embedding_stuck") == {"words": 1.0})
        assert vector_of(client, "a", "words") is None
        (tmp_path / "away").rename(file)
        wait_until(lambda: vector_of(client, "a", "words") is not None)
        wait_until(lambda: metrics(server, "lutra_embedding_stuck") == {"words": 0.0})
    assert "words.npz is not there" in server.log_path.read_text()
