"""The server under load: durable writes, reads and vector search over loopback.

``python -m bench.server`` needs wrk (``apt-get install wrk``). Requests are signed beforehand by the official SDK.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tablestore as ots
from tablestore import OTSClient

from bench import prepared
from bench.server_process import RunningServer, run_server

TABLE = "bench"
VECTOR_TABLE = "vectors"
INDEX = "vectors_index"
VECTOR_ROWS = 10_000
DIMENSION = 128
BATCH_ROWS = 200
REPLAY = Path(__file__).with_name("replay.lua")

Call = Callable[[OTSClient], object]


def replay(endpoint: str, requests: Path, connections: int, seconds: float) -> dict[str, Any]:
    """Replays ``requests`` by wrk over ``connections`` connections; latencies in ms, ``per_s`` requests a second."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(REPLAY), endpoint]
    output = subprocess.run([*command, "--", str(requests), "1"], capture_output=True, text=True, check=True).stdout
    result: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    if result["non_2xx"] or result["socket_errors"]:
        raise RuntimeError(f"requests failed: {result}")
    result["per_s"] = result["requests"] / result["duration_us"] * 1e6
    return result


def _text(generator: random.Random, length: int) -> str:
    return "".join(generator.choices(string.ascii_letters, k=length))


def _put(row: ots.Row, client: OTSClient) -> object:
    return client.put_row(TABLE, row, ots.Condition(ots.RowExistenceExpectation.IGNORE))


def put_calls(count: int) -> Iterator[Call]:
    """PutRow of one string column of 1,000 characters, every key new."""
    text = _text(random.Random(1), 1_000)
    for number in range(count):
        yield partial(_put, ots.Row([("id", f"put-{number:08d}")], [("text", text)]))


def _batch(rows: list[ots.PutRowItem], client: OTSClient) -> object:
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(TABLE, rows))
    return client.batch_write_row(request)


def batch_calls(count: int) -> Iterator[Call]:
    """BatchWriteRow of 200 rows of 1,000 characters, every key new."""
    text = _text(random.Random(2), 1_000)
    ignore = ots.Condition(ots.RowExistenceExpectation.IGNORE)
    for number in range(count):
        keys = (f"batch-{number:06d}-{row:04d}" for row in range(BATCH_ROWS))
        rows = [ots.PutRowItem(ots.Row([("id", key)], [("text", text)]), ignore) for key in keys]
        yield partial(_batch, rows)


def _get(key: str, client: OTSClient) -> object:
    return client.get_row(TABLE, [("id", key)], max_version=1)


def get_calls(count: int, rows: int) -> Iterator[Call]:
    """GetRow of rows that put_calls wrote, in random order."""
    generator = random.Random(3)
    for _ in range(count):
        yield partial(_get, f"put-{generator.randrange(rows):08d}")


def _knn(vector: list[float], client: OTSClient) -> object:
    query = ots.SearchQuery(
        ots.KnnVectorQuery("embedding", 10, vector), limit=10, sort=ots.Sort([ots.ScoreSort()]), get_total_count=False
    )
    return client.search(VECTOR_TABLE, INDEX, query, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))


def knn_calls(count: int) -> Iterator[Call]:
    """KnnVectorQuery, top 10, over the vectors table."""
    vectors = np.random.default_rng(4).standard_normal((count, DIMENSION), dtype=np.float32)
    for vector in vectors:
        yield partial(_knn, vector.tolist())


def create_tables(client: OTSClient) -> None:
    """The two tables and the vector index, the latter filled and synced."""
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    for name in (TABLE, VECTOR_TABLE):
        client.create_table(ots.TableMeta(name, [("id", "STRING")]), ots.TableOptions(), throughput)
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_EUCLIDEAN, DIMENSION)
    field = ots.FieldSchema("embedding", ots.FieldType.VECTOR, vector_options=options)
    client.create_search_index(VECTOR_TABLE, INDEX, ots.SearchIndexMeta([field]))
    vectors = np.random.default_rng(5).standard_normal((VECTOR_ROWS, DIMENSION), dtype=np.float32)
    ignore = ots.Condition(ots.RowExistenceExpectation.IGNORE)
    for start in range(0, VECTOR_ROWS, BATCH_ROWS):
        request = ots.BatchWriteRowRequest()
        rows = [
            ots.PutRowItem(ots.Row([("id", f"{n:06d}")], [("embedding", bytearray(vectors[n].tobytes()))]), ignore)
            for n in range(start, start + BATCH_ROWS)
        ]
        request.add(ots.TableInBatchWriteRowItem(VECTOR_TABLE, rows))
        client.batch_write_row(request)
    _wait_for_rows(client)


