"""Scores multiplied by columns, by how near their values are, and by conditions: against the same in plain Python."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lutra

col = lutra.col
NOW = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
ROWS = 300


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    made = []
    for n in range(ROWS):
        row = {
            "id": n,
            "likes": int(rng.integers(1, 1_000)),
            "price": float(rng.uniform(1, 50)),
            "at": NOW - dt.timedelta(days=int(rng.integers(0, 400))),
            "place": lutra.GeoPoint(50 + n / 100, 10.0),
            "kind": "abc"[n % 3],
            "v": [float(np.cos(n)), float(np.sin(n))],
            "text": "otter" if n % 2 else "otter otter river",
        }
        made.append(row if n % 11 else {key: row[key] for key in ("id", "kind", "v", "text")})
    return made


@pytest.fixture(scope="module")
def table(rows: list[dict[str, Any]]) -> Iterator[lutra.Table]:
    fields: dict[str, Any] = {
        "likes": int,
        "price": float,
        "at": dt.datetime,
        "place": lutra.GeoPoint,
        "kind": str,
        "v": lutra.Vector(2),
        "text": lutra.Text(),
        "note": lutra.Stored(int),
    }
    with lutra.connect() as db:
        table = db.create_table("things", {"id": int}, fields)
        table.put_many(rows)
        yield table


def distance_m(row: dict[str, Any]) -> float:
    return math.radians(abs(row["place"].lat - 50)) * 6_371_008.7714


def gauss(distance: float, scale: float, at_scale: float) -> float:
    return at_scale ** ((distance / scale) ** 2)


BOOSTS: dict[str, tuple[Any, Callable[[dict[str, Any]], float]]] = {
    "value": (col("likes").factor(), lambda row: row.get("likes", 1)),
    "log": (
        col("likes").factor("log1p", times=2.0, missing=4.5),
        lambda row: math.log10(1 + 2 * row["likes"]) if "likes" in row else 1.0,
    ),
    "sqrt": (col("price").factor("sqrt"), lambda row: math.sqrt(row["price"]) if "price" in row else 1),
    "near number": (
        col("price").decay(10, 5, offset=2, at_scale=0.25, shape="exp"),
        lambda row: 0.25 ** (max(0.0, abs(row["price"] - 10) - 2) / 5) if "price" in row else 1,
    ),
    "recent": (
        col("at").decay(NOW, dt.timedelta(days=30)),
        lambda row: gauss((NOW - row["at"]).days, 30, 0.5) if "at" in row else 1,
    ),
    "close": (
        col("place").decay((50, 10), 20_000, shape="linear"),
        lambda row: max(0.0, 1 - 0.5 * distance_m(row) / 20_000) if "place" in row else 1,
    ),
    "kind": ((col("kind") == "a", 3.0), lambda row: 3.0 if row["kind"] == "a" else 1.0),
    "several": (
        [(col("kind") == "a", 3.0), col("likes").factor("sqrt"), col("at").decay(NOW, dt.timedelta(days=90))],
        lambda row: (
            (3.0 if row["kind"] == "a" else 1.0)
            * (math.sqrt(row["likes"]) * gauss((NOW - row["at"]).days, 90, 0.5) if "likes" in row else 1)
        ),
    ),
}


@pytest.mark.parametrize("name", BOOSTS)
def test_rows_come_by_what_they_are_multiplied_by(table: lutra.Table, rows: list[dict[str, Any]], name: str) -> None:
    boost, of = BOOSTS[name]
    scores = {row["id"]: of(row) for row in rows}
    found = table.search(boost=boost, limit=ROWS)
    assert {row["id"]: pytest.approx(row.score, rel=1e-4, abs=1e-6) for row in found} == scores
    assert [row.score for row in found] == sorted((row.score for row in found), reverse=True)
    some = table.search(boost=boost, where=col("kind") != "b", limit=5)
    best = sorted((score for n, score in scores.items() if n % 3 != 1), reverse=True)[:5]
    assert [row.score for row in some] == pytest.approx(best, rel=1e-4)


def test_words_and_neighbours_are_boosted(table: lutra.Table, rows: list[dict[str, Any]]) -> None:
    plain = {row["id"]: row.score for row in table.search(text="otter", limit=ROWS)}
    boosted = table.search(text="otter", boost=(col("kind") == "c", 2.5), limit=ROWS)
    assert {row["id"]: row.score for row in boosted} == {
        n: pytest.approx(score * (2.5 if n % 3 == 2 else 1), rel=1e-5) for n, score in plain.items()
    }
    near = {row["id"]: row.score for row in table.search([1, 0], limit=100)}
    boosted = table.search([1, 0], boost=(col("kind") == "c", 0.1), limit=10)
    expected = sorted(near, key=lambda n: -near[n] * (0.1 if n % 3 == 2 else 1))[:10]
    assert [row["id"] for row in boosted] == expected
    assert all(rows[n]["kind"] != "c" for n in expected)


def test_boosts_go_with_collapse_and_pages(table: lutra.Table) -> None:
    boost = col("likes").factor("log2p", missing=0)
    every = [row["id"] for row in table.search(text="otter", boost=boost, limit=ROWS)]
    assert [row["id"] for row in table.search(text="otter", boost=boost, limit=20, offset=15)] == every[15:35]
    first = table.search(text="otter", boost=boost, limit=3, collapse="kind")
    assert first[0]["id"] == every[0]
    assert {row["kind"] for row in first} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("boost", "complaint"),
    [
        (col("kind").factor(), "field 'kind' is str: factors are int or float"),
        (col("at").factor(), "field 'at' is datetime: factors are"),
        (col("likes").factor("lg"), "a modifier is one of none, log, .*did you mean 'log'"),
        (col("likes").factor(times=math.nan), "times= is a number: the value is NaN"),
        (col("liks").factor(), "no column 'liks'.*did you mean 'likes'"),
        (col("note").factor(), "'note' is not indexed"),
        (col("at").decay(NOW, 30), "scale and offset of dates are datetime.timedelta, not int 30"),
        (col("at").decay(5, dt.timedelta(1)), "decay of 'at': expected datetime"),
        (col("price").decay("x", 1), "decay of 'price': expected float"),
        (col("place").decay(1, 1), "expected lutra.GeoPoint"),
        (col("kind").decay(1, 1), "what decays are numbers, dates and points"),
        (col("price").decay(1, 1, shape="gaus"), "a shape is one of gauss, exp, linear, not 'gaus'; did you mean"),
        (col("price").decay(1, -1), "."),
        ((col("kind") == "a", "x"), "what a condition counts is a number"),
        ((col("kind") == "a",), "boost= takes"),
        ([], "boost= takes"),
        ("likes", "boost= takes"),
        (2.0, "boost= takes"),
        ([col("likes").factor()] * 4, "at most 3 boosts, not 4"),
    ],
)
def test_boosts_that_make_no_sense(table: lutra.Table, boost: Any, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        table.search(text="otter", boost=boost)


def test_a_boosted_search_is_ordered_by_score(table: lutra.Table) -> None:
    with pytest.raises(lutra.ParameterInvalid, match="a search with boost= is ordered by score"):
        table.search(boost=col("likes").factor(), order_by="likes")
