"""Groups that are said beforehand, and the first rows of groups, against pandas and plain loops."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lutra

col = lutra.col
BEGIN = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
ROWS = 300


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    made: list[dict[str, Any]] = []
    for n in range(ROWS):
        row = {
            "id": n,
            "kind": "abc"[n % 3],
            "n": int(rng.integers(-20, 20)),
            "price": round(float(rng.normal()), 3),
            "at": BEGIN + dt.timedelta(days=n),
            "place": lutra.GeoPoint(52.0 + n / 1_000, 13.0),
            "v": [1.0, float(n)],
        }
        made.append(row if n % 10 else {"id": n, "kind": "abc"[n % 3]})
    return made


@pytest.fixture(scope="module")
def table(rows: list[dict[str, Any]]) -> Iterator[lutra.Table]:
    fields: dict[str, Any] = {
        "kind": str,
        "n": int,
        "price": float,
        "at": dt.datetime,
        "place": lutra.GeoPoint,
        "v": lutra.Vector(2),
    }
    with lutra.connect() as db:
        table = db.create_table("things", {"id": int}, fields)
        table.put_many(rows)
        yield table


def within(rows: list[dict[str, Any]], column: str, low: Any, high: Any) -> list[dict[str, Any]]:
    given = [row for row in rows if column in row]
    return [row for row in given if (low is None or row[column] >= low) and (high is None or row[column] < high)]


def test_ranges_of_numbers(table: lutra.Table, rows: list[dict[str, Any]]) -> None:
    groups = table.group_by(col("n").ranges(-5, 0, 12.5), total=col("price").sum(), dear=col("price").max())
    assert [group["n"] for group in groups] == [(None, -5), (-5, 0), (0, 12.5), (12.5, None)]
    for group in groups:
        inside = within(rows, "n", *group["n"])
        assert group["count"] == len(inside)
        assert group["total"] == pytest.approx(sum(row["price"] for row in inside))
        assert group["dear"] == max(row["price"] for row in inside)
    some = table.group_by(col("n").ranges(0), where=col("kind") == "a", order_by="count", limit=1)
    assert some[0]["count"] == min(
        sum(row["kind"] == "a" for row in within(rows, "n", *ends)) for ends in ((None, 0), (0, None))
    )
    assert groups.to_arrow().num_rows == 4
    assert list(groups.to_pandas()["count"]) == [group["count"] for group in groups]
    assert json.loads(json.dumps(groups, default=lutra.to_jsonable))[0]["n"] == [None, -5]


@given(st.lists(st.integers(-25, 25), min_size=1, max_size=12, unique=True).map(sorted))
@settings(max_examples=20, deadline=None)
def test_ranges_share_rows_out(table: lutra.Table, rows: list[dict[str, Any]], bounds: list[int]) -> None:
    groups = table.group_by(col("n").ranges(*bounds), fresh=False)
    assert [group["count"] for group in groups] == [len(within(rows, "n", *group["n"])) for group in groups]
    assert sum(group["count"] for group in groups) == sum("n" in row for row in rows)


def test_more_ranges_than_a_search_takes(table: lutra.Table, rows: list[dict[str, Any]]) -> None:
    bounds = [n / 10 for n in range(-150, 100)]
    groups = table.group_by(col("n").ranges(*bounds))
    assert len(groups) == 251
    assert [group["count"] for group in groups] == [len(within(rows, "n", *group["n"])) for group in groups]


def test_ranges_of_dates(table: lutra.Table, rows: list[dict[str, Any]]) -> None:
    bounds = [BEGIN + dt.timedelta(days=n) for n in range(5, 300, 25)]
    groups = table.group_by(col("at").ranges(*bounds), last=col("at").max())
    assert len(groups) == 13
    for group in groups:
        assert group["count"] == len(within(rows, "at", *group["at"]))
        assert group["last"] == max((row["at"] for row in within(rows, "at", *group["at"])), default=None)


def test_ranges_of_distances(table: lutra.Table, rows: list[dict[str, Any]]) -> None:
    here = lutra.GeoPoint(52.0, 13.0)
    groups = table.group_by(col("place").distance_ranges(here, 1_000, 5_000, 20_000))
    assert [group["place"] for group in groups] == [(0.0, 1_000), (1_000, 5_000), (5_000, 20_000), (20_000, None)]
    per_row_m = math.radians(1 / 1_000) * 6_371_008.7714
    far = [row["id"] * per_row_m for row in rows if "place" in row]
    counts = [sum((low or 0) <= one < (high or math.inf) for one in far) for low, high in (g["place"] for g in groups)]
    assert [group["count"] for group in groups] == counts


def test_groups_of_conditions(table: lutra.Table, rows: list[dict[str, Any]]) -> None:
    conditions = {f"n{n}": col("n") == n for n in range(-6, 6)}  # more than a search takes
    groups = table.group_by({**conditions, "cheap": col("price") < 0, "none": col("n") > 99}, least=col("n").min())
    assert [group["group"] for group in groups] == [*conditions, "cheap", "none"]
    assert [group["count"] for group in groups][:12] == [sum(r.get("n") == n for r in rows) for n in range(-6, 6)]
    assert groups[12]["count"] == sum(row.get("price", 1) < 0 for row in rows)
    assert groups[13] == {"group": "none", "count": 0, "least": None}


def test_first_rows_of_groups(table: lutra.Table, rows: list[dict[str, Any]]) -> None:
    first = lutra.first_rows(3, order_by=[col("price").desc(), "id"], columns=["price"])
    groups = table.group_by(
        "kind", where=col("price").exists(), total=col("n").sum(), dear=first, any=lutra.first_rows()
    )
    assert list(groups[0]) == ["kind", "count", "total", "dear", "any"]
    for group in groups:
        own = [row for row in rows if row["kind"] == group["kind"] and "price" in row]
        dearest = sorted(own, key=lambda row: (-row["price"], row["id"]))[:3]
        assert [dict(row) for row in group["dear"]] == [{"id": row["id"], "price": row["price"]} for row in dearest]
        assert all(isinstance(row, lutra.Row) for row in group["dear"])
        assert [row["id"] for row in group["any"]] == [own[0]["id"]]
        assert group["any"][0]["place"] == own[0]["place"]
    ranged = table.group_by(col("n").ranges(0), dear=first)
    assert [len(group["dear"]) for group in ranged] == [3, 3]
    [only] = table.aggregate(col("n") < 0, best=first)["best"][:1]
    assert only["price"] == max(row["price"] for row in within(rows, "n", None, 0))
    assert table.aggregate(col("n") > 99, best=first) == {"count": 0, "best": []}
    assert groups.to_arrow().column("dear").to_pylist()[0][0]["price"] == groups[0]["dear"][0]["price"]
    assert json.loads(json.dumps(groups, default=lutra.to_jsonable))[0]["dear"][0] == dict(groups[0]["dear"][0])


def test_first_rows_of_many_groups_come_in_small_pages(table: lutra.Table) -> None:
    groups = table.group_by("id", own=lutra.first_rows(100, columns=[]))
    assert len(groups) == ROWS
    assert all([row["id"] for row in group["own"]] == [group["id"]] for group in groups)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ([col("kind").ranges(1)], "field 'kind' is str: ranges of numbers do not apply"),
        ([col("n").ranges()], "take a bound at least"),
        ([col("n").ranges(*range(2_000))], "2,001 groups are too many"),
        ([col("n").ranges(1, 1)], "take ascending bounds: int 1 follows int 1"),
        ([col("n").ranges("x")], "expected a number, got str 'x'"),
        ([col("n").ranges(2**60 + 1)], "too large to be told from others"),
        ([col("at").ranges(5)], "expected datetime.datetime"),
        ([col("m").ranges(1)], "no column 'm'"),
        ([col("n").distance_ranges((1, 1), 5)], "is int: distances do not apply"),
        ([col("place").distance_ranges((1, 1), 0, 5)], "distances are above 0"),
        ([col("n").ranges(1), "kind"], "stand alone in group_by"),
        (["kind", {"a": col("n") > 1}], "stand alone in group_by"),
        ([{}], "a dict of their names and conditions"),
        ([{"a": col("m") > 1}], "no column 'm'"),
        ([{"a": True}], "where takes a filter expression"),
    ],
)
def test_groups_that_make_no_sense(table: lutra.Table, keys: list[Any], complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        table.group_by(*keys)


@pytest.mark.parametrize(
    ("first", "complaint"),
    [
        (lutra.first_rows(0), "takes 1 to 100 rows of each group, not 0"),
        (lutra.first_rows(101), "takes 1 to 100 rows"),
        (lutra.first_rows(columns=["prize"]), "no column 'prize'.*did you mean 'price'"),
        (lutra.first_rows(order_by="prize"), "no column 'prize'.*did you mean 'price'"),
    ],
)
def test_first_rows_that_make_no_sense(table: lutra.Table, first: Any, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        table.group_by("kind", x=first)
