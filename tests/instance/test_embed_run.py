"""Vectors for rows that are there: which rows lack one, what changes meanwhile, what fails, and what a kill leaves."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.asynchronous import run
from support.embedders import Words

import lutra
from lutra import EmbeddingError, ParameterInvalid, col
from lutra.embedding.embedder import Batching, ModelUnusable
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, TextOptions, VectorOptions
from lutra.model.rows import CellChange, CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema, TableUpdate
from lutra.model.values import ColumnType

MADE = lutra.Vector(4, embed="text", with_="words-of-tests")
PUT = CellOperation.PUT


@pytest.fixture
def table(db: lutra.Database, model: Words) -> lutra.Table:
    table = db.create_table("t", {"name": str}, {"text": lutra.Text(), "kind": str})
    table.put_many({"name": f"n{n:04}", "text": f"{'song ' * (n % 3)}{n}", "kind": str(n % 2)} for n in range(500))
    table.put({"name": "none"})
    table.put({"name": "blank", "text": "  "})
    return table


def by_sdk(table: lutra.Table, name: str, *cells: CellChange, kind: ChangeKind = ChangeKind.UPDATE) -> None:
    """As the server writes what an SDK sends, which knows of no model."""
    table._instance().tables.write(table.name, RowChange(kind, (("name", name),), list(cells)))


def assert_made(table: lutra.Table) -> None:
    expected = Words()
    for row in table.scan():
        text = row.get("text")
        assert ("v" in row) == bool(text and text.strip()), row
        if "v" in row:
            np.testing.assert_array_equal(row["v"], expected.embed([text])[0])


def test_rows_that_were_there_get_vectors(table: lutra.Table, model: Words) -> None:
    table.add_field("v", MADE)
    seen: list[int] = []
    assert table.embed("v", progress=seen.append) == 500
    assert_made(table)
    assert seen == sorted(seen)
    assert seen[-1] == 502
    model.passages.clear()
    assert table.embed() == 0
    assert model.passages == []
    assert len(table.search("song", limit=500)) == 500


def test_only_some_rows(table: lutra.Table, model: Words) -> None:
    table.add_field("v", MADE)
    assert table.embed(where=(col("kind") == "1") & (col("name") != "n0001")) == 249
    assert table.count(col("v").exists()) == 249
    assert table.embed(where=col("kind") == "1") == 1
    assert table.embed() == 250
    assert_made(table)


def test_what_an_sdk_writes_is_found(table: lutra.Table, model: Words) -> None:
    table.add_field("v", MADE)
    table.embed()
    model.passages.clear()
    by_sdk(table, "n0001", ("text", "a river", None, PUT))
    by_sdk(table, "n0002", ("text", "the sea", None, PUT), kind=ChangeKind.PUT)
    by_sdk(table, "n0003", ("text", "", None, PUT))
    by_sdk(table, "n0004", ("kind", "other", None, PUT))
    by_sdk(table, "new", ("text", "fish", None, PUT))
    assert table.embed() == 3
    assert sorted(model.passages) == ["a river", "fish", "the sea"]
    assert_made(table)
    assert table.embed() == 0
    given = np.array([1, 2, 3, 4], dtype=np.float32)
    table.update("n0001", set={"v": given})
    assert table.embed() == 0, "a vector that was given is newer than its text"
    assert (table.get("n0001") or {})["v"].tolist() == [1, 2, 3, 4]


def test_all_again(table: lutra.Table, model: Words) -> None:
    table.add_field("v", MADE)
    table.embed()
    began = dt.datetime.now(dt.UTC)
    time.sleep(0.01)
    model.passages.clear()
    assert table.embed(since=began, where=col("kind") == "0") == 250
    assert table.embed(since=began) == 250, "those are done already"
    assert len(model.passages) == 500
    assert_made(table)
    with pytest.raises(ParameterInvalid, match="since=: the datetime has no time zone"):
        table.embed(since=dt.datetime.now())


def test_a_text_that_changes_meanwhile(table: lutra.Table, model: Words) -> None:
    """The vector of the old text is never written; the row is read again."""
    table.add_field("v", MADE)
    embed, changed = model.embed, set[str]()

    def embed_and_change(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = embed(texts)
        if "song 7" in texts and not changed:
            changed.add("7")
            by_sdk(table, "n0007", ("text", "river river", None, PUT))
            table.delete("n0008")
            table.update("n0009", set={"kind": "9"})
        return vectors

    model.embed = embed_and_change  # type: ignore[method-assign]
    assert table.embed() == 499
    assert (table.get("n0007") or {})["v"][1] > 1
    assert table.get("n0008") is None, "a row that is deleted stays so"
    assert_made(table)


def test_a_text_that_never_rests(table: lutra.Table, model: Words) -> None:
    table.add_field("v", MADE)
    embed, number = model.embed, iter(range(1_000))

    def embed_and_change(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = embed(texts)
        by_sdk(table, "n0007", ("text", f"text {next(number)}", None, PUT))
        return vectors

    model.embed = embed_and_change  # type: ignore[method-assign]
    failed: list[lutra.Unembedded] = []
    assert table.embed(failed=failed.append) == 499
    assert [(one.key, one.reason) for one in failed] == [
        (("n0007",), "it was changed by others each of the 11 times that it was read")
    ]


def test_rows_that_the_model_cannot_do(table: lutra.Table, model: Words) -> None:
    table.put_many({"name": f"n{n:04}", "text": f"unreadable {n}"} for n in (3, 77, 420))
    table.add_field("v", MADE)
    failed: list[lutra.Unembedded] = []
    assert table.embed(failed=failed.append) == 497
    assert [one.key for one in failed] == [("n0003",), ("n0077",), ("n0420",)]
    assert failed[0].reason == "cannot read 'unreadable 3'"
    with pytest.raises(EmbeddingError, match=r"row \('n0003',\): cannot read 'unreadable 3'"):
        table.embed()
    table.put({"name": "n0003", "text": "readable"})
    assert table.embed(failed=failed.append) == 0, "it got its vector as it was put"


def test_a_model_that_gives_up(table: lutra.Table, model: Words) -> None:
    model.batching = Batching(50, 10_000)  # type: ignore[attr-defined]
    table.add_field("v", MADE)
    embed = model.embed

    def embed_some(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if len(model.passages) >= 300:
            raise ModelUnusable("the key is refused")
        return embed(texts)

    model.embed = embed_some  # type: ignore[method-assign]
    with pytest.raises(EmbeddingError, match="the key is refused"):
        table.embed()
    done = table.count(col("v").exists())
    assert done == 300, "what was made before is kept"
    model.embed = embed  # type: ignore[method-assign]
    assert table.embed() == 500 - done
    assert_made(table)


def test_a_field_that_is_there_learns_its_model(db: lutra.Database, model: Words) -> None:
    table = db.create_table("t", {"name": str}, {"text": str, "v": lutra.Vector(4, "euclidean"), "w": lutra.Vector(4)})
    table.put({"name": "a", "text": "song", "v": [1, 2, 3, 4]})
    for wrong in (MADE, lutra.Vector(4, "euclidean"), str):
        with pytest.raises(ParameterInvalid, match="declare the same vector with embed= and with_="):
            table.add_field("v", wrong)
    made = lutra.Vector(4, "euclidean", embed="text", with_="words-of-tests")
    table.add_field("v", made)
    assert table.fields["v"] == db.table("t").fields["v"] == made
    assert list(table.fields) == ["text", "v", "w"]
    assert table.embed() == 0
    assert table.search("song", limit=1)[0]["v"].tolist() == [1, 2, 3, 4]
    with pytest.raises(ParameterInvalid, match="no model makes the vectors of field 'w'"):
        table.embed("w")
    with pytest.raises(ParameterInvalid, match="no vector field 'x'"):
        table.embed("x")


def test_no_model_or_several(db: lutra.Database, model: Words) -> None:
    table = db.create_table("t", {"name": str}, {"text": str})
    with pytest.raises(ParameterInvalid, match="no field of table 't' has a model"):
        table.embed()
    for name in ("v", "w"):
        table.add_field(name, MADE)
    with pytest.raises(ParameterInvalid, match="several fields have models: say which, one of v, w"):
        table.embed()


@pytest.mark.parametrize(
    "update",
    [
        TableUpdate(max_versions=1),
        TableUpdate(max_deviation_s=0),
        TableUpdate(update_full_row=True),
        TableUpdate(max_versions=3),
    ],
)
def test_tables_of_sdks(db: lutra.Database, model: Words, update: TableUpdate) -> None:
    """With the options that such tables have; vectors are JSON text there."""
    instance = db._open()
    instance.tables.create(TableSchema("sdk", (KeyColumn("id", ColumnType.INTEGER),)))
    instance.tables.update("sdk", update)
    schema = IndexSchema(
        (
            FieldSchema("text", FieldType.TEXT, text=TextOptions()),
            FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(4, Metric.COSINE)),
        )
    )
    instance.create_search_index("sdk", "idx", schema)
    for number in range(20):
        cells: list[Any] = [("text", f"{'song ' * number}", None, PUT)]
        instance.tables.write("sdk", RowChange(ChangeKind.PUT, (("id", number),), cells))
    table = db.table("sdk")
    table.add_field("v", MADE)
    assert table.embed() == 19
    assert table.embed() == 0
    stored = instance.tables.read_rows(instance.tables.describe("sdk").table_id, [(("id", 3),)])[0]
    assert stored is not None
    [text] = [value for name, value, _ in stored.cells if name == "v"]
    assert isinstance(text, str)
    assert json.loads(text)[3] > 3
    found = {row["id"]: row["v"] for row in db.table("sdk").search("song", limit=20)}
    assert len(found) == 19
    assert found[3][3] > 3
    instance.tables.write("sdk", RowChange(ChangeKind.UPDATE, (("id", 3),), [("text", "sea", None, PUT)]))
    if update.update_full_row:  # where all of a row is of one time: since= is for what cannot be told
        assert table.embed() == 0
        time.sleep(0.01)
        assert table.embed(since=dt.datetime.now(dt.UTC)) == 19
    else:
        assert table.embed() == 1
    assert table.embed() == 0
    assert (table.get(3) or {})["v"][0] > 1


def test_the_async_door(model: Words) -> None:
    async def work() -> None:
        async with lutra.connect_async() as db:
            table = await db.create_table("t", {"name": str}, {"text": str})
            await table.put_many([{"name": "a", "text": "song"}, {"name": "b", "text": "unreadable"}])
            await table.add_field("v", MADE)
            failed: list[lutra.Unembedded] = []
            seen: list[int] = []
            assert await table.embed("v", failed=failed.append, progress=seen.append) == 1
            assert [one.key for one in failed] == [("b",)]
            assert seen[-1] == 2

    run(work)


_KILLED = """
import sys, time, lutra
sys.path.insert(0, sys.argv[2])
from support.embedders import Words
from lutra.embedding.embedder import Batching

