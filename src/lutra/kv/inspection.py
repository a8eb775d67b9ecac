"""What a store's directory holds, before RocksDB sees it: nothing, a store that is whole, or one that is not.

RocksDB makes a store where its file CURRENT is missing, and deletes the files of the one that was there. It replays
what logs it finds. So what can be noticed missing is noticed here, where nothing has been changed yet:

- files that the manifest names, with their sizes, and the manifest itself;
- logs that are to be replayed: damage within, and gaps between one and the next, or between them and the manifest;
- acknowledged writes (`lutra.kv.acknowledged`) that are in neither.

A store is made under a mark, ``UNFINISHED``: where that is, nothing has been acknowledged yet.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from pathlib import Path
from typing import Final

from lutra.kv.acknowledged import FILE as ACKNOWLEDGED
from lutra.kv.acknowledged import last_acknowledged
from lutra.kv.log import read_sequences
from lutra.kv.manifest import Manifest, read_manifest
from lutra.model.errors import Corruption, StorageFailure

UNFINISHED: Final = "UNFINISHED"
_CURRENT: Final = "CURRENT"
_CURRENT_FORM: Final = re.compile(rb"MANIFEST-[0-9]{6,20}\n")
_TRACES: Final = ("MANIFEST-", "OPTIONS-", "IDENTITY", ACKNOWLEDGED)
_TRACE_SUFFIXES: Final = (".sst", ".log")
_RESTORE: Final = "restore a backup; to begin anew, with no rows at all, move the whole data directory away"


class Found(Enum):
    NOTHING = "nothing"
    """Or what was left where the making of a store was cut short."""
    STORE = "store"


def inspect(path: Path) -> Found:
    """Looks at the directory ``path`` and changes nothing. Absent, it has nothing.

    Raises Corruption, which names the file, where there was a store and not all of it is left; StorageFailure where
    it cannot be read.
    """
    try:
        names = set(os.listdir(path))
        if _CURRENT not in names:
            if UNFINISHED not in names and any(map(_is_trace, names)):
                raise Corruption(f"the store in {path} has lost its file {_CURRENT}: {_RESTORE}")
            return Found.NOTHING
        if UNFINISHED not in names:
            _require_whole(path, names)
    except FileNotFoundError as error:
        if error.filename == os.fspath(path):
            return Found.NOTHING
        raise Corruption(f"the store in {path} has lost a file: {error.filename}") from error
    except OSError as error:
        raise StorageFailure(f"cannot read the store in {path}: {error.strerror}") from error
    return Found.STORE


def current_manifest(path: Path) -> str:
    """The name of the manifest that counts. Raises Corruption, OSError."""
    current = (path / _CURRENT).read_bytes()
    if _CURRENT_FORM.fullmatch(current) is None:
        raise _damaged(path, f"{_CURRENT} names no manifest")
    return current.decode().strip()


def _is_trace(name: str) -> bool:
    return name.startswith(_TRACES) or name.endswith(_TRACE_SUFFIXES)


def _require_whole(path: Path, names: set[str]) -> None:
    acknowledged = last_acknowledged(path)
    newest = current_manifest(path)
    if newest not in names:
        raise _damaged(path, f"{newest} is missing")
    try:
        manifest = read_manifest(path / newest)
        _require_files(path, manifest)
        last = _last_sequence(path, names, manifest)
    except Corruption as error:
        raise _damaged(path, str(error)) from error
    if last < acknowledged:
        raise _damaged(
            path,
            f"write {acknowledged} was acknowledged, and its files end with write {last}: a log was deleted or cut "
            f"short, or files are of different times",
        )


def _require_files(path: Path, manifest: Manifest) -> None:
    for number, size_bytes in manifest.files.items():
        name = f"{number:06}.sst"
        try:
            found_bytes = os.stat(path / name).st_size
        except FileNotFoundError:
            raise Corruption(f"{name} is missing") from None
        if found_bytes != size_bytes:
            raise Corruption(f"{name} has {found_bytes} bytes, and had {size_bytes}")


def _last_sequence(path: Path, names: set[str], manifest: Manifest) -> int:
    """The number of the last write that tables and logs have."""
    numbers = sorted(int(name[:-4]) for name in names if name.endswith(".log") and name[:-4].isdecimal())
    wanted = [number for number in numbers if number >= manifest.first_log]
    if not wanted:
        raise Corruption(f"the log is missing, {manifest.first_log:06}.log or a later one")
    last_of_logs: int | None = None
    for number in wanted:
        name = f"{number:06}.log"
        held = read_sequences(path / name)
        if held is None:
            continue
        last = manifest.last_sequence if last_of_logs is None else last_of_logs
        # The number that the manifest gives for table files may be that of a later write.
        if held.begin > last + 1 or (held.begin != last + 1 and last_of_logs is not None):
            raise Corruption(f"before {name}, which begins with write {held.begin}, those after {last} are missing")
        last_of_logs = held.end - 1
    return max(manifest.last_sequence, last_of_logs or 0)


def _damaged(path: Path, what: str) -> Corruption:
    return Corruption(f"the store in {path} is damaged: {what}. {_RESTORE[0].upper()}{_RESTORE[1:]}")
