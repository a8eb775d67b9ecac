"""Local transactions: rows of one partition key, written as one or not at all; and atomic batches."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import tablestore as ots
from support.sdk import (
    EXPECT_EXIST,
    EXPECT_NOT_EXIST,
    IGNORE,
    SdkClient,
    get,
    invalid,
    put,
    refused,
    send,
    values,
)
from support.searching import field, search
from support.server import ServerProcess
from support.tables import TableMaker
from support.waiting import wait_until
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.protobuf import table_store_pb2 as wire

Key = list[tuple[str, Any]]
CONFLICT = ("OTSRowOperationConflict", 409, "Data is being modified by the other request.")
ENDED = ("OTSSessionNotExist", 404, "Session not exist or may be timeout.")
OUT_OF_RANGE = (
    "OTSDataOutOfRange",
    400,
    "Data out of scope of transaction. Transaction PartKey:u. Data PartKey:v",
)
IS_ATOMIC = b"\x18\x01"
WITHIN_S = 20.0


def key(number: int, user: str = "u") -> Key:
    return [("user", user), ("n", number)]


@pytest.fixture
def table(make: TableMaker) -> str:
    return make.table([("user", "STRING"), ("n", "INTEGER")])


def start(client: SdkClient, table: str, user: str = "u") -> str:
    transaction = client.start_local_transaction(table, [("user", user)])
    assert isinstance(transaction, str)
    return transaction


def rows_of(client: SdkClient, table: str, transaction: str | None = None, **options: Any) -> dict[int, dict[str, Any]]:
    _, following, rows, _ = client.get_range(
        table,
        options.pop("direction", ots.Direction.FORWARD),
        [("user", "u"), ("n", options.pop("begin", ots.INF_MIN))],
        [("user", "u"), ("n", options.pop("end", ots.INF_MAX))],
        max_version=1,
        transaction_id=transaction,
        **options,
    )
    assert following is None
    return {row.primary_key[1][1]: values(row) for row in rows}


def put_in(client: SdkClient, table: str, transaction: str, number: int, **columns: Any) -> None:
    client.put_row(table, ots.Row(key(number), list(columns.items())), IGNORE, transaction_id=transaction)


@pytest.mark.parametrize("is_committed", [True, False])
def test_own_writes_are_seen_at_once_and_by_others_after_the_commit(
    client: SdkClient, table: str, is_committed: bool
) -> None:
    for number in range(4):
        put(client, table, key(number), v="old", kept=number)
    before = rows_of(client, table)
    transaction = start(client, table)
    put_in(client, table, transaction, 0, v="new")
    client.update_row(table, ots.Row(key(1), {"PUT": [("v", "new")]}), IGNORE, transaction_id=transaction)
    client.delete_row(table, ots.Row(key(2)), IGNORE, transaction_id=transaction)
    batch = ots.BatchWriteRowRequest()
    items = [
        ots.UpdateRowItem(ots.Row(key(1), {"INCREMENT": [("kept", 5)]}), EXPECT_EXIST),
        ots.PutRowItem(ots.Row(key(9), [("v", "new")]), EXPECT_NOT_EXIST),
        ots.DeleteRowItem(ots.Row(key(2)), EXPECT_EXIST),
    ]
    batch.add(ots.TableInBatchWriteRowItem(table, items))
    batch.set_transaction_id(transaction)
    response = client.batch_write_row(batch)
    assert [len(response.get_succeed_of_put()), len(response.get_succeed_of_update())] == [1, 1]
    [failed] = response.get_failed_of_delete()
    assert failed.error_code == "OTSConditionCheckFail"
    after = {0: {"v": "new"}, 1: {"v": "new", "kept": 6}, 3: {"v": "old", "kept": 3}, 9: {"v": "new"}}
    assert rows_of(client, table, transaction) == after
    assert list(rows_of(client, table, transaction, direction=ots.Direction.BACKWARD, begin=ots.INF_MAX, end=0)) == [
        9,
        3,
        1,
    ]
    assert values(get(client, table, key(1), transaction_id=transaction)) == after[1]
    assert get(client, table, key(2), transaction_id=transaction) is None
    assert rows_of(client, table) == before
    if is_committed:
        client.commit_transaction(transaction)
    else:
        client.abort_transaction(transaction)
    assert rows_of(client, table) == (after if is_committed else before)


def test_the_partition_key_is_held_until_the_end(client: SdkClient, table: str) -> None:
    put(client, table, key(1), v=1)
    transaction = start(client, table)
    with refused(*CONFLICT):
        start(client, table)
    row = ots.Row(key(7), [("v", 1)])
    for write in (
        lambda: client.put_row(table, row, IGNORE),
        lambda: client.update_row(table, ots.Row(key(1), {"PUT": [("v", 2)]}), IGNORE),
        lambda: client.delete_row(table, ots.Row(key(1)), IGNORE),
    ):
        with refused(*CONFLICT):
            write()
    # Rows of other keys, of the same batch too, are no matter of the transaction's.
    batch = ots.BatchWriteRowRequest()
    items = [ots.PutRowItem(row, IGNORE), ots.PutRowItem(ots.Row(key(7, "v"), [("v", 1)]), IGNORE)]
    batch.add(ots.TableInBatchWriteRowItem(table, items))
    held, free = client.batch_write_row(batch).get_put_by_table(table)  # type: ignore[misc]
    assert (held.is_ok, held.error_code, held.error_message) == (False, CONFLICT[0], CONFLICT[2])
    assert free.is_ok
    other = start(client, table, "v")
    client.abort_transaction(other)
    client.commit_transaction(transaction)
    client.put_row(table, row, IGNORE)
    client.abort_transaction(start(client, table))


def test_ids_that_are_none_and_those_of_the_past(client: SdkClient, table: str) -> None:
    ended = start(client, table)
    client.commit_transaction(ended)
    for transaction in ("", "none", ended.upper(), ended + "0", "é" * 32):
        with invalid("TransactionID is invalid."):
            client.commit_transaction(transaction)
        with invalid("TransactionID is invalid."):
            client.abort_transaction(transaction)
    for transaction in (ended, "0" * 32):
        for call in (
            lambda t: client.commit_transaction(t),
            lambda t: client.abort_transaction(t),
            lambda t: put_in(client, table, t, 1, v=1),
            lambda t: get(client, table, key(1), transaction_id=t),
            lambda t: rows_of(client, table, t),
        ):
            with refused(*ENDED):
                call(transaction)
    assert start(client, table) != ended


def test_what_lies_beyond_the_partition_key(client: SdkClient, table: str, make: TableMaker) -> None:
    other = make.table([("user", "STRING"), ("n", "INTEGER")])
    transaction = start(client, table)
    with refused(*OUT_OF_RANGE):
        client.put_row(table, ots.Row(key(1, "v"), [("v", 1)]), IGNORE, transaction_id=transaction)
    with refused(*OUT_OF_RANGE):
        get(client, table, key(1, "v"), transaction_id=transaction)
    for begin, end in ((key(1), key(1, "v")), (key(1, "v"), key(2, "v"))):
        with refused(*OUT_OF_RANGE):
            client.get_range(table, ots.Direction.FORWARD, begin, end, max_version=1, transaction_id=transaction)
    with refused("OTSDataOutOfRange", 400, mentions=f"Data table:{other}"):
        get(client, other, key(1), transaction_id=transaction)
    batch = ots.BatchWriteRowRequest()
    put_items = [ots.PutRowItem(ots.Row(key(1, user), [("v", 1)]), IGNORE) for user in ("u", "v")]
    batch.add(ots.TableInBatchWriteRowItem(table, put_items))
    batch.add(ots.TableInBatchWriteRowItem(other, [ots.PutRowItem(ots.Row(key(1), [("v", 1)]), IGNORE)]))
    batch.set_transaction_id(transaction)
    response = client.batch_write_row(batch)
    assert [item.is_ok for item in response.get_put_by_table(table)] == [True, False]
    assert [item.error_code for item in response.get_put_by_table(other)] == ["OTSDataOutOfRange"]
    # It goes on after all of that.
    client.commit_transaction(transaction)
    assert rows_of(client, table) == {1: {"v": 1}}
    assert get(client, other, key(1)) is None


def test_keys_that_start_none(client: SdkClient, table: str, make: TableMaker) -> None:
    with invalid("StartLocalTransaction support only one primary key."):
        client.start_local_transaction(table, key(1))
    with refused("OTSInvalidPK", 400, "Validate PK name fail. Input: n, Meta: user."):
        client.start_local_transaction(table, [("n", "u")])
    with refused("OTSInvalidPK", 400, "Validate PK type fail. Input: VT_INTEGER, Meta: VT_STRING."):
        client.start_local_transaction(table, [("user", 1)])
    with invalid("Invalid table name: ''."):
        client.start_local_transaction("", [("user", "u")])
    with refused("OTSObjectNotExist", 404, "Requested table does not exist."):
        client.start_local_transaction("no_such_table", [("user", "u")])
    automatic = make.table([("user", "STRING"), ("n", "INTEGER", ots.PK_AUTO_INCR)])
    with invalid("Try to call method using explicit transaction on explicit-transaction-disabled table."):
        client.start_local_transaction(automatic, [("user", "u")])


def test_it_takes_four_megabytes(client: SdkClient, table: str) -> None:
    transaction = start(client, table)
    large = "x" * 1_000_000
    for number in range(4):
        put_in(client, table, transaction, number, v=large)
    with refused("OTSOutOfTransactionDataSizeLimit", 400, mentions="limit size: 4194304"):
        put_in(client, table, transaction, 4, v=large)
    put_in(client, table, transaction, 5, v="small")
    client.commit_transaction(transaction)
    assert list(rows_of(client, table, columns_to_get=["n"])) == [0, 1, 2, 3, 5]


def test_a_table_that_is_changed_or_deleted_meanwhile(client: SdkClient, make: TableMaker) -> None:
    table = make.table([("user", "STRING"), ("n", "INTEGER")])
    transaction = start(client, table)
    put_in(client, table, transaction, 1, v=1)
    client.update_table(table, ots.TableOptions(None, 3, None))
    with refused(*ENDED):
        client.commit_transaction(transaction)
    put(client, table, key(2), v=2)  # nobody holds it any more
    assert rows_of(client, table) == {2: {"v": 2}}
    transaction = start(client, table)
    put_in(client, table, transaction, 1, v=1)
    client.delete_table(table)
    with refused(*ENDED):
        client.commit_transaction(transaction)


def atomic(client: ots.OTSClient, *tables: tuple[str, list[tuple[Key, int, bool]]], transaction: str = "") -> Any:
    """Puts rows by an atomic batch: keys, values, whether the row has to be there. Python's SDK has no field for it."""
    request = wire.BatchWriteRowRequest()
    if transaction:
        request.transaction_id = transaction
    for table, rows in tables:
        of_table = request.tables.add(table_name=table)
        for row_key, value, is_there in rows:
            row = of_table.rows.add(type=wire.PUT)
            row.row_change = bytes(PlainBufferBuilder.serialize_for_put_row(row_key, [("v", value)]))
            row.condition.row_existence = wire.EXPECT_EXIST if is_there else wire.IGNORE
    body = send(client, "BatchWriteRow", request.SerializeToString() + IS_ATOMIC)
    response = wire.BatchWriteRowResponse.FromString(body)
    return [
        [row.error.code + ": " + row.error.message if not row.is_ok else "" for row in of_table.rows]
        for of_table in response.tables
    ]


