"""A row is searchable within a second of its acknowledgement, and an index is there again after a restart."""

from __future__ import annotations

import time
from pathlib import Path

import tablestore as ots
from support.sdk import load, put
from support.searching import BY_SCORE, field, ids, packed, search, vector_field
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore import FieldType, KnnVectorQuery, MatchAllQuery, TermQuery

WRITES = 250
WITHIN_S = 1.0
N = field("n", FieldType.LONG)
V = vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN)


def _is_found_within(client: ots.OTSClient, table: str, index: str, number: int, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if ids(search(client, table, index, TermQuery("n", number), limit=1)):
            return True
    return False


def test_99_of_100_rows_are_searchable_within_a_second(
    sync_client: ots.OTSClient, make: TableMaker, table: str
) -> None:
    index = make.index(table, [N])
    found = 0
    for number in range(WRITES):
        put(sync_client, table, [("id", f"{number}")], n=number)
        found += _is_found_within(sync_client, table, index, number, WITHIN_S)
    assert found >= 0.99 * WRITES


def test_an_index_after_a_restart(tmp_path: Path) -> None:
    """Stopped in the middle of its work, started again: tables, rows and indexes are as they were."""
    with ServerProcess(tmp_path / "data") as server:
        make = TableMaker(server.client())
        table = make.table()
        index = make.index(table, [N, V])
        rows = [([("id", f"{n:03d}")], {"n": n, "v": packed([n, 0.0])}) for n in range(500)]
        load(server.client(), table, rows)
        server.stop()
        server.start()
        client = server.client()
        make = TableMaker(client)
        assert client.list_search_index(table) == [(table, index)]
        make.wait_synced(table, index)
        response = search(client, table, index, MatchAllQuery(), get_total_count=True)
        assert response.total_count == 500
        nearest = search(client, table, index, KnnVectorQuery("v", 3, [250.2, 0.0]), limit=3, sort=BY_SCORE)
        assert ids(nearest) == ["250", "251", "249"]
        put(client, table, [("id", "after")], n=1_000)
        assert _is_found_within(client, table, index, 1_000, WITHIN_S)
