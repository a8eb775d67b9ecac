"""A data directory that `lutra.connect` has opened to be read only. Each that does so reads it by itself."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from lutra.instance.data_dir import data_dir_of
from lutra.instance.defaults import MemoryLimit
from lutra.instance.reading import ReadEngine
from lutra.model.errors import ParameterInvalid


class ReadOnlyDirectory:
    """A directory of one user. To that, it is as `lutra.instance.open_directories.OpenDirectory` is.

    Nothing need be done at the program's end: there are no threads, and nothing is to be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        """Raises ParameterInvalid where ``path`` can be no data directory."""
        if path is None:
            raise ParameterInvalid("read_only=True needs the path of a database: a throw-away one begins empty")
        self.path = os.path.realpath(data_dir_of(path))
        self.making = threading.Lock()
        """Held by nobody: no table is made here."""
        self._engine: ReadEngine | None = None

    def enter(
        self,
        user: object,
        instance: str,
        objects: str | os.PathLike[str] | None,
        memory: int | MemoryLimit,
        rows: str | os.PathLike[str] | None = None,
    ) -> ReadEngine:
        """An engine that reads that instance. Raises as `ReadEngine`, and ParameterInvalid for a limit."""
        if isinstance(memory, MemoryLimit):
            raise ParameterInvalid("memory_limit_bytes goes with a database that is written to: say memory_bytes")
        self._engine = ReadEngine(Path(self.path), instance, objects, memory, rows=rows)
        return self._engine

    def refresh(self) -> None:
        """As `ReadEngine.refresh`."""
        if self._engine is not None:
            self._engine.refresh()

    def leave(self, user: object) -> None:
        """Closes it; a second time does nothing."""
        if self._engine is not None:
            self._engine.close()
