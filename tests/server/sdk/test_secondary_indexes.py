"""CreateIndex and DropIndex, and reading what secondary indexes list, as the official client does it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import tablestore as ots
from support.sdk import IGNORE, NO_THROUGHPUT, SdkClient, column, get, invalid, put, refused, send, values
from support.tables import TableMaker
from support.waiting import wait_until
from tablestore.protobuf import table_store_pb2 as wire

KEY = [("p", "STRING"), ("i", "INTEGER")]
DEFINED = [("s", "STRING"), ("n", "INTEGER"), ("d", "DOUBLE"), ("b", "BINARY"), ("t", "BOOLEAN")]
LOCAL, GLOBAL = ots.SecondaryIndexType.LOCAL_INDEX, ots.SecondaryIndexType.GLOBAL_INDEX
WITHIN_S = 30
_numbers = itertools.count(1)


def meta(key: list[str], columns: list[str], kind: Any = LOCAL) -> ots.SecondaryIndexMeta:
    return ots.SecondaryIndexMeta(f"secondary_{next(_numbers)}", key, columns, kind)


@pytest.fixture
def table(make: TableMaker) -> str:
    return make.table(KEY, defined=DEFINED)


def key_of(client: SdkClient, index: str) -> list[str]:
    return [name for name, _ in client.describe_table(index).table_meta.schema_of_primary_key]


def rows_of(client: SdkClient, index: str, direction: str = "FORWARD", **options: Any) -> list[tuple[Any, Any]]:
    """Keys and columns of all, page by page."""
    names = key_of(client, index)
    low, high = ([(name, bound) for name in names] for bound in (ots.INF_MIN, ots.INF_MAX))
    start, end = (low, high) if direction == "FORWARD" else (high, low)
    rows: list[tuple[Any, Any]] = []
    while start:
        _, start, page, _ = client.get_range(index, direction, start, end, max_version=1, **options)
        rows += [(tuple(value for _, value in row.primary_key), values(row)) for row in page]
    return rows


def is_readable(client: SdkClient, index: str) -> bool:
    try:
        rows_of(client, index)
    except ots.OTSServiceError as error:
        if error.get_error_message() != "Disallow read index table in building base state":
            raise
        return False
    return True


def test_a_local_index_is_current_at_once(client: SdkClient, table: str) -> None:
    index = meta(["p", "n"], ["s", "d"])
    client.create_secondary_index(table, index, False)
    put(client, table, [("p", "x"), ("i", 1)], n=5, s="five", d=0.5, other="left out")
    put(client, table, [("p", "x"), ("i", 2)], n=3, s="three")
    put(client, table, [("p", "x"), ("i", 3)], s="has no n")
    assert rows_of(client, index.index_name) == [
        (("x", 3, 2), {"s": "three"}),
        (("x", 5, 1), {"s": "five", "d": 0.5}),
    ]
    client.update_row(table, ots.Row([("p", "x"), ("i", 1)], {"put": [("n", 1)], "delete_all": ["s"]}), IGNORE)
    assert rows_of(client, index.index_name) == [(("x", 1, 1), {"d": 0.5}), (("x", 3, 2), {"s": "three"})]
    client.update_row(table, ots.Row([("p", "x"), ("i", 2)], {"increment": [("n", 10)]}), IGNORE)
    client.update_row(table, ots.Row([("p", "x"), ("i", 1)], {"delete_all": ["n"]}), IGNORE)
    client.update_row(table, ots.Row([("p", "x"), ("i", 3)], {"put": [("n", 13)]}), IGNORE)
    assert [key for key, _ in rows_of(client, index.index_name)] == [("x", 13, 2), ("x", 13, 3)]
    client.delete_row(table, ots.Row([("p", "x"), ("i", 3)]), IGNORE)
    assert [key for key, _ in rows_of(client, index.index_name)] == [("x", 13, 2)]
    put(client, table, [("p", "x"), ("i", 2)], s="put anew, without n")
    assert rows_of(client, index.index_name) == []


def test_a_global_index_follows(client: SdkClient, table: str) -> None:
    index = meta(["s"], ["n"], GLOBAL)
    client.create_secondary_index(table, index, False)
    for i in range(30):
        put(client, table, [("p", f"{i % 3}"), ("i", i)], s=f"word {i % 5}", n=i)
    expected = sorted(((f"word {i % 5}", f"{i % 3}", i), {"n": i}) for i in range(30))
    wait_until(lambda: rows_of(client, index.index_name) == expected, WITHIN_S)
    client.delete_row(table, ots.Row([("p", "0"), ("i", 0)]), IGNORE)
    client.update_row(table, ots.Row([("p", "1"), ("i", 1)], {"put": [("s", "another")]}), IGNORE)
    del expected[0]
    expected.remove((("word 1", "1", 1), {"n": 1}))
    expected.insert(0, (("another", "1", 1), {"n": 1}))
    wait_until(lambda: rows_of(client, index.index_name) == expected, WITHIN_S)


@pytest.mark.parametrize("kind", [LOCAL, GLOBAL])
def test_what_is_there_is_listed_where_that_is_asked_for(client: SdkClient, table: str, kind: Any) -> None:
    items = [ots.PutRowItem(ots.Row([("p", "x"), ("i", i)], [("n", -i), ("s", "s")]), IGNORE) for i in range(150)]
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(table, items))
    client.batch_write_row(request)
    with_base, without = meta(["p", "n"], ["s"], kind), meta(["p", "n"], [], kind)
    client.create_secondary_index(table, with_base, True)
    client.create_secondary_index(table, without, False)
    wait_until(lambda: is_readable(client, with_base.index_name), WITHIN_S)
    assert rows_of(client, with_base.index_name) == [(("x", -i, i), {"s": "s"}) for i in reversed(range(150))]
    assert rows_of(client, without.index_name) == []
    put(client, table, [("p", "x"), ("i", 7)], n=-7, s="s")
    wait_until(lambda: rows_of(client, without.index_name) == [(("x", -7, 7), {})], WITHIN_S)


def test_indexes_come_with_their_table(client: SdkClient) -> None:
    indexes = [meta(["s", "i"], ["d"], GLOBAL), meta(["p", "t2"], ["n", "b"])]
    defined = [*DEFINED, ("t2", "STRING")]
    client.create_table(ots.TableMeta("indexed", KEY, defined), ots.TableOptions(-1, 1), NO_THROUGHPUT, indexes)
    try:
        described = client.describe_table("indexed").secondary_indexes
        assert [vars(index) for index in described] == [vars(index) for index in indexes]
        put(client, "indexed", [("p", "x"), ("i", 1)], s="s", d=1.5, n=2, b=bytearray(b"\0"), t2="t")
        assert rows_of(client, indexes[1].index_name) == [(("x", "t", 1), {"n": 2, "b": bytearray(b"\0")})]
        wait_until(lambda: rows_of(client, indexes[0].index_name) == [(("s", 1, "x"), {"d": 1.5})], WITHIN_S)
        assert indexes[0].index_name not in client.list_table()
    finally:
        client.delete_table("indexed")
    with refused("OTSObjectNotExist", 404):
        client.get_row(indexes[0].index_name, [("s", "s"), ("i", 1), ("p", "x")], max_version=1)


def test_an_index_is_described_as_a_table(client: SdkClient, table: str) -> None:
    index = meta(["n", "s"], ["d", "t"], GLOBAL)
    client.create_secondary_index(table, index, False)
    described = client.describe_table(index.index_name)
    assert described.table_meta.table_name == index.index_name
    assert described.table_meta.schema_of_primary_key == [
        ("n", "INTEGER"),
        ("s", "STRING"),
        ("p", "STRING"),
        ("i", "INTEGER"),
    ]
    assert described.table_meta.defined_columns == [("d", "DOUBLE"), ("t", "BOOLEAN")]
    assert described.secondary_indexes == []


def test_an_index_is_read_as_a_table_is(client: SdkClient, table: str) -> None:
    index = meta(["p", "s"], ["n", "d"])
    client.create_secondary_index(table, index, False)
    for i in range(12):
        put(client, table, [("p", "x"), ("i", i)], s=f"{i:02d}", n=i, d=i / 2)
    name, own = index.index_name, [("p", "x"), ("s", "03"), ("i", 3)]
    assert values(get(client, name, own)) == {"n": 3, "d": 1.5}
    assert values(get(client, name, own, columns_to_get=["d"])) == {"d": 1.5}
    assert get(client, name, [("p", "x"), ("s", "03"), ("i", 4)]) is None
    assert get(client, name, own, column_filter=column("n", ots.ComparatorType.GREATER_THAN, 3)) is None
    forward = rows_of(client, name, limit=5)
    assert [key[2] for key, _ in forward] == list(range(12))
    assert rows_of(client, name, "BACKWARD", limit=5) == forward[::-1]
    few = rows_of(client, name, columns_to_get=["n"], column_filter=column("n", ots.ComparatorType.LESS_THAN, 3))
    assert [columns for _, columns in few] == [{"n": 0}, {"n": 1}, {"n": 2}]
    bounds = [[("p", "x"), ("s", word), ("i", end)] for word, end in (("04", ots.INF_MIN), ("06", ots.INF_MAX))]
    _, _, rows, _ = client.get_range(name, "FORWARD", *bounds, max_version=1)
    assert [row.primary_key[2][1] for row in rows] == [4, 5, 6]
    request = ots.BatchGetRowRequest()
    request.add(ots.TableInBatchGetRowItem(name, [own, [("p", "x"), ("s", "no"), ("i", 1)]], max_version=1))
    found = client.batch_get_row(request).get_result_by_table(name)
    assert [one.row and values(one.row) for one in found] == [{"n": 3, "d": 1.5}, None]


def test_eight_columns_of_a_key(client: SdkClient, make: TableMaker) -> None:
    key = [(f"k{n}", "INTEGER") for n in range(4)]
    table = make.table(key, defined=[(f"d{n}", "INTEGER") for n in range(4)])
    index = meta(["d0", "d1", "d2", "d3"], [], GLOBAL)
    client.create_secondary_index(table, index, False)
    put(client, table, [(f"k{n}", n) for n in range(4)], **{f"d{n}": -n for n in range(4)})
    whole = [(f"d{n}", -n) for n in range(4)] + [(f"k{n}", n) for n in range(4)]
    wait_until(lambda: get(client, index.index_name, whole) is not None, WITHIN_S)
    with refused("OTSInvalidPK", 400, "Validate PK size fail. Input: 7, Meta: 8."):
        get(client, index.index_name, whole[:7])
    with refused("OTSInvalidPK", 400, "Validate PK type fail. Input: VT_STRING, Meta: VT_INTEGER."):
        get(client, index.index_name, [("d0", "x"), *whole[1:]])
    with invalid(mentions="must be in range: [1, 8]."):
        get(client, index.index_name, [*whole, ("x", 1)])
    with invalid(mentions="must be in range: [1, 4]."):
        get(client, table, [*whole, ("x", 1)])


def test_indexes_cannot_be_written(client: SdkClient, table: str) -> None:
    index = meta(["p", "s"], [])
    client.create_secondary_index(table, index, False)
    key = [("p", "x"), ("s", "s"), ("i", 1)]
    with invalid(mentions="read only"):
        put(client, index.index_name, key, n=1)
    with invalid(mentions="read only"):
        client.delete_row(index.index_name, ots.Row(key), IGNORE)
    with invalid(mentions="read only"):
        client.delete_table(index.index_name)
    with invalid(mentions="read only"):
        client.update_table(index.index_name, ots.TableOptions(max_version=1))
    with invalid(mentions="read only"):
        client.create_search_index(
            index.index_name, "x", ots.SearchIndexMeta([ots.FieldSchema("n", ots.FieldType.LONG)])
        )


def test_a_dropped_index_is_gone_and_its_name_free(client: SdkClient, table: str) -> None:
    index = meta(["p", "n"], [])
    client.create_secondary_index(table, index, False)
    put(client, table, [("p", "x"), ("i", 1)], n=1)
    assert len(rows_of(client, index.index_name)) == 1
    client.delete_secondary_index(table, index.index_name)
    with refused("OTSObjectNotExist", 404):
        get(client, index.index_name, [("p", "x"), ("n", 1), ("i", 1)])
    with refused("OTSObjectNotExist", 404, mentions="does not exist"):
        client.delete_secondary_index(table, index.index_name)
    put(client, table, [("p", "x"), ("i", 2)], n=2)
    client.create_secondary_index(table, index, False)
    assert rows_of(client, index.index_name) == []
    put(client, table, [("p", "x"), ("i", 2)], n=2)
    assert [key for key, _ in rows_of(client, index.index_name)] == [("x", 2, 2)]


def test_names_are_unique_among_tables_and_indexes(client: SdkClient, table: str) -> None:
    index = meta(["p", "n"], [])
    client.create_secondary_index(table, index, False)
    with refused("OTSObjectAlreadyExist", 409):
        client.create_secondary_index(table, index, False)
    with refused("OTSObjectAlreadyExist", 409):
        client.create_secondary_index(table, ots.SecondaryIndexMeta(table, ["p", "n"], [], LOCAL), False)
    with refused("OTSObjectAlreadyExist", 409):
        client.create_table(ots.TableMeta(index.index_name, KEY), ots.TableOptions(), NO_THROUGHPUT)
    with refused("OTSObjectAlreadyExist", 409):
        client.create_table(
            ots.TableMeta("self", KEY, DEFINED),
            ots.TableOptions(),
            NO_THROUGHPUT,
            [ots.SecondaryIndexMeta("self", ["n"], [])],
        )


REFUSED = [
    ([], ["n"], LOCAL, "The number of primary key columns must be in range: [1, 4] in index."),
    (["p", "s", "n", "b", "i"], [], LOCAL, "The number of primary key columns must be in range: [1, 4] in index."),
    (["p"], [f"c{n}" for n in range(33)], LOCAL, "The number of attribute columns must be in range: [0, 32] in index."),
    (["p", "d"], [], LOCAL, "DOUBLE is an invalid type for the primary key"),
    (["s"], [], LOCAL, "must be that of its table, 'p'"),
    (["nothing"], [], GLOBAL, "neither a primary key column nor a defined column"),
    (["s"], ["nothing"], GLOBAL, "neither a primary key column nor a defined column"),
    (["s", "s"], [], GLOBAL, "Duplicated column name"),
    (["s"], ["s"], GLOBAL, "Duplicated column name"),
]


@pytest.mark.parametrize(("key", "columns", "kind", "message"), REFUSED)
def test_what_no_index_can_be(
    sync_client: ots.OTSClient, make: TableMaker, key: list[str], columns: list[str], kind: Any, message: str
) -> None:
    table = make.table(KEY, defined=DEFINED)
    with invalid(mentions=message):
        sync_client.create_secondary_index(table, meta(key, columns, kind), True)
    with invalid(mentions=message):
        sync_client.create_table(
            ots.TableMeta("refused_table", KEY, DEFINED), ots.TableOptions(), NO_THROUGHPUT, [meta(key, columns, kind)]
        )
    assert sync_client.describe_table(table).secondary_indexes == []
    assert "refused_table" not in sync_client.list_table()


def test_names_and_modes_are_checked(sync_client: ots.OTSClient, table: str) -> None:
    with invalid("Invalid index name: '1x'."):
        sync_client.create_secondary_index(table, ots.SecondaryIndexMeta("1x", ["s"], []), False)
    request = wire.CreateIndexRequest(main_table_name=table)
    request.index_meta.name = "x"
    request.index_meta.primary_key.append("p")
    request.index_meta.index_type, request.index_meta.index_update_mode = wire.IT_LOCAL_INDEX, wire.IUM_ASYNC_INDEX
    with invalid(mentions="IUM_SYNC_INDEX"):
        send(sync_client, "CreateIndex", request.SerializeToString())


def test_a_table_has_five(sync_client: ots.OTSClient, table: str) -> None:
    for _ in range(5):
        sync_client.create_secondary_index(table, meta(["n"], [], GLOBAL), False)
    with invalid("Number of index per table exceeds the quota:5."):
        sync_client.create_secondary_index(table, meta(["n"], [], GLOBAL), False)
    six = [meta(["n"], [], GLOBAL) for _ in range(6)]
    with invalid("Number of index per table exceeds the quota:5."):
        sync_client.create_table(ots.TableMeta("refused_table", KEY, DEFINED), ots.TableOptions(), NO_THROUGHPUT, six)


def test_auto_increment_comes_not_first(sync_client: ots.OTSClient, make: TableMaker) -> None:
    key = [("p", "STRING"), ("auto", "INTEGER", ots.PK_AUTO_INCR)]
    table = make.table(key, defined=DEFINED)
    with invalid(mentions="can't be auto increment"):
        sync_client.create_secondary_index(table, meta(["auto"], [], GLOBAL), False)
    index = meta(["p", "n"], ["s"])
    sync_client.create_secondary_index(table, index, False)
    for n in (2, 1):
        put(sync_client, table, [("p", "x"), ("auto", ots.PK_AUTO_INCR)], n=n, s="s")
    assert [key for key, _ in rows_of(sync_client, index.index_name)] == [("x", 1, 2), ("x", 2, 1)]


def test_options_that_go_with_indexes(sync_client: ots.OTSClient, make: TableMaker) -> None:
    day_s = 86_400
    versions = make.table(KEY, defined=DEFINED, options=ots.TableOptions(-1, 2))
    with invalid(mentions="max_versions"):
        sync_client.create_secondary_index(versions, meta(["n"], [], GLOBAL), False)
    mortal = make.table(KEY, defined=DEFINED, options=ots.TableOptions(day_s, 1))
    with invalid(mentions="allow_update"):
        sync_client.create_secondary_index(mortal, meta(["n"], [], GLOBAL), False)
    sync_client.update_table(mortal, ots.TableOptions(None, None, None, allow_update=False))
    sync_client.create_secondary_index(mortal, meta(["n"], [], GLOBAL), False)
    for options in (ots.TableOptions(None, 2, None), ots.TableOptions(None, None, None, allow_update=True)):
        with invalid(mentions="a secondary index"):
            sync_client.update_table(mortal, options)
    sync_client.update_table(mortal, ots.TableOptions(time_to_live=-1, allow_update=True))


def test_columns_of_an_index_stay_defined(sync_client: ots.OTSClient, table: str) -> None:
    index = meta(["n"], ["s"], GLOBAL)
    sync_client.create_secondary_index(table, index, False)
    for name in ("n", "s"):
        with invalid(mentions=f"Column '{name}' is used by index '{index.index_name}'"):
            send(sync_client, "DeleteDefinedColumn", _delete_defined(table, name))
    sync_client.delete_secondary_index(table, index.index_name)
    send(sync_client, "DeleteDefinedColumn", _delete_defined(table, "n"))


def _delete_defined(table: str, name: str) -> bytes:
    """As Java sends it; the Python client has no such message."""
    return b"".join(bytes((tag, len(text))) + text.encode() for tag, text in ((0x0A, table), (0x12, name)))


def test_values_of_keys_of_indexes_are_short(client: SdkClient, table: str) -> None:
    index = meta(["p", "s"], ["b"])
    client.create_secondary_index(table, index, False)
    with invalid("The length of primary key column: 's' exceeds the MaxLength:1024 with CurrentLength:1025."):
        put(client, table, [("p", "x"), ("i", 1)], s="x" * 1_025)
    put(client, table, [("p", "x"), ("i", 1)], s="x" * 1_024, b=bytearray(2_000))
    assert rows_of(client, index.index_name) == [(("x", "x" * 1_024, 1), {"b": bytearray(2_000)})]


def test_batches_and_conditions(client: SdkClient, table: str) -> None:
    index = meta(["p", "n"], ["s"])
    client.create_secondary_index(table, index, False)
    exists = ots.Condition(ots.RowExistenceExpectation.EXPECT_EXIST)
    items = [
        ots.PutRowItem(ots.Row([("p", "x"), ("i", 1)], [("n", 1), ("s", "first")]), IGNORE),
        ots.PutRowItem(ots.Row([("p", "x"), ("i", 2)], [("n", 2)]), exists),
        ots.UpdateRowItem(ots.Row([("p", "x"), ("i", 1)], {"put": [("n", 9)]}), IGNORE),
        ots.PutRowItem(ots.Row([("p", "x"), ("i", 3)], [("n", 3)]), IGNORE),
        ots.DeleteRowItem(ots.Row([("p", "x"), ("i", 3)]), IGNORE),
    ]
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(table, items))
    client.batch_write_row(request)
    assert rows_of(client, index.index_name) == [(("x", 9, 1), {"s": "first"})]
