"""The code for the embedded API that the console writes: each program runs, and finds what the search finds."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.asked_searches import shape
from support.code_samples import (
    ASKED,
    BM25_FIELD,
    ENDING,
    HERE,
    MORE_SEARCHES,
    NASTY,
    SCHEMA,
    SEARCHES,
    SORTED,
    STREAMED,
    TABLE,
)

import lutra
from lutra.console.code import Place, of_schema, of_search
from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model import aggregations as found
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, Metric, SplitParameters, TextOptions, VectorOptions
from lutra.model.queries import (
    Bool,
    KnnVector,
    Match,
    MatchAll,
    Nested,
    Query,
    Range,
    ScoreSort,
    SearchRequest,
    Term,
)
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.scoring import DisMax
from lutra.model.values import ColumnType

DECLARED = IndexSchema(
    (
        FieldSchema("title", FieldType.TEXT, text=TextOptions("split", SplitParameters('",\\'))),
        FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(4, Metric.EUCLIDEAN)),
        FieldSchema("kind", FieldType.KEYWORD),
        FieldSchema("likes", FieldType.LONG),
        FieldSchema("price", FieldType.DOUBLE, is_array=True),
        FieldSchema("is_new", FieldType.BOOLEAN),
        FieldSchema("place", FieldType.GEO_POINT),
        FieldSchema("at", FieldType.DATE, date_formats=("epoch_micros",)),
        FieldSchema(
            "items",
            FieldType.NESTED,
            sort_and_aggregate=False,
            fields=(FieldSchema("sku", FieldType.KEYWORD), FieldSchema("count", FieldType.LONG)),
        ),
    )
)
"""What Python can declare."""
VECTOR = SEARCHES["nearest"].query
HYBRID: dict[str, Query] = {
    "words among some": Bool(must=(Match("title", "otter"),), filter=(Term("kind", "a"),)),
    "near or with words": Bool(should=(VECTOR, Match("title", "otter")), minimum_should_match=1),
    "both among some": Bool(
        should=(
            dataclasses.replace(VECTOR, filter=Term("kind", "a")),
            Bool(must=(Match("title", "otter"),), filter=(Term("kind", "a"),)),
        )
    ),
    "words of records": Nested("items", Match("items.text", "otter"), mode=SEARCHES["nested"].query.mode),
    **{
        f"nasty words {number}": Bool(must=(Match("title", f"{text} 7"),), filter=(Term("kind", text),))
        for number, text in enumerate(NASTY)
    },
    "words in the best field": DisMax((Match("title", "otter"), Match("long", "otter"))),
}
"""What goes by score, and comes so."""
NUMPY = {"array": lambda numbers, dtype: numbers, "float32": None}
SAID_ONLY_BY_SDKS = {
    "suffix": "Suffix as a condition",
    "wildcard": "Wildcard as a condition",
    "match": "what is near or has words in another order than by score",
    "match all words": "what is near or has words in another order than by score",
    "match two": "Match with a weight, a slop or so many words",
    "phrase": "what is near or has words in another order than by score",
    "nearest": "what is near or has words in another order than by score",
    "nearest of some": "a weight",
    "by key": "an order of keys backwards",
    "by field": "the order FieldSort with all its options",
    "by distance": "the order GeoDistanceSort with all its options",
    "by plane": "the order GeoDistanceSort with all its options",
    "slop": "MatchPhrase with a weight, a slop or so many words",
    "share": "50% of several conditions",
    "near enough": "what is near or has words in another order than by score",
    "inner hits": "Match as a condition",
    **dict.fromkeys((f"nasty {number}" for number in range(len(NASTY))), "Match as a condition"),
    "best of": "a tie breaker or a weight",
    "missing": "the order FieldSort with all its options",
    "filtered": "a filter of what was found",
    "aggregations": "a value for rows without the field",
    "group by field": "groups within groups",
    "histograms": "intervals with field range",
    "offset histogram": "intervals in another order than their own",
    "min doc count": "groups of so many rows",
}


def run(program: str) -> dict[str, Any]:
    """The names that a program leaves."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(program, "program", "exec"), names)
    return names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the table that searches are asked of, and some rows."""
    folder = tmp_path_factory.mktemp("embedded") / "data"
    engine = Engine.open(folder)
    engine.create_instance("default")
    engine.instance("default").create_table(ASKED)
    engine.instance("default").create_search_index(ASKED.name, "search", SCHEMA)
    engine.close()
    with lutra.connect(folder) as db:
        db.table(ASKED.name).put_many(map(_row, range(40)))
    return folder


def _row(number: int) -> dict[str, Any]:
    return {
        "id": f"r{number:02}",
        "n": number,
        "b": b"\x00",
        "kind": "abc"[number % 3] if number % 7 else NASTY[number % len(NASTY)],
        "likes": number,
        "price": number / 4,
        "is_new": number % 2 == 0,
        "tags": ["c"] * (number % 4),
        "title": f"otter river {'sea ' * (number % 3)}{number}",
        "long": "an otter by the sea" if number % 5 else "a river",
        "place": lutra.GeoPoint(52.5, 13.25 + number / 100),
        "at": f"2024-01-{number % 28 + 1:02} 03:04:05",
        "v": [number / 10, -2.5, 0.5, 1],
        "items": [{"sku": "ab"[number % 2], "count": number, "text": f"otter {number}"}],
    }


@pytest.fixture(scope="module")
def instance(folder: Path) -> Iterator[Instance]:
    with lutra.connect(folder) as db:
        db.table(ASKED.name).search(limit=1)  # waits until all can be found
        yield db._open()


def _found(instance: Instance, request: SearchRequest) -> list[tuple[Any, ...]]:
    rows = instance.search(ASKED.name, "search", request).rows
    return [tuple(value for _, value in row.key) for row in rows]


def test_a_table_is_declared(tmp_path: Path) -> None:
    place = Place("", "default", str(tmp_path / "it's data"))
    table = dataclasses.replace(ASKED, name="declared", key=ASKED.key[:2])
    keyed = IndexSchema((FieldSchema("id", FieldType.KEYWORD), *DECLARED.fields))
    program = of_schema(place, table, {"search": keyed})["embedded"]
    assert not program.startswith("#")
    run(program)
    with lutra.connect(place.data_dir) as db:
        made = db._open().describe_search_index("declared", "search").schema
        fields = {field.name: field for field in shape(made).fields}
        assert {name: fields[name] for name in fields if name not in ("id", "n")} == {
            field.name: field for field in shape(DECLARED).fields
        }
        schema = db._open().tables.describe("declared").schema
        assert schema.key == table.key


def test_what_cannot_be_declared_is_told(tmp_path: Path) -> None:
    place = Place("", "default", str(tmp_path / "data"))
    ranked = IndexSchema((FieldSchema("kind", FieldType.KEYWORD), BM25_FIELD))
    program = of_schema(place, TABLE, {"ranked": ranked, "sorted": SORTED})["embedded"]
    assert [line for line in program.splitlines() if line.startswith("#")] == [
        "# Search index sorted is left out: the embedded API makes one.",
        "# The search index is called search.",
        "# Without time to live, versions and the like, which the embedded API cannot say: set it afterwards.",
        "# Without the secondary index by_kind, which the embedded API cannot say: set it afterwards.",
        "# Without the secondary index by_likes, which the embedded API cannot say: set it afterwards.",
    ]
    run(program)
    with lutra.connect(place.data_dir) as db:
        assert db.table(TABLE.name).fields.keys() == {"kind", "ranked", "likes"}
    for schema, what in ((ENDING, "the time to live of an index"), (SCHEMA, "field likes_text as it is declared")):
        told = of_schema(place, STREAMED, {"search": schema})["embedded"].splitlines()[0]
        assert told == f"# Search index search is left out: the embedded API cannot say {what}."


@pytest.mark.parametrize("name", [*SEARCHES, *MORE_SEARCHES, *HYBRID])
def test_each_search_finds_what_it_was_to_find(
    name: str, folder: Path, instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    hybrid = {name: SearchRequest(query, (ScoreSort(),), limit=10) for name, query in HYBRID.items()}
    request = (SEARCHES | MORE_SEARCHES | hybrid)[name]
    program = of_search(Place("", "default", str(folder)), ASKED, "search", SCHEMA, request)["embedded"]
    if (why := SAID_ONLY_BY_SDKS.get(name)) is not None:
        assert program == f"# The embedded API cannot ask this search: it has no words for {why}.\n"
        return
    names = run(program)
    if request.limit:
        assert [row.key for row in names["found"]] == _found(instance, request)
    else:
        assert capsys.readouterr().out


GROUPS = (
    found.GroupByField("k", "kind", 3, aggregations=(found.Max("most", "likes"), found.Count("it's", "tags"))),
    found.GroupByHistogram("h", "price", 2.5, aggregations=(found.Avg("a", "likes"),)),
    found.GroupByDateHistogram("d", "at", found.DateTimeValue(1, found.DateTimeUnit.WEEK), "Europe/Berlin"),
    found.GroupByRange("r", "likes", ((float("-inf"), 10.0), (10.0, 20.0), (20.0, float("inf")))),
    found.GroupByGeoDistance("g", "place", HERE, ((0.0, 1_000.0), (1_000.0, float("inf")))),
    found.GroupByFilter("f", (Term("kind", "a"), Range("likes", 5))),
    found.GroupByComposite("c", (found.GroupByField("k", "kind"), found.GroupByField("n", "is_new")), 50),
)


@pytest.mark.parametrize("group_by", GROUPS, ids=lambda one: type(one).__name__)
def test_groups_have_the_rows_that_they_were_to_have(
    group_by: Any, folder: Path, instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    request = SearchRequest(Range("likes", 3), limit=0, group_bys=(group_by,))
    run(of_search(Place("", "default", str(folder)), ASKED, "search", SCHEMA, request)["embedded"])
    printed = [eval(line, {"datetime": dt, "inf": float("inf")}) for line in capsys.readouterr().out.splitlines()]
    aggregated = instance.search(ASKED.name, "search", request).aggregated
    assert aggregated is not None
    expected = [group.rows for group in aggregated.group_bys[group_by.name].groups]
    assert len(expected) > 1
    assert sorted(group["count"] for group in printed) == sorted(expected)


def test_aggregates_are_what_they_were_to_be(
    folder: Path, instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = (found.Avg("a b", "price"), found.Max("most", "likes"), found.Percentiles("p", "likes", (50.0,)))
    request = SearchRequest(KnnVector("v", VECTOR.vector, 15), limit=0, aggregations=(*wanted, found.TopRows("top", 2)))
    run(of_search(Place("", "default", str(folder)), ASKED, "search", SCHEMA, request)["embedded"])
    printed = eval(capsys.readouterr().out, {"Row": dict, "GeoPoint": lutra.GeoPoint, "datetime": dt, **NUMPY})
    result = instance.search(ASKED.name, "search", request).aggregated
    assert result is not None
    assert printed["count"] == 15
    assert printed["most"] == result.aggregations["most"].value
    assert printed["a b"] == pytest.approx(result.aggregations["a b"].value)


def test_a_table_of_several_indexes_is_asked_by_the_one(tmp_path: Path) -> None:
    table = TableSchema("plain", (KeyColumn("id", ColumnType.STRING),))
    program = of_search(Place("", "x", str(tmp_path)), table, 'an "index"', SCHEMA, SearchRequest(MatchAll()))
    assert 'table = db.table("plain", index="an \\"index\\"")' in program["embedded"]
