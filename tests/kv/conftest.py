"""Stores of every kind: the same tests run on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stores import opened_store

from lutra.kv.store import KeyValueStore


@pytest.fixture(params=["memory", "rocksdb", "slatedb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    opened = opened_store(request.param, tmp_path / "store")
    yield opened
    opened.close()
