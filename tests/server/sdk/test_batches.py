"""BatchWriteRow and BatchGetRow: every row has its own result."""

from __future__ import annotations

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
    load,
    put,
    send,
    values,
    write_batch,
)
from support.tables import TableMaker
from tablestore.protobuf import table_store_pb2 as wire


def _key(name: str) -> list[tuple[str, Any]]:
    return [("id", name)]


def _put(name: str, guard: ots.Condition = IGNORE, **columns: Any) -> ots.PutRowItem:
    return ots.PutRowItem(ots.Row(_key(name), list(columns.items())), guard)


def _get_batch(client: SdkClient, table: str, keys: list[Any], **options: Any) -> list[ots.RowDataItem]:
    request = ots.BatchGetRowRequest()
    request.add(ots.TableInBatchGetRowItem(table, keys, max_version=1, **options))
    return list(client.batch_get_row(request).get_result_by_table(table))


def test_puts_updates_and_deletes_together(client: SdkClient, table: str) -> None:
    put(client, table, _key("changed"), a=1, b=2)
    put(client, table, _key("deleted"), a=1)
    response = write_batch(
        client,
        table,
        [
            _put("new", a="new"),
            ots.UpdateRowItem(
                ots.Row(_key("changed"), {"PUT": [("a", 10)], "DELETE_ALL": ["b"], "INCREMENT": [("n", 3)]}), IGNORE
            ),
            ots.DeleteRowItem(ots.Row(_key("deleted")), IGNORE),
        ],
    )
    assert response.is_all_succeed()
    for succeeded in (
        response.get_succeed_of_put(),
        response.get_succeed_of_update(),
        response.get_succeed_of_delete(),
    ):
        assert [item.consumed.write for item in succeeded] == [1]
    assert values(get(client, table, _key("new"))) == {"a": "new"}
    assert values(get(client, table, _key("changed"))) == {"a": 10, "n": 3}
    assert get(client, table, _key("deleted")) is None


def test_many_tables_at_once(client: SdkClient, make: TableMaker) -> None:
    tables = [make.table() for _ in range(3)]
    writes, reads = ots.BatchWriteRowRequest(), ots.BatchGetRowRequest()
    for table in tables:
        writes.add(ots.TableInBatchWriteRowItem(table, [_put(table, a=table)]))
        reads.add(ots.TableInBatchGetRowItem(table, [_key(table), _key("absent")], max_version=1))
    assert client.batch_write_row(writes).is_all_succeed()
    response = client.batch_get_row(reads)
    for table in tables:
        found, absent = response.get_result_by_table(table)
        assert values(found.row) == {"a": table}
        assert (absent.is_ok, absent.row) == (True, None)


def test_a_bad_row_does_not_stop_the_others(client: SdkClient, table: str) -> None:
    put(client, table, _key("there"), a=1)
    response = write_batch(
        client,
        table,
        [
            _put("good 1", a=1),
            _put("there", EXPECT_NOT_EXIST, a=2),
            ots.PutRowItem(ots.Row([("id", 5)], [("a", 1)]), IGNORE),
            ots.PutRowItem(ots.Row([("other", "x")], [("a", 1)]), IGNORE),
            _put("defined", id=1),
            _put("good 2", EXPECT_NOT_EXIST, a=2),
            ots.DeleteRowItem(ots.Row(_key("absent")), EXPECT_EXIST),
        ],
    )
    assert not response.is_all_succeed()
    puts = response.get_put_by_table(table)
    [delete] = response.get_delete_by_table(table)
    codes = [None if item.is_ok else item.error_code for item in [*puts, delete]]
    assert codes == [
        None,
        "OTSConditionCheckFail",
        "OTSInvalidPK",
        "OTSInvalidPK",
        "OTSParameterInvalid",
        None,
        "OTSConditionCheckFail",
    ]
    assert puts[1].error_message == "Condition check failed."
    assert puts[3].error_message == "Validate PK name fail. Input: other, Meta: id."
    _, _, rows, _ = client.get_range(table, "FORWARD", _key(ots.INF_MIN), _key(ots.INF_MAX))
    written = {row.primary_key[0][1]: values(row)["a"] for row in rows}
    assert written == {"good 1": 1, "good 2": 2, "there": 1}


