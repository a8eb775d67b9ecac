"""An asynchronous store in the shape of the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any


class Awaited:
    """Each call runs to its end."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._runner = asyncio.Runner()
        self._store = self._runner.run(self._made(make))

    @staticmethod
    async def _made(make: Callable[[], Any]) -> Any:
        return make()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def called(*arguments: Any, **options: Any) -> Any:
            result = await getattr(self._store, name)(*arguments, **options)
            return [item async for item in result] if isinstance(result, AsyncIterator) else result

        return lambda *arguments, **options: self._runner.run(called(*arguments, **options))

    def end(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()
