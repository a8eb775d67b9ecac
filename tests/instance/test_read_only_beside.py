"""Reading beside a process that writes, flushes and merges as fast as it can, and is killed."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.folders import folder_in_memory
from support.numbered_batches import FIELDS, KEYS, after, between, vector

import lutra


class Writer:
    """`support.numbered_batches` in a process of its own. A context manager; it is killed at the end."""

    def __init__(self, data: Path, first: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.numbered_batches", str(data), str(first)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        self._grew = threading.Condition()
        self._acknowledged = first - 1
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def acknowledged(self) -> int:
        return self._acknowledged

    def wait_for(self, number: int) -> None:
        with self._grew:
            assert self._grew.wait_for(lambda: self._acknowledged >= number, 100.0)

    def kill(self) -> int:
        """What it had acknowledged when it was killed, at least."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._acknowledged

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._grew:
                self._acknowledged = int(line)
                self._grew.notify_all()


def check(table: lutra.Table, rng: random.Random, at_least: int) -> int:
    """It is as it was after some batch, ``at_least`` or later, or between two; and searches agree. The number."""
    rows = {row["id"]: row["n"] for row in table.scan()}
    number = max(rows.values(), default=-1)
    if rows != after(number):
        assert rows == between(number + 1)
    assert number >= at_least
    assert table.count() == len(rows)
    low = number - rng.randrange(20)
    found = {row["id"]: row["n"] for row in table.search(where=lutra.col("n") >= low, limit=KEYS)}
    assert found == {key: n for key, n in rows.items() if n >= low}
    if rows:
        key = rng.choice(list(rows))
        (nearest,) = table.search(vector(rows[key], key), limit=1)
        assert (nearest["id"], nearest["n"]) == (key, rows[key])
    return number


def run(data: Path, rounds: int, looks: int) -> None:
    rng = random.Random(rounds)
    with lutra.connect(data) as database:
        database.create_table("t", {"id": int}, FIELDS)
    first = 0
    for _ in range(rounds):
        writer = Writer(data, first)
        try:
            writer.wait_for(first)
            with lutra.connect(data, read_only=True) as kept:
                check(kept.table("t"), rng, first)
                for _ in range(looks):
                    writer.wait_for(writer.acknowledged + rng.randrange(12))
                    acknowledged = writer.acknowledged
                    with lutra.connect(data, read_only=True) as reader:
                        check(reader.table("t"), rng, acknowledged)
                    if rng.random() < 0.5:
                        kept.refresh()
                        check(kept.table("t"), rng, acknowledged)
                before = check(kept.table("t"), rng, first)
                acknowledged = writer.kill()
                assert check(kept.table("t"), rng, before) == before
                kept.refresh()
                first = check(kept.table("t"), rng, acknowledged) + 1
        finally:
            writer.kill()


def test_beside_a_writer_that_is_killed(tmp_path: Path) -> None:
    run(tmp_path / "data", rounds=1, looks=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_beside_writers_that_are_killed_again_and_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = folder_in_memory()
    if folder is None:
        folder = tmp_path_factory.mktemp("data")
    data = folder / f"lutra-beside-{os.getpid()}"
    try:
        run(data, rounds=8, looks=40)
    finally:
        shutil.rmtree(data, ignore_errors=True)
