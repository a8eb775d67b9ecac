"""A backup of a data directory, made beside whoever writes it (design note 0052)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lutra.backup.copying import Copier, OnProgress
from lutra.backup.marks import running
from lutra.backup.place import BackupPlace
from lutra.backup.record import Backup, Record, new_id
from lutra.index.lsm.read_storage import Look
from lutra.instance.data_dir import data_dir_of
from lutra.instance.moment import held_moment
from lutra.instance.traces import require_data_dir, require_objects
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import ObjectMissing, OperationConflict, Outdated, ParameterInvalid, StorageFailure
from lutra.objects.opening import open_store

_TRIES: Final = 12
"""Each finds there what those before have copied, so that there is less and less to copy while the writer goes on."""

_EARLIER: Final = 3
"""So many backups are looked at for files that need not be read again."""


def back_up(
    path: str | os.PathLike[str],
    place: str | os.PathLike[str],
    *,
    objects: str | os.PathLike[str] | None = None,
    clock: Clock | None = None,
    on_progress: OnProgress | None = None,
) -> Backup:
    """Copies what the data directory ``path`` holds at this moment to ``place``, but for what is there already.

    It takes no lock and changes nothing in ``path``: a server, or another process, may go on writing.

    :param place: a folder, or ``s3://bucket/prefix``, for backups alone; made where there is nothing.
    :param objects: as `lutra.instance.engine.Engine.open` takes it.
    :raises ParameterInvalid: there are other things at ``place``, or it is within ``path``.
    :raises OperationConflict: backups are being pruned at ``place``.
    :raises StorageFailure: something cannot be read or written; Corruption: the rows' store is not whole.
    """
    clock = clock or SystemClock()
    data_dir = data_dir_of(path)
    require_data_dir(data_dir)
    address = os.fspath(data_dir / "objects" if objects is None else objects)
    require_objects(address)
    _require_apart(data_dir, place)
    source = open_store(address, is_read_only=True)
    to = BackupPlace.to_write(place)
    id, taken = new_id(clock.now_us())
    with running(to, id, clock) as mark:
        copier = Copier(to, mark, to.latest(_EARLIER), on_progress or (lambda what, done, total: None))
        for tries_left in reversed(range(_TRIES)):
            look = Look.FIRST if tries_left else Look.LAST
            try:
                with held_moment(data_dir, source, clock, look) as moment:
                    files = [*copier.copy(moment.indexes), *copier.copy_all(moment.rows)]
            except (Outdated, ObjectMissing) as error:
                if not tries_left:
                    raise StorageFailure(
                        f"segments of search indexes are merged and deleted faster than they are copied ({error}): "
                        "try again, what was copied is kept"
                    ) from error
            else:
                break
        size_bytes = sum(file.size_bytes for file in files)
        directory = os.path.abspath(data_dir)
        backup = Backup(id, taken, directory, size_bytes, copier.new_bytes, moment.notes)
        to.put_record(Record(backup, moment.store, moment.instances, tuple(files)))
        if not mark.is_there:
            to.delete_record(id)
            raise OperationConflict(
                f"this backup took a rest of an hour or more, and {to.address} was pruned meanwhile: make it again"
            )
    return backup


def _require_apart(data_dir: Path, place: str | os.PathLike[str]) -> None:
    text = os.fspath(place)
    if "://" in text:
        return
    real = os.path.realpath(text)
    if f"{real}/".startswith(f"{os.path.realpath(data_dir)}/"):
        raise ParameterInvalid(f"{text} is within the data directory: it would be lost with it")
