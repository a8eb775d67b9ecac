"""Stores of every kind: the same tests run on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lutra.kv.memory import MemoryStore
from lutra.kv.rocksdb import RocksStore
from lutra.kv.slatedb.store import SlateStore
from lutra.kv.store import KeyValueStore


@pytest.fixture(params=["memory", "rocksdb", "slatedb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    opened = _opened(request.param, tmp_path)
    yield opened
    opened.close()


def _opened(kind: str, tmp_path: Path) -> KeyValueStore:
    if kind == "memory":
        return MemoryStore()
    return RocksStore(tmp_path / "store") if kind == "rocksdb" else SlateStore(tmp_path / "store")
