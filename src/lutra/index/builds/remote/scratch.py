"""A folder of a build's own on whatever machine it is done, gone with whoever used it, however that ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lutra.model.errors import StorageFailure

_OWN: Final = re.compile(r"[0-9a-f]{16}")
_LOCK: Final = "lock"
_OWNER_ONLY: Final = 0o700


@contextlib.contextmanager
def own_folder(kind: str, above: Path | None = None) -> Iterator[Path]:
    """A new, empty folder that others of the machine cannot read; at the end it is gone with all that is in it.

    It lies in a folder ``kind``-UID, in ``above`` or where temporary files go. Those that are there, and whose
    process was killed, are deleted: who lives holds a lock on a file in his.

    Raises StorageFailure where it cannot be had.
    """
    root = (above or Path(tempfile.gettempdir())) / f"{kind}-{os.getuid()}"
    try:
        root.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        _require_own(root)
        _sweep(root)
        folder, lock = _made(root)
    except OSError as error:
        raise StorageFailure(f"{root} cannot be used for builds: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _require_own(root: Path) -> None:
    """Where everybody may make folders, another user may have made this one."""
    status = root.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise StorageFailure(f"{root} is not a folder of this user's alone")


def _made(root: Path) -> tuple[Path, int]:
    """Locked from before it has the name that others look at."""
    name = secrets.token_hex(8)
    unnamed = root / f".{name}"
    unnamed.mkdir(_OWNER_ONLY)
    lock = os.open(unnamed / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(root / name)
    except BaseException:
        os.close(lock)
        raise
    return root / name, lock


def _sweep(root: Path) -> None:
    for name in os.listdir(root):
        if _OWN.fullmatch(name):
            with contextlib.suppress(OSError):  # it is used, or somebody else is at it
                _delete_unused(root / name)


def _delete_unused(folder: Path) -> None:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:  # somebody was at deleting it, and was killed
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
