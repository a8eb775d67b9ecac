"""What a store held at one moment, to look at while another process has it open. That process notices nothing."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lutra.kv.acknowledged import FILE as ACKNOWLEDGED
from lutra.kv.inspection import Found, current_manifest, inspect
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import Corruption, StorageFailure

_TRIES: Final = 10
_COPIED: Final = ("CURRENT", "MANIFEST-", "OPTIONS-", "IDENTITY", "rocksdict-config.json")
"""What is short and changes; tables and logs are only pointed to."""


@contextlib.contextmanager
def copied_store(path: Path) -> Iterator[RocksStore]:
    """The store in ``path`` as it was a moment ago, to be read at once: its files may be deleted under it.

    Needs some KB of temporary files, and memory for what is in its logs. Commits raise StorageFailure. Raises
    StorageFailure where ``path`` cannot be read, or the store changes files faster than they can be copied; Corruption
    where what is in it is damaged or not all of it is left.
    """
    with contextlib.ExitStack() as closing:
        store = _open(path, closing)
        closing.callback(store.close)
        yield store


def _open(path: Path, closing: contextlib.ExitStack) -> RocksStore:
    damage = ""
    for _ in range(_TRIES):
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-")))
        try:
            if _copy(path, folder):
                return RocksStore(folder, is_read_only=True)
        except Corruption as error:
            text = str(error).replace(str(folder), str(path))
            if text == damage:
                raise Corruption(text) from error
            damage = text  # or a file was gone before it was looked at
        except (FileNotFoundError, StorageFailure):  # a file was gone before it was copied or opened
            continue
        except OSError as error:
            raise StorageFailure(f"cannot read {path}: {error.strerror}") from error
    if inspect(path) is Found.NOTHING:
        raise StorageFailure(f"there is no store in {path}")
    raise StorageFailure(f"cannot read {path} beside the process that has it open: try again")


def _copy(path: Path, folder: Path) -> bool:
    """Whether all that was copied is of one moment. A log or table is deleted only after the manifest says so."""
    before = _state(path)
    with contextlib.suppress(FileNotFoundError):  # before the logs, which then have all that it knows of
        shutil.copyfile(path / ACKNOWLEDGED, folder / ACKNOWLEDGED)
    for file in path.iterdir():
        if file.name.startswith(_COPIED):
            shutil.copyfile(file, folder / file.name)
        elif file.suffix in (".sst", ".log"):
            (folder / file.name).symlink_to(file.resolve())
    return _state(path) == before


def _state(path: Path) -> tuple[str, int]:
    """Which manifest counts, and how long it is: it is only ever appended to."""
    newest = current_manifest(path)
    return newest, (path / newest).stat().st_size
