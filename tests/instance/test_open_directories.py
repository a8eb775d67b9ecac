"""A folder that is open in this process is given again; and what a program leaves open ends with it."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import lutra
from lutra.model.errors import ParameterInvalid, StorageFailure


def test_a_second_connect_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook, where a cell runs twice."""
    monkeypatch.chdir(tmp_path)
    first = lutra.connect("data")
    table = first.create_table("t", {"id": int}, {"n": int})
    (tmp_path / "link").symlink_to("data")
    second = lutra.connect(tmp_path / "link", objects=tmp_path / "data" / "objects")
    second.table("t").put({"id": 1, "n": 1})
    assert len(table.search()) == 1
    first.close()
    first.close()
    with pytest.raises(StorageFailure, match="is closed"):
        table.get(1)
    assert second.table("t").get(1) is not None
    second.close()
    with pytest.raises(StorageFailure, match="is closed"):
        second.table_names()
    with lutra.connect("data") as third:
        assert third.table_names() == ["t"]


def test_one_that_is_dropped_counts_no_more(tmp_path: Path) -> None:
    database = lutra.connect(tmp_path)
    database = lutra.connect(tmp_path)
    gc.collect()
    database.close()
    lutra.connect(tmp_path, memory_bytes=100_000_000).close()
    table = lutra.connect(tmp_path).create_table("t", {"id": int})
    gc.collect()
    table.put({"id": 1})
    del table
    gc.collect()
    with lutra.connect(tmp_path, memory_bytes=100_000_000) as database:
        assert database.table("t").get(1) is not None


def test_other_options_are_refused(tmp_path: Path) -> None:
    with lutra.connect(tmp_path / "data") as database:
        for options in ({"memory_bytes": 100_000_000}, {"objects": tmp_path / "elsewhere"}):
            with pytest.raises(ParameterInvalid, match=f"{tmp_path}/data is open in this process with objects="):
                lutra.connect(tmp_path / "data", **options)
        assert database.table_names() == []
    assert not (tmp_path / "elsewhere").exists()


def test_many_at_once(tmp_path: Path) -> None:
    """Opened and closed by many threads, it is open whenever somebody uses it."""
    failures: list[BaseException] = []
    for number in range(2):
        with lutra.connect(tmp_path, instance=f"of-{number}") as database:
            database.create_table("t", {"id": int})

    def use(number: int) -> None:
        try:
            for i in range(10):
                with lutra.connect(tmp_path, instance=f"of-{number % 2}") as database:
                    table = database.create_table("t", {"id": int}, exist_ok=True)
                    table.put({"id": 100 * number + i})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for number in range(2):
        with lutra.connect(tmp_path, instance=f"of-{number}") as database:
            assert len(list(database.table("t").scan())) == 20


def test_a_temporary_one_goes_when_it_is_closed() -> None:
    one, other = lutra.connect(), lutra.connect()
    folders = [Path(database._directory.path) for database in (one, other)]
    one.create_table("t", {"id": int})
    assert other.table_names() == []
    one.close()
    assert [folder.exists() for folder in folders] == [False, True]
    other.close()
    assert not folders[1].exists()


LOADER = """
import sys, threading, time
import numpy as np
import lutra

connect = lutra.connect  # no module can be loaded once the main thread has ended

def table(path):
    database = connect(path)
    return database.create_table("t", {"id": int}, {"n": int, "v": lutra.Vector(512)}, exist_ok=True)

def load(rows, first, count):
    rng = np.random.default_rng(first)
    for begin in range(first, first + count, 500):
        vectors = rng.standard_normal((500, 512)).astype("<f4")
        rows.put_many([{"id": begin + i, "n": i, "v": vectors[i]} for i in range(500)])
"""

ENDS = {
    "builds under way": """
load(table(sys.argv[1]), 0, 10_000)
""",
    "threads that go on": """
rows = table(sys.argv[1])
for number in range(3):
    threading.Thread(target=load, args=(rows, 100_000 * number, 4_000)).start()
""",
    "threads that do not": """
rows = table(sys.argv[1])
def forever():
    try:
        load(rows, 0, 10**9)
    except lutra.StorageFailure:
        pass
for number in range(2):
    threading.Thread(target=forever, daemon=True).start()
time.sleep(0.5)
""",
    "a thread that begins at the end": """
def late():
    threading.main_thread().join()
    rows = table(sys.argv[1])
    load(rows, 0, 10_000)
    assert len(rows.search(np.zeros(512, np.float32), limit=3)) == 3
    while len(rows._open().index_stats("t", "search")[1].segments) < 2:  # which the second run opens
        time.sleep(0.05)
threading.Thread(target=late).start()
""",
}


@pytest.mark.parametrize(
    "end", [pytest.param(end, marks=pytest.mark.slow if end == "threads that go on" else ()) for end in ENDS]
)
def test_a_program_that_does_not_close(end: str, tmp_path: Path) -> None:
    program = LOADER + ENDS[end]
    for _ in range(2):  # what the first run left is opened by the second, several segments at a time
        ended = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=110, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
    with lutra.connect(tmp_path) as database:
        assert len(database.table("t").search(limit=1)) == 1


def test_a_limit_of_all_memory(tmp_path: Path) -> None:
    """Segments get what it leaves; who opens it with another is refused."""
    limit = 2 << 30
    with lutra.connect(tmp_path / "data", memory_limit_bytes=limit) as db:
        db.create_table("t", key={"id": int}).put({"id": 1})
        with pytest.raises(lutra.ParameterInvalid, match=f"memory_limit_bytes={limit}"):
            lutra.connect(tmp_path / "data")
        with lutra.connect(tmp_path / "data", memory_limit_bytes=limit) as again:
            assert again.table("t").get(1) is not None
    with pytest.raises(lutra.ParameterInvalid, match="a memory limit of 64 MiB is too little"):
        lutra.connect(tmp_path / "data", memory_limit_bytes=64 << 20)
    with pytest.raises(lutra.ParameterInvalid, match="goes with a database that is written to"):
        lutra.connect(tmp_path / "data", memory_limit_bytes=limit, read_only=True)
