"""Tables and rows over the wire alone: what the Python SDK has no words for is said in protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message
from support.wire_client import WireClient

from lutra.kernels.plainbuffer import encode_change, encode_key
from lutra.model.rows import CellChange, KeyInput
from lutra.model.values import INF_MAX, INF_MIN
from lutra.server.wire import capacity_pb2, error_pb2, row_pb2, table_pb2

M = TypeVar("M", bound=Message)
PUT, UPDATE, DELETE = row_pb2.OPERATION_TYPE_PUT, row_pb2.OPERATION_TYPE_UPDATE, row_pb2.OPERATION_TYPE_DELETE
FIRST, LAST = encode_key((("id", INF_MIN),)), encode_key((("id", INF_MAX),))


def call(client: WireClient, operation: str, request: Message, kind: type[M]) -> M:
    """The answer; fails where it is an error."""
    answer = client.call(operation, request.SerializeToString())
    assert answer.status == 200, error_pb2.Error.FromString(answer.body)
    return kind.FromString(answer.body)


def refusal(client: WireClient, operation: str, request: Message) -> tuple[int, str, str]:
    """Status, code and text of an error."""
    answer = client.call(operation, request.SerializeToString())
    error = error_pb2.Error.FromString(answer.body)
    return answer.status, error.code, error.message


def create_table(client: WireClient, name: str, stream: table_pb2.StreamSpecification | None = None) -> None:
    """Of one INTEGER key column ``id``."""
    key = table_pb2.PrimaryKeySchema(name="id", type=table_pb2.PRIMARY_KEY_TYPE_INTEGER)
    reserved = capacity_pb2.ReservedThroughput(capacity_unit=capacity_pb2.CapacityUnit(read=0, write=0))
    request = table_pb2.CreateTableRequest(
        table_meta=table_pb2.TableMeta(table_name=name, primary_key=[key]),
        reserved_throughput=reserved,
        stream_spec=stream,
    )
    call(client, "CreateTable", request, table_pb2.CreateTableResponse)


def delete_table(client: WireClient, name: str) -> None:
    call(client, "DeleteTable", table_pb2.DeleteTableRequest(table_name=name), table_pb2.DeleteTableResponse)


def change(key: KeyInput | int, cells: Sequence[CellChange] = (), *, is_delete: bool = False) -> bytes:
    """A row as clients send it; a number stands for the key ``id``."""
    return encode_change((("id", key),) if isinstance(key, int) else key, cells, is_delete)


def write(client: WireClient, table: str, *rows: tuple[row_pb2.OperationType, bytes]) -> None:
    """A BatchWriteRow, without conditions, of which all rows are written."""
    condition = row_pb2.Condition(row_existence=row_pb2.ROW_EXISTENCE_EXPECTATION_IGNORE)
    changes = [row_pb2.RowInBatchWriteRowRequest(type=kind, row_change=row, condition=condition) for kind, row in rows]
    request = row_pb2.BatchWriteRowRequest(tables=[row_pb2.TableInBatchWriteRowRequest(table_name=table, rows=changes)])
    response = call(client, "BatchWriteRow", request, row_pb2.BatchWriteRowResponse)
    assert all(row.is_ok for row in response.tables[0].rows)
