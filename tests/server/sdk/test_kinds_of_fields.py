"""Kinds of fields that not all SDKs have names for, and fields that are fed from other columns."""

from __future__ import annotations

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, put, send
from support.searching import ALL_FROM_INDEX, columns_of, field, ids, search
from support.tables import TableMaker
from tablestore import FieldType

from lutra.server.wire import index_pb2 as wire

JAVA_TYPES = {"fuzzy": wire.FIELD_TYPE_FUZZY_KEYWORD, "ip": wire.FIELD_TYPE_IP, "flat": wire.FIELD_TYPE_FLATTENED}


def make_java_index(make: TableMaker, client: ots.OTSClient, table: str) -> str:
    """An index of fields whose types Python's SDK has no names for."""
    fields = [wire.FieldSchema(field_name=name, field_type=kind) for name, kind in JAVA_TYPES.items()]
    request = wire.CreateSearchIndexRequest(
        table_name=table, index_name="java", schema=wire.IndexSchema(field_schemas=fields)
    )
    send(client, "CreateSearchIndex", request.SerializeToString())
    return "java"


def _id(name: str) -> list[tuple[str, str]]:
    return [("id", name)]


def test_kinds_that_java_has(make: TableMaker, sync_client: ots.OTSClient, table: str) -> None:
    index = make_java_index(make, sync_client, table)
    put(sync_client, table, _id("a"), fuzzy="/srv/one.log", ip="10.1.2.3", flat='{"user": {"name": "Ann", "age": 7}}')
    put(sync_client, table, _id("b"), fuzzy="/srv/two.log", ip="::ffff:10.1.2.4", flat='{"user": {"name": "Bo"}}')
    put(sync_client, table, _id("c"), fuzzy="x" * 2_049, ip="2001:DB8::1", flat='{"tags": ["Ann"]}')
    put(sync_client, table, _id("d"), fuzzy=5, ip="10.1.2", flat="[]")
    make.wait_synced(table, index)

    def found(query: ots.Query, *sort: ots.Sorter) -> list[str]:
        return ids(search(sync_client, table, index, query, sort=ots.Sort(list(sort)) if sort else None))

    assert found(ots.WildcardQuery("fuzzy", "*/t?o*")) == ["b"]
    assert found(ots.PrefixQuery("fuzzy", "/srv")) == ["a", "b"]
    assert found(ots.TermQuery("fuzzy", "/srv/one.log")) == ["a"]
    assert found(ots.ExistsQuery("fuzzy")) == ["a", "b"]
    assert found(ots.TermQuery("ip", "10.1.0.0/16")) == ["a", "b"]
    assert found(ots.TermsQuery("ip", ["10.1.2.4", "2001:db8::/32"])) == ["b", "c"]
    assert found(ots.RangeQuery("ip", "10.1.2.4", "::ffff:ffff:ffff", True, True)) == ["b"]
    assert found(ots.ExistsQuery("ip"), ots.FieldSort("ip", ots.SortOrder.DESC)) == ["c", "b", "a"]
    assert found(ots.TermQuery("flat.user.name", "Ann")) == ["a"]
    assert found(ots.TermQuery("flat", "Ann")) == ["a", "c"]
    assert found(ots.TermQuery("flat.user.age", 7)) == ["a"]
    assert found(ots.ExistsQuery("flat.user")) == ["a", "b"]
    assert found(ots.ExistsQuery("flat.user.name"), ots.FieldSort("flat.user.name", ots.SortOrder.DESC)) == ["b", "a"]
    assert found(ots.TermQuery("flat.no.such.path", "x")) == []
    with invalid(mentions="[term query] field: ip.x does not exist"):
        found(ots.TermQuery("ip.x", "1"))
    with invalid(mentions="no value of that type"):
        found(ots.TermQuery("ip", "10.1.0.0/33"))

    answer = send(
        sync_client,
        "DescribeSearchIndex",
        wire.DescribeSearchIndexRequest(table_name=table, index_name=index).SerializeToString(),
    )
    told = wire.DescribeSearchIndexResponse.FromString(answer).schema.field_schemas
    assert {one.field_name: one.field_type for one in told} == JAVA_TYPES
    assert not any(one.HasField(flag) for one in told for flag in ("index", "sort_and_agg", "store"))


def test_one_column_feeds_several_fields(client: SdkClient, make: TableMaker, table: str) -> None:
    fields = [
        field("s", FieldType.KEYWORD),
        field("words", FieldType.TEXT, is_virtual_field=True, source_fields=["s"], enable_highlighting=True),
        field("number", FieldType.LONG, is_virtual_field=True, source_fields=["s"]),
        field("day", FieldType.DATE, is_virtual_field=True, source_fields=["s"], date_formats=["yyyy-MM-dd"]),
        field("text_of_n", FieldType.KEYWORD, is_virtual_field=True, source_fields=["n"]),
    ]
    index = make.index(table, fields)
    put(client, table, _id("a"), s="an otter swims", n=1)
    put(client, table, _id("b"), s="17", n=22)
    put(client, table, _id("c"), s="2026-11-30", n=3)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.MatchQuery("words", "otter"))) == ["a"]
    assert ids(search(client, table, index, ots.RangeQuery("number", 10, 20))) == ["b"]
    assert ids(search(client, table, index, ots.TermQuery("day", "2026-11-30"))) == ["c"]
    assert ids(search(client, table, index, ots.TermQuery("text_of_n", "22"))) == ["b"]
    response = search(client, table, index, ots.ExistsQuery("text_of_n"), columns=ALL_FROM_INDEX)
    assert [columns_of(row) for row in response.rows] == [{"s": "an otter swims"}, {"s": "17"}, {"s": "2026-11-30"}]
    wanted = ots.ColumnsToGet(["number", "n"], ots.ColumnReturnType.SPECIFIED)
    response = search(client, table, index, ots.TermQuery("number", 17), columns=wanted)
    assert [columns_of(row) for row in response.rows] == [{"n": 22}]
    highlight = ots.Highlight([ots.HighlightParameter("words", 1, 100, "<", ">")])
    response = search(client, table, index, ots.MatchQuery("words", "otter"), highlight=highlight)
    [hit] = response.search_hits
    assert [one.field_fragments for one in hit.highlight_result.highlight_fields] == [["an <otter> swims"]]
    described, _ = client.describe_search_index(table, index)
    assert [(one.is_virtual_field, one.source_fields) for one in described.fields] == [
        (False, []),
        *[(True, ["s"])] * 3,
        (True, ["n"]),
    ]


