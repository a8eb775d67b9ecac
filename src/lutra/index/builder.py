"""Who builds segments: processes beside this one, started when there is something to build.

``python -m lutra.index.builder`` is what such a process runs.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from lutra.index.build import run_job
from lutra.index.job import BuildDone, BuildJob, Progress
from lutra.index.worker import WorkerProcess, serve
from lutra.model.errors import StorageFailure
from lutra.objects.store import ObjectStore

QUICK_BYTES: Final = 448 * 1024 * 1024
"""A build that may take no more memory need not wait for larger ones."""
_IDLE_S: Final = 30.0
"""A process without work is kept so long: its start takes longer than a small build."""


class Builder(Protocol):
    """Thread-safe."""

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        """Has a job done, some time. Raises StorageFailure where the builder is closed.

        What went wrong is the future's exception; MemoryError where the build needs more than its job says.
        """

    def cancel(self, output: str) -> None:
        """The job with this output is not wanted any more: it is not begun, or broken off where it is."""

    def close(self) -> None:
        """Breaks off all that is under way; a second close does nothing."""


class InlineBuilder:
    """Builds in the thread that asks, at once: for builds that take less than starting a process. A `Builder`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        future: Future[BuildDone] = Future()
        try:
            future.set_result(run_job(job, on_progress, store=self._store))
        except Exception as error:
            future.set_exception(error)
        return future

    def cancel(self, output: str) -> None:
        """Nothing: what was submitted is done."""

    def close(self) -> None:
        """Nothing is ever under way."""


@dataclass(order=True, slots=True)
class _Ticket:
    memory_bytes: int
    number: int
    job: BuildJob = field(compare=False)
    on_progress: Progress | None = field(compare=False)
    future: Future[BuildDone] = field(compare=False)


class ProcessBuilder:
    """Builds in ``workers`` processes, small jobs first, and in one more that does small jobs only.

    Nothing is started before the first job. The processes run at the lowest priority, within each job's memory, and end
    with this one. A `Builder`.
    """

    def __init__(self, workers: int = 1, idle_s: float = _IDLE_S) -> None:
        self._workers = workers
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._closed = False
        self._waiting: list[_Ticket] = []
        self._numbers = itertools.count()
        self._lanes: list[_Lane] = []

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        future: Future[BuildDone] = Future()
        with self._changed:
            if self._closed:
                raise StorageFailure("the builder is closed")
            heapq.heappush(self._waiting, _Ticket(job.memory_bytes, next(self._numbers), job, on_progress, future))
            if not self._lanes:
                self._lanes = [_Lane(self, only_quick=n == 0) for n in range(self._workers + 1)]
            self._changed.notify_all()
        return future

    def cancel(self, output: str) -> None:
        with self._changed:
            for ticket in [ticket for ticket in self._waiting if ticket.job.output == output]:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                ticket.future.cancel()
            lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel(output)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            lanes, self._lanes = self._lanes, []
            self._changed.notify_all()
        for ticket in waiting:
            ticket.future.cancel()
        for lane in lanes:
            lane.cancel(None)
        for lane in lanes:
            lane.join()

    @property
    def pids(self) -> list[int]:
        """The processes there are at this moment."""
        with self._changed:
            lanes = list(self._lanes)
        return [pid for lane in lanes if (pid := lane.pid) is not None]

    def next_ticket(self, memory_bytes_max: int | None) -> _Ticket | None:
        """The smallest job that waits, within ``memory_bytes_max``; None where none came for a while.

        Raises StorageFailure once the builder is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has(memory_bytes_max), self._idle_s)
            if self._closed:
                raise StorageFailure("the builder is closed")
            return heapq.heappop(self._waiting) if self._has(memory_bytes_max) else None

    def _has(self, memory_bytes_max: int | None) -> bool:
        return bool(self._waiting) and (memory_bytes_max is None or self._waiting[0].memory_bytes <= memory_bytes_max)


class _Lane:
    """A thread with a process of its own, while there is work."""

    def __init__(self, builder: ProcessBuilder, only_quick: bool) -> None:
        self._builder = builder
        self._memory_bytes_max = QUICK_BYTES if only_quick else None
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._output: str | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="lutra-builder", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        with self._lock:
            return None if self._worker is None else self._worker.pid

    def cancel(self, output: str | None) -> None:
        """Breaks off the job with that output, or whatever is being done, for good."""
        with self._lock:
            self._ending = self._ending or output is None
            if self._worker is not None and self._output is not None and output in (None, self._output):
                self._worker.kill()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                ticket = self._builder.next_ticket(self._memory_bytes_max)
            except StorageFailure:
                self._let_go()
                return
            if ticket is None:
                self._let_go()
            elif ticket.future.set_running_or_notify_cancel():
                self._build(ticket)

    def _build(self, ticket: _Ticket) -> None:
        try:
            done = self._started(ticket.job.output).build(ticket.job, ticket.on_progress)
        except BaseException as error:
            # Whatever it was, the next job begins with a process of its own.
            self._let_go()
            ticket.future.set_exception(error)
        else:
            with self._lock:
                self._output = None
            ticket.future.set_result(done)

    def _started(self, output: str) -> WorkerProcess:
        with self._lock:
            if self._ending:
                raise StorageFailure("the builder is closed")
            if self._worker is None:
                self._worker = WorkerProcess()
            self._output = output
            return self._worker

    def _let_go(self) -> None:
        with self._lock:
            worker, self._worker, self._output = self._worker, None, None
        if worker is not None:
            worker.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]), run_job)