class Slow(Words):
    batching = Batching(20, 100_000, threads=2)
    def embed(self, texts):
        time.sleep(0.02)
        with open(sys.argv[3], "a") as log:
            log.writelines(f"{text}\\n" for text in texts)
        return super().embed(texts)

lutra.register_model("words-of-tests", Slow())
with lutra.connect(sys.argv[1]) as db:
    table = db.table("t")
    if "v" not in table.fields:
        table.add_field("v", lutra.Vector(4, embed="text", with_="words-of-tests"))
    print(table.embed(progress=lambda done: print(done, flush=True)), flush=True)
"""


@pytest.mark.slow
def test_a_kill_costs_what_was_under_way(tmp_path: Path, model: Words) -> None:
    data, log, rows = tmp_path / "data", tmp_path / "log", 3_000
    with lutra.connect(data) as db:
        table = db.create_table("t", {"id": int}, {"text": str})
        table.put_many({"id": n, "text": f"{'song ' * (n % 3)}{n}"} for n in range(rows))
    command = [sys.executable, "-c", _KILLED, str(data), str(Path(__file__).parents[1]), str(log)]
    for kill_at in (600, 1_500):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= 1 and log.exists() and len(log.read_text().splitlines()) >= kill_at:
                    process.kill()
                    break
            process.wait(60)
    with lutra.connect(data) as db:
        table = db.table("t")
        done = table.count(col("v").exists())
        assert 0 < done < rows
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert int(finished.stdout.splitlines()[-1]) == rows - done
    with lutra.connect(data) as db:
        table = db.table("t")
        expected = Words()
        for row in table.scan():
            np.testing.assert_array_equal(row["v"], expected.embed([row["text"]])[0])
        assert table.count() == rows
    embedded = log.read_text().splitlines()
    # Of each kill: a commit that was being filled, and the batches under way.
    assert rows <= len(embedded) <= rows + 2 * (200 + 4 * 20)


@settings(deadline=None, max_examples=15)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["put", "sdk put", "sdk update", "give", "take", "delete", "embed"]),
            st.integers(0, 3),
            st.sampled_from(["", "a song", "the sea", "river fish"]),
        ),
        max_size=14,
    )
)
def test_in_the_end_all_have_theirs(database: lutra.Database, steps: list[Any]) -> None:
    """Whoever writes: after `embed`, each row with a text has a vector, its text's, or one that was given later."""
    lutra.register_model("words-of-tests", Words())
    table = database.create_table("steps", {"name": str}, {"text": lutra.Text(), "v": MADE})
    given: set[str] = set()
    try:
        for how, number, text in [*steps, ("embed", 0, "")]:
            name = f"n{number}"
            if how == "put":
                table.put({"name": name, "text": text})
            elif how == "sdk put":
                by_sdk(table, name, ("text", text, None, PUT), kind=ChangeKind.PUT)
            elif how == "sdk update":
                time.sleep(0.002)  # a text is newer than a vector by a millisecond at least
                by_sdk(table, name, ("text", text, None, PUT))
            elif how == "give":
                table.update(name, set={"v": [9, 9, 9, 9]})
            elif how == "take":
                table.update(name, set={"v": None})
            elif how == "delete":
                table.delete(name)
            else:
                table.embed()
            if how != "embed":
                given = given | {name} if how == "give" else given - {name}
        for row in table.scan():
            text = row.get("text", "")
            if row["name"] in given:
                assert row["v"].tolist() == [9, 9, 9, 9]
            else:
                assert ("v" in row) == bool(text), row
                assert not text or row["v"].tolist() == Words().embed([text])[0].tolist()
    finally:
        database.delete_table("steps")
