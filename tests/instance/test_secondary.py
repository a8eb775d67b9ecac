"""Secondary indexes in a running engine: filled under writes, through restarts, kills and disks that fail."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.secondary import check_index
from support.store_failures import FailingCommits
from support.waiting import wait_until

from lutra.index.check.fsck import Remedy
from lutra.index.lsm.resources import Resources
from lutra.instance.engine import Engine
from lutra.instance.fsck import DirectoryCheck, check_directory
from lutra.instance.instance import Instance
from lutra.instance.partition import Partition
from lutra.instance.stopped import StoppedDirectory
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
from lutra.model.clock import SystemClock
from lutra.model.errors import LutraError, ObjectNotExist, RequestTimeout, ServerBusy, StorageFailure
from lutra.model.rows import CellOperation, ChangeKind, RangeRequest, RowChange
from lutra.model.schema import DefinedColumn, IndexKind, KeyColumn, SecondaryIndex, TableSchema
from lutra.model.values import INF_MAX, INF_MIN, ColumnType
from lutra.tables import keyspace

WITHIN_S = 60.0
LOCAL = SecondaryIndex("local_n", ("p", "n"), ("s",), IndexKind.LOCAL)
GLOBAL = SecondaryIndex("global_s", ("s", "n"), (), IndexKind.GLOBAL)
SCHEMA = TableSchema(
    "t",
    (KeyColumn("p", ColumnType.INTEGER), KeyColumn("i", ColumnType.INTEGER)),
    (DefinedColumn("n", ColumnType.INTEGER), DefinedColumn("s", ColumnType.STRING)),
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = Engine.open(tmp_path / "data")
    opened.create_instance("main")
    yield opened
    opened.close()


@pytest.fixture
def instance(engine: Engine) -> Instance:
    return engine.instance("main")


def changes_at_random(rng: random.Random, rows: int, keys: int = 200) -> list[RowChange]:
    changes = []
    for number in rng.sample(range(keys), rows):
        key = (("p", number % 5), ("i", number))
        if rng.random() < 0.2:
            changes.append(RowChange(ChangeKind.DELETE, key))
            continue
        cells = [("n", rng.randrange(50), None, 0), ("s", rng.choice("abc"), None, 0), ("more", "x" * 50, None, 0)]
        if rng.random() < 0.5:
            changes.append(RowChange(ChangeKind.PUT, key, rng.sample(cells, 2)))
        else:
            cells[0] = ("n", 1, None, CellOperation.INCREMENT)
            changes.append(RowChange(ChangeKind.UPDATE, key, rng.sample(cells, 2)))
    return changes


def write(instance: Instance, rng: random.Random, batches: int, rows: int = 40) -> None:
    for _ in range(batches):
        (results,) = instance.tables.write_batch([("t", changes_at_random(rng, rows))])
        assert not [result for result in results if isinstance(result, LutraError)]


def check(instance: Instance) -> None:
    for index in instance.tables.describe("t").schema.indexes:
        instance.wait_secondary_index("t", index.name, WITHIN_S)
        check_index(instance.tables, "t", index)


def stored_of(engine: Engine, index_id: int) -> int:
    """How many pairs the store has of an index."""
    prefixes = (keyspace.rows_prefix(index_id), keyspace.back_prefix(index_id))
    store = engine.partition.store
    pairs = sum(1 for prefix in prefixes for _ in store.scan(prefix, prefix + b"\xff" * 300))
    return pairs + sum(store.get(key(index_id)) is not None for key in (keyspace.progress_key, keyspace.dropped_key))


def wait_until_gone(engine: Engine, index_id: int) -> None:
    wait_until(lambda: not stored_of(engine, index_id))


def test_indexes_are_filled_while_rows_are_written(instance: Instance) -> None:
    instance.create_table(SCHEMA)
    rng = random.Random(1)
    write(instance, rng, 40)
    stop = threading.Event()
    failures: list[BaseException] = []

    def write_on(seed: int) -> None:
        try:
            while not stop.is_set():
                write(instance, random.Random(seed), 3)
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write_on, args=(seed,)) for seed in range(2)]
    for writer in writers:
        writer.start()
    for index in (LOCAL, GLOBAL):
        instance.create_secondary_index("t", index)
    for index in (LOCAL, GLOBAL):
        instance.wait_secondary_index("t", index.name, WITHIN_S)
    stop.set()
    for writer in writers:
        writer.join()
    assert not failures
    check(instance)


def test_indexes_go_on_after_a_restart(tmp_path: Path) -> None:
    path, rng = tmp_path / "data", random.Random(2)
    engine = Engine.open(path)
    engine.create_instance("main")
    engine.instance("main").create_table(SCHEMA)
    write(engine.instance("main"), rng, 10)
    for index in (LOCAL, GLOBAL):
        engine.instance("main").create_secondary_index("t", index)  # and is not waited for
    for _ in range(3):
        engine.close()
        engine = Engine.open(path)
        write(engine.instance("main"), rng, 5)
    check(engine.instance("main"))
    engine.close()
    assert check_directory(path) == []


def test_a_dropped_index_leaves_nothing(engine: Engine, instance: Instance) -> None:
    instance.create_table(SCHEMA)
    for index in (LOCAL, GLOBAL):
        instance.create_secondary_index("t", index)
    write(instance, random.Random(3), 10)
    check(instance)
    ids = [index.index_id for index in instance.tables.describe("t").schema.indexes]
    assert all(stored_of(engine, index_id) for index_id in ids)
    for index in (LOCAL, GLOBAL):
        instance.drop_secondary_index("t", index.name)
    for index_id in ids:
        wait_until_gone(engine, index_id)
    write(instance, random.Random(4), 5)
    assert not any(stored_of(engine, index_id) for index_id in ids)
    with pytest.raises(ObjectNotExist):
        instance.wait_secondary_index("t", LOCAL.name, 1)


def test_indexes_go_with_their_table(engine: Engine, instance: Instance) -> None:
    table = instance.create_table(replace(SCHEMA, indexes=(LOCAL, GLOBAL)))
    write(instance, random.Random(5), 10)
    check(instance)
    instance.delete_table("t")
    for index in table.schema.indexes:
        wait_until_gone(engine, index.index_id)
    # Names are free again, and what comes begins empty.
    instance.create_table(replace(SCHEMA, indexes=(LOCAL, GLOBAL)))
    check(instance)


def test_what_a_crash_left_of_a_dropped_index_goes_at_the_next_opening(tmp_path: Path) -> None:
    path = tmp_path / "data"
    engine = Engine.open(path)
    engine.create_instance("main")
    instance = engine.instance("main")
    instance.create_table(SCHEMA)
    instance.create_secondary_index("t", LOCAL)
    write(instance, random.Random(6), 5)
    (index,) = instance.tables.describe("t").schema.indexes
    instance.tables.drop_index("t", index.name)  # as far as a crash right after the commit lets it come
    assert stored_of(engine, index.index_id) > 1
    engine.close()
    engine = Engine.open(path)
    assert stored_of(engine, index.index_id) == 0
    engine.close()


def test_changes_are_trimmed_that_global_indexes_have(tmp_path: Path) -> None:
    from support.engines import open_engine  # trims after a few changes

    engine = open_engine(tmp_path / "data")
    engine.create_instance("main")
    instance = engine.instance("main")
    instance.create_table(replace(SCHEMA, indexes=(GLOBAL,)))
    table_id = instance.tables.describe("t").table_id
    until_s = time.monotonic() + WITHIN_S
    while not engine.partition.space.changelog.trimmed_through(table_id):
        assert time.monotonic() < until_s, "no change was trimmed"
        write(instance, random.Random(7), 2)
        time.sleep(0.1)
    check(instance)
    engine.close()


def test_an_index_that_is_not_filled_is_waited_for(engine: Engine, instance: Instance) -> None:
    """A writer from before it is still inside: reads are refused until it has left, and all rows have come in."""
    instance.create_table(SCHEMA)
    write(instance, random.Random(8), 3)
    gate, writer = engine.partition.space._catalog.get("main", "t").gate, object()
    assert gate.enter(writer)
    instance.create_secondary_index("t", LOCAL)
    assert [state.is_filled for state in instance.secondary.states()] == [False]
    with pytest.raises(RequestTimeout, match="not filled"):
        instance.wait_secondary_index("t", LOCAL.name, 0.2)
    low, high = (tuple((name, bound) for name in ("p", "n", "i")) for bound in (INF_MIN, INF_MAX))
    with pytest.raises(ServerBusy):
        instance.tables.read_range(LOCAL.name, RangeRequest(low, high))
    gate.leave(writer)
    check(instance)
    assert all(state.is_filled for state in instance.secondary.states())


def test_an_index_is_filled_while_there_is_always_a_transaction(instance: Instance) -> None:
    instance.create_table(SCHEMA)
    write(instance, random.Random(8), 3)
    instance.create_secondary_index("t", LOCAL)
    transactions = [instance.tables.start_transaction("t", (("p", p),)) for p in range(5)]
    for p, transaction in enumerate(transactions):
        for change in [change for change in changes_at_random(random.Random(p), 40) if change.key[0][1] == p]:
            instance.tables.write("t", change, transaction)
    instance.wait_secondary_index("t", LOCAL.name, WITHIN_S)
    for transaction in transactions:
        instance.tables.commit_transaction(transaction)
    check(instance)


def test_fsck_compares_indexes_with_their_table(tmp_path: Path) -> None:
    path = tmp_path / "data"
    engine = Engine.open(path)
    engine.create_instance("main")
    instance = engine.instance("main")
    instance.create_table(replace(SCHEMA, indexes=(LOCAL, GLOBAL)))
    for i in range(6):
        cells = [("n", i, None, 0), ("s", f"s{i}", None, 0)]
        instance.tables.write("t", RowChange(ChangeKind.PUT, (("p", 0), ("i", i)), cells))
    check(instance)
    engine.close()
    assert check_directory(path) == []
    with StoppedDirectory(path) as directory:
        looked = DirectoryCheck(directory)
        looked.run()
        assert looked.indexes == 2
    with contextlib.closing(RocksStore(path / "kv")) as store:
        for index in (2, 3):
            prefix = keyspace.rows_prefix(index)
            pairs = list(store.scan(prefix, prefix + b"\xff" * 300))
            batch = WriteBatch()
            batch.delete(pairs[0][0])
            batch.put(pairs[1][0], pairs[2][1])
            batch.put(pairs[3][0][:-1] + b"\x63", pairs[3][1])
            store.commit(batch)
    faults = check_directory(path)
    assert {fault.remedy for fault in faults} == {Remedy.RECREATE}
    for index in (LOCAL, GLOBAL):
        told = [f"{fault.place}: {fault.text}" for fault in faults if fault.index == index.name]
        assert any("'i': 0}: is not in the index" in text for text in told)
        assert any("not so in the table" in text for text in told)
    assert any("other values" in fault.text for fault in faults if fault.index == LOCAL.name)
    # And so it is mended.
    engine = Engine.open(path)
    instance = engine.instance("main")
    for index in (LOCAL, GLOBAL):
        instance.drop_secondary_index("t", index.name)
        instance.create_secondary_index("t", index)
    check(instance)
    engine.close()
    assert check_directory(path) == []


def run_failing(path: Path, seed: int, rate: float, batches: int) -> int:
    """Writes over a store of which commits fail, then over a whole one. How many failed."""
    rng = random.Random(seed)
    failing: list[FailingCommits] = []

    def opened() -> Engine:
        store = FailingCommits(RocksStore(path / "kv"), seed, rate)
        failing.append(store)
        resources = Resources.open(str(path / "objects"), path / "scratch", 64 * 1024 * 1024)
        return Engine(path, Partition(store, path, resources, SystemClock()))

    path.mkdir(parents=True, exist_ok=True)
    engine = opened()
    engine.create_instance("main")
    instance = engine.instance("main")
    instance.create_table(SCHEMA)
    failing[0].is_failing = True
    for number in range(batches):
        try:
            instance.tables.write_batch([("t", changes_at_random(rng, 20))])
            if number == batches // 3:
                instance.create_secondary_index("t", LOCAL)
            if number == batches // 2:
                instance.create_secondary_index("t", GLOBAL)
        except StorageFailure:
            continue
    failing[0].is_failing = False
    check(instance)
    engine.close()
    engine = opened()
    write(engine.instance("main"), rng, 3)
    check(engine.instance("main"))
    engine.close()
    assert check_directory(path) == []
    return failing[0].failed


def test_commits_fail(tmp_path: Path) -> None:
    assert run_failing(tmp_path / "data", seed=1, rate=0.2, batches=40) > 0


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_commits_fail_over_and_over(tmp_path: Path) -> None:
    for seed in range(2, 32):
        assert run_failing(tmp_path / str(seed), seed, rate=0.3, batches=80) > 0


WRITER = """
import os, random, sys, threading
sys.path[:0] = sys.argv[3:]
from instance.test_secondary import GLOBAL, LOCAL, SCHEMA, changes_at_random
from lutra.instance.engine import Engine
from lutra.model.errors import LutraError, ObjectAlreadyExist

