"""Rows on the wire: requests of the official SDK, and what it reads in the answers."""

from __future__ import annotations

from typing import Any

import pytest
import tablestore as ots
from support.row_matrix import read_matrix
from support.sdk import IGNORE
from tablestore.decoder import OTSProtoBufferDecoder
from tablestore.encoder import OTSProtoBufferEncoder

from lutra.kernels.plainbuffer import encode_change, encode_key
from lutra.model.conditions import Comparator, SingleColumn
from lutra.model.errors import ConditionCheckFail, LutraError, ParameterInvalid
from lutra.model.rows import (
    NO_CONDITION,
    CellOperation,
    ChangeKind,
    Condition,
    RangeRequest,
    RangeResult,
    ReadOptions,
    ReadResult,
    ReturnType,
    Row,
    RowChange,
    RowExistence,
    WriteResult,
)
from lutra.model.schema import CapacityUnits
from lutra.model.values import INF_MAX, INF_MIN
from lutra.server.protocol import row_messages as messages
from lutra.server.wire import row_pb2 as wire
from lutra.tables.reads import check_options

ENCODER = OTSProtoBufferEncoder("utf8")
DECODER = OTSProtoBufferDecoder("utf8")
KEY = (("a", "x"), ("b", 5))
SDK_KEY = list(KEY)
FILTER = ots.SingleColumnCondition("c", 1, ots.ComparatorType.EQUAL)
PARSED_FILTER = SingleColumn(Comparator.EQUAL, "c", 1)


def get_row(**changes: Any) -> wire.GetRowRequest:
    arguments: dict[str, Any] = dict.fromkeys(
        ["columns_to_get", "column_filter", "max_version", "time_range", "start_column", "end_column", "token"]
    )
    arguments |= {"table_name": "t", "primary_key": SDK_KEY, "transaction_id": None} | changes
    return wire.GetRowRequest.FromString(ENCODER.encode_request("GetRow", **arguments).SerializeToString())


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({"max_version": 1}, ReadOptions()),
        ({}, ReadOptions(max_versions=None)),
        ({"max_version": 7}, ReadOptions(max_versions=7)),
        ({"time_range": (5, 9)}, ReadOptions(max_versions=None, time_range_ms=(5, 9))),
        ({"time_range": 5}, ReadOptions(max_versions=None, time_range_ms=(5, 6))),
        ({"max_version": 1, "columns_to_get": ["x", "y"]}, ReadOptions(columns=("x", "y"))),
        ({"max_version": 1, "column_filter": FILTER}, ReadOptions(filter=PARSED_FILTER)),
        (
            {"max_version": 1, "start_column": "a", "end_column": "z"},
            ReadOptions(start_column="a", end_column="z"),
        ),
        ({"max_version": 1, "start_column": ""}, ReadOptions(start_column="")),
        ({"max_version": 1, "token": b"on"}, ReadOptions(token=b"on")),
    ],
)
def test_read_options_of_the_sdk(asked: dict[str, Any], options: ReadOptions) -> None:
    request = get_row(**asked)
    assert messages.parse_read_options(request, request.token) == options
    assert messages.parse_key(request.primary_key) == KEY


