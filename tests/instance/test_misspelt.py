"""Misspelt names of all kinds are answered with what was probably meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lutra

col = lutra.col


@pytest.fixture(scope="module")
def db() -> Iterator[lutra.Database]:
    with lutra.connect() as database:
        table = database.create_table(
            "articles",
            {"id": int},
            {
                "title": lutra.Text(),
                "year": int,
                "embedding": lutra.Vector(2),
                "author": lutra.Object({"name": str, "home": lutra.Object({"city": str})}),
                "items": lutra.Nested({"price": float}),
            },
        )
        table.put({"id": 1, "title": "Otters", "year": 2020, "embedding": [1, 0]})
        yield database


ON_TABLES: dict[str, tuple[Callable[[lutra.Table], object], str]] = {
    "put": (lambda t: t.put({"id": 1, "yaer": 1}), "'year'"),
    "key": (lambda t: t.put({"Id": 1, "year": 1}), "'Id'"),
    "put_many": (lambda t: t.put_many([{"id": 1, "titel": "x"}]), "'title'"),
    "update": (lambda t: t.update(1, set={"Year": 1}), "'year'"),
    "increment": (lambda t: t.update(1, increment={"yeer": 1}), "'year'"),
    "columns": (lambda t: t.get(1, columns=["tittle"]), "'title'"),
    "search's columns": (lambda t: t.search(columns=["tittle"]), "'title'"),
    "where": (lambda t: t.search(where=col("yr") == 1), "'year'"),
    "scan": (lambda t: list(t.scan(where=col("yaer") == 1)), "'year'"),
    "order": (lambda t: t.search(order_by="yeah"), "'year'"),
    "path": (lambda t: t.search(where=col("author.nmae") == "x"), "'author.name'"),
    "deep path": (lambda t: t.search(where=col("author.home.citty") == "x"), "'author.home.city'"),
    "record": (lambda t: t.search(where=col("items").any(col("prize") < 1)), "'price'"),
    "object": (lambda t: t.put({"id": 1, "author": {"nam": "x"}}), "'name'"),
    "vector": (lambda t: t.search([1, 0], field="embeding"), "'embedding'"),
    "text": (lambda t: t.search(text="x", text_field="titel"), "'title'"),
    "match": (lambda t: t.search(text="x", match="frase"), "'phrase'"),  # type: ignore[arg-type]
    "group": (lambda t: t.group_by("yaer"), "'year'"),
    "group's order": (lambda t: t.group_by("year", order_by="cuont"), "'count'"),
    "aggregate": (lambda t: t.aggregate(x=col("yaer").avg()), "'year'"),
    "field": (lambda t: t.drop_field("yaer"), "'year'"),
    "metric": (lambda t: lutra.Vector(2, "cosin"), "'cosine'"),  # type: ignore[arg-type]
    "analyzer": (lambda t: lutra.Text("fuzy"), "'fuzzy'"),  # type: ignore[arg-type]
    "unit": (lambda t: col("at").every("months"), "'month'"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", ON_TABLES)
def test_a_misspelt_name_in_a_table(db: lutra.Database, what: str) -> None:
    call, meant = ON_TABLES[what]
    with pytest.raises(lutra.ParameterInvalid, match=rf"; did you mean {meant}"):
        call(db.table("articles"))


def test_a_misspelt_table(db: lutra.Database) -> None:
    calls: list[Any] = [db.table, db.delete_table]
    for call in calls:
        with pytest.raises(
            lutra.ObjectNotExist, match=r"no table 'artcles': there are articles; did you mean 'articles'"
        ):
            call("artcles")
    with pytest.raises(lutra.ObjectNotExist, match=r"no search index 'serch': it has search; did you mean 'search'"):
        db.table("articles", index="serch")
    with lutra.connect() as empty, pytest.raises(lutra.ObjectNotExist, match="the database has no tables yet"):
        empty.table("articles")
    assert "articles" in db
    assert "artcles" not in db


def test_a_misspelt_column_of_a_row(db: lutra.Database) -> None:
    row = db.table("articles").get(1)
    assert row is not None
    with pytest.raises(KeyError, match=r"no column 'titel': it has id, title, year, embedding; did you mean 'title'"):
        _ = row["titel"]
    assert row.get("titel") is None
