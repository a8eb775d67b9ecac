"""What does a build on another machine, without Ray: its words, its process, and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.building import job_of
from support.indexes import resources_in
from support.waiting import wait_until

from lutra.index.builds.build import run_job
from lutra.index.builds.job import BuildDone, BuildJob
from lutra.index.builds.remote import task
from lutra.index.builds.remote.task import build_lines
from lutra.index.lsm.resources import Resources
from lutra.model.errors import ObjectMissing


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    opened = resources_in(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; the folders of builds."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder / f"{task.SCRATCH}-{os.getuid()}"


def told(job: BuildJob) -> list[dict[str, Any]]:
    return [json.loads(line) for line in build_lines(job.to_json(), "m1", beat_s=0.05)]


def test_it_needs_the_store_and_nothing_else(resources: Resources, scratch: Path) -> None:
    job = replace(job_of(resources, 5_000), scratch="/nowhere/at/all")
    first, *beats, last = told(job)
    assert first["begun"][0] == "m1"
    assert not psutil.pid_exists(first["begun"][2])
    assert beats
    assert {beat["beat"][0] for beat in beats} - {""}
    assert beats[-1]["beat"][3] >= beats[0]["beat"][3]
    expected = run_job(replace(job, output="here", scratch=str(resources.scratch))).shape
    assert BuildDone.from_json(last["done"]).shape == replace(expected, name="built")
    assert resources.store.get("built") == resources.store.get("here")
    assert list(scratch.iterdir()) == []


def test_what_goes_wrong_is_told(resources: Resources) -> None:
    job = job_of(resources, 20_000)
    assert told(replace(job, memory_bytes=1))[-1]["error"][0] == "MemoryError"
    resources.store.put("junk", b"x" * 10_000)
    broken = replace(job, inputs=(replace(job.inputs[0], name="junk"),))
    assert told(broken)[-1]["error"][0] == "Corruption"
    assert [json.loads(line)["error"][0] for line in build_lines("{}")] == ["Corruption"]


def test_its_process_ends_with_it(resources: Resources, scratch: Path) -> None:
    """Also where it is broken off in the middle."""
    lines = build_lines(job_of(resources, 20_000).to_json(), beat_s=0.01)
    pid = json.loads(next(lines))["begun"][2]
    assert psutil.pid_exists(pid)
    lines.close()  # type: ignore[attr-defined]
    assert not psutil.pid_exists(pid)
    assert list(scratch.iterdir()) == []


def test_a_killed_process_is_told_of(resources: Resources) -> None:
    lines = build_lines(job_of(resources, 20_000).to_json(), beat_s=0.01)
    os.kill(json.loads(next(lines))["begun"][2], signal.SIGKILL)
    kind, text = json.loads(list(lines)[-1])["error"]
    assert kind == "StorageFailure"
    assert "the builder of built" in text


def test_an_attempt_takes_what_one_before_it_put(resources: Resources) -> None:
    job = job_of(resources, 300)
    first = run_job(job)
    second = run_job(replace(job, output="built-1", earlier=("lost", "built")))
    assert second.shape == first.shape
    assert "built-1" not in resources.store.list("")
    resources.store.put("half", b"x" * 100)
    assert run_job(replace(job, output="built-2", earlier=("half",))).shape.name == "built-2"


def test_what_nobody_wants_any_more_is_not_put(resources: Resources) -> None:
    """A task that stood still long enough finds that its inputs have been merged without it, or deleted."""
    job = job_of(resources, 5_000)
    gone: list[str] = []

    def while_it_builds(phase: str, done: int, total: int) -> None:
        if not gone:
            gone.append(job.inputs[0].name)
            path = resources.store.local_path(gone[0])
            assert path is not None
            path.rename(path.with_name("elsewhere"))  # whoever has it open reads on

    with pytest.raises(ObjectMissing):
        run_job(job, while_it_builds)
    assert gone
    assert "built" not in resources.store.list("")
    assert not any(resources.scratch.iterdir())


def test_no_process_outlives_its_task(resources: Resources, scratch: Path) -> None:
    """Where whoever runs the task is killed, what it left is deleted by the next."""
    job = job_of(resources, 20_000)
    program = (
        "import json, os, signal, sys, tempfile\n"
        "from lutra.index.builds.remote.task import build_lines\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "lines = build_lines(sys.argv[1], beat_s=0.01)\n"
        "print(json.loads(next(lines))['begun'][2], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, job.to_json(), str(scratch.parent)]
    pid = int(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert len(list(scratch.iterdir())) == 1
    assert "done" in told(replace(job, output="again"))[-1]
    assert list(scratch.iterdir()) == []