@pytest.mark.parametrize(
    ("time_range", "complaint"),
    [
        (wire.TimeRange(start_time=5), "Start and end time must be given at the same time."),
        (wire.TimeRange(end_time=5), "Start and end time must be given at the same time."),
        (wire.TimeRange(), "Start and end time must be given at the same time."),
        (wire.TimeRange(specific_time=-1), "Specific timestamp cannot be less than 0."),
        (wire.TimeRange(specific_time=1, start_time=1), "cannot be given at the same time"),
    ],
)
def test_time_ranges_that_contradict_themselves(time_range: wire.TimeRange, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        messages.parse_read_options(wire.GetRowRequest(time_range=time_range))


def test_one_time_and_a_number_of_versions_exclude_each_other() -> None:
    request = wire.GetRowRequest(time_range=wire.TimeRange(specific_time=5), max_versions=1)
    with pytest.raises(
        ParameterInvalid, match=r"^Specific timestamp and max versions cannot be given at the same time\.$"
    ):
        messages.parse_read_options(request)
    request.ClearField("max_versions")
    assert messages.parse_read_options(request).time_range_ms == (5, 6)
    request = wire.GetRowRequest(time_range=wire.TimeRange(start_time=5, end_time=9), max_versions=1)
    assert messages.parse_read_options(request).time_range_ms == (5, 9)


def test_too_many_columns() -> None:
    with pytest.raises(ParameterInvalid, match="exceeds the limit"):
        check_options(messages.parse_read_options(get_row(columns_to_get=[f"c{n}" for n in range(1_025)])))
    check_options(messages.parse_read_options(get_row(columns_to_get=[f"c{n}" for n in range(1_024)], max_version=1)))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (encode_change(KEY, [("c", 1, None, 0)], False), "Attribute column cannot be given while reading data."),
        (encode_change(KEY, [], True), "Delete marker cannot be given."),
        (b"", "."),
        (encode_key(KEY)[:-1], "."),
    ],
)
def test_a_key_to_read_is_a_key_alone(data: bytes, complaint: str) -> None:
    with pytest.raises(ParameterInvalid, match=complaint):
        messages.parse_key(data)


def get_range(**changes: Any) -> wire.GetRangeRequest:
    arguments: dict[str, Any] = dict.fromkeys(
        ["columns_to_get", "limit", "column_filter", "max_version", "time_range", "start_column", "end_column", "token"]
    )
    arguments |= {
        "table_name": "t",
        "direction": ots.Direction.FORWARD,
        "inclusive_start_primary_key": [("a", ots.INF_MIN), ("b", ots.INF_MIN)],
        "exclusive_end_primary_key": [("a", "x"), ("b", ots.INF_MAX)],
        "transaction_id": None,
    }
    data = ENCODER.encode_request("GetRange", **(arguments | changes)).SerializeToString()
    return wire.GetRangeRequest.FromString(data)


def test_a_range_of_the_sdk() -> None:
    start, end = (("a", INF_MIN), ("b", INF_MIN)), (("a", "x"), ("b", INF_MAX))
    assert messages.parse_range(get_range(max_version=1)) == RangeRequest(start, end)
    assert messages.parse_range(
        get_range(direction=ots.Direction.BACKWARD, limit=9, max_version=2, column_filter=FILTER)
    ) == RangeRequest(start, end, backward=True, limit=9, options=ReadOptions(max_versions=2, filter=PARSED_FILTER))


def test_unknown_directions_are_refused() -> None:
    request = get_range(max_version=1)
    request.direction = 5
    with pytest.raises(ParameterInvalid, match="Invalid direction: 5"):
        messages.parse_range(request)


def test_transactions_of_the_sdk() -> None:
    assert messages.transaction_of(get_range(max_version=1, transaction_id="t")) == "t"
    assert messages.transaction_of(get_row(transaction_id="t")) == "t"
    assert messages.transaction_of(get_row()) is None


# Writing


def batch(*items: Any) -> list[wire.RowInBatchWriteRowRequest]:
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem("t", list(items)))
    data = ENCODER.encode_request("BatchWriteRow", request).SerializeToString()
    return list(wire.BatchWriteRowRequest.FromString(data).tables[0].rows)


UPDATES = {
    "PUT": [("p", 1), ("q", "v", 77)],
    "DELETE": [("r", None, 99)],
    "DELETE_ALL": ["s"],
    "INCREMENT": [("n", 5)],
}


