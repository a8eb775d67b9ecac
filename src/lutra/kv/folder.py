"""Folders whose names are on stable storage."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_durable_folder(path: Path, mode: int = 0o777) -> None:
    """Makes the folder ``path``, and those above it where they are absent, each durably an entry of the one above.

    The entry of one that is there is fsynced as well, where that is allowed: who made it may not have come to that.
    Raises OSError.
    """
    path = path.absolute()
    if not path.parent.is_dir():
        make_durable_folder(path.parent)
    try:
        path.mkdir(mode)
    except FileExistsError:
        with contextlib.suppress(PermissionError):
            sync_folder(path.parent)
    else:
        sync_folder(path.parent)
    sync_folder(path)


def sync_folder(path: Path) -> None:
    """Sees to it that the entries of a folder are on stable storage. Raises OSError; NotADirectoryError, too."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
