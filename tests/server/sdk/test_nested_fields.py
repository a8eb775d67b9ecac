"""NESTED and JSON fields as the official SDK makes them; what is found in JSON objects, in a buffer and in segments."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import tablestore as ots
from support.sdk import invalid, put
from support.searching import ALL, BY_SCORE, columns_of, field, ids, scores, search, vector_field
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore import FieldType, JsonType

from lutra.instance.fsck import check_directory

VECTOR = vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN)
KEYWORD = field("k", FieldType.KEYWORD)
ITEMS = [
    field("price", FieldType.LONG),
    field("tags", FieldType.KEYWORD, is_array=True),
    field("parts", FieldType.NESTED, sub_field_schemas=[KEYWORD, VECTOR]),
]
OBJECT = [
    field("n", FieldType.LONG),
    field("k", FieldType.KEYWORD),
    field("at", FieldType.DATE, date_formats=["yyyy-MM-dd"]),
    field("text", FieldType.TEXT, analyzer=ots.AnalyzerType.SINGLEWORD, enable_highlighting=True),
    VECTOR,
    field("in", FieldType.JSON, json_type=JsonType.OBJECT_JSON, sub_field_schemas=[field("x", FieldType.DOUBLE)]),
]
FIELDS = [
    field("items", FieldType.NESTED, sub_field_schemas=ITEMS),
    field("j", FieldType.JSON, json_type=JsonType.OBJECT_JSON, sub_field_schemas=OBJECT),
    field("jn", FieldType.JSON, json_type=JsonType.NESTED_JSON, sub_field_schemas=[KEYWORD]),
]
ROWS: list[dict[str, Any]] = [
    {
        "items": [{"price": 1, "tags": ["a", "b"], "parts": [{"k": "x", "v": [1, 2]}]}, {"price": 5}],
        "j": {"n": 3, "k": "one", "at": "2024-02-29", "text": "the quick fox", "v": [0, 0], "in": {"x": 1.5}},
        "jn": [{"k": "a"}],
    },
    {
        "items": {"price": 2},
        "j": [
            {"n": 1, "k": "two", "text": "a dog"},
            {"n": 7, "text": "and a fox", "v": [3, 4], "in": [{"x": 2}, {"x": 4}]},
        ],
    },
    {"items": [{}] * 256, "j": {"n": "3", "k": 4, "in": {"x": "1"}, "at": "2024-02-30"}, "jn": {"k": "b"}},
    {"items": [{}] * 257, "j": [1], "jn": "text"},
    {},
]
LEFT_OUT = {"items": 1, "j": 5, "jn": 1}


@dataclass(frozen=True)
class Indexed:
    server: ServerProcess
    table: str
    index: str

    def search(self, query: ots.Query, **options: Any) -> ots.SearchResponse:
        return search(self.server.client(), self.table, self.index, query, **options)

    def found(self, query: ots.Query, **options: Any) -> list[int]:
        return ids(self.search(query, **options))


@pytest.fixture(scope="module", params=["buffer", "segments"])
def rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexed]:
    """Rows of a server of their own; to have segments it is stopped, which writes what was in the buffer."""
    folder = tmp_path_factory.mktemp("nested") / "data"
    with ServerProcess(folder) as server:
        client = server.client()
        make = TableMaker(client)
        table = make.table([("id", "INTEGER")])
        index = make.index(table, FIELDS)
        for number, row in enumerate(ROWS):
            put(client, table, [("id", number)], **{name: json.dumps(value) for name, value in row.items()})
        make.wait_synced(table, index)
        if request.param == "segments":
            server.stop()
            server.start()
        yield Indexed(server, table, index)
        server.stop()
    assert "Traceback" not in server.log_path.read_text()
    assert check_directory(folder) == []


def test_what_was_created_is_described(rows: Indexed) -> None:
    meta, _ = rows.server.client().describe_search_index(rows.table, rows.index)
    assert [one.field_name for one in meta.fields] == ["items", "j", "jn"]
    items, flat, nested = meta.fields
    assert (items.field_type, flat.json_type, nested.json_type) == (
        FieldType.NESTED,
        JsonType.OBJECT_JSON,
        JsonType.NESTED_JSON,
    )
    assert [one.field_name for one in items.sub_field_schemas] == ["price", "tags", "parts"]
    assert [one.is_array for one in items.sub_field_schemas] == [False, True, False]
    assert [one.is_array for one in flat.sub_field_schemas] == [False] * 6
    assert flat.sub_field_schemas[2].date_formats == ["yyyy-MM-dd"]
    below = items.sub_field_schemas[2].sub_field_schemas
    assert [(one.field_name, one.field_type) for one in below] == [("k", FieldType.KEYWORD), ("v", FieldType.VECTOR)]
    assert below[1].vector_options.dimension == 2


def test_objects_are_given_back_as_they_were_written(rows: Indexed) -> None:
    response = rows.search(ots.TermQuery("j.k", "two"), columns=ALL)
    assert {name: json.loads(text) for name, text in columns_of(response.rows[0]).items()} == ROWS[1]


CASES: dict[str, tuple[ots.Query, list[int]]] = {
    "a term": (ots.TermQuery("j.k", "one"), [0]),
    "terms": (ots.TermsQuery("j.k", ["one", "two"]), [0, 1]),
    "a number of any object": (ots.TermQuery("j.n", 7), [1]),
    "a range": (ots.RangeQuery("j.n", 2, 5), [0]),
    "values of several objects are one row's": (
        ots.BoolQuery(must_queries=[ots.TermQuery("j.n", 1), ots.TermQuery("j.n", 7)]),
        [1],
    ),
    "a date": (ots.RangeQuery("j.at", "2024-01-01", "2025-01-01"), [0]),
    "words": (ots.MatchQuery("j.text", "fox"), [0, 1]),
    "an object in an object": (ots.TermQuery("j.in.x", 4), [1]),
    "a field that is there": (ots.ExistsQuery("j.in"), [0, 1]),
    "any field": (ots.ExistsQuery("j"), [0, 1]),
    "documents": (ots.ExistsQuery("items"), [0, 1, 2]),
    "documents of JSON": (ots.ExistsQuery("jn"), [0, 2]),
    "a prefix": (ots.PrefixQuery("j.k", "tw"), [1]),
}


@pytest.mark.parametrize("case", CASES)
def test_queries(rows: Indexed, case: str) -> None:
    query, expected = CASES[case]
    assert rows.found(query) == expected


def test_sorts_by_what_objects_have(rows: Indexed) -> None:
    there = ots.ExistsQuery("j.n")
    assert rows.found(there, sort=ots.Sort([ots.FieldSort("j.n")])) == [1, 0]
    assert rows.found(there, sort=ots.Sort([ots.FieldSort("j.n", ots.SortOrder.DESC)])) == [1, 0]
    by_least = ots.FieldSort("j.n", ots.SortOrder.DESC, ots.SortMode.MIN)
    assert rows.found(there, sort=ots.Sort([by_least])) == [0, 1]


def test_neighbours_by_a_vector_in_an_object(rows: Indexed) -> None:
    response = rows.search(ots.KnnVectorQuery("j.v", 2, [3.0, 3.0]), sort=BY_SCORE)
    assert ids(response) == [1, 0]
    assert scores(response) == pytest.approx([1 / 2, 1 / 19])


def test_highlights_words_of_all_objects(rows: Indexed) -> None:
    wanted = ots.Highlight([ots.HighlightParameter("j.text")])
    response = rows.search(ots.MatchQuery("j.text", "fox dog"), highlight=wanted)
    shown = [hit.highlight_result.highlight_fields for hit in response.search_hits]
    assert [[(one.field_name, list(one.field_fragments)) for one in of] for of in shown] == [
        [("j.text", ["the quick <em>fox</em>"])],
        [("j.text", ["a <em>dog</em>", "and a <em>fox</em>"])],
    ]


def test_fields_of_nested_documents_want_a_nested_query(rows: Indexed) -> None:
    queries: list[tuple[ots.Query, str]] = [
        (ots.TermQuery("items.price", 1), "[term query] field: items.price is in the nested field items: use a nested"),
        (ots.ExistsQuery("items.parts.k"), "items.parts.k is in the nested field items.parts: use a nested query"),
        (ots.KnnVectorQuery("items.parts.v", 1, [1.0, 2.0]), "in the nested field items.parts: use a nested query"),
        (ots.TermQuery("jn.k", "a"), "in the nested field jn: use a nested query of that path"),
        (ots.TermQuery("items", "x"), "[term query] field: items type: nested is invalid, allow ["),
        (ots.TermQuery("j", "x"), "[term query] field: j type: json is invalid, allow ["),
        (ots.TermQuery("j.none", "x"), "[term query] field: j.none does not exist"),
    ]
    for query, says in queries:
        with invalid(mentions=says):
            rows.found(query)
    with invalid(mentions="field: items.price is in the nested field items"):
        rows.found(ots.MatchAllQuery(), sort=ots.Sort([ots.FieldSort("items.price")]))


def test_what_was_left_out_is_counted(rows: Indexed) -> None:
    with urllib.request.urlopen(f"{rows.server.endpoint}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    counted = [line for line in lines if line.startswith("lutra_index_unindexed_values{")]
    assert {name: [line.split()[-1] for line in counted if f'field="{name}"' in line] for name in LEFT_OUT} == {
        name: [f"{count}.0"] for name, count in LEFT_OUT.items()
    }
