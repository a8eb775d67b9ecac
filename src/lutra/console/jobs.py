"""Jobs in the background of a server: what takes longer than a page may, such as an import.

A few threads take them one after the other; the others wait, up to a number. How a job ended is kept for a while, up to
a number of jobs, and forgotten with the process. A job is told to stop by the deadline of its thread: whatever it does
in the engine ends at its next step, and a step is done or not.
"""

from __future__ import annotations

import enum
import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any, Final

from lutra.embedding.embedder import EmbeddingError
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import LutraError, ObjectNotExist, RequestTimeout, ServerBusy
from lutra.server.protocol.errors import INTERNAL_MESSAGE, told

_THREADS: Final = 2
_WAITING_MAX: Final = 16
_KEPT_MAX: Final = 50
_STOP_WAIT_S: Final = 20.0
_US_PER_S: Final = 1_000_000

logger = logging.getLogger(__name__)


class JobState(enum.Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self not in (JobState.WAITING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is. ``done`` counts what the job is about, rows mostly; a total is None where nobody knows it."""

    done: int = 0
    total: int | None = None
    read_bytes: int = 0
    total_bytes: int | None = None
    rejected: int = 0

    @property
    def share(self) -> float | None:
        """0 to 1; None where no total is known."""
        for part, whole in ((self.done, self.total), (self.read_bytes, self.total_bytes)):
            if whole:
                return min(1.0, part / whole)
        return None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job at one instant. Times are µs since the epoch, None where that is to come."""

    id: str
    kind: str
    about: Any
    """What whoever started it wants to know of it."""
    state: JobState
    progress: JobProgress
    created_us: int
    began_us: int | None
    ended_us: int | None
    outcome: Mapping[str, Any]
    """What the job says of how it ended."""
    error: str | None
    is_stopping: bool
    """Whether it was told to stop and has not come to it."""

    @property
    def seconds(self) -> float:
        """That it has run so far, or ran."""
        if self.began_us is None:
            return 0.0
        end_us = time.time_ns() // 1_000 if self.ended_us is None else self.ended_us
        return max(0.0, (end_us - self.began_us) / _US_PER_S)

    @property
    def rate(self) -> float:
        """What was done in a second, on average."""
        return self.progress.done / self.seconds if self.seconds > 0 else 0.0


class JobRun:
    """What the work of a job is given: it says how far it is, and hears whether to go on."""

    def __init__(self, job: _Job, report: Callable[[_Job, JobProgress], None]) -> None:
        self._job = job
        self._report = report

    def report(self, progress: JobProgress) -> None:
        """Raises RequestTimeout where the job is to stop."""
        self._report(self._job, progress)
        self.check()

    def check(self) -> None:
        """Raises RequestTimeout where the job is to stop."""
        self._job.deadline.check()


Work = Callable[[JobRun], Mapping[str, Any]]
"""Does what a job is for, and says how it ended. Raises LutraError."""


def _nothing() -> None:
    pass


@dataclass(slots=True, eq=False)
class _Job:
    view: JobView
    work: Work
    on_ended: Callable[[], object]
    on_forgotten: Callable[[], object]
    deadline: Deadline = dataclass_field(default_factory=lambda: Deadline(math.inf, what="job"))


class Jobs:
    """The jobs of one server. Thread-safe."""

    def __init__(self, threads: int = _THREADS, waiting_max: int = _WAITING_MAX, kept_max: int = _KEPT_MAX) -> None:
        """``kept_max``: of jobs that have ended."""
        self._threads_max = threads
        self._waiting_max = waiting_max
        self._kept_max = kept_max
        self._changed = threading.Condition()
        self._jobs: dict[str, _Job] = {}
        """In the order in which they were started."""
        self._waiting: deque[_Job] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_closed = False

    def start(
        self,
        kind: str,
        about: Any,
        work: Work,
        *,
        on_ended: Callable[[], object] = _nothing,
        on_forgotten: Callable[[], object] = _nothing,
    ) -> JobView:
        """Has ``work`` done soon. ``on_ended`` is called when the job ends, also where it never began; ``on_forgotten``
        once nobody can ask for it any more, or never. Both raise nothing.

        Raises ServerBusy where too many wait.
        """
        now_us = time.time_ns() // 1_000
        view = JobView(
            secrets.token_hex(8), kind, about, JobState.WAITING, JobProgress(), now_us, None, None, {}, None, False
        )
        job = _Job(view, work, on_ended, on_forgotten)
        with self._changed:
            if self._is_closed or len(self._waiting) >= self._waiting_max:
                raise ServerBusy("Too many jobs wait already: try again when one of them has ended.")
            self._jobs[view.id] = job
            self._waiting.append(job)
            if not self._idle and len(self._threads) < self._threads_max:
                thread = threading.Thread(target=self._work, name=f"lutra-job-{len(self._threads) + 1}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()
        return view

    def get(self, job_id: str) -> JobView:
        """Raises ObjectNotExist, also where it ended long ago."""
        with self._changed:
            return self._job(job_id).view

    def all(self) -> list[JobView]:
        """The newest first."""
        with self._changed:
            return [job.view for job in reversed(self._jobs.values())]

    def cancel(self, job_id: str) -> None:
        """Has a job stop at its next step; one that has ended stays as it is. Raises ObjectNotExist."""
        with self._changed:
            job = self._job(job_id)
            is_over = self._cancel(job)
        if is_over:
            job.on_ended()
            self._forget_oldest()

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job once it has ended, or as it is after that time. Raises ObjectNotExist."""
        with self._changed:
            self._changed.wait_for(lambda: self._job(job_id).view.state.has_ended, timeout_s)
            return self._job(job_id).view

    def close(self) -> None:
        """Stops all jobs; those under way are waited for, but not for ever. None can be started any more."""
        with self._changed:
            self._is_closed = True
            over = [job for job in self._jobs.values() if self._cancel(job)]
            self._changed.notify_all()
        for job in over:
            job.on_ended()
        until_s = time.monotonic() + _STOP_WAIT_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            logger.warning("jobs do not end and are left behind")

    def _job(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise ObjectNotExist("There is no such job: it ended long ago, or before the server was started.")
        return job

    def _cancel(self, job: _Job) -> bool:
        """Whether it has ended by that: it had not begun."""
        if job.view.state.has_ended:
            return False
        job.deadline.give_up()
        if job.view.state is JobState.WAITING:
            self._waiting.remove(job)
            self._end(job, JobState.CANCELLED)
            return True
        job.view = replace(job.view, is_stopping=True)
        return False

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)
            self._forget_oldest()
            del job  # what it is about must not stay until the next comes

    def _next(self) -> _Job | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            self._idle -= 1
            if self._is_closed:
                return None
            job = self._waiting.popleft()
            job.view = replace(job.view, state=JobState.RUNNING, began_us=time.time_ns() // 1_000)
            return job

    def _run(self, job: _Job) -> None:
        outcome: Mapping[str, Any] = {}
        error: str | None = None
        state = JobState.DONE
        try:
            with working_for(job.deadline):
                outcome = job.work(JobRun(job, self._report))
        except RequestTimeout as timeout:
            state = JobState.CANCELLED if job.deadline.is_over else JobState.FAILED
            error = None if job.deadline.is_over else str(timeout)
        except LutraError as failure:
            logger.warning("job %s (%s) failed: %s", job.view.id, job.view.kind, failure)
            # What a model lacks, or what its service says, is for whoever chose it.
            state, error = JobState.FAILED, str(failure) if isinstance(failure, EmbeddingError) else told(failure)[1]
        except Exception:
            logger.exception("job %s (%s) failed", job.view.id, job.view.kind)
            state, error = JobState.FAILED, f"{INTERNAL_MESSAGE} (job {job.view.id})"
        finally:
            job.on_ended()
        with self._changed:
            self._end(job, state, outcome, error)

    def _end(
        self, job: _Job, state: JobState, outcome: Mapping[str, Any] | None = None, error: str | None = None
    ) -> None:
        job.view = replace(
            job.view,
            state=state,
            ended_us=time.time_ns() // 1_000,
            outcome=outcome or {},
            error=error,
            is_stopping=False,
        )
        job.work = _no_work  # which may hold much
        self._changed.notify_all()

    def _report(self, job: _Job, progress: JobProgress) -> None:
        with self._changed:
            job.view = replace(job.view, progress=progress)

    def _forget_oldest(self) -> None:
        with self._changed:
            ended = [job for job in self._jobs.values() if job.view.state.has_ended]
            forgotten = ended[: max(0, len(ended) - self._kept_max)]
            for job in forgotten:
                del self._jobs[job.view.id]
        for job in forgotten:
            job.on_forgotten()


def _no_work(run: JobRun) -> Mapping[str, Any]:
    return {}
