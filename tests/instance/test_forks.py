"""A process that was forked from one with an open database: it is refused at once, and does no harm."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.forked import connect, insert

import lutra
from lutra.model.errors import ForkedProcess

PROGRAM = '''
import contextlib, os, signal, sys, threading, time, warnings
import numpy as np
import lutra
from lutra.model.errors import DirectoryInUse, ForkedProcess
from lutra.model.queries import MatchAll, SearchRequest

warnings.filterwarnings("ignore", category=DeprecationWarning)  # of forking with threads, since Python 3.12
PATH = sys.argv[1]

def filled(path, rows=400):
    database = lutra.connect(path)
    table = database.create_table("t", {"id": int}, {"n": int, "v": lutra.Vector(16)}, exist_ok=True)
    vectors = np.random.default_rng(1).standard_normal((rows, 16)).astype("<f4")
    table.put_many([{"id": i, "n": i, "v": vectors[i]} for i in range(rows)])
    assert len(table.search(vectors[0], limit=5)) == 5
    return database, table, vectors

def child(run):
    """Runs in a child, which ends as programs do; its status and whether it ended by itself."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        try:
            run()
        except Exception as error:
            print("the child raised", type(error).__name__, error, file=sys.stderr, flush=True)
            os._exit(1)
        sys.exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
