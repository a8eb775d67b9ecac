"""The embedded door for an event loop: what `lutra.connect` gives, with methods that are awaited."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lutra.instance.async_lanes import Lane, Lanes, result_of
from lutra.instance.async_table import AsyncTable
from lutra.instance.defaults import DEFAULT_INSTANCE, MEMORY_BYTES_DEFAULT

if TYPE_CHECKING:  # all that takes a while to load is loaded by a thread
    from lutra.backup.record import Backup
    from lutra.instance.database import Database
    from lutra.instance.field import FieldDeclaration
    from lutra.instance.layout import KeyDeclaration


def connect_async(
    path: str | os.PathLike[str] | None = None,
    *,
    instance: str = DEFAULT_INSTANCE,
    objects: str | os.PathLike[str] | None = None,
    rows: str | os.PathLike[str] | None = None,
    memory_bytes: int = MEMORY_BYTES_DEFAULT,
    memory_limit_bytes: int | None = None,
    read_only: bool = False,
) -> Connecting:
    """As :func:`lutra.connect`, for asyncio. What it gives is awaited, or entered::

        async with lutra.connect_async("./data") as db:
            docs = await db.table("docs")
            async for row in docs.scan():
                ...

        db = await lutra.connect_async("./data")

    The folder is open in this process, for :func:`lutra.connect`, too. Raises the same errors.
    """

    def opened() -> Database:
        from lutra.instance.database import connect

        return connect(
            path,
            instance=instance,
            objects=objects,
            rows=rows,
            memory_bytes=memory_bytes,
            memory_limit_bytes=memory_limit_bytes,
            read_only=read_only,
        )

    return Connecting(opened)


async def restore_async(
    place: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    backup: str | None = None,
    objects: str | os.PathLike[str] | None = None,
) -> Backup:
    """As :func:`lutra.restore`, by a thread. Where this is cancelled, it goes on to its end all the same."""

    def restored() -> Backup:
        from lutra.instance.restoring import restore

        return restore(place, path, backup=backup, objects=objects)

    return await asyncio.to_thread(restored)


class Connecting(Awaitable["AsyncDatabase"], AbstractAsyncContextManager["AsyncDatabase"]):
    """A database that opens when it is awaited or entered, and is closed where it was entered. By `connect_async`."""

    def __init__(self, opened: Callable[[], Database]) -> None:
        self._opened = opened
        self._database: AsyncDatabase | None = None

    def __await__(self) -> Generator[Any, None, AsyncDatabase]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncDatabase:
        self._database = await self._open()
        return self._database

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._database is not None:
            await self._database.close()

    async def _open(self) -> AsyncDatabase:
        lanes, opening = Lanes(), threading.Lock()
        opened: list[Database] = []
        is_wanted = True

        def open_it() -> Database:
            database = self._opened()
            with opening:
                if is_wanted:
                    opened.append(database)
                    return database
            database.close()
            return database

        try:
            return AsyncDatabase(lanes, await lanes.run(Lane.CHANGE, open_it))
        except asyncio.CancelledError:
            with opening:
                is_wanted = False
            for database in opened:
                lanes.close("nobody waits for this database any more", database.close)
            raise


class AsyncDatabase:
    """A :class:`lutra.Database` whose methods are awaited: the same names, arguments, results and errors.

    Made by :func:`lutra.connect_async`. An async context manager. It belongs to no event loop: tasks of several, one
    after the other or in several threads, may use it. Work is done by some thirty threads at most, which are started
    when they are needed: reads, searches and writes have threads of their own, so that none waits for another kind, and
    calls of a kind have their turn in the order they came.
    """

    def __init__(self, lanes: Lanes, database: Database) -> None:
        self._lanes = lanes
        self._database = database

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Async{self._database!r}"

    async def close(self) -> None:
        """Closes the database, as :meth:`lutra.Database.close` does. A second close does nothing.

        What is under way ends before: searches are given up, and writes finished, of many rows the commit under way.
        Calls that were cut short, and those that come later, raise StorageFailure. Where this is cancelled, the
        database is closed all the same, a little later.
        """
        closing = self._lanes.close(
            f"this database in {self._database._directory.path} is closed", self._database.close
        )
        if closing is not None:
            await result_of(closing)

    @property
    def read_only(self) -> bool:
        """As :attr:`lutra.Database.read_only`."""
        return self._database.read_only

    async def refresh(self) -> None:
        """As :meth:`lutra.Database.refresh`."""
        await self._lanes.run(Lane.CHANGE, self._database.refresh)

    async def backup(self, place: str | os.PathLike[str]) -> Backup:
        """As :meth:`lutra.Database.backup`."""
        return await self._lanes.run(Lane.CHANGE, lambda: self._database.backup(place))

    async def create_table(
        self,
        name: str,
        key: Mapping[str, KeyDeclaration],
        fields: Mapping[str, FieldDeclaration] | None = None,
        *,
        exist_ok: bool = False,
    ) -> AsyncTable:
        """As :meth:`lutra.Database.create_table`."""
        made = await self._lanes.run(
            Lane.CHANGE, lambda: self._database.create_table(name, key, fields, exist_ok=exist_ok)
        )
        return AsyncTable(self._lanes, made)

    async def table(self, name: str, *, index: str | None = None) -> AsyncTable:
        """As :meth:`lutra.Database.table`."""
        return AsyncTable(
            self._lanes, await self._lanes.run(Lane.READ, lambda: self._database.table(name, index=index))
        )

    async def table_names(self) -> list[str]:
        """As :meth:`lutra.Database.table_names`."""
        return await self._lanes.run(Lane.READ, self._database.table_names)

    async def delete_table(self, name: str, *, missing_ok: bool = False) -> None:
        """As :meth:`lutra.Database.delete_table`."""
        await self._lanes.run(Lane.CHANGE, lambda: self._database.delete_table(name, missing_ok=missing_ok))

    def __contains__(self, name: object) -> bool:
        """Whether there is a table of that name: ``"docs" in db``."""
        return name in self._database
