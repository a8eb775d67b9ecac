"""One process, and in it one store, has a directory at a time: a lock on the directory itself.

RocksDB locks a file in it, which somebody may delete: then the next to come makes another and locks that. The directory
cannot be deleted while it has files.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
from pathlib import Path

from lutra.model.errors import DirectoryInUse, StorageFailure
from lutra.model.forks import OfProcess, follow

_log = logging.getLogger(__name__)
_taking = threading.Lock()
_held_here: set[tuple[int, int]] = set()
"""Device and inode of the directories that this process has."""


class DirectoryLock:
    """Held from when it is made until it is closed, or its process ends."""

    def __init__(self, path: Path, known_as: Path | None = None) -> None:
        """``known_as``: what errors call it, where that is not ``path``.

        Raises DirectoryInUse where somebody has it, StorageFailure where it cannot be opened.
        """
        known_as = known_as or path
        self._process = OfProcess()
        try:
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageFailure(f"cannot open {path}: {error.strerror}") from error
        status = os.fstat(self._folder)
        self._identity = (status.st_dev, status.st_ino)
        try:
            with _taking:
                self._take(known_as)
        except DirectoryInUse:
            os.close(self._folder)
            raise
        follow(self)

    def _take(self, known_as: Path) -> None:
        if self._identity in _held_here:
            raise DirectoryInUse(f"this process has {known_as} open already: close it first")
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise in_use(known_as) from error
            # As on some network file systems.
            _log.warning("%s cannot be locked (%s): RocksDB's lock, on a file, has to do", known_as, error.strerror)
        _held_here.add(self._identity)

    def close(self) -> None:
        """Lets others have it; a second close does nothing."""
        if self._folder >= 0 and self._process.is_this:
            _held_here.discard(self._identity)
            os.close(self._folder)
            self._folder = -1

    def forked(self) -> None:
        """The lock is the parent's: a child must not hold it longer than that."""
        if self._folder >= 0:
            os.close(self._folder)


def _begin_child() -> None:
    global _taking
    _taking = threading.Lock()
    _held_here.clear()


os.register_at_fork(after_in_child=_begin_child)


def in_use(path: Path) -> DirectoryInUse:
    """What is said where another process has ``path``."""
    return DirectoryInUse(f"another process has {path} open: stop the server (or close the database) first")
