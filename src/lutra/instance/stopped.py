"""A data directory opened by tools: to be checked or mended, where nobody serves it, or to be looked at."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Self

from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.lsm.provenance import Provenance
from lutra.index.lsm.storage import IndexStorage, prefix_of
from lutra.instance.data_dir import data_dir_of
from lutra.instance.place import Place
from lutra.instance.registry import instance_names
from lutra.instance.rows_place import RowsPlace
from lutra.instance.traces import require_data_dir, require_objects
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import DirectoryInUse
from lutra.objects.opening import open_store
from lutra.tables.space import TableSpace


class StoppedDirectory:
    """Tables, definitions and objects of a data directory. No index follows its table. A context manager.

    While it is open no other process can open the directory, but where ``may_be_served`` and another had it already:
    then it is what was on disk a moment ago, to look at at once.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        objects: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
        may_be_served: bool = False,
        is_to_be_mended: bool = False,
    ) -> None:
        """Makes nothing, and changes nothing: it is read, but where it ``is_to_be_mended``.

        ``objects`` as in `lutra.instance.engine.Engine.open`.

        :raises DirectoryInUse: another process has it.
        :raises StorageFailure: there is no such directory, or there is no folder ``objects``.
        :raises Corruption: the tables' store is damaged, or not all of it is there.
        :raises ParameterInvalid: objects cannot be there.
        """
        self.path = data_dir_of(path)
        self.clock: Clock = clock or SystemClock()
        self.address = os.fspath(self.path / "objects" if objects is None else objects)
        self.is_served = False
        """Whether another process has it."""
        require_data_dir(self.path)
        self.rows = RowsPlace(self.path)
        require_objects(self.address)
        with contextlib.ExitStack() as closing:
            self.store = self._open_store(closing, may_be_served, is_to_be_mended)
            self.objects = open_store(self.address, is_read_only=True)
            self.space = TableSpace(self.store, self.clock)
            self.indexes = IndexCatalog(self.store, self.clock)
            self.place = Place(self.address, self.path, self.space.changelog.history, self.indexes, self.clock)
            self._closing = closing.pop_all()

    def _open_store(self, closing: contextlib.ExitStack, may_be_served: bool, is_to_be_mended: bool) -> KeyValueStore:
        if is_to_be_mended:
            store = self.rows.open(may_make=False)
            closing.callback(store.close)
            return store
        try:
            closing.callback(self.rows.lock().close)
        except DirectoryInUse:
            if not may_be_served:
                raise
            self.is_served = True
        return closing.enter_context(self.rows.copied())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets others have the directory; a second close does nothing."""
        self._closing.close()

    def instance_names(self) -> list[str]:
        """The names of all its instances."""
        return instance_names(self.path)

    def definitions(self) -> list[IndexDefinition]:
        """All search indexes, by instance, table and name."""
        return sorted(self.indexes.all(), key=lambda of: (of.instance, of.table, of.name))

    def storage(self, of: IndexDefinition) -> IndexStorage:
        """The objects of an index, to look at."""
        return IndexStorage(self.objects, prefix_of(of))

    def provenance(self, of: IndexDefinition) -> Provenance:
        """Whether what is found of an index is of its table's past."""
        return Provenance(self.space.changelog, of.table_id)
