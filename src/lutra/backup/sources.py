"""What is copied into a backup: bytes of a known number, to be read piece by piece from several threads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lutra.model.errors import StorageFailure
from lutra.objects.store import ObjectStore


class Source(Protocol):
    """``name``, ``size_bytes``, ``identity``: as of `lutra.backup.record.StoredFile`."""

    @property
    def name(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def identity(self) -> str: ...

    def read(self, offset: int, length: int) -> bytes:
        """Exactly so many bytes. Raises StorageFailure; ObjectMissing where it is gone."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of this machine that nobody changes."""

    name: str
    path: Path
    size_bytes: int
    identity: str = ""

    def read(self, offset: int, length: int) -> bytes:
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.pread(file, length, offset)
            finally:
                os.close(file)
        except OSError as error:
            raise StorageFailure(f"cannot read {self.name}: {error.strerror}") from error
        if len(data) != length:
            raise StorageFailure(
                f"{self.name} ended at {offset + len(data)} while {length} bytes were read from {offset}"
            )
        return data


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """An object of a store from where it may be deleted meanwhile. ``of``: what it is called there."""

    name: str
    store: ObjectStore
    of: str
    size_bytes: int
    identity: str = ""

    def read(self, offset: int, length: int) -> bytes:
        return self.store.read(self.of, offset, length)


@dataclass(frozen=True, slots=True)
class BytesSource:
    """What is short, and in memory."""

    name: str
    data: bytes
    identity: str = ""

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]