def test_changes_of_the_sdk() -> None:
    put, update, delete = (
        messages.parse_batch_change(row)
        for row in batch(
            ots.PutRowItem(ots.Row(SDK_KEY, [("c", 1.5), ("d", "e", 123)]), IGNORE, ots.ReturnType.RT_PK),
            ots.UpdateRowItem(
                ots.Row(SDK_KEY, UPDATES), ots.Condition(ots.RowExistenceExpectation.EXPECT_EXIST, FILTER)
            ),
            ots.DeleteRowItem(ots.Row(SDK_KEY), ots.Condition(ots.RowExistenceExpectation.EXPECT_NOT_EXIST)),
        )
    )
    cells = [("c", 1.5, None, CellOperation.PUT), ("d", "e", 123, CellOperation.PUT)]
    assert put == RowChange(ChangeKind.PUT, KEY, cells, NO_CONDITION, ReturnType.PRIMARY_KEY)
    assert update.kind is ChangeKind.UPDATE
    assert update.condition == Condition(RowExistence.EXPECT_EXIST, PARSED_FILTER)
    assert update.cells == [
        ("p", 1, None, CellOperation.PUT),
        ("q", "v", 77, CellOperation.PUT),
        ("r", None, 99, CellOperation.DELETE_ONE),
        ("s", None, None, CellOperation.DELETE_ALL),
        ("n", 5, None, CellOperation.INCREMENT),
    ]
    assert delete == RowChange(ChangeKind.DELETE, KEY, [], Condition(RowExistence.EXPECT_NOT_EXIST))


def test_what_an_increment_asks_back() -> None:
    (row,) = batch(ots.UpdateRowItem(ots.Row(SDK_KEY, {"INCREMENT": [("n", 5)]}), IGNORE))
    row.return_content.return_type = wire.RETURN_TYPE_AFTER_MODIFY
    row.return_content.return_column_names.append("n")
    change = messages.parse_batch_change(row)
    assert (change.return_type, change.return_columns) == (ReturnType.AFTER_MODIFY, ("n",))


PUT_DATA = encode_change(KEY, [("c", 1, None, 0)], False)
DELETE_DATA = encode_change(KEY, [], True)


@pytest.mark.parametrize(
    ("kind", "data", "complaint"),
    [
        (1, DELETE_DATA, "Invalid request of put/update row: unexpected RowDeleteMarker in request."),
        (2, DELETE_DATA, "Invalid request of put/update row: unexpected RowDeleteMarker in request."),
        (3, PUT_DATA, "Invalid request of delete row: missing RowDeleteMarker in request."),
        (3, encode_change(KEY, [("c", 1, None, 0)], True), "Invalid delete row request: unexpected cells in request."),
        (7, PUT_DATA, "The type of row in batch write operation is invalid."),
        (1, PUT_DATA[:-2], "."),
        (1, b"", "."),
    ],
)
def test_malformed_changes(kind: int, data: bytes, complaint: str) -> None:
    row = wire.RowInBatchWriteRowRequest(type=kind, row_change=data, condition=wire.Condition(row_existence=0))
    with pytest.raises(ParameterInvalid, match=complaint):
        messages.parse_batch_change(row)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"condition": wire.Condition(row_existence=9)}, "Invalid row-existence expectation: 9."),
        ({"condition": wire.Condition(row_existence=9, column_condition=b"x")}, "expectation: 9."),
        ({"condition": wire.Condition(row_existence=0, column_condition=b"x")}, "Deserialize filter failed."),
        ({"return_content": wire.ReturnContent(return_type=9)}, "Invalid return type: 9."),
    ],
)
def test_malformed_conditions(change: dict[str, Any], complaint: str) -> None:
    row = wire.RowInBatchWriteRowRequest(type=1, row_change=PUT_DATA, condition=wire.Condition(row_existence=0))
    for name, value in change.items():
        row.ClearField(name)
        getattr(row, name).CopyFrom(value)
    with pytest.raises(ParameterInvalid, match=complaint):
        messages.parse_batch_change(row)


# Answers, as the SDK reads them

ROW = Row(KEY, [("c", 1.5, 1_700_000_000_123), ("c", 1.0, 1_700_000_000_122), ("d", "e", 5)])
SDK_CELLS = [("c", 1.5, 1_700_000_000_123), ("c", 1.0, 1_700_000_000_122), ("d", "e", 5)]


def test_a_row_that_was_read() -> None:
    message = messages.read_message(ReadResult(ROW, CapacityUnits(read=2), next_token=b"on"))
    (consumed, row, token), _ = DECODER.decode_response("GetRow", message.SerializeToString(), "id")
    assert (consumed.read, consumed.write, token) == (2, 0, b"on")
    assert (row.primary_key, row.attribute_columns) == (SDK_KEY, SDK_CELLS)


