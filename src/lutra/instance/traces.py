"""A data directory that has lost its tables is not to be taken for a new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lutra.instance import clusters
from lutra.instance.rows_place import ELSEWHERE, IN_DIRECTORY
from lutra.model.errors import Corruption, ForeignObjects, StorageFailure

RESTORING: Final = "RESTORING"
"""The file that is there as long as a backup is being restored (`lutra.instance.restoring`)."""
_MADE_LATER: Final = ("instances", "objects/indexes")
"""What a data directory comes to have only once it has tables."""


def require_data_dir(data_dir: Path) -> None:
    """Raises StorageFailure where ``data_dir`` is none, and Corruption where it has lost its tables."""
    require_tables_or_nothing(data_dir)
    try:
        if not data_dir.exists():
            raise StorageFailure(f"there is no data directory {data_dir}: `lutra serve --data` makes one")
        if not (data_dir / IN_DIRECTORY).is_dir() and not (data_dir / ELSEWHERE).exists():
            raise StorageFailure(f"{data_dir} is no data directory: `lutra serve --data` makes one")
    except OSError as error:
        raise StorageFailure(f"cannot look into {data_dir}: {error.strerror}") from error


def require_tables_or_nothing(data_dir: Path) -> None:
    """Raises Corruption where ``data_dir`` has what is made of tables, and no tables; ForeignObjects where it is the
    store of a cluster; StorageFailure."""
    try:
        if os.path.lexists(data_dir / RESTORING):
            raise Corruption(
                f"a backup was being restored into {data_dir}, and not all of it is there: `lutra restore` it again, "
                "or move the whole data directory away"
            )
        if os.path.lexists(data_dir / IN_DIRECTORY / "CURRENT") or os.path.lexists(data_dir / ELSEWHERE):
            return
        is_cluster = all(os.path.lexists(data_dir / name) for name in (clusters.NAME, clusters.MAP))
        left = [name for name in _MADE_LATER if _has_entries(data_dir / name)]
    except OSError as error:
        raise StorageFailure(f"cannot look into {data_dir}: {error.strerror}") from error
    if is_cluster:
        raise ForeignObjects(
            f"{data_dir} is the store of a cluster, not a data directory: `lutra node --store {data_dir}` serves it"
        )
    if left:
        raise Corruption(
            f"{data_dir} has lost its tables: there is {' and '.join(left)}, but no store in {IN_DIRECTORY}. "
            "Restore a backup; to begin anew, with no rows at all, move the whole data directory away"
        )


def require_objects(address: str) -> None:
    """Raises StorageFailure where ``address`` is a folder of this machine that is not there."""
    try:
        if "://" not in address and not Path(address).is_dir():
            raise StorageFailure(
                f"there is no folder {address}: say where the objects of search indexes are, or serve the directory, "
                "which fills all indexes anew"
            )
    except OSError as error:
        raise StorageFailure(f"cannot look into {address}: {error.strerror}") from error


def _has_entries(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False
