"""Fsyncs what SlateDB, which fsyncs nothing, has put into a folder of this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lutra.kv.folder import sync_folder

LOG: Final = "wal"
_OTHERS: Final = ("compacted", "manifest", "compactions")
_SUFFIXES: Final = (".sst", ".manifest", ".compactions")


class LocalFiles:
    """Of one database's folder; nothing where ``folder`` is None, as on S3. Thread-safe.

    A file of the database is written under another name first, and never changed: each is fsynced once, and then its
    folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._synced: dict[str, set[str]] = {name: set() for name in (LOG, *_OTHERS)}
        self._changed_ns: dict[str, int] = {}

    def sync(self) -> None:
        """What has come since. Raises OSError."""
        if self._folder is None:
            return
        with self._lock:
            # A manifest after the tables it names.
            for name in (LOG, *_OTHERS):
                self._sync(name, self._folder / name)

    def _sync(self, name: str, folder: Path) -> None:
        try:
            changed_ns = folder.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if self._changed_ns.get(name) == changed_ns:
            return
        there = set(_files(folder))
        for file in sorted(there - self._synced[name]):
            _sync_file(folder / file)
        self._synced[name] = there
        sync_folder(folder)
        self._changed_ns[name] = changed_ns


def _files(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIXES):
                yield entry.name


def _sync_file(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # it was merged into another, and deleted
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
