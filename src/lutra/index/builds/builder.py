"""Who builds segments: processes beside this one, started when there is something to build.

``python -m lutra.index.builds.builder`` is what such a process runs.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from lutra.index.builds.build import run_job
from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.index.builds.priority import Priority
from lutra.index.builds.worker import WorkerProcess, serve
from lutra.model.errors import StorageFailure
from lutra.objects.store import ObjectStore

QUICK_BYTES: Final = 448 * 1024 * 1024
"""A build that may take no more memory need not wait for larger ones."""
_IDLE_S: Final = 30.0
"""A process without work is kept so long: its start takes longer than a small build."""
_LOOK_S: Final = 1.0
"""Where jobs wait, so often is looked at what holds them up."""
_STUCK_S: Final = 5.0
"""A build that took no processor time for so long waits for its store: even who is last in line gets some."""
_SPARES_MAX: Final = 4
"""Lanes beside the usual ones, while builds are stuck. A store's client gives up in the end."""


class Builder(Protocol):
    """Thread-safe."""

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        """Has a job done, some time. Raises StorageFailure where the builder is closed.

        What went wrong is the future's exception; MemoryError where the build needs more than its job says.
        """

    def cancel(self, output: str) -> None:
        """The job with this output is not wanted any more: it is not begun, or broken off where it is."""

    def hurry(self, output: str) -> None:
        """The job with this output is waited for: from now on it has a share of the processor that nobody takes."""

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

    def hurry(self, output: str) -> None:
        """Nothing, as well."""

    def close(self) -> None:
        """Nothing is ever under way."""


@dataclass(order=True, slots=True)
class _Ticket:
    memory_bytes: int
    number: int
    job: BuildJob = field(compare=False)
    on_progress: Progress | None = field(compare=False)
    future: Future[BuildDone] = field(compare=False)
    is_hurried: bool = field(default=False, compare=False)
    is_cancelled: bool = field(default=False, compare=False)


