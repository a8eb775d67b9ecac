"""What a store held at one moment, to look at while another process has it open. That process notices nothing.

RocksDB is opened on a folder of its own: copies of what is short and changes, and links to tables and logs. It reads
the logs once, into memory, up to the last record that is whole; so a commit is seen as one or not at all, and every one
that was acknowledged before is seen.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from lutra.kv.acknowledged import FILE as ACKNOWLEDGED
from lutra.kv.batch import WriteBatch
from lutra.kv.inspection import Found, current_manifest, inspect
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import Corruption, ReadOnlyDatabase, StorageFailure

Opened = TypeVar("Opened", bound=RocksStore)

_TRIES: Final = 10
_KEEP_ALL_FILES_OPEN: Final = -1
_NO_FILES_LEFT: Final = "Too many open files"
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
        store = opened_copy(
            path, closing, lambda folder: RocksStore(folder, is_read_only=True), lambda folder: _copy(path, folder)
        )
        closing.callback(store.close)
        yield store


def held_store(path: Path) -> HeldStore:
    """The store in ``path`` as it was a moment ago, for as long as it is wanted. Raises as `copied_store`.

    What it needs of temporary files is gone when this returns.
    """
    with contextlib.ExitStack() as closing:
        state = StoreState.of(path)
        return opened_copy(
            path, closing, lambda folder: HeldStore(folder, path, state), lambda folder: _copy(path, folder)
        )


@dataclass(frozen=True, slots=True)
class StoreState:
    """What is seen of a store from outside: it is another after every commit."""

    manifest: str
    manifest_bytes: int
    logs: tuple[tuple[str, int], ...]
    """Name and length of each."""

    @classmethod
    def of(cls, path: Path) -> StoreState | None:
        """None where it cannot be told: files come and go, or there is no store."""
        try:
            manifest, manifest_bytes = store_state(path)
            logs = sorted((log.name, log.stat().st_size) for log in path.glob("*.log"))
        except (OSError, Corruption):
            return None
        return cls(manifest, manifest_bytes, tuple(logs))


class HeldStore(RocksStore):
    """Keeps all its files open, so that it does not matter who deletes them. Commits raise ReadOnlyDatabase."""

    def __init__(self, folder: Path, known_as: Path, state: StoreState | None) -> None:
        """``folder``: what `_copy` made of ``known_as``; ``state``: of that, before. Raises as `RocksStore`."""
        super().__init__(folder, is_read_only=True, max_open_files=_KEEP_ALL_FILES_OPEN)
        self._path = known_as
        self.state = state
        """Of the store, a moment before."""

    @property
    def is_newest(self) -> bool:
        """Whether nothing has been written to the store since."""
        return self.state is not None and StoreState.of(self._path) == self.state

    def commit(self, batch: WriteBatch) -> None:
        raise ReadOnlyDatabase(f"the store in {self._path} was opened to be read only")


def opened_copy(
    path: Path, closing: contextlib.ExitStack, opened: Callable[[Path], Opened], copy: Callable[[Path], bool]
) -> Opened:
    """What ``opened`` makes of a folder that ``copy`` fills with what is in ``path``: False where that was not of one
    moment. The folder goes with ``closing``. Raises as `copied_store`."""
    damage = ""
    for _ in range(_TRIES):
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="lutra-")))
        try:
            if copy(folder):
                return opened(folder)
        except Corruption as error:
            text = str(error).replace(str(folder), str(path))
            if text == damage:
                raise Corruption(text) from error
            damage = text  # or a file was gone before it was looked at
        except FileNotFoundError:  # a file was gone before it was copied
            continue
        except StorageFailure as error:  # or before it was opened
            if _NO_FILES_LEFT in str(error):
                raise _no_files_left(path) from error
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise _no_files_left(path) from error
            raise StorageFailure(f"cannot read {path}: {error.strerror}") from error
    if inspect(path) is Found.NOTHING:
        raise StorageFailure(f"there is no store in {path}")
    raise StorageFailure(f"cannot read {path} beside the process that has it open: try again")


def _no_files_left(path: Path) -> StorageFailure:
    return StorageFailure(f"cannot read {path}: this process may not open so many files: raise its limit (ulimit -n)")


def _copy(path: Path, folder: Path) -> bool:
    """Whether all that was copied is of one moment. A log or table is deleted only after the manifest says so."""
    before = store_state(path)
    with contextlib.suppress(FileNotFoundError):  # before the logs, which then have all that it knows of
        shutil.copyfile(path / ACKNOWLEDGED, folder / ACKNOWLEDGED)
    for file in path.iterdir():
        if file.name.startswith(_COPIED):
            shutil.copyfile(file, folder / file.name)
        elif file.suffix in (".sst", ".log"):
            (folder / file.name).symlink_to(file.resolve())
    return store_state(path) == before


def store_state(path: Path) -> tuple[str, int]:
    """Which manifest counts, and how long it is: it is only ever appended to."""
    newest = current_manifest(path)
    return newest, (path / newest).stat().st_size
