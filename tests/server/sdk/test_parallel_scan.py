"""ComputeSplits and ParallelScan, as the SDK's users export what a query finds."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load, put, refused, send
from support.searching import field, vector_field
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore import FieldType, MatchAllQuery, ScanQuery, TermQuery
from tablestore.protobuf import search_pb2

COUNT = 100
EXPIRED = "ScanQuery'session is expired, please retry ComputeSplitsRequest and ScanQuery."
ALL_FROM_INDEX = ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL_FROM_INDEX)


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> tuple[str, str]:
    """Rows 00 to 99 with ``n`` and a ``d`` that is the same in all."""
    table = make_for_module.table()
    load(sync_client, table, [([("id", f"{n:02d}")], {"n": n, "d": 0.1, "outside": n}) for n in range(COUNT)])
    fields = [
        field("n", FieldType.LONG),
        field("d", FieldType.DOUBLE),
        vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN),
    ]
    return table, make_for_module.index(table, fields)


def scan_query(query: Any = None, limit: int = 70, token: bytes | None = None, **more: Any) -> ScanQuery:
    arguments = {"current_parallel_id": 0, "max_parallel": 1, "alive_time": 30} | more
    return ScanQuery(query or TermQuery("d", 0.1), limit, token, **arguments)


def pages(client: SdkClient, rows: tuple[str, str], session: str | None, **more: Any) -> Iterator[list[str]]:
    token: bytes | None = None
    while token != b"":
        response = client.parallel_scan(*rows, scan_query(token=token, **more), session, ALL_FROM_INDEX)
        yield [row[0][0][1] for row in response.rows]
        token = response.next_token


def test_a_session(client: SdkClient, rows: tuple[str, str]) -> None:
    response = client.compute_splits(*rows)
    assert response.splits_size >= 1
    assert len(response.session_id) > 0


def test_pages_of_a_session(client: SdkClient, rows: tuple[str, str]) -> None:
    """A page with rows comes with a token; the last has neither."""
    session = client.compute_splits(*rows).session_id
    first, second, third = pages(client, rows, session)
    assert (len(first), len(second), third) == (70, 30, [])
    assert sorted(first + second) == [f"{n:02d}" for n in range(COUNT)]


def test_pages_without_a_session(client: SdkClient, rows: tuple[str, str]) -> None:
    found = list(pages(client, rows, None, limit=33))
    assert [len(page) for page in found] == [33, 33, 33, 1, 0]
    assert [name for page in found for name in page] == [f"{n:02d}" for n in range(COUNT)]


def test_any_query_and_what_its_rows_carry(client: SdkClient, rows: tuple[str, str]) -> None:
    session = client.compute_splits(*rows).session_id
    query = ots.BoolQuery(
        must_queries=[ots.RangeQuery("n", 10, 20, True, False)], must_not_queries=[TermQuery("n", 15)]
    )
    response = client.parallel_scan(*rows, scan_query(query, 2_000), session, ALL_FROM_INDEX)
    found = {row[0][0][1]: {name: value for name, value, _ in row[1]} for row in response.rows}
    assert found == {f"{n:02d}": {"n": n, "d": 0.1} for n in range(10, 20) if n != 15}
    some = ots.ColumnsToGet(["n"], ots.ColumnReturnType.SPECIFIED)
    response = client.parallel_scan(*rows, scan_query(query, 1), session, some)
    assert [name for name, *_ in response.rows[0][1]] == ["n"]
    response = client.parallel_scan(*rows, scan_query(query, 1), session, None)
    assert list(response.rows[0][1]) == []


def test_rows_changed_meanwhile(client: SdkClient, make: TableMaker, table: str) -> None:
    for n in range(20):
        put(client, table, [("id", f"{n:02d}")], n=n)
    index = make.index(table, [field("n", FieldType.LONG)])
    session = client.compute_splits(table, index).session_id
    scan = pages(client, (table, index), session, query=MatchAllQuery(), limit=5)
    found = next(scan)
    for n in range(20):
        put(client, table, [("id", f"{n:02d}")], n=-n)
    put(client, table, [("id", "new")], n=0)
    client.delete_row(table, [("id", max({f"{n:02d}" for n in range(20)} - set(found)))])
    make.wait_synced(table, index)
    found += [name for page in scan for name in page]
    assert len(found) == len(set(found)) == 19
    assert set(found) < {f"{n:02d}" for n in range(20)}


def test_sessions_that_are_none(client: SdkClient, rows: tuple[str, str]) -> None:
    with refused("OTSSessionExpired", 400, EXPIRED):
        client.parallel_scan(*rows, scan_query(), "0" * 32, ALL_FROM_INDEX)


def test_a_session_expires(client: SdkClient, rows: tuple[str, str]) -> None:
    session = client.compute_splits(*rows).session_id
    response = client.parallel_scan(*rows, scan_query(alive_time=1), session, ALL_FROM_INDEX)
    time.sleep(1.1)
    with refused("OTSSessionExpired", 400, EXPIRED):
        client.parallel_scan(*rows, scan_query(token=response.next_token), session, ALL_FROM_INDEX)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            scan_query(current_parallel_id=101),
            "[parallel_scan.current_parallel_id] must in [0, max_parallel), current max_parallel is 1, "
            "current_parallel_id is 101",
        ),
        (scan_query(max_parallel=99), "[parallel_scan.max_parallel_id] must in (0 ,{}], current max_parallel_id is 99"),
        (scan_query(limit=2_001), "[parallel_scan.limit] must be in [1, 2000], not 2001"),
    ],
)
def test_scans_that_are_none(client: SdkClient, rows: tuple[str, str], query: ScanQuery, text: str) -> None:
    splits = client.compute_splits(*rows)
    with refused("OTSParameterInvalid", 400, text.format(splits.splits_size)):
        client.parallel_scan(*rows, query, splits.session_id, ALL_FROM_INDEX)


def test_what_a_scan_cannot_do(client: SdkClient, rows: tuple[str, str]) -> None:
    all_columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL)
    outside = ots.ColumnsToGet(["outside"], ots.ColumnReturnType.SPECIFIED)
    for columns, mentions in ((all_columns, "RETURN_ALL"), (outside, "outside")):
        with invalid(mentions=mentions):
            client.parallel_scan(*rows, scan_query(), None, columns)
    with invalid(mentions="knn_vector"):
        client.parallel_scan(*rows, scan_query(ots.KnnVectorQuery("v", 1, [0.0, 0.0])), None, ALL_FROM_INDEX)


def test_what_is_not_there(client: SdkClient, sync_client: ots.OTSClient, rows: tuple[str, str]) -> None:
    table, index = rows
    for call in (
        lambda *names: client.compute_splits(*names),
        lambda *names: client.parallel_scan(*names, scan_query(), None, ALL_FROM_INDEX),
    ):
        with refused("OTSMetaNotMatch", 400, "search index [not_exist] does not exist"):
            call(table, "not_exist")
        with refused("OTSParameterInvalid", 400, "table [not_exist] does not exist"):
            call("not_exist", index)
    with refused("OTSParameterInvalid", 400, "[search index splits options] must not be null"):
        send(sync_client, "ComputeSplits", search_pb2.ComputeSplitsRequest(table_name=table).SerializeToString())


@pytest.mark.one_process
def test_sessions_are_told_in_metrics(client: SdkClient, server: ServerProcess, rows: tuple[str, str]) -> None:
    session = client.compute_splits(*rows).session_id
    with urllib.request.urlopen(f"{server.endpoint}/metrics") as response:
        lines = response.read().decode().splitlines()
    told = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("lutra_scan")}
    assert session
    assert told["lutra_scan_sessions"] >= 1
    assert sum(value for name, value in told.items() if name.startswith("lutra_scan_held_bytes{")) > 0
