"""SIGTERM under load: every request is answered whole or not taken, nothing acknowledged is lost, the exit is clean."""

from __future__ import annotations

import http.client
import threading
import time
from pathlib import Path

from support.server import ServerProcess
from support.wire_client import WireClient

from lutra.kernels.plainbuffer import decode_rows, encode_change, encode_key
from lutra.model.values import INF_MAX, INF_MIN
from lutra.server.wire import capacity_pb2, row_pb2, table_pb2

WRITERS = 6


def batch(first: int, rows: int = 50) -> bytes:
    condition = row_pb2.Condition(row_existence=row_pb2.ROW_EXISTENCE_EXPECTATION_IGNORE)
    changes = [
        row_pb2.RowInBatchWriteRowRequest(
            type=row_pb2.OPERATION_TYPE_PUT,
            row_change=encode_change((("id", number),), [("c", "x" * 500, None, 0)], False),
            condition=condition,
        )
        for number in range(first, first + rows)
    ]
    table = row_pb2.TableInBatchWriteRowRequest(table_name="t", rows=changes)
    return row_pb2.BatchWriteRowRequest(tables=[table]).SerializeToString()


def create_table(client: WireClient) -> None:
    key = table_pb2.PrimaryKeySchema(name="id", type=table_pb2.PRIMARY_KEY_TYPE_INTEGER)
    reserved = capacity_pb2.ReservedThroughput(capacity_unit=capacity_pb2.CapacityUnit(read=0, write=0))
    meta = table_pb2.TableMeta(table_name="t", primary_key=[key])
    message = table_pb2.CreateTableRequest(table_meta=meta, reserved_throughput=reserved)
    assert client.call("CreateTable", message.SerializeToString()).status == 200


def all_ids(client: WireClient) -> set[int]:
    found: set[int] = set()
    start = encode_key((("id", INF_MIN),))
    while True:
        request = row_pb2.GetRangeRequest(
            table_name="t",
            direction=row_pb2.DIRECTION_FORWARD,
            max_versions=1,
            columns_to_get=["id"],
            inclusive_start_primary_key=start,
            exclusive_end_primary_key=encode_key((("id", INF_MAX),)),
        )
        answer = row_pb2.GetRangeResponse.FromString(client.call("GetRange", request.SerializeToString()).body)
        found |= {key[0][1] for key, _, _ in decode_rows(answer.rows)}
        if not answer.next_start_primary_key:
            return found
        start = answer.next_start_primary_key


def test_stop_under_load(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    server.start()
    client = WireClient(server.endpoint)
    create_table(client)
    client.close()
    acknowledged: set[int] = set()
    cut_short: list[BaseException] = []

    def write(first: int) -> None:
        writer = WireClient(server.endpoint)
        try:
            while True:
                answer = writer.call("BatchWriteRow", batch(first))
                assert answer.status == 200
                acknowledged.update(range(first, first + 50))
                first += 50
        except (http.client.IncompleteRead, http.client.BadStatusLine) as error:
            if not isinstance(error, http.client.RemoteDisconnected):
                cut_short.append(error)
        except ConnectionError:
            pass
        except BaseException as error:
            cut_short.append(error)
        finally:
            writer.close()

    writers = [threading.Thread(target=write, args=(1_000_000 * index,)) for index in range(WRITERS)]
    for writer in writers:
        writer.start()
    deadline = time.monotonic() + 20
    while len(acknowledged) < 1_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    server.stop()
    for writer in writers:
        writer.join()
    assert cut_short == []
    assert "Traceback" not in server.log_path.read_text()
    with server:
        client = WireClient(server.endpoint)
        assert acknowledged <= all_ids(client)
        client.close()