@pytest.mark.parametrize("is_in_a_transaction", [False, True])
def test_an_atomic_batch(sync_client: ots.OTSClient, make: TableMaker, is_in_a_transaction: bool) -> None:
    client = sync_client
    table, other = (make.table([("user", "STRING"), ("n", "INTEGER")]) for _ in range(2))
    transaction = start(client, table) if is_in_a_transaction else ""
    good = [(key(n), n, False) for n in range(3)]
    assert atomic(client, (table, good), transaction=transaction) == [["", "", ""]]
    # One condition that does not hold, and none is written; those of another table are none of its.
    bad = [(key(1), 10, True), (key(7), 10, True), (key(8), 10, False)]
    tables = [(table, bad)] if is_in_a_transaction else [(table, bad), (other, good)]
    failed, *others = atomic(client, *tables, transaction=transaction)
    assert failed == ["OTSConditionCheckFail: Condition check failed."] * 3
    assert others == [] if is_in_a_transaction else [["", "", ""]]
    beyond = "Data out of scope of atomic. Atomic PartKey:u. Data PartKey:v"
    if is_in_a_transaction:
        beyond = OUT_OF_RANGE[2]
    assert atomic(client, (table, [*good, (key(1, "v"), 1, False)]), transaction=transaction) == [
        ["OTSDataOutOfRange: " + beyond] * 4
    ]
    # Of one row the last change counts.
    assert atomic(client, (table, [(key(2), 20, False), (key(2), 21, False)]), transaction=transaction) == [["", ""]]
    if is_in_a_transaction:
        assert rows_of(client, table) == {}
        client.commit_transaction(transaction)
    assert rows_of(client, table) == {0: {"v": 0}, 1: {"v": 1}, 2: {"v": 21}}


