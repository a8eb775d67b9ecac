"""Builds in processes of their own: done, refused, killed, orphaned."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from support.building import MIB, SCHEMA, flat_segment, job_of
from support.indexes import resources_in
from support.stalling_store import StallingStore
from support.waiting import wait_until

from lutra.fields.stored_vectors import SegmentVectors
from lutra.index.builds import builder as builder_module
from lutra.index.builds.build import run_job
from lutra.index.builds.builder import InlineBuilder, ProcessBuilder
from lutra.index.builds.job import BuildDone, BuildInput, BuildJob
from lutra.index.builds.worker import WorkerProcess
from lutra.index.lsm.resources import Resources
from lutra.model.errors import Corruption, ObjectMissing, StorageFailure
from lutra.segments.index_segment import IndexSegment
from lutra.vectors import build_plan
from lutra.vectors.layout import SegmentKind

WAIT_S = 60.0


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    opened = resources_in(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def builder() -> Iterator[ProcessBuilder]:
    opened = ProcessBuilder()
    yield opened
    opened.close()
    opened.close()


def test_jobs_come_back_as_they_were(resources: Resources) -> None:
    job = BuildJob("s3://b/p", (BuildInput("a", "d"), BuildInput("b")), "o", SCHEMA, "/tmp/x", 7, 2)
    assert BuildJob.from_json(job.to_json()) == job
    assert "\n" not in job.to_json()
    for nonsense in ("", "{}", "[]", job.to_json().replace('"inputs": [', '"inputs": [[')):
        with pytest.raises(Corruption):
            BuildJob.from_json(nonsense)


def test_a_process_builds_what_this_one_would(resources: Resources, builder: ProcessBuilder) -> None:
    job = job_of(resources, 5_000)
    phases: set[str] = set()
    assert builder.pids == []
    done = builder.submit(job, lambda phase, rows, total: phases.add(phase)).result(WAIT_S)
    assert done.shape.rows == 5_000
    assert [field.kind for field in done.shape.vectors] == [SegmentKind.CODES]
    assert phases
    (pid,) = builder.pids
    process = psutil.Process(pid)
    assert process.nice() == 19
    assert not process.net_connections()
    other = replace(job, output="inline")
    assert InlineBuilder(resources.store).submit(other).result().shape == replace(done.shape, name="inline")
    assert resources.store.get("inline") == resources.store.get("built")
    again = builder.submit(replace(job, output="again")).result(WAIT_S)
    assert again.shape.rows == 5_000
    assert pid in builder.pids, "it is kept for the next; which of the two lanes is free first takes the job"
    assert not any(resources.scratch.iterdir())
    builder.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(StorageFailure, match="closed"):
        builder.submit(job)


def test_rows_lie_in_lists_where_the_store_is_far_away(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_plan, "CODES_ROWS_MAX", 4_000)
    monkeypatch.setattr(build_plan, "LISTS_DIMENSION_MAX", 1)
    job = job_of(resources, 5_000)
    run_job(job)
    run_job(replace(job, output="far"), store=StallingStore(resources.store))
    for name, has_lists in (("built", False), ("far", True)):
        with IndexSegment.open(resources.store, name, SCHEMA, cache=resources.cache) as segment:
            [vectors] = [field for field in segment.fields.values() if isinstance(field, SegmentVectors)]
            assert (vectors.file.lists is not None) == has_lists


def test_what_is_there_is_not_built_again(resources: Resources) -> None:
    job = job_of(resources, 300)
    first = run_job(job)
    before = resources.store.local_path("built")
    assert before is not None
    inode = before.stat().st_ino
    assert run_job(job).shape == first.shape
    assert before.stat().st_ino == inode
    resources.store.put("built", b"half")
    assert run_job(job).shape == first.shape
    assert resources.store.size("built") == first.shape.bytes


def test_errors_come_back_as_what_they_are(resources: Resources, builder: ProcessBuilder) -> None:
    job = job_of(resources, 50)
    with pytest.raises(ObjectMissing, match="nothing"):
        builder.submit(replace(job, inputs=(BuildInput("nothing"),))).result(WAIT_S)
    resources.store.put("junk", b"x" * 10_000)
    with pytest.raises(Corruption, match="junk"):
        builder.submit(replace(job, inputs=(BuildInput("junk"),))).result(WAIT_S)
    with pytest.raises(StorageFailure):
        builder.submit(replace(job, scratch="/dev/null/x")).result(WAIT_S)
    assert builder.submit(job).result(WAIT_S).shape.rows == 50


def test_memory_is_bounded(resources: Resources, builder: ProcessBuilder) -> None:
    job = job_of(resources, 20_000, memory_bytes=1 * MIB)
    with pytest.raises(MemoryError, match="more than its 1048576 bytes"):
        builder.submit(job).result(WAIT_S)
    assert builder.submit(replace(job, memory_bytes=420 * MIB)).result(WAIT_S).shape.rows == 20_000


def test_killed_in_the_middle(resources: Resources) -> None:
    """At many moments: the job is as if never begun, and can be done again."""
    job = job_of(resources, 3_000)
    expected = run_job(replace(job, output="whole")).shape
    for delay_s in (0.0, 0.15):
        with contextlib.closing(ProcessBuilder()) as builder:
            future = builder.submit(job)
            wait_until(partial(is_building, resources, future))
            time.sleep(delay_s)
            for pid in builder.pids:
                os.kill(pid, signal.SIGKILL)
            if future.exception(WAIT_S) is None:
                assert future.result().shape == replace(expected, name="built")
            else:
                with pytest.raises(StorageFailure, match="signal 9"):
                    future.result()
                assert builder.submit(job).result(WAIT_S).shape == replace(expected, name="built")
        assert resources.store.get("built") == resources.store.get("whole")
        resources.store.delete("built")
    assert not any(resources.scratch.iterdir())


def is_building(resources: Resources, future: Future[BuildDone]) -> bool:
    return future.done() or (resources.scratch.exists() and any(resources.scratch.iterdir()))


def test_cancelled(resources: Resources, builder: ProcessBuilder) -> None:
    job = job_of(resources, 20_000)
    running = builder.submit(job)
    wait_until(lambda: resources.scratch.exists() and any(resources.scratch.iterdir()))
    large = [builder.submit(replace(job, output=f"x{n}", memory_bytes=900 * MIB)) for n in range(3)]
    builder.cancel("x2")
    builder.cancel("built")
    builder.cancel("unknown")
    assert large[2].cancelled()
    with pytest.raises(StorageFailure):
        running.result(WAIT_S)
    builder.close()
    for future in large[:2]:
        assert future.cancelled() or future.exception(WAIT_S) is not None


def test_a_small_job_overtakes_a_large_one(resources: Resources, builder: ProcessBuilder) -> None:
    job = job_of(resources, 20_000, memory_bytes=900 * MIB)
    small = replace(job, inputs=(BuildInput(flat_segment(resources, 10)),), output="small", memory_bytes=200 * MIB)
    # So many that they take longer than a process takes to start; those left are given up with the builder.
    large = [builder.submit(replace(job, output=f"x{n}")) for n in range(20)]
    assert builder.submit(small).result(WAIT_S).shape.rows == 10
    assert not all(future.done() for future in large)


def test_ends_with_its_parent(resources: Resources) -> None:
    """However that ends."""
    job = job_of(resources, 20_000)
    program = (
        "import sys, time\n"
        "from lutra.index.builds.builder import ProcessBuilder\n"
        "from lutra.index.builds.job import BuildJob\n"
        "builder = ProcessBuilder()\n"
        "builder.submit(BuildJob.from_json(sys.argv[1]))\n"
        "while not builder.pids: time.sleep(0.01)\n"
        "print(builder.pids[0], flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, job.to_json()], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_started_by_nobody() -> None:
    """A process whose parent has gone before it could say so ends at once."""
    ended = subprocess.run(
        [sys.executable, "-m", "lutra.index.builds.builder", "1"], input=b"", timeout=WAIT_S, check=False
    )
    assert ended.returncode == 1


def test_idle_processes_are_let_go(resources: Resources) -> None:
    builder = ProcessBuilder(idle_s=0.2)
    try:
        builder.submit(job_of(resources, 10)).result(WAIT_S)
        assert builder.pids
        wait_until(lambda: not builder.pids)
        assert builder.submit(job_of(resources, 10, output="other")).result(WAIT_S).shape.rows == 10
    finally:
        builder.close()


def test_nonsense_from_a_worker() -> None:
    worker = WorkerProcess()
    try:
        assert worker.pid > 0
        worker.kill()
        job = BuildJob("/tmp/x", (), "o", SCHEMA, "/tmp/y", MIB)
        with pytest.raises(StorageFailure, match="builder of o"):
            worker.build(job)
    finally:
        worker.close()


def test_builds_that_wait_for_their_store_hold_up_no_others(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes to the pipe that is to say what is dead: who reads it waits for ever."""
    monkeypatch.setattr(builder_module, "_LOOK_S", 0.05)
    monkeypatch.setattr(builder_module, "_STUCK_S", 0.5)
    job = job_of(resources, 200)
    pipe = resources.store.local_path("pipe")
    assert pipe is not None
    pipe.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(pipe)
    stalling = (BuildInput(job.inputs[0].name, "pipe"),)
    with contextlib.closing(ProcessBuilder(idle_s=0.5)) as builder:
        stuck = [
            builder.submit(replace(job, inputs=stalling, output=f"stuck{n}", memory_bytes=memory_mib * MIB))
            for n, memory_mib in enumerate((900, 300, 300))
        ]
        whole = [
            builder.submit(replace(job, output=f"whole{n}", memory_bytes=memory_mib * MIB))
            for n, memory_mib in enumerate((400, 900, 400, 950))
        ]
        for future in whole:
            assert future.result(WAIT_S).shape.rows == 200
        assert not any(future.done() for future in stuck)
        wait_until(lambda: len(builder._lanes) == len(stuck))
        for number in range(len(stuck)):
            builder.cancel(f"stuck{number}")
        for future in stuck:
            assert isinstance(future.exception(WAIT_S), StorageFailure)
        wait_until(lambda: len(builder._lanes) == 2)
        assert builder.submit(replace(job, output="after")).result(WAIT_S).shape.rows == 200
