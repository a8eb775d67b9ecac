"""What the Python SDK's own live tests of texts send, and the counts, scores and highlights that they expect."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tablestore as ots
from support.sdk import invalid, load
from support.searching import ALL, ALL_FROM_INDEX, BY_SCORE, columns_of, field, ids, scores, search
from support.tables import TableMaker
from tablestore import (
    AnalyzerType,
    BoolQuery,
    FieldType,
    MatchAllQuery,
    MatchPhraseQuery,
    MatchQuery,
    NestedQuery,
    QueryOperator,
    RangeQuery,
    TermQuery,
)

pytestmark = pytest.mark.slow

PAGES = {
    "http://a.com/001.html": ("forum", "求推荐几款菊花茶店铺", 25),
    "http://b.com/news/001.html": ("news", "秋天最适合饮用的几种花茶", 30),
    "http://a.com/011.html": ("forum", "苕溪边上有一大片野生菊花", 100),
    "http://a.com/019.html": ("forum", "菊花茶是一款大部分人都适合的经典花茶", 120),
}
BY_WORTH = ["http://a.com/019.html", "http://b.com/news/001.html", "http://a.com/001.html"]
WORTH = ots.FunctionScoreQuery(MatchQuery("title", "花茶"), ots.FieldValueFactor("pv"))
Indexed = tuple[str, str]


@pytest.fixture(scope="module")
def pages(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    table = make_for_module.table([("url", "STRING")])
    load(
        sync_client,
        table,
        [([("url", url)], {"type": kind, "title": title, "pv": views}) for url, (kind, title, views) in PAGES.items()],
    )
    fields = [
        field("url", FieldType.KEYWORD, index=True, enable_sort_and_agg=True),
        field("title", FieldType.TEXT, index=True, analyzer=AnalyzerType.MAXWORD, enable_highlighting=True),
        field("type", FieldType.KEYWORD, index=True, enable_sort_and_agg=True),
        field("pv", FieldType.LONG, index=True, enable_sort_and_agg=True),
        field("author", FieldType.TEXT, index=True, enable_sort_and_agg=False),
    ]
    by_key = ots.Sort(sorters=[ots.PrimaryKeySort(ots.SortOrder.ASC)])
    return table, make_for_module.index(table, fields, index_setting=None, index_sort=by_key)


@pytest.mark.parametrize(
    ("query", "total"),
    [
        (MatchAllQuery(), 4),
        (MatchQuery("title", "菊花茶"), 4),
        (MatchQuery("title", "梨花茶"), 3),
        (MatchQuery("title", "花茶"), 3),
        (MatchQuery("title", "菊花"), 3),
        (MatchQuery("title", "饮用花茶", operator=QueryOperator.AND), 1),
        (MatchQuery("title", "饮用花茶", operator=QueryOperator.OR), 3),
        (MatchQuery("title", "饮用花茶", operator=QueryOperator.OR, minimum_should_match=2), 1),
        (MatchPhraseQuery("title", "野生菊花"), 1),
        (MatchPhraseQuery("title", "秋天菊花"), 0),
    ],
)
def test_words_of_chinese(sync_client: ots.OTSClient, pages: Indexed, query: ots.Query, total: int) -> None:
    """``菊花茶`` has the words ``菊花`` and ``花茶``."""
    response = search(sync_client, *pages, query, limit=10, get_total_count=True, columns=ALL)
    assert (len(response.rows), response.next_token, response.total_count) == (total, b"", total)


def by_worth(client: ots.OTSClient, pages: Indexed, **options: Any) -> ots.SearchResponse:
    """Checks what comes with highlights and without."""
    response = search(
        client,
        *pages,
        WORTH,
        limit=10,
        get_total_count=True,
        sort=BY_SCORE,
        columns=ots.ColumnsToGet(["title", "url"], ots.ColumnReturnType.SPECIFIED),
        **options,
    )
    assert (ids(response), response.total_count, response.next_token) == (BY_WORTH, 3, b"")
    assert [columns_of(row) for row in response.rows] == [{"title": PAGES[url][1]} for url in BY_WORTH]
    assert scores(response) == pytest.approx([53.5, 11.5, 9.5], rel=0.06)
    return response


def test_scores_times_a_field(sync_client: ots.OTSClient, pages: Indexed) -> None:
    """They expect 53, 11 and 9 and a fraction, of BM25 times the page's views. Here the first is 51: by another
    dictionary its text has relatively more words."""
    for hit in by_worth(sync_client, pages).search_hits:
        assert hit.highlight_result.highlight_fields == []


def test_highlights(sync_client: ots.OTSClient, pages: Indexed) -> None:
    style = ots.HighlightParameter("title", 1, 18, "<b>", "</b>", ots.HighlightFragmentOrder.TEXT_SEQUENCE)
    response = by_worth(sync_client, pages, highlight=ots.Highlight([style], ots.HighlightEncoder.PLAIN_MODE))
    shown = [
        [(one.field_name, one.field_fragments) for one in hit.highlight_result.highlight_fields]
        for hit in response.search_hits
    ]
    assert shown == [
        [("title", ["菊<b>花茶</b>是一款大部分人都适合的经典<b>花茶</b>"])],
        [("title", ["秋天最适合饮用的几种<b>花茶</b>"])],
        [("title", ["求推荐几款菊<b>花茶</b>店铺"])],
    ]


def test_no_highlights_of_a_field_without_them(sync_client: ots.OTSClient, pages: Indexed) -> None:
    style = ots.HighlightParameter("author", 1, 18, "<b>", "</b>", ots.HighlightFragmentOrder.TEXT_SEQUENCE)
    query = ots.FunctionScoreQuery(MatchQuery("author", "wang"), ots.FieldValueFactor("pv"))
    with invalid("highlighting is not supported for field[author]"):
        search(sync_client, *pages, query, limit=10, highlight=ots.Highlight([style]), columns=ALL_FROM_INDEX)


@pytest.fixture(scope="module")
def roads(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    table = make_for_module.table([("PK1", "INTEGER"), ("PK2", "STRING")], options=ots.TableOptions(allow_update=False))
    load(
        sync_client,
        table,
        [
            (
                [("PK1", n), ("PK2", f"pk_{n}")],
                {
                    "k": f"key{n:03d}",
                    "l": n,
                    "title": f"zhongguo zhejiang hangzhou xihu {1900 + n} road",
                    "n": json.dumps([{"nl": n, "nt": f"this is in nested {n}"}]),
                },
            )
            for n in range(10)
        ],
    )
    fields = [
        field("k", FieldType.KEYWORD, index=True, enable_sort_and_agg=True),
        field("l", FieldType.LONG, index=True, enable_sort_and_agg=True),
        field("title", FieldType.TEXT, index=True, analyzer=AnalyzerType.SINGLEWORD, enable_highlighting=True),
        field(
            "n",
            FieldType.NESTED,
            sub_field_schemas=[
                field("nl", FieldType.LONG, index=True, enable_sort_and_agg=True),
                field("nt", FieldType.TEXT, index=True, enable_highlighting=True),
            ],
        ),
    ]
    setting = ots.IndexSetting(routing_fields=["PK1"])
    return table, make_for_module.index(table, fields, index_setting=setting, index_sort=None, time_to_live=365 * 86400)


def test_time_to_live_of_an_index(sync_client: ots.OTSClient, roads: Indexed) -> None:
    days = 365
    for after in (180, 365):
        assert sync_client.describe_search_index(*roads)[0].time_to_live == days * 86400
        sync_client.update_search_index(*roads, ots.SearchIndexMeta(fields=None, time_to_live=after * 86400))
        days = after
    assert sync_client.list_search_index(roads[0]) == [roads]


def test_texts_and_numbers(sync_client: ots.OTSClient, roads: Indexed) -> None:
    def numbers(query: ots.Query, **options: Any) -> list[int]:
        return ids(search(sync_client, *roads, query, **options))

    assert numbers(MatchQuery("title", "hangzhou")) == numbers(MatchPhraseQuery("title", "hangzhou")) == list(range(10))
    query = BoolQuery(
        must_queries=[
            RangeQuery("k", range_from="key001", include_lower=False),
            BoolQuery(must_queries=[MatchQuery("title", "hangzhou")]),
        ],
        must_not_queries=[TermQuery("k", "key005")],
        should_queries=[
            RangeQuery("k", range_from="key003", include_lower=False),
            MatchQuery("title", "xihu"),
        ],
        minimum_should_match=2,
    )
    assert numbers(query, sort=ots.Sort([ots.FieldSort("l", ots.SortOrder.ASC)])) == [4, 6, 7, 8, 9]
    query = ots.FunctionScoreQuery(MatchQuery("title", "xihu"), ots.FieldValueFactor("l"))
    assert numbers(query, sort=BY_SCORE) == list(range(9, -1, -1))
    query = NestedQuery("n", RangeQuery("n.nl", range_from=2, range_to=6, include_lower=True, include_upper=True))
    within = ots.NestedFilter("n", RangeQuery("n.nl", range_from=4, range_to=6))
    sort = ots.Sort([ots.FieldSort("n.nl", sort_order=ots.SortOrder.ASC, nested_filter=within)])
    assert numbers(query, sort=sort) == [4, 5, 2, 3, 6]


def test_highlights_of_words_and_of_nested_documents(sync_client: ots.OTSClient, roads: Indexed) -> None:
    def highlight(name: str) -> ots.Highlight:
        style = ots.HighlightParameter(name, 1, 18, "<b>", "</b>", ots.HighlightFragmentOrder.TEXT_SEQUENCE)
        return ots.Highlight([style], ots.HighlightEncoder.PLAIN_MODE)

    def shown(hit: Any) -> list[tuple[str, list[str]]]:
        return [(one.field_name, one.field_fragments) for one in hit.highlight_result.highlight_fields]

    options = {"limit": 2, "get_total_count": True, "columns": ALL_FROM_INDEX}
    response = search(sync_client, *roads, MatchQuery("title", "xihu"), highlight=highlight("title"), **options)
    assert (len(response.rows), response.total_count) == (2, 10)
    for hit in response.search_hits:
        [(name, [fragment])] = shown(hit)
        assert name == "title"
        assert "<b>xihu</b>" in fragment
    inner_hits = ots.InnerHits(None, 0, 10, highlight("n.nt"))
    query = NestedQuery("n", MatchQuery("n.nt", "nested"), ots.ScoreMode.AVG, inner_hits)
    response = search(sync_client, *roads, query, **options)
    assert (len(response.rows), response.total_count) == (2, 10)
    for hit in response.search_hits:
        [inner] = hit.search_inner_hits
        assert inner.path == "n"
        [below] = inner.search_hits
        [(name, [fragment])] = shown(below)
        assert name == "n.nt"
        assert "<b>nested</b>" in fragment
