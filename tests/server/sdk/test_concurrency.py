"""Many clients at once: a guarded write has one winner, no increment is lost, one async client serves many calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import tablestore as ots
from support.sdk import EXPECT_NOT_EXIST, IGNORE, NO_THROUGHPUT, get, is_accepted, put, values
from support.searching import field, ids, search
from support.server import ServerProcess
from support.tables import TableMaker
from tablestore import ComparatorType as Is
from tablestore import FieldType, TermQuery

THREADS = 8
KEY = [("id", "row")]


def _race(server: ServerProcess, attempt: Callable[[ots.OTSClient, int], bool]) -> list[bool]:
    """Runs ``attempt(client, number)`` from all threads at the same moment."""
    barrier = Barrier(THREADS)

    def run(number: int) -> bool:
        client = server.client()
        barrier.wait(timeout=10)
        return attempt(client, number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_a_table_is_made_by_one(server: ServerProcess, sync_client: ots.OTSClient) -> None:
    def create(client: ots.OTSClient, number: int) -> bool:
        meta = ots.TableMeta("raced", [("id", "STRING")], [(f"column_{number}", "STRING")])
        try:
            client.create_table(meta, ots.TableOptions(), NO_THROUGHPUT)
        except ots.OTSServiceError as error:
            if error.get_error_code() != "OTSObjectAlreadyExist":
                raise
            return False
        return True

    outcomes = _race(server, create)
    assert outcomes.count(True) == 1
    defined = sync_client.describe_table("raced").table_meta.defined_columns
    assert defined == [(f"column_{outcomes.index(True)}", "STRING")]
    sync_client.delete_table("raced")


def test_a_row_is_made_by_one(server: ServerProcess, sync_client: ots.OTSClient, table: str) -> None:
    for turn in range(10):
        key = [("id", f"row {turn}")]

        def create(client: ots.OTSClient, number: int, key: list[tuple[str, str]] = key) -> bool:
            return is_accepted(lambda: client.put_row(table, ots.Row(key, [("by", number)]), EXPECT_NOT_EXIST))

        outcomes = _race(server, create)
        assert outcomes.count(True) == 1
        assert values(get(sync_client, table, key)) == {"by": outcomes.index(True)}


def test_compare_and_set_has_one_winner(server: ServerProcess, sync_client: ots.OTSClient, table: str) -> None:
    put(sync_client, table, KEY, version=0)
    for version in range(10):
        unchanged = ots.SingleColumnCondition("version", version, Is.EQUAL)
        guard = ots.Condition(ots.RowExistenceExpectation.EXPECT_EXIST, unchanged)

        def advance(
            client: ots.OTSClient, number: int, guard: ots.Condition = guard, following: int = version + 1
        ) -> bool:
            changes = {"PUT": [("version", following), ("by", number)]}
            return is_accepted(lambda: client.update_row(table, ots.Row(KEY, changes), guard))

        outcomes = _race(server, advance)
        assert outcomes.count(True) == 1
        assert values(get(sync_client, table, KEY)) == {"version": version + 1, "by": outcomes.index(True)}


def test_no_increment_is_lost(server: ServerProcess, sync_client: ots.OTSClient, table: str) -> None:
    def count(client: ots.OTSClient, _: int) -> bool:
        for _ in range(25):
            client.update_row(table, ots.Row(KEY, {"INCREMENT": [("n", 1)]}), IGNORE)
        return True

    _race(server, count)
    assert values(get(sync_client, table, KEY)) == {"n": THREADS * 25}


def test_an_index_made_while_rows_are_written(
    server: ServerProcess, sync_client: ots.OTSClient, make: TableMaker, table: str
) -> None:
    """What it fills from and what it follows overlap or meet: no row is missed, none is there twice."""

    def write(client: ots.OTSClient, number: int) -> bool:
        if number == 0:
            client.create_search_index(table, "under_way", ots.SearchIndexMeta([field("n", FieldType.LONG)]))
            return True
        for n in range(40):
            put(client, table, [("id", f"{number}-{n:02d}")], n=number)
            if n % 4 == 3:
                client.delete_row(table, [("id", f"{number}-{n - 1:02d}")])
        return True

    _race(server, write)
    make.wait_synced(table, "under_way")
    for number in range(1, THREADS):
        found = search(sync_client, table, "under_way", TermQuery("n", number))
        assert ids(found) == [f"{number}-{n:02d}" for n in range(40) if n % 4 != 2]


def test_one_async_client_and_many_calls(server: ServerProcess, table: str) -> None:
    async def run() -> None:
        async with server.async_client() as client:
            rows = [ots.Row([("id", f"{number}")], [("n", number)]) for number in range(200)]
            await asyncio.gather(*[client.put_row(table, row, IGNORE) for row in rows])
            answers = await asyncio.gather(*[client.get_row(table, row.primary_key) for row in rows])
            assert [values(row) for _, row, _ in answers] == [{"n": number} for number in range(200)]

    asyncio.run(run())
