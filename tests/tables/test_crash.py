"""kill -9 of a process that writes through tables: all it acknowledged is there and in the stream, no batch is torn."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.stores import opened_store

from lutra.model.rows import ChangeKind, PrimaryKey, RangeRequest
from lutra.model.values import INF_MAX, INF_MIN
from lutra.tables.changelog import Change
from lutra.tables.space import TableSpace

WRITER = """
import os, sys, threading
from pathlib import Path
from support.stores import opened_store
from lutra.model.rows import CellOperation, ChangeKind, ReadOptions, RowChange
from lutra.model.schema import KeyColumn, StreamSpec, TableSchema
from lutra.model.values import ColumnType
from lutra.tables.space import TableSpace

space = TableSpace(opened_store(sys.argv[1], Path(sys.argv[2])))
tables = space.instance("default")
if not tables.names():
    key = (KeyColumn("w", ColumnType.INTEGER), KeyColumn("i", ColumnType.INTEGER))
    tables.create(TableSchema("t", key, stream=StreamSpec(24)))

def work(worker):
    row = tables.read("t", (("w", worker), ("i", -1)), ReadOptions()).row
    i = row.cells[0][1] if row else 0
    while True:
        pair = [
            RowChange(ChangeKind.PUT, (("w", worker), ("i", 2 * i + j)), [("v", "x" * 300, None, 0)]) for j in (0, 1)
        ]
        count = RowChange(ChangeKind.UPDATE, (("w", worker), ("i", -1)), [("n", 1, None, CellOperation.INCREMENT)])
        tables.write_batch([("t", [*pair, count])])
        i += 1
        os.write(1, b"%d %d %d\\n" % (worker, i, space.changelog.last_sequence))

for worker in range(4):
    threading.Thread(target=work, args=(worker,)).start()
"""


def run_and_kill(kind: str, path: Path, after_lines: int) -> list[tuple[int, int, int]]:
    """What the writer acknowledged: worker, batches, last sequence."""
    command = [sys.executable, "-c", WRITER, kind, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert writer.stdout is not None
    timer = threading.Timer(30, os.kill, (writer.pid, signal.SIGKILL))
    timer.start()
    lines = [writer.stdout.readline() for _ in range(after_lines)]
    writer.send_signal(signal.SIGKILL)
    lines += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    timer.cancel()
    assert len(lines) > after_lines // 2
    return [tuple(map(int, line.split())) for line in lines if line.endswith(b"\n")]  # type: ignore[misc]


def check(kind: str, path: Path, acknowledged: dict[int, int], last_sequence: int) -> None:
    store = opened_store(kind, path)
    space = TableSpace(store)
    tables = space.instance("default")
    for worker, batches in acknowledged.items():
        start, end = (("w", worker), ("i", INF_MIN)), (("w", worker), ("i", INF_MAX))
        rows = []
        while start is not None:
            page = tables.read_range("t", RangeRequest(start, end))
            rows += page.rows
            start = page.next_start
        count = rows[0].cells[0][1]
        assert isinstance(count, int)
        assert count >= batches, "an acknowledged batch is lost"
        assert [row.key[1][1] for row in rows] == [-1, *range(2 * count)], "a batch is torn"
        assert all(row.cells[0][1] == "x" * 300 for row in rows[1:])
    assert space.changelog.last_sequence >= last_sequence
    logged = space.changelog.read(tables.describe("t").table_id, 0, 10**6)
    assert [change.sequence for change in logged] == list(range(1, space.changelog.last_sequence + 1))
    check_stream(space, logged)
    store.close()


def check_stream(space: TableSpace, logged: list[Change]) -> None:
    """It has every change that was logged, once, in the same order, and each row's as they were made."""
    (stream,) = space.streams.of_tables("default", "t")
    at = space.streams.iterator("default", stream.stream_id, stream.shards[0].id)
    page = space.streams.read("default", at, 10**6, 10**9)
    assert not page.has_more
    assert [(record.kind, record.key) for record in page.records] == [(change.kind, change.key) for change in logged]
    counts: dict[PrimaryKey, int] = {}
    for record in page.records:
        if record.kind is ChangeKind.UPDATE:
            assert record.cells[0][1] == counts.get(record.key, 0) + 1
            counts[record.key] = counts.get(record.key, 0) + 1


def rounds(kind: str, path: Path, count: int, lines_max: int) -> None:
    rng = random.Random(count)
    acknowledged = dict.fromkeys(range(4), 0)
    last_sequence = 0
    for _ in range(count):
        for worker, batches, sequence in run_and_kill(kind, path, rng.randrange(20, lines_max)):
            acknowledged[worker] = max(acknowledged[worker], batches)
            last_sequence = max(last_sequence, sequence)
        if all(acknowledged.values()):
            check(kind, path, acknowledged, last_sequence)


def test_kill_loses_nothing(tmp_path: Path) -> None:
    rounds("rocksdb", tmp_path / "store", 3, 200)


def test_kill_loses_nothing_on_an_object_store(tmp_path: Path) -> None:
    rounds("slatedb", tmp_path / "store", 1, 100)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(("kind", "count"), [("rocksdb", 40), ("slatedb", 20)])
def test_kill_loses_nothing_over_many_rounds(tmp_path: Path, kind: str, count: int) -> None:
    rounds(kind, tmp_path / "store", count, 600)
