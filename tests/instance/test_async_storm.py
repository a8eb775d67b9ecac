"""Many tasks of an async database, of which some are cancelled at any instant, beside a model of what may be there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lutra

KEYS = 12
"""Of each task, its own."""
FIELDS: dict[str, Any] = {"n": int, "of": int, "v": lutra.Vector(4, "euclidean")}


class Client:
    """A task with keys of its own; of each it knows what it may hold: what was cancelled has happened or not."""

    def __init__(self, docs: lutra.AsyncTable, number: int, seed: int) -> None:
        self._docs = docs
        self._number = number
        self._random = random.Random(seed)
        self.may_be: dict[int, set[int | None]] = {number * 1_000 + key: {None} for key in range(KEYS)}
        self.cancelled = 0

    async def run(self, operations: int) -> None:
        kinds = [self._put, self._put_many, self._update, self._delete, self._get, self._search, self._scan]
        for n in range(1, operations + 1):
            await self._random.choice(kinds)(n)

    async def _write(self, keys: list[int], n: int | None, work: Awaitable[object]) -> None:
        if await self._survived(work):
            self.may_be |= {key: {n} for key in keys}
        else:
            self.may_be |= {key: self.may_be[key] | {n} for key in keys}

    async def _survived(self, work: Awaitable[object]) -> bool:
        """Whether it came to its end; one in three is cancelled after some turns of the loop."""
        task = asyncio.ensure_future(work)
        if self._random.random() < 0.3:
            for _ in range(self._random.randrange(6)):
                await asyncio.sleep(self._random.choice((0, 0, 0.001)))
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            self.cancelled += 1
            return False
        return True

    def _row(self, key: int, n: int) -> dict[str, Any]:
        return {"id": key, "n": n, "of": self._number, "v": np.array([self._number, key, n, 1.0])}

    def _some(self, count: int) -> list[int]:
        return self._random.sample(list(self.may_be), count)

    async def _put(self, n: int) -> None:
        [key] = self._some(1)
        await self._write([key], n, self._docs.put(self._row(key, n)))

    async def _put_many(self, n: int) -> None:
        keys = self._some(5)
        await self._write(keys, n, self._docs.put_many([self._row(key, n) for key in keys]))

    async def _update(self, n: int) -> None:
        [key] = self._some(1)
        await self._write([key], n, self._docs.update(key, set={"n": n, "of": self._number}))

    async def _delete(self, n: int) -> None:
        keys = self._some(2)
        await self._write(keys, None, self._docs.delete_many(keys))

    async def _get(self, n: int) -> None:
        [key] = self._some(1)

        async def look() -> None:
            row = await self._docs.get(key)
            self.check(key, None if row is None else row["n"])

        await self._survived(look())

    async def _search(self, n: int) -> None:
        async def look() -> None:
            found = await self._docs.search(where=lutra.col("of") == self._number, limit=100)
            there = {row["id"]: row["n"] for row in found}
            for key in self.may_be:
                if key in there or self.may_be[key] == {None}:
                    self.check(key, there.get(key))

        await self._survived(look())

    async def _scan(self, n: int) -> None:
        async def look() -> None:
            first = self._number * 1_000
            there = {row["id"]: row["n"] async for row in self._docs.scan(start=first, end=first + 1_000)}
            for key in self.may_be:
                self.check(key, there.get(key))

        await self._survived(look())

    def check(self, key: int, n: int | None) -> None:
        """Of a key that somebody's cancelled write may yet reach, too."""
        assert n in self.may_be[key], (key, n, self.may_be[key])


async def storm(path: Path, seed: int, clients: int, operations: int) -> None:
    async with lutra.connect_async(path) as db:
        docs = await db.create_table("t", {"id": int}, FIELDS, exist_ok=True)
        all_of = [Client(docs, number, seed * 100 + number) for number in range(clients)]
        await asyncio.gather(*(one.run(operations) for one in all_of))
        while len(db._lanes._under_way):
            await asyncio.sleep(0.002)
        assert sum(one.cancelled for one in all_of) > operations * clients // 20
        rows = {row["id"]: row["n"] async for row in docs}
        for one in all_of:
            for key in one.may_be:
                one.check(key, rows.get(key))
        assert await docs.count() == len(rows)
        found = await docs.search(limit=1_000)
        assert {row["id"]: row["n"] for row in found} == rows
        assert len(db._lanes._waiting) == 0


def test_a_storm(tmp_path: Path) -> None:
    asyncio.run(storm(tmp_path, 0, clients=8, operations=25))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(1, 9))
def test_storms(seed: int, tmp_path: Path) -> None:
    asyncio.run(storm(tmp_path, seed, clients=20, operations=120))
