"""Bulk import and export over the wire: rows each for themselves, and pages as a matrix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.row_matrix import Matrix, read_matrix
from support.wire_client import WireClient
from support.wire_tables import DELETE, FIRST, LAST, PUT, UPDATE, call, change, create_table, delete_table, refusal

from lutra.kernels.plainbuffer import decode_rows, encode_variant
from lutra.model import limits
from lutra.model.rows import CellChange
from lutra.server.wire import bulk_pb2, filter_pb2, row_pb2

Row = tuple[row_pb2.OperationType, bytes]


@pytest.fixture
def table(wire: WireClient) -> Iterator[str]:
    create_table(wire, "bulk")
    yield "bulk"
    delete_table(wire, "bulk")


def import_request(table: str, *rows: Row) -> bulk_pb2.BulkImportRequest:
    return bulk_pb2.BulkImportRequest(
        table_name=table, rows=[bulk_pb2.RowInBulkImportRequest(type=kind, row_change=row) for kind, row in rows]
    )


def bulk_import(client: WireClient, table: str, *rows: Row) -> bulk_pb2.BulkImportResponse:
    return call(client, "BulkImport", import_request(table, *rows), bulk_pb2.BulkImportResponse)


def put(key: int, **columns: int | str) -> Row:
    cells: list[CellChange] = [(name, value, None, 0) for name, value in columns.items()]
    return PUT, change(key, cells)


def export(client: WireClient, table: str, **fields: object) -> bulk_pb2.BulkExportResponse:
    fields = {"inclusive_start_primary_key": FIRST, "exclusive_end_primary_key": LAST} | fields
    request = bulk_pb2.BulkExportRequest(table_name=table, **fields)  # type: ignore[arg-type]
    return call(client, "BulkExport", request, bulk_pb2.BulkExportResponse)


def pages(client: WireClient, table: str, **fields: object) -> list[Matrix]:
    found = []
    while True:
        response = export(client, table, **fields)
        assert response.data_block_type == row_pb2.DATA_BLOCK_TYPE_SIMPLE_ROW_MATRIX
        found.append(read_matrix(response.rows))
        if not response.HasField("next_start_primary_key"):
            return found
        fields["inclusive_start_primary_key"] = response.next_start_primary_key


def test_each_row_has_its_outcome(wire: WireClient, table: str) -> None:
    bulk_import(wire, table, put(1, a=1), put(2, a=2), put(3, a=3))
    response = bulk_import(
        wire,
        table,
        put(4, a="new"),
        (PUT, b"no row"),
        (UPDATE, change(1, [("a", 5, None, 4)])),
        (DELETE, change(2, is_delete=True)),
        (DELETE, change(3)),
        (PUT, change((("other", 1),))),
        (PUT, change(5, [("id", 1, None, 0)])),
        (PUT, change(5, [("", 1, None, 0)])),
        (row_pb2.OPERATION_TYPE_UNSPECIFIED, change(5)),
        put(4, a="newer"),
    )
    assert response.table_name == table
    assert [row.is_ok for row in response.rows] == [True, False, True, True, *[False] * 5, True]
    assert {row.error.code for row in response.rows if not row.is_ok} == {"OTSParameterInvalid", "OTSInvalidPK"}
    assert "missing RowDeleteMarker" in response.rows[4].error.message
    assert [row.consumed.capacity_unit.write for row in response.rows if row.is_ok] == [1, 1, 1, 1]
    (matrix,) = pages(wire, table)
    assert matrix.rows == [[1, 6], [3, 3], [4, "newer"]]


def test_what_is_refused_whole_writes_nothing(wire: WireClient, table: str) -> None:
    bad = (400, "OTSParameterInvalid")
    many = [put(number) for number in range(limits.BULK_IMPORT_ROWS_MAX + 1)]
    large = [put(number, a="x" * 1_100_000) for number in range(4)]
    assert refusal(wire, "BulkImport", import_request(table))[:2] == bad
    assert refusal(wire, "BulkImport", import_request(table, *many))[:2] == bad
    status, code, text = refusal(wire, "BulkImport", import_request(table, *large))
    assert (status, code) == bad
    assert text.startswith("The total data size of BulkImport request exceeds the limit")
    assert refusal(wire, "BulkImport", import_request("none", put(1)))[:2] == (404, "OTSObjectNotExist")
    assert [matrix.rows for matrix in pages(wire, table)] == [[]]
    assert len(bulk_import(wire, table, *many[1:]).rows) == limits.BULK_IMPORT_ROWS_MAX


def test_rows_come_by_key_in_blocks_that_name_columns_once(wire: WireClient, table: str) -> None:
    bulk_import(wire, table, put(3, b="x", a=1), put(1, a=1.5), put(2), put(4, c=b"z"))  # type: ignore[arg-type]
    (matrix,) = pages(wire, table)
    assert (matrix.key_names, matrix.column_names) == (["id"], ["a", "b", "c"])
    assert matrix.rows == [[1, 1.5, None, None], [2, None, None, None], [3, 1, "x", None], [4, None, None, b"z"]]
    (matrix,) = pages(wire, table, columns_to_get=["c", "a", "none"])
    assert matrix.column_names == ["c", "a", "none"]
    assert [row for row in matrix.rows if row[0] == 4] == [[4, b"z", None, None]]


def test_pages_end_by_size(wire: WireClient, table: str) -> None:
    for first in (0, 3):
        bulk_import(wire, table, *(put(first + number, a="x" * 1_000_000) for number in range(3)))
    found = pages(wire, table)
    assert len(found) > 1
    assert [row[0] for matrix in found for row in matrix.rows] == list(range(6))


@pytest.mark.slow
def test_rows_that_have_little_in_common_come_in_more_pages(wire: WireClient, table: str) -> None:
    for first in range(0, 300, 50):
        rows = [put(first + n, **{f"c{first + n}-{i}": i for i in range(60)}) for n in range(50)]
        bulk_import(wire, table, *rows)
    found = pages(wire, table)
    assert len(found) > 1
    assert [row[0] for matrix in found for row in matrix.rows] == list(range(300))
    assert all(len(row) - row.count(None) == 61 for matrix in found for row in matrix.rows)


def test_a_filter_and_the_other_format(wire: WireClient, table: str) -> None:
    bulk_import(wire, table, *(put(number, a=number) for number in range(10)))
    inner = filter_pb2.SingleColumnValueFilter(
        comparator=filter_pb2.COMPARATOR_TYPE_GREATER_EQUAL,
        column_name="a",
        column_value=encode_variant(7),
        filter_if_missing=True,
        latest_version_only=True,
    )
    condition = filter_pb2.Filter(type=filter_pb2.FILTER_TYPE_SINGLE_COLUMN_VALUE, filter=inner.SerializeToString())
    (matrix,) = pages(wire, table, filter=condition.SerializeToString())
    assert matrix.rows == [[7, 7], [8, 8], [9, 9]]
    response = export(wire, table, data_block_type_hint=row_pb2.DATA_BLOCK_TYPE_PLAIN_BUFFER)
    assert response.data_block_type == row_pb2.DATA_BLOCK_TYPE_PLAIN_BUFFER
    assert [key[0][1] for key, _, _ in decode_rows(response.rows)] == list(range(10))
    assert response.consumed.capacity_unit.read >= 1
