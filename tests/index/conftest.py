"""Tables over stores of every kind, and rows to put in them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.folders import folder_in_memory
from support.index_feeder import IndexFeeder
from support.indexes import resources_in

from lutra.feed import feeder as feeder_module
from lutra.index.lsm.resources import Resources
from lutra.kv.memory import MemoryStore
from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import KeyValueStore
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableDescription, TableOptions, TableSchema
from lutra.model.values import ColumnType
from lutra.tables.space import TableSpace
from lutra.tables.tables import Tables

NewTable = Callable[..., TableDescription]


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had, and gone after the test: these tests write thousands of small objects."""
    in_memory = folder_in_memory()
    if in_memory is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="lutra-test-", dir=in_memory) as folder:
        yield Path(folder)


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    opened: KeyValueStore = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def space(store: KeyValueStore) -> TableSpace:
    return TableSpace(store)


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    opened = resources_in(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def tables(space: TableSpace) -> Tables:
    return space.instance("default")


@pytest.fixture
def new_table(tables: Tables) -> NewTable:
    def create(name: str, ttl_s: int = -1, allow_update: bool = True) -> TableDescription:
        key = (KeyColumn("id", ColumnType.INTEGER),)
        return tables.create(TableSchema(name, key, options=TableOptions(ttl_s=ttl_s, allow_update=allow_update)))

    return create


@pytest.fixture
def put(tables: Tables) -> Callable[..., None]:
    def write(table: str, number: int, **columns: Any) -> None:
        cells = [(name, value, None, CellOperation.PUT) for name, value in columns.items()]
        tables.write(table, RowChange(ChangeKind.PUT, (("id", number),), cells))

    return write


@pytest.fixture
def put_many(tables: Tables) -> Callable[..., None]:
    def write(table: str, rows: dict[int, dict[str, Any]]) -> None:
        changes = [
            RowChange(ChangeKind.PUT, (("id", n),), [(k, v, None, CellOperation.PUT) for k, v in columns.items()])
            for n, columns in rows.items()
        ]
        for first in range(0, len(changes), 200):
            tables.write_batch([(table, changes[first : first + 200])])

    return write


@pytest.fixture
def fast_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be asked for before ``feeder``."""
    monkeypatch.setattr(feeder_module, "_TICK_S", 0.02)


@pytest.fixture
def feeder(space: TableSpace, store: KeyValueStore, resources: Resources) -> Iterator[IndexFeeder]:
    with IndexFeeder(space.changelog, store, resources) as running:
        yield running
