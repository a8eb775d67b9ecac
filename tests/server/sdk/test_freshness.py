"""A row is searchable within a second of its acknowledgement."""

from __future__ import annotations

import time

import tablestore as ots
from support.sdk import put
from support.searching import field, ids, search
from support.tables import TableMaker
from tablestore import FieldType, TermQuery

WRITES = 250
WITHIN_S = 1.0
N = field("n", FieldType.LONG)


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