def _wait_for_rows(client: OTSClient) -> None:
    deadline = time.monotonic() + 30
    query = ots.SearchQuery(ots.MatchAllQuery(), limit=0, get_total_count=True)
    while time.monotonic() < deadline:
        if client.search(VECTOR_TABLE, INDEX, query).total_count == VECTOR_ROWS:
            return
        time.sleep(0.05)
    raise RuntimeError("the index did not catch up within 30 s")


def freshness(client: OTSClient, writes: int) -> dict[str, Any]:
    """How long after its acknowledgement a row is found by a search, asked for again and again."""
    ignore = ots.Condition(ots.RowExistenceExpectation.IGNORE)
    waited_ms = []
    for number in range(writes):
        vector = np.full(DIMENSION, 100.0 + number, np.float32)
        row = ots.Row([("id", f"fresh-{number:06d}")], [("embedding", bytearray(vector.tobytes()))])
        client.put_row(VECTOR_TABLE, row, ignore)
        acknowledged_s = time.perf_counter()
        nearest = ots.KnnVectorQuery("embedding", 1, vector.tolist())
        query = ots.SearchQuery(nearest, limit=1, sort=ots.Sort([ots.ScoreSort()]))
        while client.search(VECTOR_TABLE, INDEX, query).rows[0][0] != row.primary_key:
            if time.perf_counter() - acknowledged_s > 10:
                raise RuntimeError("a row was not searchable within 10 s")
        waited_ms.append((time.perf_counter() - acknowledged_s) * 1e3)
    p50_ms, p99_ms = np.percentile(waited_ms, (50, 99))
    return {"load": "from acknowledged to found", "p50_ms": p50_ms, "p99_ms": p99_ms, "max_ms": max(waited_ms)}


def measure(server: RunningServer, seconds: float, folder: Path) -> list[dict[str, Any]]:
    """Runs the four loads; returns one row of figures each."""
    client = prepared.client(server.endpoint)
    create_tables(client)
    put_count, batch_count = int(6_000 * seconds), int(400 * seconds)
    loads: list[tuple[str, Callable[[], Iterator[Call]], int, int]] = [
        ("PutRow 1 KB, 1 client", lambda: put_calls(put_count), 1, 1),
        ("PutRow 1 KB, 32 clients", lambda: put_calls(put_count), 32, 1),
        ("GetRow 1 KB, 1 client", lambda: get_calls(4_000, 1_000), 1, 1),
        ("GetRow 1 KB, 32 clients", lambda: get_calls(4_000, 1_000), 32, 1),
        (f"KNN {VECTOR_ROWS} x {DIMENSION}, 1 client", lambda: knn_calls(2_000), 1, 1),
        (f"KNN {VECTOR_ROWS} x {DIMENSION}, 8 clients", lambda: knn_calls(2_000), 8, 1),
        ("BatchWriteRow 200 x 1 KB, 8 clients", lambda: batch_calls(batch_count), 8, BATCH_ROWS),
    ]
    results = []
    for name, calls, connections, rows in loads:
        path = folder / "requests"
        prepared.record(server.endpoint, calls(), path)
        figures = replay(server.endpoint, path, connections, seconds)
        figures |= {"load": name, "rows_per_s": figures["per_s"] * rows, "server_resident_mb": server.resident_mb}
        results.append(figures)
        print(
            f"{name:40} {figures['rows_per_s']:>10,.0f} rows/s  p50 {figures['p50_ms']:7.2f} ms"
            f"  p99 {figures['p99_ms']:7.2f} ms  server {figures['server_resident_mb']:6.0f} MB",
            flush=True,
        )
    fresh = freshness(client, 300)
    print(f"{fresh['load']:40} {'':17}  p50 {fresh['p50_ms']:7.2f} ms  p99 {fresh['p99_ms']:7.2f} ms", flush=True)
    return [*results, fresh]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="how long each load runs")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("bench.server: wrk was not found; on Debian: apt-get install wrk")
    with run_server() as server:
        results = measure(server, arguments.seconds, server.data_dir.parent)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
