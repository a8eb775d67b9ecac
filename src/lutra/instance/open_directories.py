"""The data directories that `lutra.connect` has opened in this process. One that is open already is given again."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Protocol

from lutra.instance.data_dir import data_dir_of
from lutra.instance.defaults import MemoryLimit
from lutra.instance.engine import Engine
from lutra.instance.rows_place import RowsPlace
from lutra.model import forks
from lutra.model.errors import ObjectAlreadyExist, ParameterInvalid


class User(Protocol):
    """Who uses a directory, until it says that it does not, or is gone. Hashable, and weakly referenced."""


class OpenDirectory:
    """A directory with its users. The last to leave closes it; where one forgets to, the program's end does."""

    def __init__(self, path: str, is_temporary: bool) -> None:
        self.path = path
        self.making = threading.Lock()
        """Held by who makes a table with its index, in two steps: others find both or neither."""
        self._is_temporary = is_temporary
        self._lock = threading.Lock()
        self._process = forks.OfProcess()
        self._engine: Engine | None = None
        self._options: tuple[str, int | MemoryLimit] | None = None
        self._users: weakref.WeakSet[User] = weakref.WeakSet()

    def enter(
        self,
        user: User,
        instance: str,
        objects: str | os.PathLike[str] | None,
        memory: int | MemoryLimit,
        rows: str | os.PathLike[str] | None = None,
    ) -> Engine:
        """The engine, opened where it is not, with an instance of that name, made where there is none.

        Raises as `Engine.open`, and ParameterInvalid where it is open otherwise, or that can be no instance's name.
        """
        engine = self._entered(user, objects, memory, rows)
        try:
            if instance not in engine.instance_names():
                with contextlib.suppress(ObjectAlreadyExist):  # somebody else's, a moment ago
                    engine.create_instance(instance)
            engine.instance(instance)
        except BaseException:
            self.leave(user)
            raise
        return engine

    def refresh(self) -> None:
        """Nothing: what is there is seen at once."""

    def _entered(
        self,
        user: User,
        objects: str | os.PathLike[str] | None,
        memory: int | MemoryLimit,
        rows: str | os.PathLike[str] | None,
    ) -> Engine:
        options = (_place(self.path, objects), memory)
        with self._lock:
            if options != self._options and not self._users:  # they are gone without a word
                self._close()
            if self._engine is None:
                self._engine = self._opened(objects, memory, rows)
                self._options = options
            elif self._options is not None and options != self._options:
                raise ParameterInvalid(
                    f"{self.path} is open in this process with objects={self._options[0]!r} and "
                    f"{_said(self._options[1])}: pass the same, or close it first"
                )
            else:
                RowsPlace(Path(self.path), rows)  # which refuses another place than theirs
            self._users.add(user)
            return self._engine

    def leave(self, user: User) -> None:
        """Closes it after its last user; one that has left does nothing. Nor does a process forked from this one."""
        if not self._process.is_this:
            return
        with self._lock:
            if user not in self._users:
                return
            self._users.discard(user)
            if not self._users:
                self._close()

    def end(self) -> None:
        """Closes it, whoever uses it."""
        with self._lock:
            self._users.clear()
            self._close()

    def _opened(
        self, objects: str | os.PathLike[str] | None, memory: int | MemoryLimit, rows: str | os.PathLike[str] | None
    ) -> Engine:
        try:
            if isinstance(memory, MemoryLimit):
                return Engine.open(self.path, objects=objects, rows=rows, memory_limit_bytes=memory.limit_bytes)
            return Engine.open(self.path, objects=objects, rows=rows, memory_bytes=memory)
        except BaseException:
            self._remove()
            raise

    def _close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            engine.close()
        finally:
            self._remove()

    def _remove(self) -> None:
        if self._is_temporary:
            with _lock:
                _directories.pop(self.path, None)
            shutil.rmtree(self.path, ignore_errors=True)


_log = logging.getLogger(__name__)
_lock = threading.Lock()
_directories: dict[str, OpenDirectory] = {}
"""By real path."""


def open_directory(path: str | os.PathLike[str] | None) -> OpenDirectory:
    """That of ``path``, or a new temporary one. Raises ParameterInvalid where that can be no data directory."""
    is_temporary = path is None
    real = tempfile.mkdtemp(prefix="lutra-") if path is None else os.path.realpath(data_dir_of(path))
    with _lock:
        found = _directories.get(real)
        if found is None:
            found = _directories[real] = OpenDirectory(real, is_temporary)
        return found


def _said(memory: int | MemoryLimit) -> str:
    """As who opened it said it."""
    if isinstance(memory, MemoryLimit):
        return f"memory_limit_bytes={memory.limit_bytes}"
    return f"memory_bytes={memory}"


def _place(data_dir: str, objects: str | os.PathLike[str] | None) -> str:
    """Where the objects are, the same however that is said."""
    if objects is None:
        return os.path.join(data_dir, "objects")
    place = os.fspath(objects)
    return place if "://" in place else os.path.realpath(place)


def _end_all() -> None:
    for directory in list(_directories.values()):
        try:
            directory.end()
        except Exception as error:  # nobody is left to catch it
            _log.error("%s", error)


def _begin_child() -> None:
    """The parent's are the parent's: to close, to delete, and to give again."""
    global _lock
    _lock = threading.Lock()
    forks.keep_forever(list(_directories.values()))
    _directories.clear()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_begin_child)
