"""A store of objects that does not answer a search in time: clients that take a part get what was found elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import EAGER, open_engine
from support.stalling_store import StallingStore

from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import prefix_of
from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model.errors import RequestTimeout
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import ColumnsToGet, Range, ReturnColumns, SearchRequest
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

SCHEMA = IndexSchema((FieldSchema("n", FieldType.LONG),))
LAZY = replace(EAGER, flush_bytes=1 << 30, flush_age_s=3_600.0)
STORED, BUFFERED = (range(50), range(50, 100)), range(100, 110)
REQUEST = SearchRequest(
    Range("n", 10),
    limit=100,
    count_total=True,
    columns=ColumnsToGet(ReturnColumns.ALL),
    timeout_ms=800,
    allow_partial=True,
)


class Slow:
    """An engine over a store that can be stopped."""

    def __init__(self, data_dir: Path) -> None:
        self.store: StallingStore
        self.engine: Engine = open_engine(data_dir, policy=LAZY, wrapped=self._wrapped)

    def _wrapped(self, resources: Resources) -> Resources:
        self.store = StallingStore(resources.store)
        return replace(resources, store=self.store)

    def stall(self) -> None:
        """Until it is released the index's objects are not answered for."""
        [feed] = self.engine.partition.feeder._feeds
        self.store.stall(prefix_of(feed.definition))  # type: ignore[attr-defined]


def put(instance: Instance, number: int) -> None:
    cells = [("n", number, None, CellOperation.PUT)]
    instance.tables.write("t", RowChange(ChangeKind.PUT, (("id", number),), cells))


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    """Twice 50 rows in a segment each, of which little is in memory, and ten in the buffer."""
    first = open_engine(tmp_path / "data", policy=LAZY)
    first.create_instance("tests")
    instance = first.instance("tests")
    instance.tables.create(TableSchema("t", (KeyColumn("id", ColumnType.INTEGER),)))
    instance.create_search_index("t", "x", SCHEMA)
    for numbers in STORED:
        for number in numbers:
            put(instance, number)
        instance.wait_searchable("t", "x", 60)
        for feed in first.partition.feeder._feeds:
            feed.index.flush()  # type: ignore[attr-defined]
    first.close()
    slow = Slow(tmp_path / "data")
    again = slow.engine.instance("tests")
    for number in BUFFERED:
        put(again, number)
    again.wait_searchable("t", "x", 60)
    yield slow
    slow.store.release()
    slow.engine.close()


def test_rows_of_what_was_searched_in_time(slow: Slow) -> None:
    """The buffer's. The store has not answered yet when the search does; what it was asked for comes all the same."""
    instance = slow.engine.instance("tests")
    slow.stall()
    result = instance.search("t", "x", REQUEST)
    slow.store.release()
    assert not result.is_complete
    found = [row.key[0][1] for row in result.rows]
    assert found == [*BUFFERED]
    assert all([name for name, *_ in row.cells] == ["n"] for row in result.rows)
    assert (result.total, result.next_token) == (len(found), b"")
    whole = instance.search("t", "x", replace(REQUEST, timeout_ms=None))
    assert (whole.total, whole.is_complete) == (100, True)


def test_who_wants_all_is_told_that_time_is_up(slow: Slow) -> None:
    slow.stall()
    with pytest.raises(RequestTimeout, match="The search took longer than 800 ms"):
        slow.engine.instance("tests").search("t", "x", replace(REQUEST, allow_partial=False))
    slow.store.release()
