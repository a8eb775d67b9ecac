"""Answers for those who watch the server: each question has a thread of its own, and is asked once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lutra.server.lanes.pool import WorkerPool

_TIMEOUT_S: Final = 5.0


class Probe:
    """One question. Who asks while the answer is being made gets that one: a call that hangs costs one thread."""

    def __init__(self, name: str, call: Callable[[], bytes]) -> None:
        self._pool = WorkerPool(name, 1, 0)
        self._call = call
        self._answer: asyncio.Future[bytes] | None = None

    async def ask(self) -> bytes:
        """The answer. Raises TimeoutError where it does not come within 5 s, else what the call raises."""
        if self._answer is None or self._answer.done():
            self._answer = self._pool.submit(self._call)
        return await asyncio.wait_for(asyncio.shield(self._answer), _TIMEOUT_S)

    def close(self) -> None:
        """Ends the thread."""
        self._pool.close()
