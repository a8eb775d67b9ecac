"""Fills a data directory, or finds it filled."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click

from bench.index_state import IndexState, IndexWatch
from bench.search_api.questions import INDEX, TABLE
from bench.search_api.rows import Rows, schema
from bench.server_process import INSTANCE
from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model.queries import MatchAll, SearchRequest
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

BATCH_ROWS: Final = 200
_SHOWN_ROWS: Final = 100_000


def load(data_dir: Path, rows: Rows, limit_s: float) -> dict[str, float | str]:
    """Writes what is not there yet, through the engine, in this process, and waits until the index is settled.

    Raises RuntimeError where that takes more than ``limit_s``.
    """
    _ = rows.texts, rows.items  # made before the clock runs
    begin_s = time.monotonic()
    engine = Engine.open(data_dir)
    try:
        instance = _instance(engine, rows.dimension)
        there = _searchable(instance, limit_s)
        written = 0
        for block in rows.blocks(BATCH_ROWS):
            written += len(block)
            if written > there:
                _write(instance, block)
            if written % _SHOWN_ROWS < BATCH_ROWS:
                click.echo(f"{written:,} rows written after {time.monotonic() - begin_s:.0f} s", err=True)
            if time.monotonic() > begin_s + limit_s:
                raise RuntimeError(f"{written:,} of {rows.count:,} rows were written within {limit_s:g} s")
        figures: dict[str, float | str] = {"written_s": time.monotonic() - begin_s}
        instance.wait_searchable(TABLE, INDEX, limit_s)
        figures["searchable_s"] = time.monotonic() - begin_s
        state = _settled(data_dir, rows.count, begin_s + limit_s - time.monotonic())
        figures["settled_s"] = time.monotonic() - begin_s
    finally:
        engine.close()
    figures |= {"segments": len(state.segments), "kinds": state.kinds, "index_mb": state.bytes / 1e6}
    return figures


def _instance(engine: Engine, dimension: int) -> Instance:
    """With the table and its index."""
    if INSTANCE not in engine.instance_names():
        engine.create_instance(INSTANCE)
    instance = engine.instance(INSTANCE)
    if (TABLE, INDEX) not in instance.list_search_indexes():
        instance.tables.create(TableSchema(TABLE, (KeyColumn("id", ColumnType.STRING),)))
        instance.create_search_index(TABLE, INDEX, schema(dimension))
    return instance


def _searchable(instance: Instance, limit_s: float) -> int:
    """Rows that were written before; they come in the same order each time."""
    instance.wait_searchable(TABLE, INDEX, limit_s)
    return instance.search(TABLE, INDEX, SearchRequest(MatchAll(), limit=0, count_total=True)).total


def _write(instance: Instance, block: list[tuple[str, list[tuple[str, object]]]]) -> None:
    changes = [
        RowChange(ChangeKind.PUT, (("id", key),), [(name, value, None, CellOperation.PUT) for name, value in columns])  # type: ignore[misc]
        for key, columns in block
    ]
    instance.tables.write_batch([(TABLE, changes)])


def _settled(data_dir: Path, rows: int, within_s: float) -> IndexState:
    """Once all rows are in segments and there is nothing left to build."""
    watch = IndexWatch(data_dir)
    return watch.wait(lambda state: state.rows >= rows and state.is_settled, max(1.0, within_s))