@pytest.mark.parametrize("is_array", [False, True])
def test_a_keyword_that_is_too_long_says_so(
    make: TableMaker, sync_client: ots.OTSClient, table: str, is_array: bool
) -> None:
    """Of an array the other elements are found."""
    index = make.index(table, [field("f", FieldType.KEYWORD, is_array=is_array)])
    long = "x" * 4_097
    put(sync_client, table, _id("row"), f=f'["a", "{long}"]' if is_array else long)
    make.wait_synced(table, index)
    assert ids(search(sync_client, table, index, ots.TermQuery("f", "a"))) == (["row"] if is_array else [])
    assert ids(search(sync_client, table, index, ots.MatchAllQuery())) == ["row"]


def test_groups_are_told_in_canonical_text(make: TableMaker, sync_client: ots.OTSClient, table: str) -> None:
    index = make_java_index(make, sync_client, table)
    for name, address, flat in (("a", "::FFFF:10.0.0.1", "x"), ("b", "10.0.0.1", "y"), ("c", "2001:DB8:0::0:1", "x")):
        put(sync_client, table, _id(name), ip=address, flat=f'{{"k": {{"w": "{flat}"}}}}')
    make.wait_synced(table, index)
    groups = [ots.GroupByField("ip", 10, name="by_ip"), ots.GroupByField("flat.k.w", 10, name="by_leaf")]
    query = ots.SearchQuery(ots.MatchAllQuery(), limit=0, group_bys=groups)
    by_ip, by_leaf = sync_client.search(table, index, query).group_by_results
    assert {one.key: one.row_count for one in by_ip.items} == {"10.0.0.1": 2, "2001:db8::1": 1}
    assert {one.key: one.row_count for one in by_leaf.items} == {"x": 2, "y": 1}
    with invalid(mentions="field_name:fuzzy type:fuzzy_keyword is invalid"):
        sync_client.search(
            table, index, ots.SearchQuery(ots.MatchAllQuery(), group_bys=[ots.GroupByField("fuzzy", 10, name="g")])
        )


def test_what_a_flag_rules_out(client: SdkClient, make: TableMaker, table: str) -> None:
    fields = [
        field("hidden", FieldType.LONG, index=False, enable_sort_and_agg=True),
        field("unsorted", FieldType.LONG, index=True, enable_sort_and_agg=False),
        field("unsaid", FieldType.LONG),
    ]
    index = make.index(table, fields)
    put(client, table, _id("a"), hidden=2, unsorted=2, unsaid=2)
    put(client, table, _id("b"), hidden=1, unsorted=1, unsaid=1)
    make.wait_synced(table, index)
    for name in ("hidden", "unsaid"):
        by = ots.Sort([ots.FieldSort(name)])
        assert ids(search(client, table, index, ots.MatchAllQuery(), sort=by)) == ["b", "a"]
        summed = client.search(table, index, ots.SearchQuery(ots.MatchAllQuery(), aggs=[ots.Sum(name)]))
        assert [one.value for one in summed.agg_results] == [3.0]
    for name in ("unsorted", "unsaid"):
        assert ids(search(client, table, index, ots.TermQuery(name, 2))) == ["a"]
    with invalid(mentions="[term query] field: hidden is not indexed"):
        search(client, table, index, ots.TermQuery("hidden", 2))
    with invalid(mentions="[field_sort] field: unsorted was created without sort_and_agg"):
        search(client, table, index, ots.MatchAllQuery(), sort=ots.Sort([ots.FieldSort("unsorted")]))
    with invalid(mentions="field: unsorted was created without sort_and_agg"):
        client.search(table, index, ots.SearchQuery(ots.MatchAllQuery(), aggs=[ots.Sum("unsorted")]))


def test_an_index_sort_is_the_order_where_none_is_asked_for(make: TableMaker, client: SdkClient, table: str) -> None:
    by = ots.Sort([ots.FieldSort("n", ots.SortOrder.DESC), ots.PrimaryKeySort()])
    index = make.index(table, [field("n", FieldType.LONG)], index_sort=by)
    for name, number in (("a", 1), ("b", 3), ("c", 2)):
        put(client, table, _id(name), n=number)
    make.wait_synced(table, index)
    assert ids(search(client, table, index, ots.MatchAllQuery())) == ["b", "c", "a"]
    other = ots.Sort([ots.PrimaryKeySort(ots.SortOrder.DESC)])
    assert ids(search(client, table, index, ots.MatchAllQuery(), sort=other)) == ["c", "b", "a"]
    nested = field("items", FieldType.NESTED, sub_field_schemas=[field("k", FieldType.LONG)])
    meta = ots.SearchIndexMeta([field("n", FieldType.LONG), nested], index_sort=by)
    with invalid(mentions="an index with a nested field cannot be sorted"):
        client.create_search_index(table, "sorted_nested", meta)
