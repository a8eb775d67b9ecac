"""A state machine whose store is on disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine

from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import KeyValueStore


class OnDisk(RuleBasedStateMachine):
    """Before a state machine that opens and reopens a ``store``: that lies in a folder of its own."""

    store: KeyValueStore

    def open_store(self) -> KeyValueStore:
        self.folder = Path(tempfile.mkdtemp())
        return RocksStore(self.folder)

    def reopen_store(self) -> KeyValueStore:
        self.store.close()
        return RocksStore(self.folder)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
