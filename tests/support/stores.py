"""Key-value stores of every kind, for tests that are to pass on each."""

from __future__ import annotations

from pathlib import Path

from lutra.kv.memory import MemoryStore
from lutra.kv.rocksdb import RocksStore
from lutra.kv.slatedb.store import SlateStore
from lutra.kv.store import KeyValueStore


def opened_store(kind: str, path: Path) -> KeyValueStore:
    """A store of that kind, at ``path`` where it lies anywhere: opened again, it is the same."""
    if kind == "memory":
        return MemoryStore()
    return RocksStore(path) if kind == "rocksdb" else SlateStore(path)
