"""CreateSearchIndex, DescribeSearchIndex, ListSearchIndex and DeleteSearchIndex."""

from __future__ import annotations

import time
from typing import Any

import pytest
import tablestore as ots
from support.sdk import IGNORE, SdkClient, get, invalid, load, put, refused, send
from support.searching import field, ids, search, vector_field
from support.tables import TableMaker
from support.waiting import wait_until
from tablestore import FieldType
from tablestore.metadata import SyncPhase
from tablestore.protobuf import table_store_pb2 as wire

EUCLIDEAN = ots.VectorMetricType.VM_EUCLIDEAN
FRESH_WITHIN_S = 20
DAY_S = 86_400
N, M = field("n", FieldType.LONG), field("m", FieldType.LONG)


def _create(client: SdkClient, table: str, fields: list[ots.FieldSchema], name: str = "bad_index", **more: Any) -> None:
    client.create_search_index(table, name, ots.SearchIndexMeta(fields, **more))


def test_an_index_is_described_as_it_was_created(client: SdkClient, table: str) -> None:
    fields = [
        field("n", FieldType.LONG, index=True, enable_sort_and_agg=False, store=True),
        field("tags", FieldType.KEYWORD, is_array=True, store=False),
        field("day", FieldType.DATE, date_formats=["yyyy-MM-dd", "epoch_millis"]),
        vector_field("v", 3, ots.VectorMetricType.VM_COSINE),
    ]
    sort = ots.Sort([ots.FieldSort("day", ots.SortOrder.DESC)])
    meta = ots.SearchIndexMeta(fields, ots.IndexSetting(routing_fields=["id"]), sort)
    client.create_search_index(table, "described", meta)
    described, _ = client.describe_search_index(table, "described")
    by_name = {schema.field_name: schema for schema in described.fields}
    assert [schema.field_name for schema in described.fields] == ["n", "tags", "day", "v"]
    assert [schema.field_type for schema in described.fields] == [
        FieldType.LONG,
        FieldType.KEYWORD,
        FieldType.DATE,
        FieldType.VECTOR,
    ]
    assert (by_name["n"].index, by_name["n"].enable_sort_and_agg, by_name["n"].store) == (True, False, True)
    assert (by_name["tags"].is_array, by_name["tags"].store) == (True, False)
    assert by_name["day"].enable_sort_and_agg is False  # as the SDK reads what was not said
    assert by_name["day"].date_formats == ["yyyy-MM-dd", "epoch_millis"]
    options = by_name["v"].vector_options
    assert (options.data_type, options.dimension) == (ots.VectorDataType.VD_FLOAT_32, 3)
    assert options.metric_type == ots.VectorMetricType.VM_COSINE
    assert described.index_setting.routing_fields == ["id"]
    [sorter] = described.index_sort.sorters
    assert (sorter.field_name, sorter.sort_order) == ("day", ots.SortOrder.DESC)
    assert described.time_to_live == -1


def test_an_index_with_a_time_to_live(client: SdkClient, make: TableMaker) -> None:
    """Its table has no UpdateRow, and lives as long."""
    table = make.table(options=ots.TableOptions(3 * DAY_S))
    for ttl_s, says in ((2 * DAY_S, "allow_update"), (4 * DAY_S, "longer than the table's")):
        with invalid(mentions=says):
            _create(client, table, [N], "dated", time_to_live=ttl_s)
    client.update_table(table, ots.TableOptions(None, None, None, allow_update=False))
    _create(client, table, [N], "dated", time_to_live=2 * DAY_S)
    described, _ = client.describe_search_index(table, "dated")
    assert described.time_to_live == 2 * DAY_S
    put(client, table, [("id", "a")], n=1)
    with invalid(mentions="allow_update is false"):
        client.update_row(table, ots.Row([("id", "a")], {"PUT": [("n", 2)]}), IGNORE)
    for options, says in (
        (ots.TableOptions(None, None, None, allow_update=True), "search index [dated] has a time_to_live"),
        (ots.TableOptions(DAY_S, None, None), f"table ttl is {DAY_S} and search index ttl is [dated:{2 * DAY_S}]"),
    ):
        with invalid(mentions=says):
            client.update_table(table, options)
    wait_until(lambda: ids(search(client, table, "dated", ots.TermQuery("n", 1))) == ["a"], FRESH_WITHIN_S)
    client.delete_search_index(table, "dated")
    client.update_table(table, ots.TableOptions(DAY_S, None, None, allow_update=True))


