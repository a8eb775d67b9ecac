"""A table space on every kind of store, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.stores import opened_store

from lutra.kv.memory import MemoryStore
from lutra.kv.store import KeyValueStore
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

NOON_US = 1_700_000_000_000_000


class ManualClock:
    """Stands still until moved."""

    def __init__(self) -> None:
        self.us = NOON_US

    def now_us(self) -> int:
        return self.us

    @property
    def ms(self) -> int:
        return self.us // 1_000

    def advance_s(self, seconds: float) -> None:
        self.us += int(seconds * 1_000_000)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


ON_OBJECTS = pytest.param("slatedb", marks=pytest.mark.slow)


@pytest.fixture(params=["memory", "rocksdb", ON_OBJECTS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    opened = opened_store(request.param, tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture(params=["rocksdb", "slatedb"])
def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], KeyValueStore]:
    """Opens the same store again and again."""
    return lambda: opened_store(request.param, tmp_path / "store")


@pytest.fixture
def space(store: KeyValueStore, clock: ManualClock) -> TableSpace:
    return TableSpace(store, clock)


@pytest.fixture
def tables(space: TableSpace) -> Tables:
    return space.instance("default")


@pytest.fixture
def memory_tables() -> Tables:
    """For properties, each example of which creates its table and deletes it."""
    return TableSpace(MemoryStore()).instance("default")
