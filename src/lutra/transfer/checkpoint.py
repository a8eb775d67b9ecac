"""How far an import has come, on stable storage in the data directory, so that the same command goes on from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any, Final

from lutra.kv.json_file import read_json, remove_json, write_json
from lutra.transfer.data_file import DataFile, FileIdentity
from lutra.transfer.mapping import ColumnMapping
from lutra.transfer.positions import Position

FOLDER: Final = "imports"
BEING_MADE: Final = -1
_FORMAT: Final = 1


@dataclass(slots=True)
class Checkpoint:
    """All rows before it are on stable storage, written or rejected."""

    table_id: int
    """Of the table they went to: one that was made anew has none of them. `BEING_MADE`: it may be there in part."""
    positions: list[Position]
    """In each file."""
    files: list[FileIdentity]
    written: int = 0
    rejected: int = 0
    rejects_bytes: int = 0
    """Of the file of rejected rows that belong to it."""
    rejects_path: str = ""
    began_empty: bool = False
    """Whether the table had no rows then."""


@dataclass(frozen=True, slots=True)
class ImportIdentity:
    """What makes a command the same as one before."""

    instance: str
    table: str
    paths: Sequence[str]
    mapping: Mapping[str, Any]

    @classmethod
    def of(cls, instance: str, table: str, files: Sequence[DataFile], mapping: ColumnMapping) -> ImportIdentity:
        return cls(instance, table, [str(file.path.absolute()) for file in files], mapping.as_json())

    def as_json(self) -> dict[str, Any]:
        return {
            "instance": self.instance,
            "table": self.table,
            "files": list(self.paths),
            "mapping": dict(self.mapping),
        }

    @property
    def name(self) -> str:
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """``DATA/imports/NAME.json``: written anew as a whole each time."""

    data_dir: Path
    identity: ImportIdentity
    notes: list[str] = dataclass_field(default_factory=list)
    """Why what was last read is not gone on from."""

    @property
    def path(self) -> Path:
        return self.data_dir / FOLDER / f"{self.identity.name}.json"

    def read(self) -> Checkpoint | None:
        """None where there is none that can be gone on from. Raises StorageFailure."""
        self.notes.clear()
        try:
            content = read_json(self.path)
            if content is None:
                return None
            if content["format"] != _FORMAT:
                self.notes.append("an earlier run was of another version of Lutra, so the import begins anew")
                return None
            return Checkpoint(
                content["table_id"],
                [Position(**position) for position in content["positions"]],
                [FileIdentity(**identity) for identity in content["identities"]],
                content["written"],
                content["rejected"],
                content["rejects_bytes"],
                content["rejects_path"],
                content["began_empty"],
            )
        except (ValueError, KeyError, TypeError):  # damaged: beginning anew does no harm
            self.notes.append(f"{self.path} cannot be read, so the import begins anew")
            return None

    @property
    def is_being_made(self) -> bool:
        """Whether an earlier run may have been broken off while it made the table. Raises StorageFailure."""
        found = self.read()
        return found is not None and found.table_id == BEING_MADE

    @property
    def rows_done(self) -> int:
        """That earlier runs have dealt with, unless files have changed since. Raises StorageFailure."""
        found = self.read()
        return 0 if found is None else found.written + found.rejected

    def write(self, checkpoint: Checkpoint) -> None:
        """Returns once it is on stable storage. Raises StorageFailure."""
        content = {
            "format": _FORMAT,
            **self.identity.as_json(),
            "table_id": checkpoint.table_id,
            "positions": [position.as_json() for position in checkpoint.positions],
            "identities": [identity.as_json() for identity in checkpoint.files],
            "written": checkpoint.written,
            "rejected": checkpoint.rejected,
            "rejects_bytes": checkpoint.rejects_bytes,
            "rejects_path": checkpoint.rejects_path,
            "began_empty": checkpoint.began_empty,
        }
        write_json(self.path, content, indent=1)

    def remove(self) -> None:
        """After the last row. Raises StorageFailure."""
        remove_json(self.path)
