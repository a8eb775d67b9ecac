"""A data directory that somebody else opens and closes, a server say, as those of `lutra.connect` are to a database."""

from __future__ import annotations

import os
import threading

from lutra.instance.defaults import MemoryLimit
from lutra.instance.engine import Engine
from lutra.instance.open_directories import User


class ServedDirectory:
    """To a `lutra.instance.database.Database`, it is as `lutra.instance.open_directories.OpenDirectory` is.

    One for each engine, so that ``making`` is everybody's.
    """

    def __init__(self, engine: Engine) -> None:
        self.path = os.fspath(engine.data_dir)
        self.making = threading.Lock()
        """Held by who makes a table with its index, in two steps: others find both or neither."""
        self._engine = engine

    def enter(
        self,
        user: User,
        instance: str,
        objects: str | os.PathLike[str] | None,
        memory: int | MemoryLimit,
        rows: str | os.PathLike[str] | None = None,
    ) -> Engine:
        """The engine, whose instance there has to be. Raises ObjectNotExist, StorageFailure where it is closed."""
        self._engine.instance(instance)
        return self._engine

    def leave(self, user: User) -> None:
        """Nothing: it stays open."""

    def refresh(self) -> None:
        """Nothing: what is there is seen at once."""