# aiohttp has its own view of large bodies.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"columns": [("#abc", 1)]}, "Invalid column name: '#abc'.", id="a column name"),
        pytest.param(
            {"columns": [("a", "x" * (2 * 1024 * 1024 + 1))]},
            "The length of attribute column: 'a' exceeds the MaxLength:2097152 with CurrentLength:2097153.",
            id="a long value",
        ),
        pytest.param(
            {"columns": [(f"c{n}", 1) for n in range(1_025)]},
            "The number of attribute columns exceeds the limit, limit count: 1024, column count: 1025.",
            id="many columns",
        ),
        pytest.param(
            {"columns": [("a", 1, 2**63 // 1_000)]},
            "Timestamp must be in range [0, INT64_MAX/1000).",
            id="a timestamp",
        ),
        pytest.param(
            {"key": [("id", ots.INF_MIN)]}, "VT_INF_MIN is an invalid type for the primary key.", id="infinity"
        ),
        pytest.param(
            {"key": [(f"id{n}", "x") for n in range(5)]},
            "The number of primary key columns must be in range: [1, 4].",
            id="five key columns",
        ),
        pytest.param(
            {"key": [("id", "x" * 1_025)]},
            "The length of primary key column: 'id' exceeds the MaxLength:1024 with CurrentLength:1025.",
            id="a long key",
        ),
    ],
)
def test_what_is_wrong_in_itself_fails_the_whole_batch(
    client: SdkClient, table: str, wrong: dict[str, Any], message: str
) -> None:
    row = ots.Row(wrong.get("key", _key("wrong")), wrong.get("columns", [("a", 1)]))
    misfit = ots.PutRowItem(ots.Row([("id", 5)], [("a", 1)]), IGNORE)
    with invalid(message):
        write_batch(client, table, [_put("good", a=1), misfit, ots.PutRowItem(row, IGNORE)])
    assert get(client, table, _key("good")) is None


def test_a_repeated_row_has_no_condition(client: SdkClient, table: str) -> None:
    with invalid("Repeated rows do not support row exist expectation check in BatchModify."):
        write_batch(client, table, [_put("twice", a=1), _put("twice", EXPECT_NOT_EXIST, a=2)])
    assert get(client, table, _key("twice")) is None
    assert write_batch(client, table, [_put("twice", a=1), _put("twice", a=2)]).is_all_succeed()
    assert values(get(client, table, _key("twice"))) == {"a": 2}


def test_a_table_that_is_not_there_in_a_batch(client: SdkClient, table: str) -> None:
    writes, reads = ots.BatchWriteRowRequest(), ots.BatchGetRowRequest()
    for name in (table, "absent"):
        writes.add(ots.TableInBatchWriteRowItem(name, [_put("row", a=1)]))
        reads.add(ots.TableInBatchGetRowItem(name, [_key("row")], max_version=1))
    response = client.batch_write_row(writes)
    [good], [bad] = response.get_put_by_table(table), response.get_put_by_table("absent")
    assert good.is_ok
    assert (bad.error_code, bad.error_message) == ("OTSObjectNotExist", "Requested table does not exist.")
    read = client.batch_get_row(reads)
    [good], [bad] = read.get_result_by_table(table), read.get_result_by_table("absent")
    assert values(good.row) == {"a": 1}
    assert (bad.error_code, bad.error_message) == ("OTSObjectNotExist", "Requested table does not exist.")


def test_returned_keys(client: SdkClient, make: TableMaker) -> None:
    table = make.table([("id", "STRING"), ("n", "INTEGER", ots.PK_AUTO_INCR)])
    row = ots.Row([("id", "a"), ("n", ots.PK_AUTO_INCR)], [("a", 1)])
    response = write_batch(client, table, [ots.PutRowItem(row, IGNORE, ots.ReturnType.RT_PK) for _ in range(3)])
    chosen = [item.row.primary_key[1][1] for item in response.get_put_by_table(table)]
    assert chosen == sorted(set(chosen))
    for number in chosen:
        assert values(get(client, table, [("id", "a"), ("n", number)])) == {"a": 1}


def test_the_most_rows_of_a_write(client: SdkClient, table: str) -> None:
    items = [_put(f"{number:03d}", n=number) for number in range(201)]
    with invalid(mentions="200"):
        write_batch(client, table, items)
    assert get(client, table, _key("000")) is None
    assert write_batch(client, table, items[:200]).is_all_succeed()
    assert values(get(client, table, _key("199"))) == {"n": 199}


def test_the_most_bytes_of_a_write(sync_client: ots.OTSClient, table: str) -> None:
    with invalid():
        write_batch(sync_client, table, [_put(f"{number}", text="x" * 1_500_000) for number in range(3)])
    assert get(sync_client, table, _key("0")) is None


def test_reading_in_the_order_asked_for(client: SdkClient, table: str) -> None:
    load(client, table, [(_key(f"{number}"), {"n": number}) for number in range(10)])
    asked = [7, 3, 3, 11, 0]
    items = _get_batch(client, table, [_key(f"{number}") for number in asked])
    assert [None if item.row is None else values(item.row)["n"] for item in items] == [7, 3, 3, None, 0]
    assert all(item.consumed.read == 1 for item in items)


def test_reading_some_columns(client: SdkClient, table: str) -> None:
    put(client, table, _key("a"), x=1, y=2, z=3)
    [item] = _get_batch(client, table, [_key("a")], columns_to_get=["x", "z"])
    assert values(item.row) == {"x": 1, "z": 3}
    [item] = _get_batch(client, table, [_key("a")], start_column="y", end_column="z")
    assert values(item.row) == {"y": 2}


def test_a_bad_key_does_not_stop_the_others(client: SdkClient, table: str) -> None:
    put(client, table, _key("a"), n=1)
    good, wrong_type, wrong_name = _get_batch(client, table, [_key("a"), [("id", 1)], [("other", "a")]])
    assert values(good.row) == {"n": 1}
    assert (wrong_type.is_ok, wrong_type.error_code) == (False, "OTSInvalidPK")
    assert wrong_name.error_message == "Validate PK name fail. Input: other, Meta: id."


def test_the_most_rows_of_a_read(client: SdkClient, table: str) -> None:
    keys = [_key(f"{number}") for number in range(101)]
    with invalid(mentions="100"):
        _get_batch(client, table, keys)
    assert len(_get_batch(client, table, keys[:100])) == 100


def test_batches_of_nothing(client: SdkClient, table: str) -> None:
    with invalid("No row is specified in BatchWriteRow."):
        client.batch_write_row(ots.BatchWriteRowRequest())
    with invalid("No row specified in the request of BatchGetRow."):
        client.batch_get_row(ots.BatchGetRowRequest())
    with invalid(f"No operation is specified for table: '{table}'."):
        write_batch(client, table, [])
    assert _get_batch(client, table, []) == []


def test_the_same_table_twice(sync_client: ots.OTSClient, table: str) -> None:
    """The client cannot say it, but others might."""
    request = wire.BatchWriteRowRequest()
    request.tables.add(table_name=table)
    request.tables.add(table_name=table)
    with invalid():
        send(sync_client, "BatchWriteRow", request.SerializeToString())


@pytest.mark.parametrize("count", [2, 50])
def test_the_same_row_twice_is_written_in_order(client: SdkClient, table: str, count: int) -> None:
    row = ots.Row(_key("a"), {"INCREMENT": [("n", 1)]})
    response = write_batch(client, table, [ots.UpdateRowItem(row, IGNORE) for _ in range(count)])
    assert response.is_all_succeed()
    assert values(get(client, table, _key("a"))) == {"n": count}
