"""Databases as commands open them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lutra.instance.database import Database


@contextmanager
def opened_to_read(data_dir: Path, objects: str | None, instance: str) -> Iterator[Database]:
    """A database as it is at this moment, beside a server, too. Raises StorageFailure, ObjectNotExist."""
    import lutra

    _require(data_dir, instance)
    with lutra.connect(data_dir, instance=instance, objects=objects, read_only=True) as database:
        yield database


@contextmanager
def opened_to_write(data_dir: Path, objects: str | None, instance: str) -> Iterator[Database]:
    """A database that is there: nothing is made where there is none. Raises StorageFailure, ObjectNotExist,
    DirectoryInUse."""
    import lutra

    _require(data_dir, instance)
    with lutra.connect(data_dir, instance=instance, objects=objects) as database:
        yield database


def _require(data_dir: Path, instance: str) -> None:
    """That there are the directory and the instance."""
    from lutra.instance.data_dir import data_dir_of
    from lutra.instance.registry import instance_exists, instance_names
    from lutra.instance.traces import require_data_dir
    from lutra.model.errors import ObjectNotExist
    from lutra.model.suggestions import suggestion

    require_data_dir(data_dir_of(data_dir))
    if not instance_exists(data_dir, instance):
        names = instance_names(data_dir)
        likely = suggestion(instance, names)
        raise ObjectNotExist(f"there is no instance {instance!r}: there are {', '.join(names)}{likely}")