seed = int(sys.argv[2])
engine = Engine.open(sys.argv[1])
if "main" not in engine.instance_names():
    engine.create_instance("main")
instance = engine.instance("main")
if "t" not in instance.tables.names():
    instance.create_table(SCHEMA)

def work(worker):
    rng = random.Random(seed * 10 + worker)
    while True:
        instance.tables.write_batch([("t", changes_at_random(rng, 20))])
        os.write(1, b".")

def define():
    rng = random.Random(seed)
    while True:
        for index in (LOCAL, GLOBAL):
            try:
                instance.create_secondary_index("t", index)
            except ObjectAlreadyExist:
                if rng.random() < 0.3:
                    instance.drop_secondary_index("t", index.name)
            threading.Event().wait(rng.random() * 0.2)

for worker in range(2):
    threading.Thread(target=work, args=(worker,), daemon=True).start()
define()
"""


def run_killed(path: Path, rounds: int) -> int:
    """A process writes, makes and drops indexes, and is killed; then indexes list what the table says."""
    folder = Path(__file__).parents[1]
    acknowledged = 0
    for seed in range(rounds):
        rng = random.Random(seed)
        command = [sys.executable, "-c", WRITER, str(path), str(seed), str(folder)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.read(1) == b"."
        time.sleep(rng.uniform(0.05, 1.0))
        writer.send_signal(signal.SIGKILL)
        acknowledged += 1 + len(writer.stdout.read())
        writer.wait()
        writer.stdout.close()
        faults = check_directory(path)
        assert faults == []
        engine = Engine.open(path)
        try:
            check(engine.instance("main"))
        finally:
            engine.close()
        assert check_directory(path) == []
    return acknowledged


@pytest.mark.timeout(300)
def test_killed_at_any_moment(tmp_path: Path) -> None:
    assert run_killed(tmp_path / "data", 1) > 1


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_killed_at_any_moment_over_and_over(tmp_path: Path) -> None:
    assert run_killed(tmp_path / "data", 60) > 60
