"""A table of the async door, and calls that are held until a test lets them go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

import lutra

DIMENSION = 8
FIELDS: dict[str, Any] = {"n": int, "s": str, "v": lutra.Vector(DIMENSION)}
VECTORS = np.random.default_rng(3).standard_normal((2_000, DIMENSION)).astype("<f4")
WAIT_S = 60.0


def row(number: int, **changed: Any) -> dict[str, Any]:
    return {"id": number, "n": number, "s": f"s{number % 5}", "v": VECTORS[number], **changed}


async def make(database: lutra.AsyncDatabase, rows: int = 0, name: str = "t") -> lutra.AsyncTable:
    table = await database.create_table(name, {"id": int}, FIELDS)
    await table.put_many([row(number) for number in range(rows)])
    return table


def run(work: Callable[[], Awaitable[None]]) -> None:
    """On a loop of its own, in debug mode, which must not complain."""

    async def main() -> None:
        complaints: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(WAIT_S):
            await work()
        await asyncio.sleep(0)
        assert complaints == []

    asyncio.run(main(), debug=True)


async def until(reached: Callable[[], bool]) -> None:
    while not reached():
        await asyncio.sleep(0.002)


class Held:
    """A method whose calls are held until they are let go. They are counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, of: type, name: str, *, after: int = 0) -> None:
        """The first ``after`` calls are not held."""
        self.calls = 0
        self.began, self._go = threading.Event(), threading.Event()
        lock, method = threading.Lock(), getattr(of, name)

        def held(*arguments: Any, **named: Any) -> Any:
            with lock:
                self.calls += 1
                is_held = self.calls > after
            if is_held and not self._go.is_set():
                self.began.set()
                assert self._go.wait(WAIT_S)
            return method(*arguments, **named)

        monkeypatch.setattr(of, name, held)

    async def begun(self) -> None:
        await until(self.began.is_set)

    def let_go(self) -> None:
        self._go.set()
