"""Documents within rows, through the SDK: nested queries, inner hits, highlighting."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, load, refused
from support.searching import ALL_FROM_INDEX, BY_SCORE, columns_of, every_page, field, ids, scores, search, vector_field
from support.tables import TableMaker
from tablestore import BoolQuery, FieldType, MatchAllQuery, MatchQuery, NestedQuery, RangeQuery, ScoreMode, TermQuery

ROWS: dict[str, Any] = {
    "a": [
        {"color": "red", "price": 1, "text": "a red otter", "v": [0.0, 0.0], "parts": [{"note": "otter tail"}]},
        {"color": "blue", "price": 9, "text": "a blue river", "v": [0.1, 0.0]},
    ],
    "b": [{"color": "red", "price": 9, "text": "otter and otter"}, None, {"text": "no <b>", "v": [1.0, 0.0]}],
    "c": [
        None,
        {"color": "green", "parts": [{"note": "x"}, {"note": "the otter's ear"}, {"note": "otter, otter"}]},
        {"text": "an otter"},
    ],
    "d": [],
}


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> tuple[str, str]:
    table = make_for_module.table()
    load(
        sync_client,
        table,
        [
            ([("id", key)], {"items": json.dumps(items), "doc": json.dumps({"note": f"{key} otter"})})
            for key, items in ROWS.items()
        ],
    )
    text = {"analyzer": ots.AnalyzerType.SINGLEWORD, "enable_highlighting": True}
    items = [
        field("color", FieldType.KEYWORD),
        field("price", FieldType.LONG),
        field("text", FieldType.TEXT, **text),
        vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN),
        field("parts", FieldType.NESTED, sub_field_schemas=[field("note", FieldType.TEXT, **text)]),
    ]
    note = [field("note", FieldType.TEXT, **text)]
    fields = [
        field("items", FieldType.NESTED, sub_field_schemas=items),
        field("doc", FieldType.JSON, json_type=ots.JsonType.OBJECT_JSON, sub_field_schemas=note),
    ]
    return table, make_for_module.index(table, fields)


def found(client: SdkClient, rows: tuple[str, str], query: ots.Query) -> str:
    return "".join(ids(search(client, *rows, query)))


def highlight(*names: str) -> ots.Highlight:
    return ots.Highlight([ots.HighlightParameter(name) for name in names])


def inner(hit: Any) -> dict[str, list[Any]]:
    """Place, fragments and what is below, of each inner hit, by path."""
    return {
        one.path: [
            (
                own.nested_doc_offset,
                [fragment for shown in own.highlight_result.highlight_fields for fragment in shown.field_fragments],
                inner(own),
            )
            for own in one.search_hits
        ]
        for one in hit.search_inner_hits
    }


def test_conditions_hold_of_one_document(client: SdkClient, rows: tuple[str, str]) -> None:
    red, dear = TermQuery("items.color", "red"), RangeQuery("items.price", range_from=5)
    assert found(client, rows, NestedQuery("items", red)) == "ab"
    assert found(client, rows, NestedQuery("items", BoolQuery(must_queries=[red, dear]))) == "b"
    apart = [NestedQuery("items", red), NestedQuery("items", dear)]
    assert found(client, rows, BoolQuery(must_queries=apart)) == "ab"
    assert found(client, rows, BoolQuery(must_not_queries=[NestedQuery("items", MatchAllQuery())])) == "d"
    deep = NestedQuery("items", NestedQuery("items.parts", MatchQuery("items.parts.note", "ear")))
    assert found(client, rows, deep) == "c"
    assert found(client, rows, NestedQuery("items.parts", MatchQuery("items.parts.note", "otter"))) == "ac"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (ScoreMode.NONE, {"a": 0, "b": 0}),
        (ScoreMode.MAX, {"a": 9, "b": 9}),
        (ScoreMode.MIN, {"a": 1, "b": 9}),
        (ScoreMode.AVG, {"a": 5, "b": 9}),
        (ScoreMode.TOTAL, {"a": 10, "b": 9}),
    ],
)
def test_scores(client: SdkClient, rows: tuple[str, str], mode: ScoreMode, expected: dict[str, float]) -> None:
    priced = ots.FunctionScoreQuery(RangeQuery("items.price", 0, 10), ots.FieldValueFactor("items.price"))
    response = search(client, *rows, NestedQuery("items", priced, mode, weight=2.0), sort=BY_SCORE)
    assert dict(zip(ids(response), scores(response), strict=True)) == {
        key: 2 * score for key, score in expected.items()
    }


def test_neighbours(client: SdkClient, rows: tuple[str, str]) -> None:
    """Two rows, although the two nearest documents are of one."""
    near = ots.KnnVectorQuery("items.v", 2, [0.0, 0.0])
    response = search(client, *rows, NestedQuery("items", near, ScoreMode.MAX), sort=BY_SCORE)
    assert list(zip(ids(response), scores(response), strict=True)) == [("a", 1.0), ("b", 0.5)]


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="the SDK's native codec leaves out what is within inner hits"
)
def test_inner_hits(client: SdkClient, rows: tuple[str, str]) -> None:
    """With the documents' places, nulls left out of account, and the words that were looked for."""
    below = ots.InnerHits(ots.Sort([ots.DocSort()]), 0, 10, highlight("items.parts.note"))
    parts = NestedQuery("items.parts", MatchQuery("items.parts.note", "otter"), ScoreMode.MAX, below)
    either = BoolQuery(should_queries=[MatchQuery("items.text", "otter"), parts])
    asked = ots.InnerHits(ots.Sort([ots.ScoreSort(), ots.DocSort()]), 0, 10, highlight("items.text"))
    query = NestedQuery("items", either, ScoreMode.MAX, asked)
    response = search(client, *rows, query, columns=ALL_FROM_INDEX)
    by_row = dict(zip(ids(response), map(inner, response.search_hits), strict=True))
    below_c = {"items.parts": [(1, ["the <em>otter</em>'s ear"], {}), (2, ["<em>otter</em>, <em>otter</em>"], {})]}
    assert sorted(by_row.pop("c")["items"]) == [(0, [], below_c), (1, ["an <em>otter</em>"], {"items.parts": []})]
    assert by_row == {
        "a": {"items": [(0, ["a red <em>otter</em>"], {"items.parts": [(0, ["<em>otter</em> tail"], {})]})]},
        "b": {"items": [(0, ["<em>otter</em> and <em>otter</em>"], {"items.parts": []})]},
    }
    assert json.loads(columns_of(response.rows[0])["items"]) == ROWS["a"]


