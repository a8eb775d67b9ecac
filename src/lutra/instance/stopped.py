"""A data directory that nobody serves, opened by tools: to be checked, looked at, or mended."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from lutra.index.catalog import IndexCatalog
from lutra.index.definition import IndexDefinition
from lutra.index.storage import IndexStorage, prefix_of
from lutra.kv.rocksdb import RocksStore
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import StorageFailure
from lutra.objects.opening import open_store
from lutra.tables.space import TableSpace


class StoppedDirectory:
    """Tables, definitions and objects of a data directory. No index follows its table. A context manager.

    While it is open no other process can open the directory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        objects: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Changes nothing, and makes nothing. ``objects`` as in `lutra.instance.engine.Engine.open`.

        :raises StorageFailure: there is no such directory, another process has it, or there is no folder ``objects``.
        :raises Corruption: the tables' store is damaged. :raises ParameterInvalid: objects cannot be there.
        """
        self.path = Path(path)
        self.clock: Clock = clock or SystemClock()
        self.address = os.fspath(self.path / "objects" if objects is None else objects)
        if not (self.path / "kv").is_dir():
            raise StorageFailure(f"{self.path} is no data directory")
        if "://" not in self.address and not Path(self.address).is_dir():
            raise StorageFailure(f"there is no folder {self.address}: say where the objects of search indexes are")
        with contextlib.ExitStack() as closing:
            self.store = RocksStore(self.path / "kv")
            closing.callback(self.store.close)
            self.objects = open_store(self.address, probe=False)
            self.space = TableSpace(self.store, self.clock)
            self.indexes = IndexCatalog(self.store, self.clock)
            self._closing = closing.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets others have the directory; a second close does nothing."""
        self._closing.close()

    def definitions(self) -> list[IndexDefinition]:
        """All search indexes, by instance, table and name."""
        return sorted(self.indexes.all(), key=lambda of: (of.instance, of.table, of.name))

    def storage(self, of: IndexDefinition) -> IndexStorage:
        """The objects of an index."""
        return IndexStorage(self.objects, prefix_of(of))
