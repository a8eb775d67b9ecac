"""What the Python SDK's own live tests and example of parallel scans send, and what they expect."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import tablestore as ots
from support.sdk import invalid, load, refused
from support.searching import ALL_FROM_INDEX, columns_of, field, ids
from support.tables import TableMaker
from tablestore import FieldType, ScanQuery, TermQuery

pytestmark = pytest.mark.slow

COUNT = 100
EVERY = TermQuery("d", 0.1)
Indexed = tuple[str, str]


@pytest.fixture(scope="module")
def indexed(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    table = make_for_module.table([("PK1", "INTEGER"), ("PK2", "STRING")])
    rows: list[Any] = [
        ([("PK1", n), ("PK2", f"pk_{n % 10}")], {"l": n, "d": 0.1, "ka": f'["a", "b", "{n}"]'}) for n in range(COUNT)
    ]
    load(sync_client, table, rows)
    fields = [
        field("l", FieldType.LONG, index=True, store=True),
        field("d", FieldType.DOUBLE, index=True, store=True),
        field("ka", FieldType.KEYWORD, index=True, is_array=True, store=True),
    ]
    options = {"index_setting": ots.IndexSetting(routing_fields=["PK1"])}
    by_key = ots.Sort(sorters=[ots.PrimaryKeySort(ots.SortOrder.ASC)])
    return table, make_for_module.index(table, fields, index_sort=by_key, **options)


def page(client: ots.OTSClient, indexed: Indexed, session: str, token: Any, **options: Any) -> ots.ParallelScanResponse:
    options = {"limit": 70, "current_parallel_id": 0, "max_parallel": 1, "alive_time": 30} | options
    query = ScanQuery(EVERY, next_token=token, **options)
    return client.parallel_scan(*indexed, query, session, columns_to_get=ALL_FROM_INDEX)


def test_splits(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    response = sync_client.compute_splits(*indexed)
    assert (response.splits_size, len(response.session_id) > 0) == (1, True)
    with invalid("[search index splits options] must not be null"):
        sync_client.compute_splits(indexed[0], None)
    with refused("OTSMetaNotMatch", 400, "search index [not_exist] does not exist"):
        sync_client.compute_splits(indexed[0], "not_exist")
    with invalid("table [not_exist] does not exist"):
        sync_client.compute_splits("not_exist", indexed[1])


def test_pages(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    session = sync_client.compute_splits(*indexed).session_id
    pages = [page(sync_client, indexed, session, None)]
    while pages[-1].next_token:
        pages.append(page(sync_client, indexed, session, pages[-1].next_token))
        assert len(pages) < 5
    assert [len(one.rows) for one in pages] == [70, 30, 0]
    rows = [row for one in pages for row in one.rows]
    assert sorted((key[0][1], columns_of((key, columns))["l"]) for key, columns in rows) == [
        (n, n) for n in range(COUNT)
    ]


def test_a_thread_for_each_split(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    splits = sync_client.compute_splits(*indexed)

    def rows_of(number: int) -> list[int]:
        found: list[int] = []
        token = None
        while True:
            options = {"limit": 20, "current_parallel_id": number, "max_parallel": splits.splits_size}
            response = page(sync_client, indexed, splits.session_id, token, **options)
            found += ids(response)
            if len(response.next_token) == 0:
                return found
            token = response.next_token

    with ThreadPoolExecutor(splits.splits_size) as threads:
        assert sorted(n for found in threads.map(rows_of, range(splits.splits_size)) for n in found) == list(
            range(COUNT)
        )


def test_refuses_splits_that_are_not(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    session = sync_client.compute_splits(*indexed).session_id
    with invalid(
        "[parallel_scan.current_parallel_id] must in [0, max_parallel), current max_parallel is 1, "
        "current_parallel_id is 101"
    ):
        page(sync_client, indexed, session, None, limit=700, current_parallel_id=101)
    with invalid("[parallel_scan.max_parallel_id] must in (0 ,1], current max_parallel_id is 2"):
        page(sync_client, indexed, session, None, max_parallel=2)


def test_a_session_ends(sync_client: ots.OTSClient, indexed: Indexed) -> None:
    session = sync_client.compute_splits(*indexed).session_id
    first = page(sync_client, indexed, session, None, alive_time=1)
    assert len(first.rows) == 70
    time.sleep(1.5)
    said = "ScanQuery'session is expired, please retry ComputeSplitsRequest and ScanQuery."
    with refused("OTSSessionExpired", 400, said):
        page(sync_client, indexed, session, first.next_token)
