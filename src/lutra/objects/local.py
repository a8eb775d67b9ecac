"""A local folder as an object store: each object is a file of its name below the root.

What is to become an object is written and fsynced as a file of ``.unfinished``, then renamed to its name (put) or
linked there (put_if_absent: link(2) refuses a name that is taken), and the folder is fsynced: whole or absent at
every instant, also across a power failure. What a crash leaves in ``.unfinished`` is removed by the next to open the
store, unless another process has it open (each holds a shared lock on ``.unfinished/lock``).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from lutra.model.errors import ObjectMissing, ParameterInvalid, StorageFailure
from lutra.objects.name import is_part, require_name, require_prefix
from lutra.objects.ranges import Range, require_ranges
from lutra.objects.request_counters import RequestCounter, RequestCounters

UNFINISHED: Final = ".unfinished"
_LOCK: Final = "lock"
_TRIES: Final = 5
"""To put something into a folder that others remove, because it is empty."""
_UNFINISHED_NAME: Final = re.compile(r"[0-9a-f]{32}")

_ABSENT: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalStore:
    """An `ObjectStore` over a local folder.

    Where an fsync of a folder fails, what is visible may not be durable: the store then refuses all use until it is
    opened anew. A folder goes with its last object.
    """

    def __init__(self, root: str | os.PathLike[str], *, is_read_only: bool = False) -> None:
        """
        :param root: the folder; made where it is absent.
        :param is_read_only: nothing is made or changed, and writes raise StorageFailure; an absent folder is empty.
        :raises StorageFailure: it cannot be made or opened.
        """
        self.root = Path(root).absolute()
        self._unfinished = self.root / UNFINISHED
        self._durable_folders: set[Path] = set()
        self._requests = RequestCounter()
        self._failure = ""
        self._is_read_only = is_read_only
        if is_read_only:
            return
        with self._writing(str(self.root)):
            self._make_durable(self._unfinished)
            self._clean()

    def put(self, name: str, data: bytes) -> None:
        target = self._target(name)
        self._requests.add(puts=1, written_bytes=len(data))
        with self._writing(name), self._written(data) as unfinished:
            self._move(unfinished, target)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        target = self._target(name)
        self._requests.add(puts=1, written_bytes=len(data))
        with self._writing(name):
            if _is_there(target):
                return False
            with self._written(data) as unfinished:
                try:
                    self._into_folder(lambda: os.link(unfinished, target), target.parent)
                except FileExistsError:
                    return False
            return True

    def put_file(self, name: str, path: Path) -> None:
        target = self._target(name)
        with self._writing(name):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    raise ParameterInvalid(f"{name}: not a file: {path}")
                os.fsync(fd)
            finally:
                os.close(fd)
            self._requests.add(puts=1, written_bytes=status.st_size)
            try:
                self._move(path, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy_in(path, target)

    def get(self, name: str) -> bytes:
        target = self._target(name)
        self._requests.add(gets=1)
        with self._reading(name):
            data = target.read_bytes()
        self._requests.add(read_bytes=len(data))
        return data

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self.read_many(name, [(offset, length)])[0]

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        target = self._target(name)
        require_ranges(name, ranges)
        self._requests.add(ranged_reads=len(ranges))
        with self._reading(name):
            fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
            try:
                size_bytes = _size_of_file(fd)
                found = [_read_exactly(fd, name, size_bytes, offset, length) for offset, length in ranges]
            finally:
                os.close(fd)
        self._requests.add(read_bytes=sum(map(len, found)))
        return found

    def size(self, name: str) -> int:
        target = self._target(name)
        self._requests.add(heads=1)
        with self._reading(name):
            status = target.stat()
            if not stat.S_ISREG(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return status.st_size

    def list(self, prefix: str) -> list[str]:
        folder = require_prefix(prefix)
        self._require_usable()
        self._requests.add(lists=1)
        with self._reading(folder or str(self.root)):
            return sorted(_names_below(self.root / folder, f"{folder}/" if folder else ""))

    def delete(self, name: str) -> None:
        target = self._target(name)
        self._requests.add(deletes=1)
        with self._writing(name), contextlib.suppress(*_ABSENT):
            target.unlink()
            self._remove_empty(target.parent)

    def local_path(self, name: str) -> Path | None:
        return self._target(name)

    @property
    def requests(self) -> RequestCounters:
        return self._requests.counters

    def _target(self, name: str) -> Path:
        require_name(name)
        self._require_usable()
        return self.root / name

    def _require_usable(self) -> None:
        if self._failure:
            raise StorageFailure(f"{self.root} is not used after a failure: {self._failure}")

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        if self._is_read_only:
            raise StorageFailure(f"{name}: {self.root} was opened to be read only")
        try:
            yield
        except OSError as error:
            raise StorageFailure(f"{name}: {error.strerror or error}") from error

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except _ABSENT as error:
            raise ObjectMissing(f"{name}: there is no such object") from error
        except OSError as error:
            raise StorageFailure(f"{name}: {error.strerror or error}") from error

    @contextlib.contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        """The path of a new file in ``.unfinished`` with ``data``, fsynced; gone at the end, unless renamed."""
        path = self._unfinished / uuid.uuid4().hex
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            try:
                left = memoryview(data).cast("B")
                while left:
                    left = left[os.write(fd, left) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _move(self, source: Path, target: Path) -> None:
        self._into_folder(lambda: os.replace(source, target), target.parent)

    def _copy_in(self, source: Path, target: Path) -> None:
        """For a source on another file system, from where it cannot be renamed."""
        with self._written(b"") as unfinished:
            with source.open("rb") as reader, unfinished.open("r+b") as writer:
                shutil.copyfileobj(reader, writer, 1 << 20)
                writer.flush()
                os.fsync(writer.fileno())
            self._move(unfinished, target)
        source.unlink()

    def _into_folder(self, place: Callable[[], None], folder: Path) -> None:
        """Durably: the folder's entries are fsynced after ``place``."""
        for tries_left in reversed(range(_TRIES)):
            try:
                self._make_durable(folder)
                place()
                break
            except FileNotFoundError:  # somebody has removed the folder since it was made
                if not tries_left:
                    raise
                self._durable_folders.clear()
        with contextlib.suppress(FileNotFoundError):  # the object was deleted again meanwhile
            self._sync_folder(folder)

    def _remove_empty(self, folder: Path) -> None:
        """Removes the folder, and those above it below the root, as far as nothing is in them."""
        with contextlib.suppress(OSError):  # something has come into it, or somebody else was first
            while folder != self.root:
                with os.scandir(folder) as entries:
                    if next(entries, None) is not None:
                        return
                # Before it is gone: whoever makes it again must not take it for durable.
                self._durable_folders.discard(folder)
                folder.rmdir()
                folder = folder.parent

    def _make_durable(self, folder: Path) -> None:
        """Makes the folder and those above it where they are absent, each durably an entry of the one above.

        A folder found there may be another process's that has not yet fsynced the one above, so below the root that is
        done once for every folder.
        """
        if folder in self._durable_folders:
            return
        is_inside = folder.is_relative_to(self.root)
        if is_inside or not folder.is_dir():
            if folder.parent != folder:
                self._make_durable(folder.parent)
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
            self._sync_folder(folder.parent)
        if is_inside:
            self._durable_folders.add(folder)

    def _sync_folder(self, folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        except OSError as error:
            self._failure = f"fsync of {folder}: {error.strerror or error}"
            raise
        finally:
            os.close(fd)

    def _clean(self) -> None:
        lock = os.open(self._unfinished / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        weakref.finalize(self, os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # What is here may be somebody's who is writing it.
        else:
            for leftover in self._unfinished.iterdir():
                if _UNFINISHED_NAME.fullmatch(leftover.name) and not leftover.is_dir():  # anything else is not ours
                    leftover.unlink()
        fcntl.flock(lock, fcntl.LOCK_SH)


def _is_there(target: Path) -> bool:
    try:
        status = target.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "the name is the folder of other objects")
    return True


def _size_of_file(fd: int) -> int:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return status.st_size


def _read_exactly(fd: int, name: str, size_bytes: int, offset: int, length: int) -> bytes:
    if offset + length > size_bytes:
        raise StorageFailure(f"{name}: no {length} bytes from {offset}: it has {size_bytes}")
    data = os.pread(fd, length, offset)
    while len(data) < length:  # At most 2 GB come at once.
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            raise StorageFailure(f"{name}: ended at {offset + len(data)} while {length} bytes were read from {offset}")
        data += more
    return data


def _names_below(folder: Path, prefix: str) -> Iterator[str]:
    try:
        entries = os.scandir(folder)
    except _ABSENT:
        return
    with entries:
        for entry in entries:
            if not is_part(entry.name):
                continue  # Not an object's: ``.unfinished``, a file system's own.
            if entry.is_dir(follow_symlinks=False):
                yield from _names_below(folder / entry.name, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name
