"""Neighbours and words within records, and which records made a row a hit, against plain loops."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lutra
from lutra.model.rows import CellOperation, ChangeKind, RowChange

col = lutra.col
ROWS = 120
WORDS = ["otter", "river", "ice", "stone", "moss"]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(9)
    made: list[dict[str, Any]] = []
    for n in range(ROWS):
        passages = [
            {
                "text": f"{WORDS[int(rng.integers(5))]} {WORDS[int(rng.integers(5))]}",
                "page": int(rng.integers(30)),
                "v": [float(np.float32(x)) for x in rng.normal(size=3)],
                "notes": [{"by": "ab"[int(rng.integers(2))]} for _ in range(int(rng.integers(3)))],
            }
            for _ in range(int(rng.integers(5)))
        ]
        made.append({"id": n, "kind": "xyz"[n % 3], "passages": passages})
    return made


@pytest.fixture(scope="module")
def docs(rows: list[dict[str, Any]]) -> Iterator[lutra.Table]:
    passage = lutra.Nested(
        {"text": lutra.Text(), "page": int, "v": lutra.Vector(3, "euclidean"), "notes": lutra.Nested({"by": str})}
    )
    with lutra.connect() as db:
        table = db.create_table("docs", {"id": int}, {"kind": str, "passages": passage})
        table.put_many(rows)
        yield table


def score(passage: dict[str, Any], query: Any) -> float:
    return 1 / (1 + float(((np.array(passage["v"]) - query) ** 2).sum()))


def nearest(rows: list[dict[str, Any]], query: Any) -> list[tuple[int, int]]:
    """Of each row that has passages, its id and the place of its nearest passage; nearest first."""
    best = []
    for row in rows:
        scores = [score(passage, query) for passage in row["passages"]]
        if scores:
            best.append((-max(scores), row["id"], int(np.argmax(scores))))
    return [(row, place) for _, row, place in sorted(best)]


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_the_nearest_rows_by_their_records(docs: lutra.Table, rows: list[dict[str, Any]], limit: int) -> None:
    query = np.array([0.5, -0.5, 1.0])
    for field in ("passages.v", None):
        found = docs.search(query, field=field, limit=limit, records=3)
        expected = nearest(rows, query)[:limit]
        assert [(row["id"], row.records["passages"][0].place) for row in found] == [(n, (at,)) for n, at in expected]
        for row in found:
            [record] = row.records["passages"]
            assert record.score == row.score == pytest.approx(score(record, query), rel=1e-5)
            assert record["text"] == row["passages"][record.place[0]]["text"]
    assert [row["id"] for row in docs.search(query, limit=5, offset=3)] == [n for n, _ in nearest(rows, query)[3:8]]


@pytest.mark.parametrize("limit", [3, 30, 100])
def test_a_condition_on_rows_leaves_none_of_the_nearest_out(
    docs: lutra.Table, rows: list[dict[str, Any]], limit: int
) -> None:
    query = np.array([1.0, 0.0, 0.0])
    expected = nearest([row for row in rows if row["kind"] == "x"], query)[:limit]
    found = docs.search(query, where=col("kind") == "x", limit=limit, records=1, columns=["kind"])
    assert [(row["id"], row.records["passages"][0].place[0]) for row in found] == expected
    assert all(list(row) == ["id", "kind"] for row in found)
    none = docs.search(query, where=col("kind") == "none", limit=limit)
    assert list(none) == []
    collapsed = docs.search(query, limit=2, collapse="kind", where=col("id") >= 10)
    first = {}
    for number, _ in nearest([row for row in rows if row["id"] >= 10], query):
        first.setdefault(rows[number]["kind"], number)
    assert [row["id"] for row in collapsed] == list(first.values())[:2]


def test_several_vectors_at_once(docs: lutra.Table, rows: list[dict[str, Any]]) -> None:
    queries = np.array([[1.0, 0, 0], [0, 1, 0]])
    for query, found in zip(queries, docs.search_many(queries, limit=4), strict=True):
        assert [row["id"] for row in found] == [n for n, _ in nearest(rows, query)[:4]]
    for call in (
        lambda: docs.search_many(queries, where=col("kind") == "x"),
        lambda: docs.aggregate(col("kind") == "x", vector=queries[0]),
        lambda: docs.group_by("kind", where=col("kind") == "x", vector=queries[0]),
    ):
        with pytest.raises(lutra.ParameterInvalid, match=r"within records go with where= in search\(\) only"):
            call()
    assert docs.aggregate(vector=queries[0], nearest=5)["count"] == 5


def test_words_within_records(docs: lutra.Table, rows: list[dict[str, Any]]) -> None:
    found = docs.search(text="otter", limit=ROWS, records=10)
    assert {row["id"] for row in found} == {
        row["id"] for row in rows if any("otter" in passage["text"] for passage in row["passages"])
    }
    for row in found:
        records = row.records["passages"]
        assert sorted(record.place[0] for record in records) == [
            place for place, passage in enumerate(row["passages"]) if "otter" in passage["text"]
        ]
        assert [record.score for record in records] == sorted((record.score for record in records), reverse=True)
        assert row.score == records[0].score
    some = docs.search(text="otter ice", text_field="passages.text", match="all", where=col("kind") == "x", limit=ROWS)
    assert {row["id"] for row in some} == {
        row["id"]
        for row in rows
        if row["kind"] == "x" and any({"otter", "ice"} <= {*one["text"].split()} for one in row["passages"])
    }


def test_records_that_satisfy_a_condition(docs: lutra.Table, rows: list[dict[str, Any]]) -> None:
    late = col("passages").any((col("page") >= 20) & (col("text").exists()))
    found = docs.search(where=late & (col("kind") != "x"), limit=ROWS, records=2, columns=[])
    expected = {
        row["id"]: [place for place, passage in enumerate(row["passages"]) if passage["page"] >= 20][:2]
        for row in rows
        if row["kind"] != "x" and any(passage["page"] >= 20 for passage in row["passages"])
    }
    assert {row["id"]: [one.place[0] for one in row.records["passages"]] for row in found} == expected
    assert all(dict(row) == {"id": row["id"]} for row in found)
    assert all(one["page"] >= 20 for row in found for one in row.records["passages"])


def test_records_within_records(docs: lutra.Table, rows: list[dict[str, Any]]) -> None:
    by_a = col("passages").any((col("page") < 15) & col("notes").any(col("by") == "a"))
    found = docs.search(where=by_a, limit=ROWS, records=5)
    assert len(found) > 5
    for row in found:
        for passage in row.records["passages"]:
            assert passage["page"] < 15
            [place] = passage.place
            notes = rows[row["id"]]["passages"][place]["notes"]
            assert [one.place[-1] for one in passage.records["passages.notes"]] == [
                at for at, note in enumerate(notes) if note["by"] == "a"
            ]
            assert all(note == {"by": "a"} for note in passage.records["passages.notes"])


def test_records_copy_and_go_into_json(docs: lutra.Table) -> None:
    [row] = docs.search([1, 0, 0], limit=1, records=1)
    again = copy.deepcopy(row)
    assert again.records["passages"][0].place == row.records["passages"][0].place
    told = json.loads(json.dumps(row.records, default=lutra.to_jsonable))
    assert told["passages"][0]["page"] == row.records["passages"][0]["page"]
    assert docs.search(limit=1)[0].records == {}


def test_records_that_nothing_asks_about(docs: lutra.Table) -> None:
    for call in (
        lambda: docs.search(where=col("kind") == "x", records=1),
        lambda: docs.search(where=~col("passages").any(col("page") > 1), records=1),
    ):
        with pytest.raises(lutra.ParameterInvalid, match="the search asks for neither"):
            call()
    for wrong in (0, 257, True):
        with pytest.raises(lutra.ParameterInvalid, match="records is an int from 1 to 256"):
            docs.search([1, 0, 0], records=wrong)
    with pytest.raises(lutra.ParameterInvalid, match=r"no vector field 'passages.w'.*did you mean 'passages.v'"):
        docs.search([1, 0, 0], field="passages.w")


def test_a_row_that_has_other_records_by_now_shows_none_that_are_gone(docs: lutra.Table) -> None:
    instance = docs._instance()
    docs.search(limit=1)  # so that the index has all
    found = docs.search(where=col("passages").any(col("page") >= 0), limit=1, records=9, fresh=False)
    [row] = found
    cells: list[Any] = [("passages", "[]", None, CellOperation.PUT)]
    change = RowChange(ChangeKind.UPDATE, (("id", row["id"]),), cells)
    held = dict(row)
    instance.tables.write("docs", change)
    again = docs.search(where=col("passages").any(col("page") >= 0) & (col("id") == row["id"]), records=9, fresh=False)
    assert all(len(one.records["passages"]) == len(one["passages"]) or one["passages"] == [] for one in again)
    docs.put(held)
