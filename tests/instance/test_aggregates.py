"""Aggregates and groups through the embedded API, against pandas where it can say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lutra
from lutra import col

COUNT = 500
BEGIN = dt.datetime(2024, 3, 29, 22, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(11)
    return [
        {
            "id": n,
            "kind": "abcd"[int(rng.integers(4))],
            "n": int(rng.integers(-50, 50)),
            "price": float(rng.normal()) if n % 7 else None,
            "is_new": bool(n % 3),
            "at": BEGIN + dt.timedelta(hours=int(n), microseconds=n),
            "tags": [f"t{i}" for i in range(n % 4)],
            "v": rng.normal(size=4),
        }
        for n in range(COUNT)
    ]


@pytest.fixture(scope="module")
def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def table(rows: list[dict[str, Any]]) -> Iterator[lutra.Table]:
    with lutra.connect() as db:
        made = db.create_table(
            "rows",
            {"id": int},
            {
                "kind": str,
                "n": int,
                "price": float,
                "is_new": bool,
                "at": dt.datetime,
                "tags": list[str],
                "v": lutra.Vector(4),
                "at_point": lutra.GeoPoint,
            },
        )
        made.put_many(rows)
        yield made


def test_aggregates_of_all_rows(table: lutra.Table, frame: pd.DataFrame) -> None:
    found = table.aggregate(
        avg=col("price").avg(),
        total=col("n").sum(),
        least=col("n").min(),
        greatest=col("price").max(),
        kinds=col("kind").distinct(),
        tags=col("tags").count(),
        first=col("at").min(),
        last=col("at").max(),
        middle=col("price").percentiles(50, 90),
    )
    assert found == {
        "count": COUNT,
        "avg": pytest.approx(frame["price"].mean()),
        "total": frame["n"].sum(),
        "least": frame["n"].min(),
        "greatest": frame["price"].max(),
        "kinds": 4,
        "tags": frame["tags"].map(len).sum(),
        "first": frame["at"].min(),
        "last": frame["at"].max(),
        "middle": {p: pytest.approx(frame["price"].quantile(p / 100)) for p in (50.0, 90.0)},
    }
    assert type(found["total"]) is int


def test_aggregates_of_what_is_found(table: lutra.Table, frame: pd.DataFrame, rows: list[dict[str, Any]]) -> None:
    some = frame[(frame["kind"] == "a") & (frame["n"] > 0)]
    found = table.aggregate((col("kind") == "a") & (col("n") > 0), n=col("n").sum())
    assert found == {"count": len(some), "n": some["n"].sum()}
    assert table.aggregate(col("n") > 1_000, n=col("n").sum(), p=col("price").avg()) == {"count": 0, "n": 0, "p": None}
    near = table.search(rows[3]["v"], limit=20, where=col("is_new").is_true())
    found = table.aggregate(col("is_new").is_true(), vector=rows[3]["v"], nearest=20, n=col("n").sum())
    assert found == {"count": 20, "n": sum(row["n"] for row in near)}
    groups = table.group_by("kind", vector=rows[3]["v"], nearest=20, where=col("is_new").is_true(), field="v")
    assert sum(group["count"] for group in groups) == 20


def test_groups_of_one_column(table: lutra.Table, frame: pd.DataFrame) -> None:
    found = table.group_by("kind", n=col("n").sum(), price=col("price").avg())
    expected = frame.groupby("kind").agg(count=("id", "count"), n=("n", "sum"), price=("price", "mean")).reset_index()
    got = found.to_pandas()
    pd.testing.assert_frame_equal(got.astype({"kind": object}), expected.astype({"kind": object}), check_dtype=False)
    assert found.to_arrow().to_pylist() == found.to_list() == list(found)
    assert (len(found), found[0]["kind"], [group["kind"] for group in found[1:3]]) == (4, "a", ["b", "c"])


def test_groups_of_several_columns_with_many_aggregates(table: lutra.Table, frame: pd.DataFrame) -> None:
    aggregates = {
        f"{name}_{kind}": getattr(col(name), kind)() for name in ("n", "price") for kind in ("min", "max", "avg")
    }
    found = table.group_by("kind", "is_new", **aggregates)
    for group in found:
        some = frame[(frame["kind"] == group["kind"]) & (frame["is_new"] == group["is_new"])]
        assert group["count"] == len(some)
        for name in ("n", "price"):
            values = [group[f"{name}_{kind}"] for kind in ("min", "max", "avg")]
            assert values == [some[name].min(), some[name].max(), pytest.approx(some[name].mean())]
    assert [(group["kind"], group["is_new"]) for group in found] == sorted(
        {(kind, bool(new)) for kind, new in zip(frame["kind"], frame["is_new"], strict=True)}
    )


def test_rows_without_a_key_and_with_several(table: lutra.Table) -> None:
    found = table.group_by("tags").to_list()
    assert found == [{"tags": None, "count": 125}, *({"tags": f"t{i}", "count": 125 * (3 - i)} for i in range(3))]


def test_intervals(table: lutra.Table, frame: pd.DataFrame) -> None:
    found = table.group_by(col("n").every(10))
    expected = (frame["n"] // 10 * 10).value_counts().sort_index()
    assert {group["n"]: group["count"] for group in found} == expected.to_dict()
    assert all(type(group["n"]) is int for group in found)
    halves = table.group_by(col("n").every(2.5))
    assert {group["n"]: group["count"] for group in halves} == (frame["n"] // 2.5 * 2.5).value_counts().to_dict()
    assert halves.to_arrow().schema.field("n").type == pa.float64()
    berlin = ZoneInfo("Europe/Berlin")
    days = frame["at"].dt.tz_convert(berlin).dt.normalize().value_counts().sort_index()
    found = table.group_by(col("at").every("day", time_zone="Europe/Berlin"))
    assert {group["at"]: group["count"] for group in found} == {day.to_pydatetime(): n for day, n in days.items()}
    assert sorted(set(days)) == sorted(days.index.map(lambda day: days[day]).unique())
    assert days.loc[days.index.date == dt.date(2024, 3, 31)].tolist() == [23]  # summer time begins


def test_orders_and_limits(table: lutra.Table, frame: pd.DataFrame) -> None:
    counts = frame["kind"].value_counts()
    found = table.group_by("kind", order_by=[col("count").desc(), "kind"], limit=2)
    assert [group["count"] for group in found] == sorted(counts, reverse=True)[:2]
    last = table.group_by("tags", order_by=col("tags").desc())
    assert [group["tags"] for group in last] == ["t2", "t1", "t0", None]


def test_more_groups_than_come_at_a_time(table: lutra.Table) -> None:
    assert [group["id"] for group in table.group_by("id")] == list(range(COUNT))


@pytest.mark.parametrize(
    ("refused", "complaint"),
    [
        (lambda t: t.aggregate(x=col("kind").avg()), r"avg\(\) does not apply to field 'kind', which is str"),
        (lambda t: t.aggregate(x=col("nope").avg()), "no column 'nope'"),
        (lambda t: t.aggregate(x=3), "takes an aggregate such as"),
        (lambda t: t.aggregate(count=col("n").sum()), "the name of another column"),
        (lambda t: t.group_by(), "takes a column at least"),
        (lambda t: t.group_by("kind", "kind"), "one column twice"),
        (lambda t: t.group_by("at_point"), "cannot be grouped by"),
        (lambda t: t.group_by("v"), "cannot be grouped by"),
        (lambda t: t.group_by(col("kind").every(5)), "intervals of numbers do not apply"),
        (lambda t: t.group_by(col("n").every("day")), "there is no day of it"),
        (lambda t: t.group_by("kind", order_by=col("n")), "can be ordered by kind, count, not by 'n'"),
        (lambda t: t.group_by("kind", limit=0), "limit is an int of at least 1"),
        (lambda t: t.group_by(col("at").every("day", time_zone="Nowhere/Land")), "Nowhere/Land"),
        (lambda t: col("n").every("fortnight"), "takes a number or one of year, quarter"),
        (lambda t: col("n").every(0), "above 0"),
        (lambda t: col("n").every(5, 2), "go with units of time"),
        (lambda t: col("at").every("day", 0), "count is an int of at least 1"),
        (lambda t: t.aggregate(x=col("n").percentiles(101)), "percentile"),
    ],
)
def test_what_makes_no_sense_is_refused(table: lutra.Table, refused: Any, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        refused(table)
