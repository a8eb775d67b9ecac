"""Small files of JSON that say how far something is: whole, on stable storage, each in the place of the one before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lutra.kv.folder import make_durable_folder, sync_folder
from lutra.model.errors import StorageFailure


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Returns once it is on stable storage, in a folder that is made where it is absent. Raises StorageFailure."""
    partial = path.with_suffix(".partial")
    try:
        make_durable_folder(path.parent)
        with partial.open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=indent)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageFailure(f"cannot write {path}: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """What was written; None where there is no such file. Raises StorageFailure, ValueError where it is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailure(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if found is None:
        raise ValueError(f"{path} is damaged: it says nothing")
    return found


def remove_json(path: Path) -> None:
    """Does nothing where there is no such file. Raises StorageFailure."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailure(f"cannot remove {path}: {error.strerror}") from error
