"""Builds come last in line until they fall behind; then they have a share of the processor that nobody takes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.indexes import index_in, resources_in
from support.waiting import wait_until

from lutra.feed.progress import Progress
from lutra.index.builds.builder import ProcessBuilder
from lutra.index.builds.job import BuildInput, BuildJob
from lutra.index.builds.policy import Policy, SegmentShape, VectorsShape
from lutra.index.builds.priority import Priority
from lutra.index.builds.worker import WorkerProcess
from lutra.index.lsm.index import SearchIndex
from lutra.index.lsm.resources import Resources
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import Row
from lutra.model.schema import KeyColumn
from lutra.model.values import ColumnType
from lutra.vectors.layout import SegmentKind

KEY = (KeyColumn("id", ColumnType.INTEGER),)
DIMENSION = 64
SCHEMA = IndexSchema((FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION)),))
ROWS = 4_500
"""Of a buffer: more than a flat segment is meant to have, so that a builder makes codes of it."""
POLICY = Policy(flush_bytes=ROWS * DIMENSION * 4, flush_age_s=3_600, fan_in=1_000)
WAIT_S = 60.0
OWN = os.getpriority(os.PRIO_PROCESS, 0)
LAST, SHARED = ({min(19, OWN + more) - OWN} for more in (19, 5))
"""Niceness above this process's."""
MIB = 1024 * 1024
_CAP_SYS_NICE = 23
_CAPABILITY_VERSION = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def as_anybody() -> Iterator[None]:
    """This thread, and those it starts, may not move processes up in line; by default root may."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_CAPABILITY_VERSION, 0), (_Sets * 2)()
    assert libc.capget(ctypes.byref(header), ctypes.byref(sets)) == 0
    before = sets[0].effective
    sets[0].effective = before & ~(1 << _CAP_SYS_NICE)
    assert libc.capset(ctypes.byref(header), ctypes.byref(sets)) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(ctypes.byref(header), ctypes.byref(sets)) == 0


def may_move_up() -> bool:
    with open("/proc/thread-self/status") as status:
        effective = next(line for line in status if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_SYS_NICE & 1)


def niceness(pid: int) -> set[int]:
    """Of all threads of a process, above this one's. Some may end meanwhile, or all of them."""
    own, found, tids = os.getpriority(os.PRIO_PROCESS, 0), set[int](), list[str]()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        tids = os.listdir(f"/proc/{pid}/task")
    for tid in tids:
        with contextlib.suppress(ProcessLookupError):
            found.add(os.getpriority(os.PRIO_PROCESS, int(tid)) - own)
    return found


@pytest.fixture
def builder() -> Iterator[ProcessBuilder]:
    opened = ProcessBuilder()
    yield opened
    opened.close()


@pytest.fixture
def resources(tmp_path: Path, builder: ProcessBuilder) -> Iterator[Resources]:
    opened = resources_in(tmp_path, policy=POLICY, builder=builder)
    yield opened
    opened.close()


class Filled:
    """An index that is given a buffer's rows at a time."""

    def __init__(self, resources: Resources) -> None:
        self.index: SearchIndex = index_in(resources, SCHEMA, KEY)
        self.index.open()
        self.rows = 0

    def add_buffer(self) -> None:
        vectors = np.random.default_rng(self.rows).standard_normal((ROWS, DIMENSION)).astype("<f4")
        self.index.apply([Row((("id", self.rows + n),), [("v", vectors[n].tobytes(), 1)]) for n in range(ROWS)])
        self.rows += ROWS
        self.index.reached(Progress(self.rows, True))
        self.index.flush()


