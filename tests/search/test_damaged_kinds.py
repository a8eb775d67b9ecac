"""Damage anywhere in what kinds of fields keep in a segment: searches name it, and never answer from it.

Every page is damaged in turn. Each question is then either answered as before, where it does not need the page, or
told of it; and whatever page it is, fsck names its section.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.indexes import memory_index
from support.kinds import KEY, rows_of
from support.shared_out import buffer_of
from support.stored_segments import Shelf

from lutra.index.lsm.index import SearchIndex
from lutra.model.aggregations import (
    DistinctCount,
    GroupByComposite,
    GroupByField,
    GroupByFilter,
    GroupByGeoGrid,
    Percentiles,
    Sum,
    TopRows,
)
from lutra.model.errors import Corruption
from lutra.model.geo import GeoDistance, GeoDistanceSort, GeoPoint
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, JsonType, VectorOptions
from lutra.model.nested import InnerHits, Nested
from lutra.model.queries import (
    Exists,
    FieldSort,
    KnnVector,
    Match,
    MatchAll,
    Range,
    ScoreSort,
    SearchRequest,
    Term,
    Wildcard,
)
from lutra.search import search
from lutra.segments.verification import verify_segment
from lutra.vectors.layout import PAGE_BYTES

ROWS = 150
UNREAD = {"newest"}
"""What only merges and fsck read."""
VECTOR = VectorOptions(2)
BELOW = (
    FieldSchema("n", FieldType.LONG),
    FieldSchema("k", FieldType.KEYWORD),
    FieldSchema("t", FieldType.TEXT),
    FieldSchema("v", FieldType.VECTOR, vector=VECTOR),
    FieldSchema("at", FieldType.GEO_POINT),
    FieldSchema("parts", FieldType.NESTED, fields=(FieldSchema("x", FieldType.DOUBLE),)),
)
SCHEMA = IndexSchema(
    (
        FieldSchema("at", FieldType.GEO_POINT),
        FieldSchema("fuzzy", FieldType.FUZZY_KEYWORD),
        FieldSchema("flat", FieldType.FLATTENED),
        FieldSchema("ip", FieldType.IP),
        FieldSchema("digits", FieldType.KEYWORD, is_virtual=True, sources=("n",)),
        FieldSchema("items", FieldType.NESTED, fields=BELOW),
        FieldSchema("json", FieldType.JSON, json_type=JsonType.OBJECT, fields=(FieldSchema("k", FieldType.KEYWORD),)),
    )
)


def content(number: int) -> dict[str, Any]:
    items = [
        {
            "n": number + i,
            "k": f"k{i}",
            "t": f"w{number % 9} all",
            "v": [number, i],
            "at": f"{i},{i}",
            "parts": [{"x": i}],
        }
        for i in range(1 + number % 3)
    ]
    return {
        "at": f"{number % 50},{number % 90}",
        "fuzzy": f"/srv/{number}.log",
        "flat": json.dumps({"a": {"b": f"x{number % 7}"}, "c": number}),
        "ip": f"10.0.{number % 5}.{number}",
        "n": number,
        "items": json.dumps(items),
        "json": json.dumps([{"k": f"k{number % 5}"}, {"k": "all"}]),
    }


REQUESTS = {
    "geo": SearchRequest(GeoDistance("at", GeoPoint(3, 3), 1e6), limit=100),
    "geo exists": SearchRequest(Exists("at"), limit=100),
    "geo sort": SearchRequest(MatchAll(), (GeoDistanceSort("at", (GeoPoint(3, 3),)),), limit=100),
    "geo grid": SearchRequest(MatchAll(), group_bys=(GroupByGeoGrid("g", "at", 3),)),
    "wildcard": SearchRequest(Wildcard("fuzzy", "*/1?.l*"), limit=100),
    "wildcard of one": SearchRequest(Wildcard("fuzzy", "*1*"), limit=100),
    "fuzzy term": SearchRequest(Term("fuzzy", "/srv/12.log"), limit=100),
    "fuzzy exists": SearchRequest(Exists("fuzzy"), limit=100),
    "leaf": SearchRequest(Term("flat.a.b", "x3"), limit=100),
    "any leaf": SearchRequest(Term("flat", "x3"), limit=100),
    "path": SearchRequest(Exists("flat.a"), (FieldSort("flat.a.b", True),), limit=100),
    "network": SearchRequest(Term("ip", "10.0.3.0/24"), (FieldSort("ip"),), limit=100),
    "addresses": SearchRequest(MatchAll(), group_bys=(GroupByFilter("f", (Term("ip", "10.0.3.0/24"),)),)),
    "virtual": SearchRequest(Term("digits", "17"), limit=100),
    "virtual groups": SearchRequest(MatchAll(), group_bys=(GroupByField("g", "digits", size=500),)),
    "object": SearchRequest(Term("json.k", "k3"), limit=100),
    "object groups": SearchRequest(MatchAll(), group_bys=(GroupByField("g", "json.k"),)),
    "nested": SearchRequest(Nested("items", Term("items.k", "k1"), inner_hits=InnerHits()), limit=100),
    "nested range": SearchRequest(Nested("items", Range("items.n", 5, 50)), limit=100),
    "nested exists": SearchRequest(Exists("items"), limit=100),
    "nested words": SearchRequest(Nested("items", Match("items.t", "w4 all")), (ScoreSort(),), limit=100),
    "nested words' groups": SearchRequest(MatchAll(), group_bys=(GroupByFilter("f", (Exists("items"),)),)),
    "nested vectors": SearchRequest(Nested("items", KnnVector("items.v", (5.0, 1.0), 9)), (ScoreSort(),), limit=9),
    "nested geo": SearchRequest(Nested("items", GeoDistance("items.at", GeoPoint(1, 1), 10)), limit=100),
    "deepest": SearchRequest(Nested("items.parts", Term("items.parts.x", 1.0)), limit=100),
    "nested exist": SearchRequest(Nested("items", Exists("items.v")), limit=100),
    "aggregations": SearchRequest(
        MatchAll(),
        aggregations=(Sum("s", "items.n"), Percentiles("p", "items.n", (50.0,)), DistinctCount("d", "items.k")),
    ),
    "deep aggregations": SearchRequest(MatchAll(), aggregations=(Sum("s", "items.parts.x"),)),
    "composite": SearchRequest(
        MatchAll(),
        group_bys=(
            GroupByComposite(
                "c", (GroupByField("a", "digits"), GroupByField("b", "json.k")), aggregations=(TopRows("t", 2),)
            ),
        ),
    ),
}  # fmt: skip


@dataclass
class Stored:
    """An index whose rows are all in one segment."""

    shelf: Shelf
    index: SearchIndex
    name: str

    def answers(self, name: str) -> dict[str, Any]:
        """Of each request: the answer, or the error that tells of damage."""
        found: dict[str, Any] = {}
        for title, request in REQUESTS.items():
            try:
                with closing(self.shelf.open(name, SCHEMA)) as segment:
                    answer = search(replace(self.index.view(), parts=(segment,)), request)
                    found[title] = answer.hits, answer.total, answer.aggregated, answer.inner_hits
            except Corruption as error:
                found[title] = error
        return found


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    shelf = Shelf(tmp_path_factory.mktemp("kinds"))
    index = memory_index(SCHEMA, KEY)
    part = buffer_of(index, rows_of([content(number) for number in range(ROWS)]))
    yield Stored(shelf, index, shelf.build([part], SCHEMA)[0])
    shelf.close()


def test_no_question_is_answered_from_a_damaged_page(stored: Stored) -> None:
    whole = stored.shelf.store.get(stored.name)
    expected = stored.answers(stored.name)
    assert not [title for title, answer in expected.items() if isinstance(answer, Corruption)]
    with stored.shelf.open(stored.name, SCHEMA) as segment:
        sections = segment.meta.sections
    damaged, told = "segments/damaged", set()
    for number, page in enumerate(range(0, len(whole), PAGE_BYTES)):
        place = page + (17 * number) % 400
        stored.shelf.store.put(damaged, whole[:place] + bytes([whole[place] ^ 1 << number % 8]) + whole[place + 1 :])
        section = next((one.name for one in sections if one.offset <= place < one.end), "footer")
        [fault] = verify_segment(stored.shelf.store, damaged)
        assert fault.section.split("/")[0] == section
        for title, answer in stored.answers(damaged).items():
            if isinstance(answer, Corruption):
                assert damaged in str(answer)
                told.add(section)
            else:
                assert repr(answer) == repr(expected[title]), (section, title)
    assert told == {section.name for section in sections} - UNREAD | {"footer"}
