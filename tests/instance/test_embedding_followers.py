"""Followers of tables that have models, in this process: what fails, what waits, what ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.embedders import Words
from support.waiting import wait_until

import lutra
from lutra.embedding.embedder import Batching, EmbeddingBusy
from lutra.instance.embedding_follower import EmbeddingState
from lutra.model.rows import CellOperation, ChangeKind, RowChange

MADE = lutra.Vector(4, embed="text", with_="words-of-tests")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[lutra.Database]:
    with lutra.connect(tmp_path / "data") as db:
        db._engine.embed_changes()
        yield db


@pytest.fixture
def table(db: lutra.Database, model: Words) -> lutra.Table:
    table = db.create_table("t", {"id": int}, {"text": lutra.Text(), "v": MADE})
    wait_until(lambda: len(states(db)) == 1)
    return table


def states(db: lutra.Database) -> list[EmbeddingState]:
    return db._engine.embeddings["default"].states()


def sdk_puts(table: lutra.Table, rows: dict[int, str]) -> None:
    changes = [
        RowChange(ChangeKind.PUT, (("id", key),), [("text", text, None, CellOperation.PUT)])
        for key, text in rows.items()
    ]
    table._instance().tables.write_batch([(table.name, changes)], 1_000)


def made(table: lutra.Table) -> set[int]:
    return {row["id"] for row in table.scan() if "v" in row}


def test_rows_get_vectors_and_those_that_cannot_are_told(db: lutra.Database, table: lutra.Table) -> None:
    sdk_puts(table, {n: "unreadable" if n % 10 == 3 else f"song {n}" for n in range(100)})
    wait_until(lambda: len(made(table)) == 90)
    wait_until(lambda: (states(db)[0].failed, states(db)[0].embedded) == (10, 90))
    [state] = states(db)
    assert (state.table, state.error) == ("t", None)
    assert sorted(one.key for one in state.failures) == [(n,) for n in range(3, 100, 10)]
    assert {one.reason for one in state.failures} == {"cannot read 'unreadable'"}
    sdk_puts(table, {3: "the sea"})
    wait_until(lambda: 3 in made(table))
    np.testing.assert_array_equal((table.get(3) or {})["v"], Words().embed(["the sea"])[0])


def test_what_programs_put_is_left_alone(db: lutra.Database, table: lutra.Table, model: Words) -> None:
    table.put_many({"id": n, "text": f"song {n}", "v": [1, 2, 3, 4]} for n in range(50))
    table.put({"id": 100, "text": "fish"})
    sdk_puts(table, {200: "river"})
    wait_until(lambda: 200 in made(table))
    assert model.passages == ["fish", "river"]
    wait_until(lambda: states(db)[0].embedded == 1)


def test_a_busy_model_is_waited_for(db: lutra.Database, table: lutra.Table, model: Words) -> None:
    model.failure = EmbeddingBusy("overloaded", 0.0)
    sdk_puts(table, {1: "song"})
    wait_until(lambda: states(db)[0].error is not None)
    assert "overloaded" in (states(db)[0].error or "")
    assert made(table) == set()
    model.failure = None
    wait_until(lambda: made(table) == {1})
    wait_until(lambda: states(db)[0].error is None)


def test_closing_does_not_wait_for_a_slow_model(tmp_path: Path, model: Words) -> None:
    """And what was not done is done at the next start."""
    model.batching = Batching(1, 1_000)  # type: ignore[attr-defined]
    embed, is_slow = model.embed, True

    def slow_embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if is_slow:
            time.sleep(0.2)
        return embed(texts)

    model.embed = slow_embed  # type: ignore[method-assign]
    with lutra.connect(tmp_path / "data") as db:
        db._engine.embed_changes()
        table = db.create_table("t", {"id": int}, {"text": lutra.Text(), "v": MADE})
        wait_until(lambda: len(states(db)) == 1)
        sdk_puts(table, {n: f"song {n}" for n in range(400)})
        wait_until(lambda: len(model.passages) > 2)
    assert len(model.passages) < 200
    is_slow = False
    with lutra.connect(tmp_path / "data") as db:
        db._engine.embed_changes()
        wait_until(lambda: made(db.table("t")) == set(range(400)))


def test_fields_that_come_and_go(db: lutra.Database, model: Words) -> None:
    table = db.create_table("t", {"id": int}, {"text": lutra.Text()})
    assert states(db) == []
    table.add_field("v", MADE)
    wait_until(lambda: len(states(db)) == 1)
    sdk_puts(table, {2: "sea"})
    wait_until(lambda: made(table) == {2})
    table.drop_field("v")
    wait_until(lambda: states(db) == [])
    db.delete_table("t")
    again = db.create_table("t", {"id": int}, {"text": lutra.Text(), "v": MADE})
    wait_until(lambda: len(states(db)) == 1)
    sdk_puts(again, {3: "fish"})
    wait_until(lambda: made(again) == {3})
