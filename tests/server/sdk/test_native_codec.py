"""The SDK's native codec, which exists for CPython 3.12 only: that it is the one in use there, and never gives up."""

from __future__ import annotations

import sys

import pytest
import tablestore as ots
from support.sdk import IGNORE, SdkClient, get, put, values, write_batch
from support.searching import ALL, columns_of, field, packed, search, vector_field
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore import FieldType, decoder, encoder

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 12), reason="the SDK's native codec is built for CPython 3.12 only"
)

COLUMNS = {"a": 1, "b": 0.5, "c": True, "d": "水獺", "e": bytearray(b"\x00\xff"), "f": "", "v": packed([1.0, 2.0])}


def test_it_is_in_use() -> None:
    assert encoder.NATIVE_ENCODER_AVAILABLE
    assert decoder.NATIVE_DECODER_AVAILABLE
    assert decoder.NATIVE_PARSER_AVAILABLE


@pytest.fixture
def strict(server: ServerProcess) -> ots.OTSClient:
    """A client that fails where the native codec does, rather than fall back to Python."""
    return server.client(native_fallback=False)


def test_it_reads_and_writes_rows(strict: ots.OTSClient, table: str) -> None:
    key = [("id", "row")]
    put(strict, table, key, **COLUMNS)
    assert values(get(strict, table, key)) == COLUMNS
    strict.update_row(table, ots.Row(key, {"PUT": [("a", 2)], "DELETE_ALL": ["b"], "INCREMENT": [("n", 1)]}), IGNORE)
    assert write_batch(strict, table, [ots.PutRowItem(ots.Row([("id", "other")], [("a", 1)]), IGNORE)]).is_all_succeed()
    request = ots.BatchGetRowRequest()
    request.add(ots.TableInBatchGetRowItem(table, [key, [("id", "other")], [("id", "absent")]], max_version=1))
    rows = [item.row for item in strict.batch_get_row(request).get_result_by_table(table)]
    assert [None if row is None else values(row)["a"] for row in rows] == [2, 1, None]
    _, following, rows, _ = strict.get_range(table, "FORWARD", [("id", ots.INF_MIN)], [("id", ots.INF_MAX)], limit=1)
    assert (following, len(rows)) == (key, 1)
    strict.delete_row(table, key)
    assert get(strict, table, key) is None


def test_it_searches(strict: SdkClient, make: TableMaker, table: str) -> None:
    index = make.index(table, [field("a", FieldType.LONG), vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN)])
    put(strict, table, [("id", "row")], **COLUMNS)
    make.wait_synced(table, index)
    knn = ots.KnnVectorQuery("v", 1, [1.0, 2.0], filter=ots.TermQuery("a", 1))
    response = search(strict, table, index, knn, columns=ALL, get_total_count=True)
    assert response.total_count == 1
    assert [columns_of(row) for row in response.rows] == [COLUMNS]