class ProcessBuilder:
    """Builds in ``workers`` processes, small jobs first, and in one more that does small jobs only.

    Nothing is started before the first job. The processes come last in line for processor and disk, but for jobs that
    are hurried, keep within each job's memory, and end with this one. A `Builder`.

    Builds that wait for a store that does not answer hold up no others: where jobs wait and every lane that could take
    them is stuck, another is opened, up to a bound.

    Where a process may not be moved up in line, which takes root or CAP_SYS_NICE, a job that is under way already stays
    last; the jobs after it begin in a process that has its share from the start.
    """

    def __init__(self, workers: int = 1, idle_s: float = _IDLE_S, memory_bytes: int | None = None) -> None:
        """``memory_bytes``: what the jobs under way may take together; None: each what it says. One that needs more
        goes alone."""
        self.before_build: Callable[[], None] = lambda: None
        """Called, by any thread, before a job is begun that a process does."""
        self._memory_bytes = memory_bytes
        self._running_bytes = 0
        self._workers = workers
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._closed = False
        self._waiting: list[_Ticket] = []
        self._unfinished: dict[str, _Ticket] = {}
        self._numbers = itertools.count()
        self._lanes: list[_Lane] = []

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        future: Future[BuildDone] = Future()
        with self._changed:
            if self._closed:
                raise StorageFailure("the builder is closed")
            ticket = _Ticket(job.memory_bytes, next(self._numbers), job, on_progress, future)
            heapq.heappush(self._waiting, ticket)
            self._unfinished[job.output] = ticket
            if not self._lanes:
                self._lanes = [_Lane(self, only_quick=n == 0) for n in range(self._workers + 1)]
                threading.Thread(target=self._watch, name="lutra-builder-watch", daemon=True).start()
            self._changed.notify_all()
        future.add_done_callback(lambda _: self._finished(ticket))
        return future

    def _finished(self, ticket: _Ticket) -> None:
        with self._changed:
            if self._unfinished.get(ticket.job.output) is ticket:
                del self._unfinished[ticket.job.output]

    def hurry(self, output: str) -> None:
        with self._changed:
            ticket = self._unfinished.get(output)
            if ticket is None or ticket.is_hurried:
                return
            ticket.is_hurried = True
            lanes = list(self._lanes)
        for lane in lanes:
            lane.hurry(ticket)

    def cancel(self, output: str) -> None:
        with self._changed:
            ticket = self._unfinished.get(output)
            if ticket is None:
                return
            ticket.is_cancelled = True
            if ticket in self._waiting:
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
            if not self._has(memory_bytes_max):
                return None
            ticket = heapq.heappop(self._waiting)
            self._running_bytes += ticket.memory_bytes
            return ticket

    def ended(self, ticket: _Ticket) -> None:
        """What `next_ticket` gave has come to its end."""
        with self._changed:
            self._running_bytes -= ticket.memory_bytes
            self._changed.notify_all()

    def end(self, lane: _Lane) -> bool:
        """Whether a spare lane that has nothing to do may end: no job has come meanwhile."""
        with self._changed:
            if lane in self._lanes and not self._waiting:
                self._lanes.remove(lane)
                return True
            return False

    def _watch(self) -> None:
        """Opens lanes beside those that are stuck, where jobs wait for them."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting)
                if self._changed.wait_for(lambda: self._closed, _LOOK_S):
                    return
                lanes = list(self._lanes)
            moving = [lane for lane in lanes if not lane.is_stuck()]
            with self._changed:
                if self._closed:
                    return
                for only_quick in (True, False):
                    is_wanted = any((job.memory_bytes <= QUICK_BYTES) is only_quick for job in self._waiting)
                    is_served = any(only_quick or not lane.only_quick for lane in moving)
                    has_room = len(self._lanes) <= self._workers + _SPARES_MAX
                    if is_wanted and not is_served and has_room:
                        self._lanes.append(_Lane(self, only_quick=only_quick, is_spare=True))

    def _has(self, memory_bytes_max: int | None) -> bool:
        if not self._waiting:
            return False
        wanted = self._waiting[0].memory_bytes
        if self._memory_bytes is not None and self._running_bytes and self._running_bytes + wanted > self._memory_bytes:
            return False
        return memory_bytes_max is None or wanted <= memory_bytes_max


class _Lane:
    """A thread with a process of its own, while there is work."""

    def __init__(self, builder: ProcessBuilder, only_quick: bool, is_spare: bool = False) -> None:
        """``is_spare``: it ends when it has nothing to do."""
        self.only_quick = only_quick
        self._builder = builder
        self._is_spare = is_spare
        self._seen: tuple[_Ticket | None, float] = (None, 0.0)
        self._seen_at_s = 0.0
        self._memory_bytes_max = QUICK_BYTES if only_quick else None
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._ticket: _Ticket | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="lutra-builder", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        with self._lock:
            return None if self._worker is None else self._worker.pid

    def is_stuck(self) -> bool:
        """Whether what is being done took no processor time for a while. To be asked now and then, by one thread."""
        with self._lock:
            now = self._ticket, 0.0 if self._worker is None else self._worker.processor_s
        if now[0] is not self._seen[0] or now[1] != self._seen[1]:
            self._seen, self._seen_at_s = now, time.monotonic()
        return now[0] is not None and time.monotonic() - self._seen_at_s >= _STUCK_S

    def cancel(self, output: str | None) -> None:
        """Breaks off the job with that output, or whatever is being done, for good."""
        with self._lock:
            self._ending = self._ending or output is None
            if self._worker is not None and self._ticket is not None and output in (None, self._ticket.job.output):
                self._worker.kill()

    def hurry(self, ticket: _Ticket) -> None:
        """Where that is what is being done. One that is about to be begun is looked at when it is."""
        with self._lock:
            if self._worker is not None and self._ticket is ticket:
                self._worker.move(Priority.SHARED)

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
                if self._is_spare and self._builder.end(self):
                    return
            else:
                try:
                    if ticket.future.set_running_or_notify_cancel():
                        self._builder.before_build()
                        self._build(ticket)
                finally:
                    self._builder.ended(ticket)

    def _build(self, ticket: _Ticket) -> None:
        try:
            done = self._started(ticket).build(ticket.job, ticket.on_progress)
        except BaseException as error:
            # Whatever it was, the next job begins with a process of its own.
            self._let_go()
            ticket.future.set_exception(error)
        else:
            with self._lock:
                self._ticket = None
            ticket.future.set_result(done)

    def _started(self, ticket: _Ticket) -> WorkerProcess:
        with self._lock:
            if self._ending:
                raise StorageFailure("the builder is closed")
            if ticket.is_cancelled:
                raise StorageFailure(f"the build of {ticket.job.output!r} is not wanted any more")
            self._ticket = ticket
            priority = Priority.SHARED if ticket.is_hurried else Priority.LAST
            if self._worker is not None and not self._worker.move(priority):
                self._worker.close()
                self._worker = None
            if self._worker is None:
                self._worker = WorkerProcess(priority)
            return self._worker

    def _let_go(self) -> None:
        with self._lock:
            worker, self._worker, self._ticket = self._worker, None, None
        if worker is not None:
            worker.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]), run_job)
