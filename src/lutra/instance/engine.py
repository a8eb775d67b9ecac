"""Everything in one data directory: the store, its tables and search indexes, and its instances."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final, Self

from lutra.index.catalog import IndexCatalog
from lutra.index.feeder import Feeder
from lutra.instance import registry
from lutra.instance.instance import Instance
from lutra.kv.rocksdb import RocksStore
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import ObjectNotExist, StorageFailure
from lutra.tables.space import TableSpace

_FOLDER_MODE: Final = 0o700


class Engine:
    """A data directory that is open. One process has it at a time; all methods may be called from any thread.

    ::

        DIR/kv/           rows, changes and definitions (RocksDB)
        DIR/instances/    a folder for each instance
    """

    def __init__(self, data_dir: Path, store: RocksStore, clock: Clock) -> None:
        self._data_dir = data_dir
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False
        self._instances: dict[str, Instance] = {}
        self._space = TableSpace(store, clock)
        self._indexes = IndexCatalog(store, clock)
        self._feeder = Feeder(self._space.changelog, store, clock)
        try:
            self._reopen_indexes()
        except BaseException:
            self._feeder.stop()
            raise

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, clock: Clock | None = None) -> Self:
        """Opens the data directory ``path``, making it where there is none.

        Raises StorageFailure where it cannot be used or another process has it, Corruption where it is damaged.
        """
        data_dir = Path(path)
        try:
            data_dir.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageFailure(f"cannot use {data_dir} as a data directory: {error.strerror}") from error
        store = RocksStore(data_dir / "kv")
        try:
            return cls(data_dir, store, clock or SystemClock())
        except BaseException:
            store.close()
            raise

    def create_instance(self, name: str) -> None:
        """Makes an instance. Raises ParameterInvalid, ObjectAlreadyExist, StorageFailure."""
        registry.create_instance(self._data_dir, name)

    def instance_names(self) -> list[str]:
        """The names of all instances, sorted."""
        return registry.instance_names(self._data_dir)

    def instance(self, name: str) -> Instance:
        """The instance of that name, also where another process has just made it. Raises ObjectNotExist."""
        with self._lock:
            if self._closed:
                raise StorageFailure(f"the data directory {self._data_dir} is closed")
            found = self._instances.get(name)
            if found is None:
                if not registry.instance_exists(self._data_dir, name):
                    raise ObjectNotExist(f"Requested instance {name!r} does not exist.")
                found = self._made(name)
            return found

    def close(self) -> None:
        """Ends all use of the directory; a second close does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._feeder.stop()
        self._store.close()

    def _made(self, name: str) -> Instance:
        made = Instance(name, self._space.instance(name), self._indexes, self._feeder)
        self._instances[name] = made
        return made

    def _reopen_indexes(self) -> None:
        for definition in self._indexes.all():
            instance = self._instances.get(definition.instance) or self._made(definition.instance)
            instance.reopen_index(definition)
        # An earlier run may have left changes that nobody needs any more.
        for name in self.instance_names():
            tables = self._space.instance(name)
            self._feeder.hurry(tables.describe(table).table_id for table in tables.names())
