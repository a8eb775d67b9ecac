"""A builder whose builds are done on other machines."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from lutra.index.builds.builder import Builder, ProcessBuilder
from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.index.builds.remote.carrier import Carrier, Event
from lutra.index.builds.remote.jobs import Patience, RemoteJobs, RemoteState
from lutra.model.errors import StorageFailure

_LOOK_S: Final = 1.0
_CLOSE_WAIT_S: Final = 10.0

MakeCarrier = Callable[[Callable[[Event], None]], Carrier]
"""Makes one that tells what happens to the callable, from any thread."""


class RemoteBuilder:
    """Hands builds to a `Carrier`, and does here, last in line, what cannot be done elsewhere. A `Builder`.

    Nothing is started before the first job. One thread does it all, and the carrier is made in it: processes that it
    starts end with that thread, and so with this process.
    """

    def __init__(self, make_carrier: MakeCarrier, patience: Patience | None = None) -> None:
        self._make_carrier = make_carrier
        self._patience = patience
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._inbox: queue.SimpleQueue[Callable[[RemoteJobs, float], None]] = queue.SimpleQueue()
        self._state = RemoteState(False, "it is not started before the first build", 0, 0, 0)

    @property
    def state(self) -> RemoteState:
        """As of a second ago at most. To look at."""
        return self._state

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        future: Future[BuildDone] = Future()
        with self._lock:
            if self._closed:
                raise StorageFailure("the builder is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lutra-builder-remote", daemon=True)
                self._thread.start()
            self._inbox.put(lambda jobs, now_s: jobs.submit(job, on_progress, future, now_s))
        return future

    def cancel(self, output: str) -> None:
        self._inbox.put(lambda jobs, now_s: jobs.cancel(output))

    def hurry(self, output: str) -> None:
        self._inbox.put(lambda jobs, now_s: jobs.hurry(output))

    def close(self) -> None:
        with self._lock:
            was_closed, self._closed = self._closed, True
            thread = self._thread
        if thread is not None:
            if not was_closed:
                self._inbox.put(lambda jobs, now_s: jobs.close())
            thread.join(_CLOSE_WAIT_S)

    def _tell(self, event: Event) -> None:
        self._inbox.put(lambda jobs, now_s: jobs.told(event, now_s))

    def _run(self) -> None:
        local: Builder = ProcessBuilder(workers=0)
        carrier = self._make_carrier(self._tell)
        jobs = RemoteJobs(carrier, local, self._patience)
        looked_s = 0.0
        try:
            while not (self._closed and self._inbox.empty()):
                self._take(jobs)
                now_s = time.monotonic()
                if now_s - looked_s >= _LOOK_S:
                    looked_s = now_s
                    jobs.step(now_s)
                jobs.forget_done()
                self._state = jobs.state
        finally:
            with self._lock:
                self._closed = True
            jobs.close()  # whatever went wrong, nobody waits for ever
            carrier.close()
            local.close()

    def _take(self, jobs: RemoteJobs) -> None:
        """All that came in; waits a moment where nothing did."""
        try:
            call = self._inbox.get(timeout=_LOOK_S)
            while True:
                call(jobs, time.monotonic())
                call = self._inbox.get_nowait()
        except queue.Empty:
            pass
