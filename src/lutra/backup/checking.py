"""Whether backups are whole: every record, and every byte of every chunk that they need."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from lutra.backup.copying import OnProgress
from lutra.backup.parallel import for_each
from lutra.backup.place import BackupPlace
from lutra.backup.record import Record
from lutra.model.errors import Corruption, LutraError, StorageFailure


@dataclass(frozen=True, slots=True)
class BackupFault:
    """Something of backup ``backup`` that is not as it was written. ``files``: what of a data directory it is of."""

    backup: str
    files: tuple[str, ...]
    text: str


@dataclass(slots=True)
class BackupCheck:
    """``unneeded``: chunks that no backup needs, as one that was broken off leaves them, or that is being made."""

    backups: int = 0
    chunks: int = 0
    size_bytes: int = 0
    unneeded: int = 0
    faults: list[BackupFault] = field(default_factory=list)


def check_backups(place: BackupPlace, ids: Sequence[str] = (), on_progress: OnProgress | None = None) -> BackupCheck:
    """Reads all of these backups, or of all there are. Changes nothing.

    Raises ObjectNotExist where there is no such backup, StorageFailure where the place cannot be read.
    """
    check = BackupCheck()
    found = [(id, _record_or_error(place, id)) for id in ids] if ids else list(place.records())
    needed: dict[str, list[tuple[str, str]]] = {}
    for id, record in found:
        check.backups += 1
        if isinstance(record, LutraError):
            check.faults.append(BackupFault(id, (), str(record)))
            continue
        for file in record.files:
            for chunk in file.chunks:
                needed.setdefault(chunk, []).append((id, file.name))
    if not ids and not check.faults:
        check.unneeded = len(place.chunks() - needed.keys())
    damaged: dict[str, str] = {}
    counting = threading.Lock()

    def look_at(digest: str) -> None:
        size_bytes = 0
        try:
            size_bytes = len(place.chunk(digest))
        except Corruption as error:
            damaged[digest] = str(error)
        with counting:
            check.chunks += 1
            check.size_bytes += size_bytes
            if on_progress is not None:
                on_progress("checking", check.chunks, len(needed))

    for_each(list(needed), look_at)
    for digest in sorted(damaged):
        for id in sorted({id for id, _ in needed[digest]}):
            files = tuple(name for of, name in needed[digest] if of == id)
            check.faults.append(BackupFault(id, files, damaged[digest]))
    return check


def _record_or_error(place: BackupPlace, id: str) -> Record | LutraError:
    try:
        return place.record(id)
    except (Corruption, StorageFailure) as error:
        return error
