"""When a run that makes all vectors anew began, on stable storage, so that one that was broken off goes on."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lutra.instance.embedding_followers import FOLDER
from lutra.kv.json_file import read_json, remove_json, write_json

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class EmbedStart:
    """``DATA/embeds/NAME.json``, of one command. Rows whose vectors are younger than that are done."""

    data_dir: Path
    command: dict[str, Any]
    """What makes it the same command."""

    @property
    def path(self) -> Path:
        name = hashlib.sha256(json.dumps(self.command, sort_keys=True).encode()).hexdigest()[:32]
        return self.data_dir / FOLDER / f"{name}.json"

    def begun_ms(self, table_id: int) -> int:
        """Of the run that is gone on with, else of one that begins now. Raises StorageFailure."""
        found = self._read()
        if found is not None and found.get("table_id") == table_id and type(found.get("begun_ms")) is int:
            return int(found["begun_ms"])
        content = {"format": _FORMAT, **self.command, "table_id": table_id, "begun_ms": time.time_ns() // 1_000_000}
        write_json(self.path, content)
        return int(content["begun_ms"])

    def remove(self) -> None:
        """After the last row. Raises StorageFailure."""
        remove_json(self.path)

    def _read(self) -> dict[str, Any] | None:
        """None where there is none that can be read: beginning anew does no harm. Raises StorageFailure."""
        try:
            found = read_json(self.path)
        except ValueError:
            return None
        return found if isinstance(found, dict) and found.get("format") == _FORMAT else None
