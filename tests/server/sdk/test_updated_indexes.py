"""UpdateSearchIndex, and re-indexing as the SDKs that have it send it."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, put, send
from support.searching import field, ids, search
from support.tables import SYNCED_WITHIN_S, TableMaker
from support.waiting import wait_until
from tablestore import FieldType

from lutra.server.wire import index_pb2 as wire

DAY_S = 86_400
WORD = wire.FieldSchema(field_name="word", field_type=wire.FIELD_TYPE_KEYWORD)
NUMBER = wire.FieldSchema(field_name="n", field_type=wire.FIELD_TYPE_LONG)


def update(client: ots.OTSClient, table: str, index: str, **changes: Any) -> None:
    request = wire.UpdateSearchIndexRequest(table_name=table, index_name=index, **changes)
    assert send(client, "UpdateSearchIndex", request.SerializeToString()) == b""


def weighed(index: str, weight: int) -> wire.QueryFlowWeight:
    return wire.QueryFlowWeight(index_name=index, weight=weight)


def described(client: ots.OTSClient, table: str, index: str) -> wire.DescribeSearchIndexResponse:
    request = wire.DescribeSearchIndexRequest(table_name=table, index_name=index)
    return wire.DescribeSearchIndexResponse.FromString(send(client, "DescribeSearchIndex", request.SerializeToString()))


def test_time_to_live(client: SdkClient, make: TableMaker, sync_client: ots.OTSClient) -> None:
    table = make.table(options=ots.TableOptions(allow_update=False))
    index = make.index(table, [field("n", FieldType.LONG)])
    for ttl_s in (2 * DAY_S, DAY_S, 3 * DAY_S, -1):
        client.update_search_index(table, index, ots.SearchIndexMeta(None, time_to_live=ttl_s))
        assert client.describe_search_index(table, index)[0].time_to_live == ttl_s
    with invalid(mentions="time_to_live is -1 or at least 86400"):
        client.update_search_index(table, index, ots.SearchIndexMeta(None, time_to_live=60))
    make.wait_synced(table, index)


def test_a_field_is_added(make: TableMaker, sync_client: ots.OTSClient, table: str) -> None:
    index = make.index(table, [field("n", FieldType.LONG)])
    put(sync_client, table, [("id", "old")], n=1, word="x")
    make.wait_synced(table, index)
    update(sync_client, table, index, added_field_schemas=[WORD])
    assert [one.field_name for one in described(sync_client, table, index).schema.field_schemas] == ["n", "word"]
    # While it is filled the SDK tries again; when DescribeSearchIndex says so it is filled.
    make.wait_synced(table, index)
    assert ids(search(sync_client, table, index, ots.TermQuery("word", "x"))) == ["old"]
    with invalid(mentions="field [word] already exists"):
        update(sync_client, table, index, added_field_schemas=[WORD])


def test_an_index_takes_anothers_place(make: TableMaker, sync_client: ots.OTSClient, table: str) -> None:
    """As the documentation of changing a schema goes: made, filled, tried by weight, switched, deleted."""
    index = make.index(table, [field("n", FieldType.LONG)])
    for name in "abc":
        put(sync_client, table, [("id", name)], n=1, word=name)
    other = f"{index}_reindex"
    request = wire.CreateSearchIndexRequest(
        table_name=table,
        index_name=other,
        schema=wire.IndexSchema(field_schemas=[NUMBER, WORD]),
        source_index_name=index,
    )
    send(sync_client, "CreateSearchIndex", request.SerializeToString())
    make.wait_synced(table, other)
    told = described(sync_client, table, index)
    assert told.brother_index_name == other
    assert [(one.index_name, one.weight) for one in told.query_flow_weight] == [(index, 100), (other, 0)]
    update(sync_client, table, index, query_flow_weight=[weighed(index, 0), weighed(other, 100)])
    assert ids(search(sync_client, table, index, ots.TermQuery("word", "b"))) == ["b"]
    update(sync_client, table, index, switch_index_name=other)
    told = described(sync_client, table, index)
    assert [one.field_name for one in told.schema.field_schemas] == ["n", "word"]
    assert [(one.index_name, one.weight) for one in told.query_flow_weight] == [(index, 100), (other, 0)]
    with invalid(mentions=f"[{index}] is re-indexed as [{other}]"):
        sync_client.delete_search_index(table, index)
    sync_client.delete_search_index(table, other)
    told = described(sync_client, table, index)
    assert not told.HasField("brother_index_name")
    assert not told.query_flow_weight
    assert ids(search(sync_client, table, index, ots.TermQuery("word", "c"))) == ["c"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "nothing of search index"),
        (
            {"query_flow_weight": [{"index_name": "a", "weight": 1}, {"index_name": "a", "weight": 2}]},
            "one entry for each",
        ),
        ({"added_field_schemas": [wire.FieldSchema(field_name="f")]}, "field [f] has no valid type"),
    ],
)
def test_what_makes_no_sense(
    make: TableMaker, sync_client: ots.OTSClient, table: str, changes: dict[str, Any], says: str
) -> None:
    index = make.index(table, [field("n", FieldType.LONG)])
    with invalid(mentions=says):
        update(sync_client, table, index, **changes)
    wait_until(lambda: ids(search(sync_client, table, index, ots.MatchAllQuery())) == [], SYNCED_WITHIN_S)
