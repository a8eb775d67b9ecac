"""Many clients at once: a guarded write has one winner, no increment is lost, one async client serves many calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import tablestore as ots
from support.sdk import EXPECT_NOT_EXIST, IGNORE, get, is_accepted, put, values
from support.server import ServerProcess
from tablestore import ComparatorType as Is

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


def test_one_async_client_and_many_calls(server: ServerProcess, table: str) -> None:
    async def run() -> None:
        async with server.async_client() as client:
            rows = [ots.Row([("id", f"{number}")], [("n", number)]) for number in range(200)]
            await asyncio.gather(*[client.put_row(table, row, IGNORE) for row in rows])
            answers = await asyncio.gather(*[client.get_row(table, row.primary_key) for row in rows])
            assert [values(row) for _, row, _ in answers] == [{"n": number} for number in range(200)]

    asyncio.run(run())
