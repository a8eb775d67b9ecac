"""A row is searchable within a second of its acknowledgement."""

from __future__ import annotations

import time

import tablestore as ots
from support.sdk import IGNORE, get, put, values
from support.searching import field, ids, search
from support.tables import TableMaker
from support.waiting import wait_until
from tablestore import FieldType, TermQuery

WRITES = 250
WITHIN_S = 1.0
DAY_S = 86_400
LIVES_S = (4.0, 16.0, 64.0)
"""To be found in before it expires; a busy machine takes longer."""
FOUND_WITHIN_S = 20.0
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


def test_a_value_that_has_expired_is_found_no_more(sync_client: ots.OTSClient, make: TableMaker) -> None:
    """Though its row lives on and nobody writes it: within some seconds."""
    table = make.table(options=ots.TableOptions(DAY_S))
    index = make.index(table, [N, field("word", FieldType.KEYWORD)])
    for lives_s in LIVES_S:
        old = ("n", 1, int(1_000 * (time.time() + lives_s - DAY_S)))
        sync_client.put_row(table, ots.Row([("id", "a")], [old, ("word", "x")]), IGNORE)
        if _is_found_within(sync_client, table, index, 1, lives_s):
            break
    else:
        raise AssertionError("it is not found")
    wait_until(lambda: [*values(get(sync_client, table, [("id", "a")]))] == ["word"], FOUND_WITHIN_S)
    for query in (TermQuery("n", 1), ots.ExistsQuery("n"), ots.RangeQuery("n", 0, 9)):
        wait_until(lambda query=query: ids(search(sync_client, table, index, query)) == [], FOUND_WITHIN_S)
    assert ids(search(sync_client, table, index, TermQuery("word", "x"))) == ["a"]