def test_an_atomic_batch_waits_for_no_transaction(sync_client: ots.OTSClient, table: str) -> None:
    transaction = start(sync_client, table)
    held = atomic(sync_client, (table, [(key(1), 1, False), (key(2), 2, False)]))
    assert held == [["OTSRowOperationConflict: Data is being modified by the other request."] * 2]
    sync_client.abort_transaction(transaction)
    assert rows_of(sync_client, table) == {}


@pytest.mark.one_process
def test_how_many_are_open_is_told(sync_client: ots.OTSClient, server: ServerProcess, table: str) -> None:
    def told() -> int:
        lines = sync_client.connection.pool.request("GET", f"{server.endpoint}/metrics").data.decode().splitlines()
        [count] = [line.split()[1] for line in lines if line.startswith("lutra_transactions ")]
        return int(float(count))

    before = told()
    transaction = start(sync_client, table)
    assert told() == before + 1
    sync_client.abort_transaction(transaction)
    assert told() == before


@pytest.mark.one_process
def test_the_sdk_tries_again_until_the_key_is_free(
    server: ServerProcess, sync_client: ots.OTSClient, table: str
) -> None:
    """The client as its users have it: what is refused for a transaction is done when that has ended."""
    transaction = start(sync_client, table)
    retrying = server.client(retry_policy=None)
    writer = threading.Thread(target=lambda: put(retrying, table, key(1), v=1))
    before = refusals(sync_client, server)
    writer.start()
    wait_until(lambda: refusals(sync_client, server) > before, WITHIN_S)
    assert get(sync_client, table, key(1)) is None
    sync_client.commit_transaction(transaction)
    writer.join(WITHIN_S)
    assert rows_of(sync_client, table) == {1: {"v": 1}}


