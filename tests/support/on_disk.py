"""A state machine whose store is on disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from hypothesis.stateful import RuleBasedStateMachine
from support.stores import opened_store

from lutra.kv.store import KeyValueStore


class OnDisk(RuleBasedStateMachine):
    """Before a state machine that opens and reopens a ``store``: that lies in a folder of its own."""

    kind: ClassVar[str] = "rocksdb"
    store: KeyValueStore

    def open_store(self) -> KeyValueStore:
        self.folder = Path(tempfile.mkdtemp())
        return opened_store(self.kind, self.folder / "store")

    def reopen_store(self) -> KeyValueStore:
        self.store.close()
        return opened_store(self.kind, self.folder / "store")

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
