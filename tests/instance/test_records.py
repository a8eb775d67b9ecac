"""Records and objects within rows, through the embedded API: by searches and scans alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest

import lutra
from lutra import col


@dataclass
class Part:
    name: str
    weights: list[float] | None = None


@dataclass
class Item:
    sku: str
    count: int
    sold: dt.datetime | None = None
    at: lutra.GeoPoint | None = None
    parts: list[Part] | None = None
    embedding: Annotated[np.ndarray[Any, Any] | None, lutra.Vector(2)] = None


@dataclass
class Author:
    name: str
    born: int | None = None


NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
ROWS: list[dict[str, Any]] = [
    {"id": 0, "items": [Item("a", 1), Item("b", 5)], "author": Author("Ada", 1815)},
    {"id": 1, "items": [{"sku": "a", "count": 5, "parts": [{"name": "x"}, Part("y", [0.5, 2.0])]}]},
    {"id": 2, "items": [], "author": {"name": "Alan"}},
    {"id": 3, "author": {"name": "Grace", "born": 1906}, "days": [NOON, NOON + dt.timedelta(days=1)]},
    {"id": 4, "items": [Item("c", 2, NOON, lutra.GeoPoint(1, 2), embedding=np.array([1.0, 2.0]))]},
]


@pytest.fixture(scope="module")
def orders() -> Iterator[lutra.Table]:
    with lutra.connect() as db:
        fields = {"items": list[Item], "author": Author, "days": list[dt.datetime]}
        table = db.create_table("orders", {"id": int}, fields)
        table.put_many(ROWS)
        yield db.table("orders")


def both(table: lutra.Table, where: lutra.Expression) -> list[int]:
    """What a search finds, which a scan finds too."""
    found = [row["id"] for row in table.search(where=where)]
    assert found == [row["id"] for row in table.scan(where=where)]
    return found


def test_records_come_back_as_dicts(orders: lutra.Table) -> None:
    items = [orders.get(n)["items"] for n in (0, 1, 2, 4)]  # type: ignore[index]
    assert items[:3] == [
        [{"sku": "a", "count": 1}, {"sku": "b", "count": 5}],
        [{"sku": "a", "count": 5, "parts": [{"name": "x"}, {"name": "y", "weights": [0.5, 2.0]}]}],
        [],
    ]
    [last] = items[3]
    assert last.pop("embedding").tolist() == [1.0, 2.0]
    assert last == {"sku": "c", "count": 2, "sold": NOON, "at": lutra.GeoPoint(1, 2)}
    assert orders.search(where=col("id") == 0)[0]["author"] == {"name": "Ada", "born": 1815}
    assert orders.get(3)["days"] == [NOON, NOON + dt.timedelta(days=1)]  # type: ignore[index]


def test_conditions_are_of_one_record(orders: lutra.Table) -> None:
    sku, count = col("sku"), col("count")
    assert both(orders, col("items").any(sku == "a")) == [0, 1]
    assert both(orders, col("items").any((sku == "a") & (count == 5))) == [1]
    assert both(orders, col("items").any(sku == "a") & col("items").any(count == 5)) == [0, 1]
    assert both(orders, ~col("items").any(count < 5)) == [1, 2, 3]
    assert both(orders, col("items").any(~(sku == "a"))) == [0, 4]
    assert both(orders, col("items").any((sku == "x") | count.between(2, 4))) == [4]
    assert both(orders, col("items").any(col("sold") >= NOON)) == [4]
    assert both(orders, col("items").any(col("at").within(10, of=(1, 2)))) == [4]
    assert both(orders, col("items").any(col("sku").starts_with("b") | col("at").exists())) == [0, 4]
    assert both(orders, col("items").any(col("parts").any((col("name") == "y") & (col("weights") > 1)))) == [1]
    assert both(orders, col("items").any(col("parts").any((col("name") == "x") & (col("weights") > 1)))) == []


def test_fields_of_objects_go_by_their_paths(orders: lutra.Table) -> None:
    assert both(orders, col("author.name").starts_with("A")) == [0, 2]
    assert both(orders, (col("author.born") > 1900) | ~col("author.name").exists()) == [1, 3, 4]
    found = orders.search(order_by=col("author.born").desc(), where=col("author.born").exists())
    assert [row["id"] for row in found] == [3, 0]
    assert orders.aggregate(born=col("author.born").min())["born"] == 1815
    assert both(orders, col("days") > NOON) == [3]
    assert both(orders, col("items").exists()) == [0, 1, 4]
    assert both(orders, col("author").exists()) == [0, 2, 3]


def test_aggregates_reach_into_records(orders: lutra.Table) -> None:
    said = orders.aggregate(
        items=col("items.sku").count(),
        kinds=col("items.sku").distinct(),
        most=col("items.count").max(),
        last=col("items.sold").max(),
        weight=col("items.parts.weights").sum(),
        born=col("author.born").min(),
    )
    assert said == {"count": 5, "items": 4, "kinds": 3, "most": 5, "last": NOON, "weight": 2.5, "born": 1815}
    groups = orders.group_by("items.sku", where=col("id") < 3, all_counts=col("items.count").sum())
    # A row is in the group of each of its records; what is added up is of all its records.
    assert groups.to_list() == [
        {"items.sku": None, "count": 1, "all_counts": 0},
        {"items.sku": "a", "count": 2, "all_counts": 11},
        {"items.sku": "b", "count": 1, "all_counts": 6},
    ]
    by_four = orders.group_by(col("items.count").every(4)).to_list()
    assert [(one["items.count"], one["count"]) for one in by_four] == [(None, 2), (0, 2), (4, 2)]
    assert groups.to_arrow().column_names == ["items.sku", "count", "all_counts"]


def test_declarations_come_back(orders: lutra.Table) -> None:
    part = lutra.Nested({"name": str, "weights": list[float]})
    item = {"sku": str, "count": int, "sold": dt.datetime, "at": lutra.GeoPoint, "parts": part}
    item["embedding"] = lutra.Vector(2)  # type: ignore[assignment]
    author = lutra.Object({"name": str, "born": int})
    assert orders.fields == {"items": lutra.Nested(item), "author": author, "days": list[dt.datetime]}


def test_a_table_of_the_same_declaration_is_accepted(orders: lutra.Table) -> None:
    with lutra.connect() as db:
        first = db.create_table("t", {"id": int}, {"items": list[Item]})
        again = db.create_table("t", {"id": int}, {"items": lutra.Nested(orders.fields["items"].fields)}, exist_ok=True)  # type: ignore[union-attr]
        assert first.fields == again.fields
        with pytest.raises(lutra.ObjectAlreadyExist, match="items"):
            db.create_table("t", {"id": int}, {"items": list[Part]}, exist_ok=True)


def test_frames_have_structs(orders: lutra.Table) -> None:
    found = orders.search(limit=3, columns=["items", "author"])
    table = found.to_arrow()
    assert table["author"].to_pylist() == [{"name": "Ada", "born": 1815}, None, {"name": "Alan", "born": None}]
    assert table["items"].to_pylist()[0][1]["sku"] == "b"
    assert found.to_pandas()["author"][0] == {"name": "Ada", "born": 1815}


@pytest.mark.parametrize(
    ("refused", "complaint"),
    [
        (lambda t: t.put({"id": 9, "items": {"sku": "a"}}), "expected a list of records"),
        (lambda t: t.put({"id": 9, "items": [{"sku": "a", "sqn": 1}]}), "record 0: there is no field 'sqn'"),
        (lambda t: t.put({"id": 9, "items": [{"sku": "a"}, {"sku": 5}]}), "record 1: field 'sku': expected str"),
        (lambda t: t.put({"id": 9, "items": [3]}), "record 0: expected a record"),
        (lambda t: t.put({"id": 9, "items": [{"sku": "a"}] * 257}), "257 records, at most 256"),
        (lambda t: t.put({"id": 9, "author": [Author("x")]}), "field 'author': expected a record"),
        (lambda t: t.search(where=col("items") == 1), "a comparison does not apply to field 'items'"),
        (lambda t: t.search(where=col("items.sku") == "a"), "no column 'items.sku'"),
        (lambda t: t.search(where=col("items").any(col("nope") == 1)), "records of 'items' have no field 'nope'"),
        (lambda t: list(t.scan(where=col("items").any(col("nope") == 1))), "records of 'items' have no field 'nope'"),
        (lambda t: t.search(where=col("author").any(col("name") == "x")), r"any\(\) does not apply to field 'author'"),
        (lambda t: t.search(where=col("author.nope") == 1), "no column 'author.nope'"),
        (lambda t: t.search(order_by=col("items")), "sorting does not apply"),
    ],
)
def test_what_makes_no_sense_is_refused(orders: lutra.Table, refused: Any, complaint: str) -> None:
    with pytest.raises(lutra.ParameterInvalid, match=complaint):
        refused(orders)


def test_what_is_no_declaration_is_refused() -> None:
    with lutra.connect() as db:
        for declaration, complaint in (
            (lutra.Nested({"a": lutra.Stored(str)}), "'a' is not"),
            (lutra.Nested({}), "items"),
            (lutra.Nested({"a": dict}), "cannot store dict"),
        ):
            with pytest.raises(lutra.ParameterInvalid, match=complaint):
                db.create_table("t", {"id": int}, {"items": declaration})
        assert db.table_names() == []
