"""Which instances a data directory has.

An instance is a folder ``DATA/instances/NAME``: made by an atomic, fsynced mkdir, so ``lutra instance create`` works
beside a running server, which finds the new name at its first use.
"""

from __future__ import annotations

import os
from pathlib import Path

from lutra.instance.data_dir import data_dir_of
from lutra.model import limits
from lutra.model.errors import ObjectAlreadyExist, ParameterInvalid, StorageFailure


def create_instance(data_dir: Path, name: str) -> None:
    """Makes an instance. Raises ParameterInvalid for a bad name, ObjectAlreadyExist where there is one."""
    check_name(name)
    folder = data_dir_of(data_dir) / "instances"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).mkdir()
        _fsync_folder(folder)
        _fsync_folder(data_dir)
    except FileExistsError:
        raise ObjectAlreadyExist(f"instance {name!r} already exists") from None
    except OSError as error:
        raise StorageFailure(f"cannot create instance {name!r} in {data_dir}: {error.strerror}") from error


def instance_exists(data_dir: Path, name: str) -> bool:
    """Whether there is an instance of that name; False for a name that could not be one."""
    return limits.INSTANCE_NAME_PATTERN.fullmatch(name) is not None and (data_dir / "instances" / name).is_dir()


def instance_names(data_dir: Path) -> list[str]:
    """The names of all instances, sorted."""
    folder = data_dir / "instances"
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())


def check_name(name: str) -> None:
    """Raises ParameterInvalid where ``name`` cannot name an instance."""
    if limits.INSTANCE_NAME_PATTERN.fullmatch(name) is None:
        raise ParameterInvalid(f"invalid instance name {name!r}: 2 to 64 of letters, digits, '-' and '_'")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
