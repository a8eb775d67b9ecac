"""One process, and in it one store, has a directory at a time: a lock on the directory itself.

RocksDB locks a file in it, which somebody may delete: then the next to come makes another and locks that. The directory
cannot be deleted while it has files.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from lutra.model.errors import DirectoryInUse, StorageFailure
from lutra.model.forks import OfProcess, follow

_held_here: set[tuple[int, int]] = set()
"""Device and inode of the directories that this process has."""


class DirectoryLock:
    """Held from when it is made until it is closed, or its process ends."""

    def __init__(self, path: Path, known_as: Path | None = None) -> None:
        """``known_as``: what errors call it, where that is not ``path``.

        Raises DirectoryInUse where somebody has it, StorageFailure where it cannot be locked at all.
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
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._folder)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StorageFailure(f"cannot lock {known_as}: {error.strerror}") from error
            if self._identity in _held_here:
                raise DirectoryInUse(f"this process has {known_as} open already: close it first") from error
            raise in_use(known_as) from error
        _held_here.add(self._identity)
        follow(self)

    def close(self) -> None:
        """Lets others have it; a second close does nothing."""
        if self._folder >= 0 and self._process.is_this:
            _held_here.discard(self._identity)
            os.close(self._folder)
            self._folder = -1

    def forked(self) -> None:
        """The lock is the parent's: a child must not hold it longer than that."""
        _held_here.discard(self._identity)
        if self._folder >= 0:
            os.close(self._folder)


def in_use(path: Path) -> DirectoryInUse:
    """What is said where another process has ``path``."""
    return DirectoryInUse(f"another process has {path} open: stop the server (or close the database) first")
