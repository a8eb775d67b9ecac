"""The files of a store as they were at one moment, to be copied elsewhere while another process writes the store.

A folder of its own has copies of what is short and of the logs, as long as they were then, and links to tables, which
are held open: it does not matter who deletes them. Opened, it is the store with every commit that was acknowledged
before, and some that were not yet, each whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lutra.kv.acknowledged import FILE as ACKNOWLEDGED
from lutra.kv.copied import opened_copy, store_state
from lutra.kv.inspection import current_manifest
from lutra.kv.manifest import read_manifest
from lutra.kv.rocksdb import RocksStore

_CURRENT: Final = "CURRENT"
_SHORT: Final = ("OPTIONS-", "IDENTITY", "rocksdict-config.json")


class FrozenStore(RocksStore):
    """To be read; ``folder`` has its files, all that a store of its own needs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, is_read_only=True)
        self.folder = folder


@contextlib.contextmanager
def frozen_store(path: Path) -> Iterator[FrozenStore]:
    """The store in ``path``, a moment ago. Needs as much room for temporary files as its logs take: 256 MB at most.

    Raises as `lutra.kv.copied.copied_store`.
    """
    with contextlib.ExitStack() as closing:
        store = opened_copy(path, closing, FrozenStore, lambda folder: _freeze(path, folder, closing))
        closing.callback(store.close)
        yield store


def _freeze(path: Path, folder: Path, closing: contextlib.ExitStack) -> bool:
    """Whether all of it is of one moment. What is opened, ``closing`` closes."""
    before = store_state(path)
    with contextlib.suppress(FileNotFoundError):  # before the logs, which then have all that it knows of
        shutil.copyfile(path / ACKNOWLEDGED, folder / ACKNOWLEDGED)
    newest = current_manifest(path)
    for name in (_CURRENT, newest):
        shutil.copyfile(path / name, folder / name)
    manifest = read_manifest(folder / newest)
    names = os.listdir(path)
    for name in names:
        if name.startswith(_SHORT):
            shutil.copyfile(path / name, folder / name)
    for number in sorted((int(name[:-4]) for name in names if name.endswith(".log")), reverse=True):
        # The newest first: the one before it is not written to any more, so that nothing is missing between them.
        if number >= manifest.first_log:
            shutil.copyfile(path / f"{number:06}.log", folder / f"{number:06}.log")
    for number in manifest.files:
        table = os.open(path / f"{number:06}.sst", os.O_RDONLY | os.O_CLOEXEC)
        closing.callback(os.close, table)
        (folder / f"{number:06}.sst").symlink_to(f"/proc/self/fd/{table}")
    return store_state(path) == before