'''


def run(tmp_path: Path, body: str, *arguments: str, timeout_s: float = 100.0) -> str:
    """Runs a program; what it printed. It must say nothing on stderr, the child's end included."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + body)
    ended = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "data"), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


EVERY_CALL = """
database, table, vectors = filled(PATH)
scan, snapshot = table.scan(), database._engine.partition.store.snapshot()
next(scan)
stopping = threading.Event()

def write(number):
    i = 0
    while not stopping.is_set():
        table.put({"id": 10_000 * number + i % 500, "n": i, "v": vectors[i % 400]})
        i += 1

writers = [threading.Thread(target=write, args=(number,), daemon=True) for number in (1, 2)]
for writer in writers:
    writer.start()

def refused():
    engine = database._engine
    instance = database._directory._engine._instances["default"]
    calls = [
        lambda: table.put({"id": 1, "n": 2}),
        lambda: table.put_many([{"id": i, "n": 2} for i in range(300)]),
        lambda: table.get(1),
        lambda: table.get_many([1, 2]),
        lambda: table.delete(1),
        lambda: table.search(vectors[0]),
        lambda: table.search(where=lutra.col("n") == 1),
        lambda: table.count(),
        lambda: list(table.scan()),
        lambda: database.table("t"),
        lambda: database.table_names(),
        lambda: database.create_table("u", {"id": int}),
        lambda: database.delete_table("t"),
        lambda: engine.instance("default"),
        lambda: engine.create_instance("other"),
        lambda: engine.instance_names(),
        lambda: instance.tables.describe("t"),
        lambda: instance.tables.names(),
        lambda: instance.tables.delete("t"),
        lambda: instance.search("t", "search", SearchRequest(MatchAll())),
        lambda: instance.list_search_indexes(),
        lambda: instance.delete_search_index("t", "search"),
        lambda: instance.create_search_index("t", "x", None),
        lambda: instance.wait_searchable("t", "search", 10.0),
        lambda: engine.partition.store.get(b"k"),
        lambda: engine.partition.store.get_many([b"k"]),
        lambda: list(engine.partition.store.scan(b"a", b"b")),
        lambda: engine.partition.store.snapshot(),
        lambda: engine.partition.store.size_bytes(b"a", b"b"),
        lambda: snapshot.get(b"k"),
    ]
    for number, call in enumerate(calls):
        begun = time.monotonic()
        try:
            call()
        except ForkedProcess as error:
            assert "connect in the child" in str(error)
        else:
            raise AssertionError(f"call {number} was accepted")
        assert time.monotonic() - begun < 20
    with contextlib.suppress(DirectoryInUse):
        lutra.connect(PATH)
        raise AssertionError("opened twice")
    engine.partition.store.close()
    engine.close()
    database.close()

for _ in range(int(sys.argv[2])):
    child(refused)
stopping.set()
for writer in writers:
    writer.join()
snapshot.close()
assert len(list(scan)) > 100
rows = len(list(table.scan()))
assert len(table.search(limit=10_000)) == rows
database.close()
with lutra.connect(PATH) as database:
    assert len(list(database.table("t").scan())) == rows
"""


def test_every_call_in_a_child_is_refused_at_once(tmp_path: Path) -> None:
    """Whatever other threads were at; and the parent goes on unharmed."""
    run(tmp_path, EVERY_CALL, "3")


@pytest.mark.parametrize(
    ("child", "parent"),
    [("closes", "open"), ("forgets", "closed"), pytest.param("forgets", "open", marks=pytest.mark.slow)],
)
def test_a_child_connects_to_a_directory_of_its_own(child: str, parent: str, tmp_path: Path) -> None:
    """Also a child's child; also where the parent has closed its own; and there all is done that is ever done."""
    body = """
database, table, vectors = filled(PATH)

def grandchild():
    second = lutra.connect(PATH + "-child-child")
    second.close()

def own():
    second, table, _ = filled(PATH + "-child", 2_000)
    for _ in range(12):  # more than memory takes: flushes and compactions
        table.put_many([{"id": i, "n": i, "v": vectors[i % 400]} for i in range(2_000)])
    assert len(table.search(vectors[0], limit=7)) == 7
    child(grandchild)
    if sys.argv[2] == "closes":
        second.close()

if sys.argv[3] == "closed":
    database.close()
child(own)
child(lambda: lutra.connect(PATH + "-child").close())
if sys.argv[3] == "closed":
    child(lambda: lutra.connect(PATH).close())
else:
    assert table.get(1)["n"] == 1
"""
    run(tmp_path, body, child, parent)


def test_a_child_that_outlives_its_parent(tmp_path: Path) -> None:
    """The parent is killed: its directory is opened by others, all rows are there, and nothing of it runs on."""
    body = """
database, table, vectors = filled(PATH)
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(writing)
    os.read(reading, 1)  # until the parent is gone
    for attempt in range(200):
        try:
            with lutra.connect(PATH) as mine:
                assert mine.table("t").get(1)["n"] == 1
            break
        except DirectoryInUse:
            time.sleep(0.1)
    else:
        os._exit(1)
    with open(PATH + ".child", "w") as told:
        told.write("opened")
    sys.exit(0)
table.put_many([{"id": i, "n": 1} for i in range(1_000, 1_100)])
os.kill(os.getpid(), signal.SIGKILL)
"""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + body)
    subprocess.run([sys.executable, str(program), str(tmp_path / "data")], check=False, timeout=100)
    deadline_s = time.monotonic() + 60
    while not (tmp_path / "data.child").exists() or not (tmp_path / "data.child").read_text():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    with lutra.connect(tmp_path / "data") as database:
        assert len(list(database.table("t").scan())) == 500


def test_a_temporary_database_stays_the_parents(tmp_path: Path) -> None:
    body = """
import gc
database, table, vectors = filled(None)
folder = database._directory.path

def drop():
    global database, table
    database = table = None
    gc.collect()

child(lambda: None)
child(drop)
child(lambda: filled(None))
assert os.path.exists(folder)
assert table.get(1)["n"] == 1
database.close()
assert not os.path.exists(folder)
"""
    run(tmp_path, body)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_multiprocessing(tmp_path: Path) -> None:
    with lutra.connect(tmp_path / "parent") as database:
        table = database.create_table("t", {"id": int}, {"n": int})
        for method, target, given, expected in (
            ("fork", insert, table, ForkedProcess.__name__),
            ("fork", connect, str(tmp_path / "forked"), "written"),
            ("spawn", connect, str(tmp_path / "spawned"), "written"),
        ):
            context = multiprocessing.get_context(method)
            results = context.SimpleQueue()
            worker = context.Process(target=target, args=(given, results))
            worker.start()
            worker.join(100)
            assert worker.exitcode == 0
            assert results.get() == expected
        assert list(table.scan()) == []
        table.put({"id": 2, "n": 2})
        assert len(table.search()) == 1


def test_workers_of_a_server_that_loads_the_program_first(tmp_path: Path) -> None:
    """As gunicorn does it with preload: the parent connects, its children serve, are killed, and come anew."""
    body = """
database, table, vectors = filled(PATH)
pids = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        refused = served = 0
        try:
            table.get(1)
        except ForkedProcess:
            refused = 1
        with lutra.connect(f"{PATH}-{number}") as mine:
            mine.create_table("t", {"id": int}, {"n": int}, exist_ok=True).put({"id": 1, "n": 1})
            os.kill(os.getpid(), signal.SIGTERM if number else signal.SIGKILL)
            time.sleep(60)
    pids.append(pid)
for pid in pids:
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status)
table.put({"id": 5_000, "n": 1})
database.close()
for number in range(3):
    with lutra.connect(f"{PATH}-{number}") as mine:
        assert mine.table("t").get(1)["n"] == 1
"""
    run(tmp_path, body)
