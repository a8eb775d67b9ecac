"""Of rows with the same value, only the first: of neighbours, of words, and of orders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lutra

col = lutra.col
ROWS = 600


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Passages of documents: those of document 0 lie nearest to [1, 0], and are many."""
    rng = np.random.default_rng(5)
    made: list[dict[str, Any]] = []
    for n in range(ROWS):
        document = 0 if n < 400 else n % 20
        angle = float(rng.uniform(0, 0.1 if document == 0 else 3))
        row = {"id": n, "doc": f"d{document}", "n": n % 7, "v": [np.cos(angle), np.sin(angle)], "text": f"otter {n}"}
        made.append(row if n % 50 else {key: value for key, value in row.items() if key != "doc"})
    return made


@pytest.fixture(scope="module")
def table(rows: list[dict[str, Any]]) -> Iterator[lutra.Table]:
    fields: dict[str, Any] = {
        "doc": str,
        "n": int,
        "v": lutra.Vector(2),
        "text": lutra.Text(),
        "tags": list[str],
        "note": lutra.Stored(str),
        "ok": bool,
    }
    with lutra.connect() as db:
        table = db.create_table("passages", {"id": int}, fields)
        table.put_many(rows)
        yield table


def firsts(found: list[Any], column: str, limit: int, offset: int = 0) -> list[int]:
    seen: dict[Any, int] = {}
    for row in found:
        seen.setdefault(row.get(column), row["id"])
    return list(seen.values())[offset : offset + limit]


@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (5, 0), (5, 3), (30, 0), (3, 18), (3, 40)])
def test_the_nearest_of_each(table: lutra.Table, limit: int, offset: int) -> None:
    every = list(table.search([1, 0], limit=ROWS))
    found = table.search([1, 0], limit=limit, offset=offset, collapse="doc")
    assert [row["id"] for row in found] == firsts(every, "doc", limit, offset)
    assert [row.score for row in found] == sorted((row.score for row in found), reverse=True)
    some = table.search([1, 0], limit=limit, offset=offset, collapse="n", where=col("n") < 5, columns=["n"])
    assert [row["id"] for row in some] == firsts([row for row in every if row["n"] < 5], "n", limit, offset)


def test_the_best_of_words_of_each(table: lutra.Table) -> None:
    every = list(table.search(text="otter", limit=ROWS))
    assert [row["id"] for row in table.search(text="otter", limit=8, collapse="doc")] == firsts(every, "doc", 8)
    both = table.search([1, 0], text="41", limit=8, collapse="doc")
    assert len({row.get("doc") for row in both}) == 8


def test_the_first_of_an_order_of_each(table: lutra.Table, rows: list[dict[str, Any]]) -> None:
    found = table.search(limit=50, collapse="doc", order_by=col("id").desc())
    assert [row["id"] for row in found] == firsts(rows[::-1], "doc", 50)
    assert [row["id"] for row in table.search(limit=3, collapse="doc")] == firsts(rows, "doc", 3)


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        ("docc", "no column 'docc'.*did you mean 'doc'"),
        ("tags", "by a column of str, int or float: 'tags' is a list"),
        ("v", "'v' is vector"),
        ("ok", "'ok' is bool"),
        ("note", "'note' is not indexed"),
    ],
)
def test_columns_that_tell_no_rows_apart(table: lutra.Table, column: str, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        table.search(collapse=column)


def test_as_many_rows_as_a_collapsed_search_can_have(table: lutra.Table) -> None:
    assert len(table.search(collapse="doc", offset=1, limit=99_999)) == len(table.search(collapse="doc", limit=500)) - 1
    with pytest.raises(
        lutra.ParameterInvalid, match="collapse= reaches down to the 100,000th row, not to the 100,001th"
    ):
        table.search(collapse="doc", offset=1, limit=100_000)