def test_no_row_is_an_empty_row_not_an_absent_one() -> None:
    message = messages.read_message(ReadResult(None, CapacityUnits(read=1)))
    assert message.HasField("row")
    (_, row, token), _ = DECODER.decode_response("GetRow", message.SerializeToString(), "id")
    assert row is None
    assert not token


def test_a_range_that_was_read() -> None:
    message = messages.range_message(
        wire.GetRangeRequest(), RangeResult([ROW, Row(KEY, [])], CapacityUnits(read=3), next_start=KEY)
    )
    (consumed, next_start, rows, _), _ = DECODER.decode_response("GetRange", message.SerializeToString(), "id")
    assert (consumed.read, next_start) == (3, SDK_KEY)
    assert [(row.primary_key, row.attribute_columns) for row in rows] == [(SDK_KEY, SDK_CELLS), (SDK_KEY, [])]
    end = messages.range_message(wire.GetRangeRequest(), RangeResult([], CapacityUnits(read=1)))
    assert not end.HasField("next_start_primary_key")
    assert DECODER.decode_response("GetRange", end.SerializeToString(), "id")[0][1:3] == (None, [])


def test_rows_of_a_batch_that_were_written() -> None:
    results: list[WriteResult | LutraError] = [
        WriteResult(CapacityUnits(write=2)),
        ConditionCheckFail(),
        WriteResult(CapacityUnits(write=1), Row(KEY)),
        WriteResult(CapacityUnits(write=2)),
    ]
    message = wire.BatchWriteRowResponse(tables=[messages.batch_write_table_message("t", results)])
    tables, _ = DECODER.decode_response("BatchWriteRow", message.SerializeToString(), "id")
    first, second, third, fourth = tables["t"]
    assert (first.is_ok, first.consumed.write, fourth.consumed.write) == (True, 2, 2)
    assert (second.is_ok, second.error_code, second.error_message) == (
        False,
        "OTSConditionCheckFail",
        "Condition check failed.",
    )
    assert third.row.primary_key == SDK_KEY


def test_rows_of_a_batch_that_were_read() -> None:
    rows = [ReadResult(ROW, CapacityUnits(read=1)), ReadResult(None, CapacityUnits(read=1)), ConditionCheckFail()]
    message = wire.BatchGetRowResponse(
        tables=[wire.TableInBatchGetRowResponse(table_name="t", rows=map(messages.batch_read_row_message, rows))]
    )
    tables, _ = DECODER.decode_response("BatchGetRow", message.SerializeToString(), "id")
    found, absent, failed = tables["t"]
    assert (found.row.primary_key, found.row.attribute_columns) == (SDK_KEY, SDK_CELLS)
    assert (absent.is_ok, absent.row) == (True, None)
    assert (failed.is_ok, failed.error_code) == (False, "OTSConditionCheckFail")


def test_one_written_row() -> None:
    message = messages.write_message(WriteResult(CapacityUnits(write=1), Row(KEY)))
    (consumed, row), _ = DECODER.decode_response("PutRow", message.SerializeToString(), "id")
    assert (consumed.write, row.primary_key) == (1, SDK_KEY)
    assert not messages.write_message(WriteResult(CapacityUnits(write=1))).HasField("row")


def test_a_matrix_that_rows_do_not_all_fit_ends_before_them() -> None:
    rows = [Row((("a", "x"), ("b", i)), [(f"c{i}-{j}", j, 1) for j in range(100)]) for i in range(400)]
    request = wire.GetRangeRequest(
        table_name="t",
        inclusive_start_primary_key=encode_key((("a", INF_MIN), ("b", INF_MIN))),
        exclusive_end_primary_key=encode_key((("a", INF_MAX), ("b", INF_MAX))),
        data_block_type_hint=wire.DATA_BLOCK_TYPE_SIMPLE_ROW_MATRIX,
    )
    message = messages.range_message(request, RangeResult(rows, CapacityUnits(read=3)))
    found = read_matrix(message.rows)
    assert 0 < len(found.rows) < len(rows)
    assert messages.parse_key(message.next_start_primary_key) == rows[len(found.rows)].key
