"""What does a build on another machine, as a task of Ray: a process for it, and a word each second of how it gets on.

The task needs the store of objects and nothing else of whoever asks. It is told in lines of JSON, as
`lutra.index.builds.worker.serve` tells.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from lutra.index.builds.job import BuildJob
from lutra.index.builds.priority import Priority
from lutra.index.builds.remote.scratch import own_folder
from lutra.index.builds.worker import WorkerProcess

_BEAT_S: Final = 1.0
SCRATCH: Final = "lutra-builds"
"""Folders of builds, where temporary files go."""


def build_lines(job_line: str, where: str | None = None, beat_s: float = _BEAT_S) -> Iterator[str]:
    """Does a job (`BuildJob.to_json`), in a process that ends with this one, however that ends.

    Yields ``{"begun": [machine, host, pid]}``, then ``{"beat": [phase, done, total, processor_s]}`` each ``beat_s``,
    in the end ``{"done": …}`` or ``{"error": [class, text]}``. ``where``: what this machine is called, for who asks.
    """
    worker: WorkerProcess | None = None
    try:
        with own_folder(SCRATCH) as scratch:
            job = replace(BuildJob.from_json(job_line), scratch=str(scratch))
            worker = WorkerProcess(Priority.SHARED)  # by this thread, with which it ends
            yield json.dumps({"begun": [where, socket.gethostname(), worker.pid]})
            yield from _told(worker, job, beat_s)
    except Exception as error:
        yield json.dumps({"error": [type(error).__name__, str(error)]})
    finally:
        if worker is not None:
            worker.kill()
            worker.close()


def _told(worker: WorkerProcess, job: BuildJob, beat_s: float) -> Iterator[str]:
    outcome: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    progress: tuple[str, int, int] = ("", 0, 0)

    def heard(phase: str, done: int, total: int) -> None:
        nonlocal progress
        is_new, progress = phase != progress[0], (phase, done, total)
        if is_new:
            outcome.put({"beat": [*progress, worker.processor_s]})

    threading.Thread(target=_build, args=(worker, job, heard, outcome), name="lutra-build", daemon=True).start()
    while True:
        try:
            told = outcome.get(timeout=beat_s)
            yield json.dumps(told)
            if "beat" not in told:
                return
        except queue.Empty:
            yield json.dumps({"beat": [*progress, worker.processor_s]})


def _build(
    worker: WorkerProcess,
    job: BuildJob,
    heard: Callable[[str, int, int], None],
    outcome: queue.SimpleQueue[dict[str, Any]],
) -> None:
    try:
        outcome.put({"done": worker.build(job, heard).to_json()})
    except Exception as error:
        outcome.put({"error": [type(error).__name__, str(error)]})
