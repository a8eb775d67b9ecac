"""A data directory out of a backup, as it was at its moment (design note 0052).

A mark, ``RESTORING``, comes first and goes last: as long as it is there the directory cannot be opened, and the same
backup may be restored into it again. Nothing is put over files that are another's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from lutra.backup.copying import OnProgress
from lutra.backup.place import BackupPlace
from lutra.backup.record import Backup, Record, StoredFile
from lutra.instance import registry
from lutra.instance.data_dir import data_dir_of
from lutra.instance.moment import OBJECTS, RUNS
from lutra.instance.rows_place import IN_DIRECTORY
from lutra.instance.traces import RESTORING
from lutra.kv.folder import make_durable_folder, sync_folder
from lutra.kv.inspection import Found, inspect
from lutra.kv.json_file import read_json, remove_json, write_json
from lutra.kv.lock import DirectoryLock
from lutra.kv.rocksdb import RocksStore
from lutra.kv.runs import put_runs
from lutra.model.errors import Corruption, ForeignObjects, ParameterInvalid, StorageFailure
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore

_FOLDER_MODE: Final = 0o700
_LAST: Final = f"{IN_DIRECTORY}/CURRENT"
"""Without it there is no store."""
_SCRATCH: Final = "restoring"
_NOBODYS: Final = frozenset({"lost+found", f"{RESTORING}.partial"})
"""What is on a file system of its own, and what is left where the mark was not put yet."""


def restore(
    place: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    backup: str | None = None,
    objects: str | os.PathLike[str] | None = None,
) -> Backup:
    """Makes the data directory ``path`` out of a backup: rows, indexes and streams as they were at its moment.

    ``path`` is absent or empty, or what was left where the same backup was being restored into it. It can be opened
    when this returns, without anything being built anew, and has nothing to do with the backup any more.

    ``backup``: its id; None: the newest. ``objects``: where segments of search indexes are to be, if not in the folder:
    another, or ``s3://bucket/prefix``, with nothing there yet; ``connect`` is to be told the same. A backup has no
    access key of a server: ``lutra serve`` makes one where there is none.

    Returns the backup. Raises ObjectNotExist where there is no such one; ParameterInvalid where ``path`` or ``objects``
    are in use; Corruption, naming what, where a byte of the backup is not as it was written; StorageFailure. Then
    ``path`` is not opened by anybody before it has been restored.
    """
    return restore_shown(place, path, backup, objects, lambda what, done, total: None)


def restore_shown(
    place: str | os.PathLike[str],
    path: str | os.PathLike[str],
    backup: str | None,
    objects: str | os.PathLike[str] | None,
    on_progress: OnProgress,
) -> Backup:
    """As `restore`, with progress to be shown."""
    data_dir = data_dir_of(path)
    source = BackupPlace.to_read(place)
    record = source.newest() if backup is None else source.record(backup)
    _require_empty(data_dir, record.backup.id)
    address = os.fspath(data_dir / OBJECTS if objects is None else objects)
    _require_free(address, record)
    try:
        make_durable_folder(data_dir, _FOLDER_MODE)
        write_json(data_dir / RESTORING, {"format": 1, "backup": record.backup.id})
        # Against others who restore: who would open it goes by the mark.
        with closing(DirectoryLock(data_dir)):
            make_durable_folder(data_dir / IN_DIRECTORY)
            _Restoring(source, record, data_dir, open_store(address), on_progress).run()
    except OSError as error:
        raise StorageFailure(f"cannot restore into {data_dir}: {error.strerror}") from error
    return record.backup


class _Restoring:
    """Of one backup into one directory."""

    def __init__(
        self, place: BackupPlace, record: Record, data_dir: Path, objects: ObjectStore, on_progress: OnProgress
    ) -> None:
        self._place = place
        self._record = record
        self._data_dir = data_dir
        self._objects = objects
        self._report = on_progress
        self._done_bytes = 0

    def run(self) -> None:
        """Raises OSError, and as `restore`."""
        data_dir = self._data_dir
        runs = [file for file in self._record.files if file.name.startswith(RUNS)]
        files = [file for file in self._record.files if not file.name.startswith(RUNS)]
        for file in sorted(files, key=lambda file: file.name == _LAST):
            folder, _, name = file.name.partition("/")
            if folder == OBJECTS:
                with self._written(file, data_dir / _SCRATCH / "object") as unfinished:
                    self._objects.put_file(name, unfinished)
            else:
                with self._written(file, data_dir / file.name):
                    pass
                sync_folder((data_dir / file.name).parent)
        if runs:
            self._put_rows(runs)
        if inspect(data_dir / IN_DIRECTORY) is not Found.STORE:
            raise Corruption(f"backup {self._record.backup.id} at {self._place.address} has no store")
        for instance in self._record.instances:
            if not registry.instance_exists(data_dir, instance):
                registry.create_instance(data_dir, instance)
        if (data_dir / _SCRATCH).is_dir():
            (data_dir / _SCRATCH).rmdir()
        remove_json(data_dir / RESTORING)
        sync_folder(data_dir)

    def _put_rows(self, runs: Sequence[StoredFile]) -> None:
        """Of rows that were on an object store: they are in the directory then."""
        folder = self._data_dir / IN_DIRECTORY
        shutil.rmtree(folder)  # what an earlier try had put there
        with closing(RocksStore(folder, known_as=self._data_dir)) as store:
            put_runs(store, (b"".join(self._chunks_of(file)) for file in runs))

    @contextmanager
    def _written(self, file: StoredFile, path: Path) -> Iterator[Path]:
        """The file with what the backup has, every byte of it checked, on stable storage."""
        make_durable_folder(path.parent)
        with path.open("wb") as into:
            for data in self._chunks_of(file):
                into.write(data)
            into.flush()
            os.fsync(into.fileno())
        if path.stat().st_size != file.size_bytes:
            raise Corruption(f"backup {self._record.backup.id} has other bytes of {file.name} than it says")
        yield path

    def _chunks_of(self, file: StoredFile) -> Iterator[bytes]:
        """Raises Corruption, naming it, where one is not as it was written."""
        for chunk in file.chunks:
            try:
                data = self._place.chunk(chunk)
            except Corruption as error:
                raise Corruption(
                    f"backup {self._record.backup.id} cannot be restored: {error}; it is of {file.name}. Nothing "
                    "was restored: restore another backup, into another folder"
                ) from error
            self._done_bytes += len(data)
            self._report("restoring", self._done_bytes, self._record.backup.size_bytes)
            yield data


def _require_empty(data_dir: Path, id: str) -> None:
    """Raises ParameterInvalid where something is there that is not of the same restoring."""
    try:
        there = sorted(set(os.listdir(data_dir)) - _NOBODYS)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageFailure(f"cannot look into {data_dir}: {error.strerror}") from error
    if not there:
        return
    if RESTORING not in there:
        raise ParameterInvalid(
            f"{data_dir} is not empty ({there[0]} is there): restore into a folder that is absent or empty"
        )
    try:
        mark: Any = read_json(data_dir / RESTORING)
        other = mark["backup"]
    except (ValueError, KeyError, TypeError):
        other = "another"
    if other != id:
        raise ParameterInvalid(
            f"into {data_dir} backup {other} was being restored, not {id}: restore that one, or into another folder"
        )


def _require_free(address: str, record: Record) -> None:
    """Raises ForeignObjects where something else is than what an earlier try has put."""
    own = {file.name.partition("/")[2] for file in record.files if file.name.startswith(f"{OBJECTS}/")}
    others = sorted(set(open_store(address, is_read_only=True).list("")) - own)
    if others:
        raise ForeignObjects(
            f"there are objects at {address} ({others[0]} for one): restore segments of search indexes to a place "
            "where there is nothing"
        )