def refusals(client: ots.OTSClient, server: ServerProcess) -> int:
    lines = client.connection.pool.request("GET", f"{server.endpoint}/metrics").data.decode().splitlines()
    wanted = 'lutra_requests_total{code="OTSRowOperationConflict",operation="PutRow",status="409"}'
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(wanted))


def test_searches_find_what_was_committed(sync_client: ots.OTSClient, make: TableMaker, table: str) -> None:
    for number in (1, 2):
        put(sync_client, table, key(number), v=number)
    index = make.index(table, [field("v", ots.FieldType.LONG)])
    transaction = start(sync_client, table)
    put_in(sync_client, table, transaction, 3, v=10)
    sync_client.update_row(table, ots.Row(key(1), {"PUT": [("v", 11)]}), IGNORE, transaction_id=transaction)
    sync_client.delete_row(table, ots.Row(key(2)), IGNORE, transaction_id=transaction)

    def found() -> list[int]:
        query = ots.RangeQuery("v", 0, 100)
        rows = search(sync_client, table, index, query, sort=ots.Sort([ots.PrimaryKeySort(ots.SortOrder.ASC)])).rows
        return [row[0][1][1] for row in rows]

    make.wait_synced(table, index)
    assert found() == [1, 2]
    sync_client.commit_transaction(transaction)
    make.wait_synced(table, index)
    assert found() == [1, 3]