def test_an_index_with_a_time_to_live_on_rows_that_are_updated_as_a_whole(
    sync_client: ots.OTSClient, make: TableMaker
) -> None:
    """With ``update_full_row``, for which this client's messages have no field."""
    client = sync_client
    table = make.table(options=ots.TableOptions(3 * DAY_S))
    full_row, not_full_row = b"\x1a\x02\x38\x01", b"\x1a\x02\x38\x00"  # table_options.update_full_row
    request = wire.UpdateTableRequest(table_name=table).SerializeToString()
    send(client, "UpdateTable", request + full_row)
    _create(client, table, [N, M], "dated", time_to_live=2 * DAY_S)
    put(client, table, [("id", "a")], n=1, m=1)
    time.sleep(0.002)
    client.update_row(table, ots.Row([("id", "a")], {"PUT": [("n", 2)]}), IGNORE)
    _, row, _ = client.get_row(table, [("id", "a")])
    [(m, m_ms), (n, n_ms)] = [(value, timestamp) for _, value, timestamp in row.attribute_columns]
    assert ((m, n), m_ms) == ((1, 2), n_ms)
    query = ots.BoolQuery(must_queries=[ots.TermQuery("n", 2), ots.TermQuery("m", 1)])
    wait_until(lambda: ids(search(client, table, "dated", query)) == ["a"], FRESH_WITHIN_S)
    with invalid(mentions="rows of table"):
        client.update_row(table, ots.Row([("id", "a")], {"PUT": [("n", 2, 1_000)]}), IGNORE)
    with invalid(mentions="search index [dated] has a time_to_live"):
        send(client, "UpdateTable", request + not_full_row)
    with invalid(mentions="max_versions is 1"):
        client.update_table(table, ots.TableOptions(None, 2, None))


def test_an_index_on_rows_that_are_there(client: SdkClient, make: TableMaker, sync_client: ots.OTSClient) -> None:
    """It fills from the table, then follows it; what DescribeSearchIndex says is true."""
    table = make.table()
    load(sync_client, table, [([("id", f"{n:04d}")], {"n": n}) for n in range(1_000)])
    client.create_search_index(table, "filled", ots.SearchIndexMeta([N]))
    phases = [SyncPhase.FULL]

    def is_following() -> bool:
        _, stat = client.describe_search_index(table, "filled")
        phases.append(stat.sync_phase)
        return stat.sync_phase == SyncPhase.INCR

    wait_until(is_following, within_s=10)
    assert phases == sorted(phases)
    make.wait_synced(table, "filled")
    response = search(client, table, "filled", ots.MatchAllQuery(), get_total_count=True)
    assert response.total_count == 1_000
    put(client, table, [("id", "new")], n=7_000)
    make.wait_synced(table, "filled")
    assert ids(search(client, table, "filled", ots.TermQuery("n", 7_000))) == ["new"]


def test_the_state_of_an_index(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [N])
    _, stat = client.describe_search_index(table, index)
    assert stat.sync_phase == SyncPhase.INCR
    assert abs(stat.current_sync_timestamp / 1e9 - time.time()) < FRESH_WITHIN_S
    _, stat = client.describe_search_index(table, index, False)
    assert stat is None


def test_an_idle_index_stays_fresh(client: SdkClient, make: TableMaker, table: str) -> None:
    """SDK helpers wait for a timestamp later than their last write, which comes without any further write."""
    index = make.index(table, [N])
    put(client, table, [("id", "a")], n=1)
    for _ in range(2):
        make.wait_synced(table, index)
        time.sleep(0.2)


def test_indexes_are_listed(client: SdkClient, make: TableMaker) -> None:
    first, second = make.table(), make.table()
    names = {(table, make.index(table, [N])) for table in (first, first, second)}
    assert names <= set(client.list_search_index())
    assert set(client.list_search_index(first)) == {name for name in names if name[0] == first}
    assert client.list_search_index(make.table()) == []


def test_an_index_is_created_once(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [N])
    with refused("OTSObjectAlreadyExist", 409, mentions=index):
        _create(client, table, [N], index)


