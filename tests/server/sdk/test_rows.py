"""PutRow, GetRow, UpdateRow and DeleteRow: what is written is what is read."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import tablestore as ots
from support.sdk import (
    EXPECT_EXIST,
    IGNORE,
    SdkClient,
    get,
    invalid,
    put,
    refused,
    send,
    values,
    versions,
)
from support.tables import TableMaker
from tablestore.plainbuffer.plain_buffer_builder import PlainBufferBuilder
from tablestore.protobuf import table_store_pb2 as wire

KEY = [("id", "row")]
COLUMN_BYTES_MAX = 2 * 1024 * 1024
CLOCK_TOLERANCE_MS = 5_000


def _update(client: SdkClient, table: str, key: list[tuple[str, Any]] = KEY, **changes: list[Any]) -> None:
    client.update_row(table, ots.Row(key, changes), IGNORE)


VALUES = [
    pytest.param("text", id="text"),
    pytest.param("", id="empty text"),
    pytest.param("水獺 ☃ 😀 \u0000 e\u0301", id="unicode"),
    pytest.param(bytearray(b"\x00\xff\x80binary"), id="binary"),
    pytest.param(bytearray(), id="empty binary"),
    pytest.param(0, id="0"),
    pytest.param(2**63 - 1, id="largest integer"),
    pytest.param(-(2**63), id="smallest integer"),
    pytest.param(True, id="true"),
    pytest.param(False, id="false"),
    pytest.param(-0.0, id="-0.0"),
    pytest.param(5e-324, id="smallest double"),
    pytest.param(1.7976931348623157e308, id="largest double"),
]


@pytest.mark.parametrize("value", VALUES)
def test_every_value_comes_back(client: SdkClient, table: str, value: Any) -> None:
    put(client, table, KEY, column=value)
    row = get(client, table, KEY)
    assert row is not None
    assert row.primary_key == KEY
    [(name, read, timestamp)] = row.attribute_columns
    assert (name, type(read), repr(read)) == ("column", type(value), repr(value))
    assert abs(timestamp - time.time() * 1_000) < CLOCK_TOLERANCE_MS


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_doubles_that_are_no_number(client: SdkClient, table: str, value: float) -> None:
    with invalid():
        put(client, table, KEY, column=value)
    assert get(client, table, KEY) is None


# aiohttp has its own view of large bodies.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("value", ["x" * COLUMN_BYTES_MAX, bytearray(COLUMN_BYTES_MAX)], ids=["string", "binary"])
def test_two_megabytes_in_a_column(client: SdkClient, table: str, value: Any) -> None:
    put(client, table, KEY, column=value)
    assert values(get(client, table, KEY))["column"] == value


def test_more_than_two_megabytes_in_a_column(sync_client: ots.OTSClient, table: str) -> None:
    with invalid():
        put(sync_client, table, KEY, column="x" * (COLUMN_BYTES_MAX + 1))
    with invalid():
        put(sync_client, table, KEY, column="ü" * (COLUMN_BYTES_MAX // 2) + "x")
    assert get(sync_client, table, KEY) is None


def test_more_than_four_megabytes_in_a_write(sync_client: ots.OTSClient, table: str) -> None:
    chunk = "x" * 1_500_000
    with invalid():
        put(sync_client, table, KEY, a=chunk, b=chunk, c=chunk)
    assert get(sync_client, table, KEY) is None


def test_more_than_five_megabytes_in_a_request(sync_client: ots.OTSClient) -> None:
    with refused("OTSRequestBodyTooLarge", 413):
        send(sync_client, "PutRow", bytes(5 * 1024 * 1024 + 1))


def test_columns_are_read_by_name(client: SdkClient, table: str) -> None:
    put(client, table, KEY, b=1, C=2, a=3, _d=4)
    row = get(client, table, KEY)
    assert row is not None
    assert [name for name, _, _ in row.attribute_columns] == ["C", "_d", "a", "b"]


def test_a_put_replaces_the_whole_row(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1, b=2)
    put(client, table, KEY, c=3)
    assert values(get(client, table, KEY)) == {"c": 3}


def test_a_row_of_a_key_alone(client: SdkClient, table: str) -> None:
    put(client, table, KEY)
    row = get(client, table, KEY)
    assert row is not None
    assert (row.primary_key, list(row.attribute_columns)) == (KEY, [])


def test_no_row(client: SdkClient, table: str) -> None:
    consumed, row, token = client.get_row(table, KEY)
    assert row is None
    assert not token
    assert (consumed.read, consumed.write) == (1, 0)


def test_a_put_can_return_the_key(client: SdkClient, table: str) -> None:
    _, row = client.put_row(table, ots.Row(KEY, [("a", 1)]), IGNORE, ots.ReturnType.RT_PK)
    assert row.primary_key == KEY
    _, row = client.put_row(table, ots.Row(KEY, [("a", 1)]), IGNORE)
    assert row is None


@pytest.mark.parametrize(("characters", "units"), [(100, 1), (4_000, 1), (5_000, 2), (100_000, 25)])
def test_capacity_units_are_4_kb_each(client: SdkClient, table: str, characters: int, units: int) -> None:
    consumed, _ = client.put_row(table, ots.Row(KEY, [("text", "x" * characters)]), IGNORE)
    assert (consumed.read, consumed.write) == (0, units)
    consumed, _, _ = client.get_row(table, KEY)
    assert (consumed.read, consumed.write) == (units, 0)


def test_columns_to_get(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1, b=2, c=3)
    assert values(get(client, table, KEY, columns_to_get=["c", "a", "absent"])) == {"a": 1, "c": 3}


def test_start_and_end_column(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1, b=2, c=3, d=4)
    assert values(get(client, table, KEY, start_column="b", end_column="d")) == {"b": 2, "c": 3}
    assert values(get(client, table, KEY, start_column="c")) == {"c": 3, "d": 4}
    assert values(get(client, table, KEY, end_column="b")) == {"a": 1}


def test_an_update_writes_and_deletes_columns(client: SdkClient, table: str) -> None:
    put(client, table, KEY, kept=1, changed=2, removed=3)
    _update(client, table, PUT=[("changed", "two"), ("added", True)], DELETE_ALL=["removed", "absent"])
    assert values(get(client, table, KEY)) == {"added": True, "changed": "two", "kept": 1}


def test_an_update_makes_the_row_that_is_not_there(client: SdkClient, table: str) -> None:
    _update(client, table, PUT=[("a", 1)])
    assert values(get(client, table, KEY)) == {"a": 1}


def test_an_update_can_return_the_key(client: SdkClient, table: str) -> None:
    _, row = client.update_row(table, ots.Row(KEY, {"PUT": [("a", 1)]}), IGNORE, ots.ReturnType.RT_PK)
    assert row.primary_key == KEY


def test_an_update_of_nothing(client: SdkClient, table: str) -> None:
    with invalid("Attribute column is missing."):
        _update(client, table)


def test_a_deleted_row_is_gone(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1)
    consumed, _ = client.delete_row(table, KEY)
    assert consumed.write == 1
    assert get(client, table, KEY) is None
    client.delete_row(table, KEY)


def test_an_increment_adds(client: SdkClient, table: str) -> None:
    _update(client, table, INCREMENT=[("n", 5)])
    _update(client, table, INCREMENT=[("n", -7), ("m", 2**62)], PUT=[("text", "beside")])
    assert values(get(client, table, KEY)) == {"m": 2**62, "n": -2, "text": "beside"}


def test_an_increment_can_return_the_sum(sync_client: ots.OTSClient, table: str) -> None:
    """The Python client has no name for RT_AFTER_MODIFY, so the request is made by hand."""
    put(sync_client, table, KEY, n=40, other=1)
    request = wire.UpdateRowRequest(
        table_name=table,
        row_change=bytes(PlainBufferBuilder.serialize_for_update_row(KEY, {"INCREMENT": [("n", 2)]})),
        condition=wire.Condition(row_existence=wire.IGNORE),
        return_content=wire.ReturnContent(return_type=wire.RT_AFTER_MODIFY, return_column_names=["n"]),
    )
    answer = send(sync_client, "UpdateRow", request.SerializeToString())
    (_, row), _ = sync_client.protocol.decoder._decode_update_row(answer, "")
    assert values(row) == {"n": 42}
    assert versions(row, "n") == versions(get(sync_client, table, KEY), "n")


@pytest.mark.parametrize("value", ["text", 1.5, True, bytearray(b"\x01")])
def test_an_increment_of_what_is_no_integer(client: SdkClient, table: str, value: Any) -> None:
    put(client, table, KEY, n=value)
    with invalid():
        _update(client, table, INCREMENT=[("n", 1)])
    assert values(get(client, table, KEY)) == {"n": value}


@pytest.mark.parametrize("value", ["1", 1.0])
def test_an_increment_by_what_is_no_integer(client: SdkClient, table: str, value: Any) -> None:
    with invalid():
        _update(client, table, INCREMENT=[("n", value)])
    assert get(client, table, KEY) is None


def test_an_increment_beyond_64_bits(client: SdkClient, table: str) -> None:
    put(client, table, KEY, n=2**63 - 1)
    with invalid():
        _update(client, table, INCREMENT=[("n", 1)])
    assert values(get(client, table, KEY)) == {"n": 2**63 - 1}


# ASCII only: for other names the client writes their length in characters, and no server can read that.
@pytest.mark.parametrize("name", ["price-2", "1a", "a b", " ", "a.b", "'", '"', "a\nb", "\\", "a#"])
def test_column_names_of_any_kind(client: SdkClient, table: str, name: str) -> None:
    put(client, table, KEY, **{name: 1, "other": 2})
    _update(client, table, INCREMENT=[(name, 1)])
    assert values(get(client, table, KEY)) == {name: 2, "other": 2}
    is_two = ots.SingleColumnCondition(name, 2, ots.ComparatorType.EQUAL, False)
    assert values(get(client, table, KEY, columns_to_get=[name], column_filter=is_two)) == {name: 2}
    _update(client, table, DELETE_ALL=[name])
    assert values(get(client, table, KEY)) == {"other": 2}


@pytest.mark.parametrize("name", ["#", "#abc", "#公司", "# ", "x" * 256])
def test_names_that_no_read_can_ask_for(client: SdkClient, table: str, name: str) -> None:
    message = f"Invalid column name: '{name}'."
    with invalid(message):
        get(client, table, KEY, columns_to_get=["a", name])
    with invalid(message):
        get(client, table, KEY, column_filter=ots.SingleColumnCondition(name, 1, ots.ComparatorType.EQUAL))
    with invalid(message):
        client.get_range(table, "FORWARD", [("id", ots.INF_MIN)], [("id", ots.INF_MAX)], columns_to_get=[name])


@pytest.mark.parametrize("name", ["", "#", "#abc", "# ", "x" * 256, "id"])
def test_column_names_that_are_none(client: SdkClient, table: str, name: str) -> None:
    with invalid():
        put(client, table, KEY, **{name: 1})
    assert get(client, table, KEY) is None


def test_the_longest_column_name(client: SdkClient, table: str) -> None:
    put(client, table, KEY, **{"x" * 255: 1})
    assert values(get(client, table, KEY)) == {"x" * 255: 1}


def test_the_most_columns_of_a_write(client: SdkClient, table: str) -> None:
    columns = {f"c{number:04d}": number for number in range(1_024)}
    put(client, table, KEY, **columns)
    assert values(get(client, table, KEY)) == columns
    with invalid():
        put(client, table, [("id", "other")], **columns, one_more=1)


def test_a_row_grows_beyond_what_one_write_may_hold(client: SdkClient, table: str) -> None:
    for chunk in range(3):
        _update(client, table, PUT=[(f"c{chunk * 1_000 + number:04d}", number) for number in range(1_000)])
    assert len(values(get(client, table, KEY))) == 3_000


def test_more_columns_to_get_than_allowed(client: SdkClient, table: str) -> None:
    columns = [f"c{number}" for number in range(1_025)]
    with invalid("The number of columns from the request exceeds the limit, limit count: 1024, column count: 1025."):
        get(client, table, KEY, columns_to_get=columns)
    put(client, table, KEY, c7=7)
    assert values(get(client, table, KEY, columns_to_get=columns[:1_024])) == {"c7": 7}


def test_a_read_says_which_versions(client: SdkClient, table: str) -> None:
    put(client, table, KEY, a=1)
    with invalid("No version condition is specified."):
        get(client, table, KEY, max_version=None)
    with invalid("No version condition is specified."):
        client.get_range(table, "FORWARD", [("id", ots.INF_MIN)], [("id", ots.INF_MAX)], max_version=None)
    request = ots.BatchGetRowRequest()
    request.add(ots.TableInBatchGetRowItem(table, [KEY], [], None, None))
    with invalid("No version condition is specified while querying row."):
        client.batch_get_row(request)
    with invalid():
        get(client, table, KEY, max_version=0)


def test_capacity_counts_names_and_values(client: SdkClient, table: str) -> None:
    """Of the columns asked for, and of the key: stored, the row takes more than one unit."""
    columns = [(f"c{number:03d}", "x" * 10) for number in range(272)]
    key_bytes = len("id") + len("row")
    assert key_bytes + 272 * 14 < 4_096 < key_bytes + 300 * 14
    consumed, _ = client.put_row(table, ots.Row(KEY, columns), IGNORE)
    assert (consumed.read, consumed.write) == (0, 1)
    assert client.get_row(table, KEY, max_version=1)[0].read == 1
    columns += [(f"d{number:03d}", "x" * 10) for number in range(28)]
    consumed, _ = client.put_row(table, ots.Row(KEY, columns), EXPECT_EXIST)
    assert (consumed.read, consumed.write) == (1, 2)
    assert client.get_row(table, KEY, max_version=1)[0].read == 2
    assert client.get_row(table, KEY, ["c001"], max_version=1)[0].read == 1


def test_a_transaction_nobody_started(client: SdkClient, table: str) -> None:
    with invalid("TransactionID is invalid."):
        client.get_row(table, KEY, transaction_id="none")
    with invalid("TransactionID is invalid."):
        client.put_row(table, ots.Row(KEY, [("a", 1)]), IGNORE, transaction_id="none")


def test_defined_columns_fix_their_type(client: SdkClient, make: TableMaker) -> None:
    table = make.table(defined=[("count", "INTEGER")])
    put(client, table, KEY, count=1, other="free")
    with invalid(mentions="count"):
        put(client, table, KEY, count="one")
    assert values(get(client, table, KEY)) == {"count": 1, "other": "free"}
