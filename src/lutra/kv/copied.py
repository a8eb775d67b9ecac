"""What a store held at one moment, to look at while another process has it open. That process notices nothing."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import StorageFailure

_TRIES: Final = 10
_CURRENT: Final = "CURRENT"
_COPIED: Final = ("CURRENT", "MANIFEST-", "OPTIONS-", "IDENTITY", "rocksdict-config.json")
"""What is short and changes; tables and logs are only pointed to."""


@contextlib.contextmanager
def copied_store(path: Path) -> Iterator[RocksStore]:
    """The store in ``path`` as it was a moment ago, to be read at once: its files may be deleted under it.

    Needs some KB of temporary files, and memory for what is in its logs. Commits raise StorageFailure. Raises
    StorageFailure where ``path`` cannot be read, or the store changes files faster than they can be copied.
    """
    with contextlib.ExitStack() as closing:
        store: RocksStore | None = None
        for _ in range(_TRIES):
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-")))
            try:
                if not _copy(path, folder):
                    continue
                store = RocksStore(folder, is_read_only=True)
            except (FileNotFoundError, StorageFailure):  # a file was gone before it was copied or opened
                continue
            except OSError as error:
                raise StorageFailure(f"cannot read {path}: {error.strerror}") from error
            break
        if store is None:
            raise StorageFailure(f"cannot read {path} beside the process that has it open: try again")
        closing.callback(store.close)
        yield store


def _copy(path: Path, folder: Path) -> bool:
    """Whether all that was copied is of one moment. A log or table is deleted only after the manifest says so."""
    before = _state(path)
    for file in path.iterdir():
        if file.name.startswith(_COPIED):
            shutil.copyfile(file, folder / file.name)
        elif file.suffix in (".sst", ".log"):
            (folder / file.name).symlink_to(file.resolve())
    return _state(path) == before


def _state(path: Path) -> tuple[bytes, int]:
    """Which manifest counts, and how long it is: it is only ever appended to."""
    current = (path / _CURRENT).read_bytes()
    return current, (path / current.decode().strip()).stat().st_size