def test_a_build_that_falls_behind_is_moved_up(resources: Resources, builder: ProcessBuilder) -> None:
    if not may_move_up():
        pytest.skip("takes root or CAP_SYS_NICE")
    filled = Filled(resources)
    filled.add_buffer()
    wait_until(lambda: len(builder.pids) == 1)
    (pid,) = builder.pids
    os.kill(pid, signal.SIGSTOP)  # as if others took the whole processor
    try:
        assert filled.index.waiting_buffers == 1
        assert niceness(pid) == LAST
        filled.add_buffer()
        assert filled.index.waiting_buffers == 2
        assert niceness(pid) == SHARED
    finally:
        os.kill(pid, signal.SIGCONT)
    filled.index.compact()
    assert filled.index.waiting_buffers == 0
    filled.add_buffer()
    wait_until(lambda: any(niceness(pid) == LAST for pid in builder.pids))
    filled.index.compact()
    assert filled.index.rows == filled.rows
    filled.index.close()


def test_where_a_process_may_not_be_moved_up_the_next_job_has_another(
    resources: Resources, builder: ProcessBuilder
) -> None:
    with as_anybody():
        assert not may_move_up()
        filled = Filled(resources)
        filled.add_buffer()
        job = job_of(resources, filled)
        filled.index.close()
        wait_until(lambda: not builder.pids)  # the index's own build has been broken off, and its process is gone
        first = builder.submit(replace(job, output="first"))
        wait_until(lambda: any(niceness(pid) == LAST for pid in builder.pids))
        builder.hurry("first")
        builder.hurry("unknown")
        assert [niceness(pid) for pid in builder.pids] == [LAST], "what is under way stays where it is"
        assert first.result(WAIT_S).shape.rows == ROWS
        held = [builder.submit(replace(job, output=f"large{n}")) for n in range(4)]
        for n in range(4):
            builder.hurry(f"large{n}")
        wait_until(lambda: any(niceness(pid) == SHARED for pid in builder.pids))
        assert all(future.result(WAIT_S).shape.rows == ROWS for future in held)
        builder.hurry("first")  # done long ago


def job_of(resources: Resources, filled: Filled) -> BuildJob:
    """Of what the index has flushed."""
    (segment,) = filled.index._segments.named.values()
    inputs = (BuildInput(filled.index._storage.full(segment.name)),)
    return BuildJob(resources.address, inputs, "o", SCHEMA, str(resources.scratch), 420 * MIB)


def test_all_threads_of_a_process_are_moved() -> None:
    if not may_move_up():
        pytest.skip("takes root or CAP_SYS_NICE")
    program = (
        "import threading, time\n"
        "for _ in range(3): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(os.listdir(f"/proc/{process.pid}/task")) == 4
        for priority, expected in ((Priority.LAST, LAST), (Priority.SHARED, SHARED), (Priority.LAST, LAST)):
            priority.give(process.pid)
            assert niceness(process.pid) == expected
        process.kill()


def test_a_worker_tells_where_it_stands() -> None:
    if not may_move_up():
        pytest.skip("takes root or CAP_SYS_NICE")
    worker = WorkerProcess()
    try:
        assert niceness(worker.pid) == LAST
        assert worker.move(Priority.SHARED)
        assert niceness(worker.pid) == SHARED
        with as_anybody():
            assert worker.move(Priority.LAST), "down is everybody's right"
            assert niceness(worker.pid) == LAST
            assert not worker.move(Priority.SHARED)
        worker.kill()
        worker._child.wait()
        assert not worker.move(Priority.SHARED)
    finally:
        worker.close()


def test_when_builds_fall_behind() -> None:
    policy = Policy()
    assert not policy.is_behind(0, 0, [])
    assert not policy.is_behind(policy.hurry_buffers - 1, 3, [])
    assert policy.is_behind(policy.hurry_buffers, 3, [])
    codes = [
        SegmentShape(f"{n}", 15_000, 0, 10 * MIB, 0, (VectorsShape(128, 15_000, SegmentKind.CODES),)) for n in range(20)
    ]
    assert policy.is_behind(0, 20, codes)
    assert not policy.is_behind(0, 20, codes[:3]), "all that is to be merged is being merged"
    assert not policy.is_behind(0, policy.hurry_segments - 1, codes)