def test_pages_of_inner_hits(client: SdkClient, rows: tuple[str, str]) -> None:
    by_price = ots.Sort([ots.FieldSort("items.price", ots.SortOrder.DESC)])
    query = NestedQuery("items", MatchAllQuery(), inner_hits=ots.InnerHits(by_price, 0, 1, None))
    response = search(client, *rows, query)
    own = [hit.search_inner_hits[0].search_hits for hit in response.search_hits]
    assert [[one.nested_doc_offset for one in hits] for hits in own] == [[1], [0], [0]]
    assert all(math.isnan(one.score) for hits in own for one in hits)
    following = NestedQuery("items", MatchAllQuery(), inner_hits=ots.InnerHits(by_price, 1, 5, None))
    own = [hit.search_inner_hits[0].search_hits for hit in search(client, *rows, following).search_hits]
    assert [[one.nested_doc_offset for one in hits] for hits in own] == [[0], [1], [1]]
    assert not search(client, *rows, MatchAllQuery()).search_hits[0].search_inner_hits


def test_highlighting_of_objects(client: SdkClient, rows: tuple[str, str]) -> None:
    response = search(client, *rows, MatchQuery("doc.note", "otter"), highlight=highlight("doc.note"))
    shown = [hit.highlight_result.highlight_fields for hit in response.search_hits]
    assert [[own.field_fragments[0] for own in fields] for fields in shown] == [
        [f"{key} <em>otter</em>"] for key in ROWS
    ]


def test_refuses(client: SdkClient, rows: tuple[str, str]) -> None:
    for query, says in [
        (TermQuery("items.color", "red"), "is in the nested field items"),
        (NestedQuery("doc", MatchAllQuery()), "path: doc type: json is invalid"),
        (NestedQuery("items", TermQuery("doc.note", "a")), "doc.note is not below the nested field items"),
        (NestedQuery("", MatchAllQuery()), "has no [path]"),
    ]:
        with refused("OTSParameterInvalid", 400, mentions=says):
            search(client, *rows, query)


def test_sorts_by_documents(client: SdkClient, rows: tuple[str, str]) -> None:
    """Those that the filter matches, page by page: the token carries it."""
    red = ots.NestedFilter("items", TermQuery("items.color", "red"))
    by_red = ots.Sort([ots.FieldSort("items.price", ots.SortOrder.DESC, nested_filter=red)])
    assert every_page(client, *rows, MatchAllQuery(), sort=by_red, limit=2) == [["b", "a"], ["c", "d"]]
    everything = ots.NestedFilter("items", MatchAllQuery())
    dearest = ots.Sort([ots.FieldSort("items.price", ots.SortOrder.DESC, ots.SortMode.AVG, everything)])
    assert ids(search(client, *rows, MatchAllQuery(), sort=dearest)) == ["b", "a", "c", "d"]
    with refused("OTSParameterInvalid", 400, mentions="use a nested_filter of that path"):
        search(client, *rows, MatchAllQuery(), sort=ots.Sort([ots.FieldSort("items.price")]))
