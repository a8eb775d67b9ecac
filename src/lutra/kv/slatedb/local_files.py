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
        self._synced: dict[str, set[str]] = {name: set() for name in _OTHERS}
        self._changed_ns: dict[str, int] = {}
        self._log_next = 0
        """The number of the file of the log that comes next; 0 before they were listed."""

    def sync(self) -> None:
        """What has come since. Raises OSError."""
        if self._folder is None:
            return
        with self._lock:
            self._sync_log(self._folder / LOG)
            for name in _OTHERS:  # a manifest after the tables it names
                self._sync(name, self._folder / name)

    def _sync_log(self, folder: Path) -> None:
        """One opening's files are numbered one by one: those that follow the last are looked for, without a list."""
        first = self._log_next
        if not first:
            there = sorted(_files(folder))
            for file in there:  # a process that was killed may have left some
                _sync_file(folder / file)
            self._log_next = int(Path(there[-1]).stem) + 1
        while _sync_file(folder / f"{self._log_next:020d}.sst"):
            self._log_next += 1
        if self._log_next > first:
            sync_folder(folder)

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


def _sync_file(path: Path) -> bool:
    """False where it is not there: not yet, or it was merged into another and deleted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True