def test_a_deleted_index_is_gone(client: SdkClient, make: TableMaker, table: str) -> None:
    put(client, table, [("id", "a")], n=1)
    index = make.index(table, [N])
    client.delete_search_index(table, index)
    assert client.list_search_index(table) == []
    with refused("OTSMetaNotMatch", 400, f"search index [{index}] does not exist"):
        search(client, table, index, ots.MatchAllQuery())
    assert get(client, table, [("id", "a")]) is not None


def test_an_index_made_again_under_its_name(client: SdkClient, make: TableMaker, table: str) -> None:
    put(client, table, [("id", "a")], n=1, m=2)
    _create(client, table, [N], "again")
    client.delete_search_index(table, "again")
    _create(client, table, [field("m", FieldType.LONG)], "again")
    make.wait_synced(table, "again")
    assert ids(search(client, table, "again", ots.TermQuery("m", 2))) == ["a"]
    with invalid(mentions="n"):
        search(client, table, "again", ots.TermQuery("n", 1))


def test_what_is_not_there(client: SdkClient, table: str) -> None:
    for call in (
        lambda: client.describe_search_index(table, "absent"),
        lambda: client.delete_search_index(table, "absent"),
        lambda: search(client, table, "absent", ots.MatchAllQuery()),
    ):
        with refused("OTSMetaNotMatch", 400, "search index [absent] does not exist"):
            call()
    for call in (
        lambda: client.describe_search_index("not_exist", "absent"),
        lambda: client.delete_search_index("not_exist", "absent"),
        lambda: search(client, "not_exist", "absent", ots.MatchAllQuery()),
        lambda: _create(client, "not_exist", [N]),
    ):
        with invalid("table [not_exist] does not exist"):
            call()


def test_an_index_is_looked_at_before_its_table(client: SdkClient) -> None:
    with invalid("search index name [1st] is invalid: letters, digits and _, not a digit first"):
        _create(client, "absent", [N], "1st")
    with invalid("field [n] is given twice"):
        _create(client, "absent", [N, N])
    with invalid("table [absent] does not exist"):
        _create(client, "absent", [N])


def test_a_table_with_an_index_cannot_be_deleted(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [N])
    with invalid(f"Table[{table}] who has at least one search index cannot be deleted."):
        client.delete_table(table)
    assert table in client.list_table()
    client.delete_search_index(table, index)
    client.delete_table(table)
    assert table not in client.list_table()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([], id="no field"),
        pytest.param([N, field("n", FieldType.DOUBLE)], id="twice"),
        pytest.param([field("", FieldType.LONG)], id="no name"),
        pytest.param([field("v", FieldType.VECTOR)], id="vector without options"),
        pytest.param([vector_field("v", 0, EUCLIDEAN)], id="dimension 0"),
        pytest.param([vector_field("v", 4_097, EUCLIDEAN)], id="dimension 4097"),
        pytest.param([vector_field(f"v{n}", 2, EUCLIDEAN) for n in range(6)], id="six vectors"),
        pytest.param(
            [
                field(
                    "v",
                    FieldType.VECTOR,
                    is_array=True,
                    vector_options=ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, EUCLIDEAN, 2),
                )
            ],
            id="array of vectors",
        ),
        pytest.param([field("day", FieldType.DATE, date_formats=["yyyy-QQ"])], id="no date format"),
        pytest.param([field("n", FieldType.LONG, date_formats=["yyyy"])], id="date format of a number"),
        pytest.param([field(f"n{n}", FieldType.LONG) for n in range(1_001)], id="1001 fields"),
    ],
)
def test_fields_that_are_none(client: SdkClient, table: str, fields: list[ots.FieldSchema]) -> None:
    with invalid():
        _create(client, table, fields)
    assert client.list_search_index(table) == []


@pytest.mark.parametrize("name", ["", "1abc", "a-b", "x" * 256])
def test_index_names_that_are_none(client: SdkClient, table: str, name: str) -> None:
    with invalid():
        _create(client, table, [N], name)


def test_an_index_sorted_by_what_it_has_not(client: SdkClient, table: str) -> None:
    with invalid(mentions="absent"):
        _create(client, table, [N], index_sort=ots.Sort([ots.FieldSort("absent")]))


def test_the_largest_vectors(client: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [vector_field(f"v{n}", 4_096, EUCLIDEAN) for n in range(5)])
    put(client, table, [("id", "a")], v0=bytearray(4_096 * 4))
    make.wait_synced(table, index)
    response = search(client, table, index, ots.KnnVectorQuery("v0", 1, [0.0] * 4_096))
    assert ids(response) == ["a"]
